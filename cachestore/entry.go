package cachestore

import (
	"hash/maphash"
	"sync/atomic"

	"edgecache/policy"
)

// entry is what the memory tier knows of one stored variant and its renewals:
// how often it was used, and which part of the tier holds it. It has no way to
// the variant, so that an entry that lingers somewhere keeps no body alive.
type entry struct {
	key  policy.Key // as in its Resource
	id   uint64     // under which Ristretto ranks it: of key and selector
	size int64      // bytes; Ristretto's cost

	hits  atomic.Uint32 // a hit is one add here
	place atomic.Uint32 // a place

	class uint8 // of its size

	// Of the window, and of the class after it, under their mutexes.
	prev, next *entry
	seen       uint32 // hits when it last came by; more now means visited
}

// place says which part of the tier holds an entry.
type place uint32

const (
	placeNew     place = iota // not yet in the window
	placeWindow               // first in, first out
	placeMain                 // Ristretto holds it
	placeLoose                // stored, but Ristretto's buffer was full: unranked
	placeLeaving              // Ristretto said no; waits to be taken out of the table
	placeGone                 // out of the table
)

func (e *entry) move(from, to place) (moved bool) {
	return e.place.CompareAndSwap(uint32(from), uint32(to))
}

func (e *entry) at() place { return place(e.place.Load()) }

var selectorSeed = maphash.MakeSeed()

func newEntry(k policy.Key, v *Variant) *entry {
	id := k.Hash.Lo
	if len(v.Selector) > 0 {
		id ^= maphash.Bytes(selectorSeed, v.Selector)
	}
	size := v.Size() + resourceBytes + rounded(int64(len(k.Full))) + pointerBytes
	return &entry{key: k, id: id, size: size, class: classOf(size)}
}
