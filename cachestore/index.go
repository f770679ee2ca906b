package cachestore

import (
	"math"
	"sync/atomic"

	"edgecache/policy"
)

// index is what one shard of the disk tier knows in memory of its objects: 88 bytes an
// object (72 of its slot, 8 of the table, 4 of each heap), under 220 KiB of blocks that
// are not full, and no pointer but those to blocks, so that ten million objects cost the
// collector nothing. No block is ever copied to grow: an add waits at most for a new one
// of each kind and for a longer list of them, 80 KB at ten million objects.
//
// The zero value is ready. It is not safe for concurrent use, the shard's mutex guards
// it; only the counts that uses returns are added to without it.
type index struct {
	slots  slots
	chains chains
	due    ranking
	order  worthOrder

	visible    int
	body, meta int64 // bytes of what is visible
}

// indexed is what the index keeps of one object.
type indexed struct {
	Hash    policy.Hash // of its primary key; several variants share one
	ID      uint64      // its key on disk; rises with placement
	Body    int64       // bytes of its body
	Meta    uint32      // bytes of its meta record
	Expires uint32      // Unix seconds from which it is of no use, or never
	Uses    uint32      // how often it was asked for
}

// never is the Expires of what stays of use for ever.
const never = math.MaxUint32

// add takes in an object, which has no place in the order before rank. It returns 0
// when the index has as many objects as it can number, those that are hidden included.
func (x *index) add(o indexed) ref {
	n := x.slots.take()
	if n == 0 {
		return 0
	}
	s := x.slots.at(n)
	s.hash, s.id, s.body, s.meta, s.expires = o.Hash, o.ID, o.Body, o.Meta, o.Expires
	s.setStage(stageVisible)
	s.uses.Store(o.Uses)
	x.order.heap.by = byWorth
	x.chains.insert(&x.slots, n)
	if o.Expires != never {
		x.due.push(&x.slots, n)
	}
	x.visible++
	x.body += o.Body
	x.meta += int64(o.Meta)
	return x.slots.ref(n)
}

// get returns what is known of an object, a hidden one too.
func (x *index) get(r ref) (o indexed, ok bool) {
	s := x.slots.find(r)
	if s == nil {
		return indexed{}, false
	}
	return indexed{s.hash, s.id, s.body, s.meta, s.expires, s.uses.Load()}, true
}

// of appends to dst all visible objects with the hash, in no order.
func (x *index) of(h policy.Hash, dst []ref) []ref {
	for n := x.chains.first(h); n != 0; {
		s := x.slots.at(n)
		if s.hash == h {
			dst = append(dst, x.slots.ref(n))
		}
		n = s.next
	}
	return dst
}

// has says whether of would find any.
func (x *index) has(h policy.Hash) bool {
	for n := x.chains.first(h); n != 0; {
		s := x.slots.at(n)
		if s.hash == h {
			return true
		}
		n = s.next
	}
	return false
}

// hide takes a visible object out of everything but its slot: only get and uses still
// answer, for a reader that is not done. Its bytes count no more. free must follow.
func (x *index) hide(r ref) (hidden bool) {
	s := x.find(r)
	if s == nil {
		return false
	}
	n := r.slot()
	x.unrank(r)
	x.chains.remove(&x.slots, n)
	x.due.remove(&x.slots, n)
	x.visible--
	x.body -= s.body
	x.meta -= int64(s.meta)
	s.setStage(stageHidden)
	return true
}

// free gives the slot of a hidden object back. From here on nothing answers to r.
func (x *index) free(r ref) (freed bool) {
	s := x.slots.find(r)
	if s == nil || s.stage() != stageHidden {
		return false
	}
	x.slots.give(r.slot())
	return true
}

// remove is hide and free, for a visible object that nobody reads.
func (x *index) remove(r ref) (removed bool) {
	return x.hide(r) && x.free(r)
}

// revise is for a visible object whose meta record was replaced.
func (x *index) revise(r ref, meta, expires uint32) (revised bool) {
	s := x.find(r)
	if s == nil {
		return false
	}
	x.meta += int64(meta) - int64(s.meta)
	s.meta, s.expires = meta, expires
	n := r.slot()
	switch {
	case s.due == 0 && expires != never:
		x.due.push(&x.slots, n)
	case s.due != 0 && expires == never:
		x.due.remove(&x.slots, n)
	case s.due != 0:
		x.due.fix(&x.slots, n)
	}
	return true
}

// shows says whether an object is visible.
func (x *index) shows(r ref) bool { return x.find(r) != nil }

// each calls f for the objects that have a place in the order, until f says false. f
// must not change the order.
func (x *index) each(f func(ref) (more bool)) {
	for p := range x.order.heap.heap.len {
		if !f(x.slots.ref(*x.order.heap.heap.at(p))) {
			return
		}
	}
}

// expired returns the object that expires first, if that is not after now. It keeps no
// time of its own, so now may jump in either direction.
func (x *index) expired(now uint32) (r ref, ok bool) {
	n := x.due.first()
	if n == 0 || x.slots.at(n).expires > now {
		return 0, false
	}
	return x.slots.ref(n), true
}

// uses returns the count of an object's uses, nil for none. Whoever has it may add to it at
// any time and without the shard's mutex: the memory stays that of a slot. If the slot
// was reused meanwhile, some other object is taken to be asked for more.
func (x *index) uses(r ref) *atomic.Uint32 {
	s := x.slots.find(r)
	if s == nil {
		return nil
	}
	return &s.uses
}

// len is how many objects are visible, hidden how many wait to be freed.
func (x *index) len() int    { return x.visible }
func (x *index) hidden() int { return int(x.slots.taken) - x.visible }

// bodyBytes and metaBytes are what the visible objects have on disk.
func (x *index) bodyBytes() int64 { return x.body }
func (x *index) metaBytes() int64 { return x.meta }

// memory is how many bytes the index takes. Slots that were freed are kept for reuse,
// so it follows the most objects there ever were, not those there are.
func (x *index) memory() int64 {
	return indexBytes + x.slots.memory() + x.chains.heads.memory() + x.due.heap.memory() +
		x.order.heap.heap.memory()
}

// find returns the slot of a visible object, nil for any other.
func (x *index) find(r ref) *slot {
	s := x.slots.find(r)
	if s == nil || s.stage() != stageVisible {
		return nil
	}
	return s
}
