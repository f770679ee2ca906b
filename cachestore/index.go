package cachestore

import (
	"math"
	"sync/atomic"

	"edgecache/policy"
)

// index is what one shard of the disk tier knows in memory of its objects: 76 bytes an
// object (64 of its slot, 8 of the table, 4 of the heap), under 400 KiB of blocks that
// are not full, and no pointer but those to blocks, so that ten million objects cost the
// collector nothing. No block is ever copied to grow: an add waits at most for a new one
// of each kind and for a longer list of them, 40 KB at ten million objects.
//
// The zero value is ready. It is not safe for concurrent use, the shard's mutex guards
// it; only the marks that used returns are set without it.
type index struct {
	slots  slots
	chains chains
	due    deadlines

	front, back uint32 // the oldest and the youngest of the order
	visible     int
	body, meta  int64 // bytes of what is visible
}

// indexed is what the index keeps of one object.
type indexed struct {
	Hash    policy.Hash // of its primary key; several variants share one
	ID      uint64      // its key on disk; rises with placement
	Body    int64       // bytes of its body
	Meta    uint32      // bytes of its meta record
	Expires uint32      // Unix seconds from which it is of no use, or never
}

// never is the Expires of what stays of use for ever.
const never = math.MaxUint32

// add takes in an object at the young end of the order. It returns 0 when the index has
// as many objects as it can number, those that are hidden included.
func (x *index) add(o indexed) ref {
	n := x.place(o)
	if n == 0 {
		return 0
	}
	x.linkYoung(n)
	return x.slots.ref(n)
}

// addBehind is add behind another object, at the old end when r is none or gone: a
// shard that is read back from its oldest object on keeps the order while new ones
// are added at the young end.
func (x *index) addBehind(r ref, o indexed) ref {
	n := x.place(o)
	if n == 0 {
		return 0
	}
	if before := x.find(r); before != nil {
		x.linkBehind(r.slot(), n)
	} else {
		x.linkOld(n)
	}
	return x.slots.ref(n)
}

// place gives o a slot, and a place in the table and the heap, but not in the order.
func (x *index) place(o indexed) uint32 {
	n := x.slots.take()
	if n == 0 {
		return 0
	}
	s := x.slots.at(n)
	s.hash, s.id, s.body, s.meta, s.expires = o.Hash, o.ID, o.Body, o.Meta, o.Expires
	s.setStage(stageVisible)
	s.used.Store(0)
	x.chains.insert(&x.slots, n)
	if o.Expires != never {
		x.due.push(&x.slots, n)
	}
	x.visible++
	x.body += o.Body
	x.meta += int64(o.Meta)
	return n
}

// get returns what is known of an object, a hidden one too.
func (x *index) get(r ref) (o indexed, ok bool) {
	s := x.slots.find(r)
	if s == nil {
		return indexed{}, false
	}
	return indexed{s.hash, s.id, s.body, s.meta, s.expires}, true
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

// hide takes a visible object out of everything but its slot: only get and used still
// answer, for a reader that is not done. Its bytes count no more. free must follow.
func (x *index) hide(r ref) (hidden bool) {
	s := x.find(r)
	if s == nil {
		return false
	}
	n := r.slot()
	x.chains.remove(&x.slots, n)
	x.unlink(s)
	if s.due != 0 {
		x.due.remove(&x.slots, n)
	}
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

// move is for an object that was written again under a higher id: it goes to the young
// end of the order and has its use still before it.
func (x *index) move(r ref, id uint64) (moved bool) {
	s := x.find(r)
	if s == nil {
		return false
	}
	x.unlink(s)
	x.linkYoung(r.slot())
	s.id = id
	s.used.Store(0)
	return true
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

// renew lets a visible object that stays where it is on disk go to the young end of the
// order, with its use still before it.
func (x *index) renew(r ref) {
	if s := x.find(r); s != nil {
		x.unlink(s)
		x.linkYoung(r.slot())
		s.used.Store(0)
	}
}

// shows says whether an object is visible.
func (x *index) shows(r ref) bool { return x.find(r) != nil }

// oldest is where a walk over the visible objects begins; 0 when there are none.
func (x *index) oldest() ref { return x.slots.ref(x.front) }

// younger is the one that was placed next after r; 0 after the youngest, and when r is
// not visible any more.
func (x *index) younger(r ref) ref {
	s := x.find(r)
	if s == nil {
		return 0
	}
	return x.slots.ref(s.newer)
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

// used returns the mark of an object's use, nil for none. Whoever has it may set it at
// any time and without the shard's mutex: the memory stays that of a slot. If the slot
// was reused meanwhile, some other object lives a little longer.
func (x *index) used(r ref) *atomic.Uint32 {
	s := x.slots.find(r)
	if s == nil {
		return nil
	}
	return &s.used
}

// wasUsed says whether an object was used since it was added, moved or unused.
func (x *index) wasUsed(r ref) bool {
	s := x.slots.find(r)
	return s != nil && s.used.Load() != 0
}

// unuse clears the mark of an object's use.
func (x *index) unuse(r ref) {
	if s := x.slots.find(r); s != nil {
		s.used.Store(0)
	}
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
	return indexBytes + x.slots.memory() + x.chains.heads.memory() + x.due.heap.memory()
}

// find returns the slot of a visible object, nil for any other.
func (x *index) find(r ref) *slot {
	s := x.slots.find(r)
	if s == nil || s.stage() != stageVisible {
		return nil
	}
	return s
}

func (x *index) linkYoung(n uint32) {
	s := x.slots.at(n)
	s.older, s.newer = x.back, 0
	if x.back != 0 {
		x.slots.at(x.back).newer = n
	} else {
		x.front = n
	}
	x.back = n
}

func (x *index) linkOld(n uint32) {
	s := x.slots.at(n)
	s.older, s.newer = 0, x.front
	if x.front != 0 {
		x.slots.at(x.front).older = n
	} else {
		x.back = n
	}
	x.front = n
}

func (x *index) linkBehind(before, n uint32) {
	if before == x.back {
		x.linkYoung(n)
		return
	}
	b, s := x.slots.at(before), x.slots.at(n)
	s.older, s.newer = before, b.newer
	x.slots.at(b.newer).older = n
	b.newer = n
}

func (x *index) unlink(s *slot) {
	if s.older != 0 {
		x.slots.at(s.older).newer = s.newer
	} else {
		x.front = s.newer
	}
	if s.newer != 0 {
		x.slots.at(s.newer).older = s.older
	} else {
		x.back = s.older
	}
}
