package cachestore

import (
	"math"
	"sync/atomic"

	"edgecache/policy"
)

const slotBlock = 1024 // slots; 72 KiB

// slots are numbered from 1; 0 is none. They stand in blocks that never move and are
// never given back, and a slot that is free waits in a list for its next object.
type slots struct {
	blocks []*[slotBlock]slot
	made   uint32 // the highest number so far
	free   uint32 // the first of those that wait
	taken  uint32
	most   uint32 // no higher number is made; 0: what 32 bits can say
}

// slot is one object's line of memory: 72 bytes, no pointer.
type slot struct {
	hash    policy.Hash
	id      uint64
	body    int64
	meta    uint32
	expires uint32

	next   uint32 // in its chain, or among the free
	due    uint32 // its place among those that expire, from 1; 0: it has none
	ranked uint32 // its place in the order of worth, from 1; 0: it has none

	state  uint32        // 24 bits of generation above 8 of stage
	uses   atomic.Uint32 // how often it was asked for; added to without the shard's mutex
	placed uint32        // of uses: what its worth is made of
	worth  float64
}

// stage says how much of an object is there.
type stage uint8

const (
	stageFree stage = iota
	stageHidden
	stageVisible
)

const (
	stageBits     = 8
	generationOne = 1 << stageBits
	stageMask     = generationOne - 1
)

func (s *slot) stage() stage       { return stage(s.state & stageMask) }
func (s *slot) setStage(to stage)  { s.state = s.state&^stageMask | uint32(to) }
func (s *slot) generation() uint32 { return s.state >> stageBits }

// ref names an object of an index for as long as it is there: 32 bits of slot, 24 bits
// of generation above it. 0 is none. A ref of an object that was freed never finds
// another one, until the generation comes round after 2²⁴ reuses of the slot.
type ref uint64

func (r ref) slot() uint32       { return uint32(r) }
func (r ref) generation() uint32 { return uint32(r >> 32) }

func (a *slots) at(n uint32) *slot { return &a.blocks[n/slotBlock][n%slotBlock] }

// ref names what is in slot n now; none for 0.
func (a *slots) ref(n uint32) ref {
	if n == 0 {
		return 0
	}
	return ref(a.at(n).generation())<<32 | ref(n)
}

// find returns the slot of r while r's object has it, nil after.
func (a *slots) find(r ref) *slot {
	n := r.slot()
	if n == 0 || n > a.made {
		return nil
	}
	s := a.at(n)
	if s.generation() != r.generation() || s.stage() == stageFree {
		return nil
	}
	return s
}

// take returns a slot for a new object, 0 when there is none.
func (a *slots) take() uint32 {
	if n := a.free; n != 0 {
		a.free = a.at(n).next
		a.taken++
		return n
	}
	if a.made == math.MaxUint32 || a.most != 0 && a.made >= a.most {
		return 0
	}
	n := a.made + 1
	if int(n/slotBlock) == len(a.blocks) {
		a.blocks = append(a.blocks, new([slotBlock]slot))
	}
	a.made = n
	a.taken++
	return n
}

// give takes a slot back. What was its ref finds nothing from now on.
func (a *slots) give(n uint32) {
	s := a.at(n)
	s.state += generationOne // the highest goes round to 0
	s.setStage(stageFree)
	s.next = a.free
	a.free = n
	a.taken--
}

func (a *slots) memory() int64 {
	return int64(len(a.blocks))*slotBlockBytes + int64(cap(a.blocks))*pointerBytes
}
