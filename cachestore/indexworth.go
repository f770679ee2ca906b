package cachestore

import "math"

// worthOrder is the order in which the objects of an index leave it: by what each is worth,
// which is GreedyDual-Size-Frequency (Cherkasova 1998) with a power of the size. A use does
// nothing but add to the object's count; its worth is put right when it is about to leave.
//
// While recent is set, what has its place now is worth more than all that has had it before,
// whatever its size and its uses: a clock. Beside it a hand goes over all objects and gives
// those that have been used since a place anew, which makes it nearly LRU's order.
type worthOrder struct {
	heap  ranking
	floor float64 // the worth of the last one that left
	power float64 // of the size: 1 counts objects that are kept, 0 bytes

	recent bool
	top    float64 // the most that any has been worth
	unit   float64 // what one use of an object is worth, on average
	newest uint64  // the highest id that has been placed
	start  float64 // above it is what was placed since recency counts
	base   float64 // the floor when recency began to count
	first  uint64  // the id that came next then
	level  uint32  // slots up to here are still to be levelled
	hand   uint32  // slots up to here are still to be looked at for uses, while recent
}

const (
	unitWeight  = 1. / 1024 // of an object in the average
	levelAtOnce = 64        // slots
	sweepAtOnce = 16        // slots
)

// worth is what an object is worth that has its place now.
func (o *worthOrder) worth(uses uint32, size int64) float64 {
	one := 1.0
	if o.power != 0 {
		one = math.Pow(float64(max(size, 1)), -o.power)
	}
	if o.unit == 0 {
		o.unit = one
	}
	o.unit += (one - o.unit) * unitWeight
	if !o.recent {
		return o.floor + float64(uses)*one
	}
	return max(o.top, o.floor) + o.unit/float64(o.heap.heap.len+1)
}

// turn makes the order one of recency, or of frequency again. What is there already
// is worth less than all that comes, and levelled by and by.
func (x *index) turn(recent bool) {
	o := &x.order
	if recent == o.recent {
		return
	}
	o.recent, o.level = recent, 0
	if recent {
		o.base, o.first, o.level = o.floor, o.newest+1, x.slots.made
		o.start = max(o.top, o.base+o.unit)
		o.top = o.start
	}
}

// levelSome has a few objects that are there since before recency counted leave in the
// order in which they came to the disk. What they were used for until now does not count.
func (x *index) levelSome() {
	o := &x.order
	for i := 0; i < levelAtOnce && o.level > 0; i++ {
		s := x.slots.at(o.level)
		if s.ranked != 0 && s.worth <= o.start {
			s.placed = s.uses.Load()
			s.worth = o.base + o.unit*float64(s.id)/float64(o.first)
			o.heap.fix(&x.slots, o.level)
		}
		o.level--
	}
}

// rank gives a visible object its place in the order, by its uses so far.
func (x *index) rank(r ref) {
	s := x.find(r)
	if s == nil {
		return
	}
	x.place(r.slot(), s)
	x.levelSome()
	x.sweepSome()
}

// place gives the object s in slot n its place.
func (x *index) place(n uint32, s *slot) {
	o := &x.order
	s.placed = s.uses.Load()
	s.worth = o.worth(s.placed, s.body+int64(s.meta))
	o.newest, o.top = max(o.newest, s.id), max(o.top, s.worth)
	if s.ranked != 0 {
		o.heap.fix(&x.slots, n)
	} else {
		o.heap.push(&x.slots, n)
	}
}

// sweepSome places anew what has been used of a few objects, while recency counts: so a
// place is at most as old as what it took a sixteenth of them to come.
func (x *index) sweepSome() {
	o := &x.order
	if !o.recent || o.level > 0 {
		return
	}
	for range sweepAtOnce {
		if o.hand == 0 {
			if o.hand = x.slots.made; o.hand == 0 {
				return
			}
		}
		if s := x.slots.at(o.hand); s.ranked != 0 && s.uses.Load() != s.placed {
			x.place(o.hand, s)
		}
		o.hand--
	}
}

// unrank takes an object out of the order. It stays visible.
func (x *index) unrank(r ref) {
	if s := x.find(r); s != nil && s.ranked != 0 {
		x.order.heap.remove(&x.slots, r.slot())
	}
}

// least is the object of the order that is worth least; 0 when there is none, and when
// tries were not enough to find it, as all that was asked for meanwhile had to be placed
// anew.
func (x *index) least(tries int) (r ref, again bool) {
	for range tries {
		n := x.order.heap.first()
		if n == 0 {
			return 0, false
		}
		s := x.slots.at(n)
		r = x.slots.ref(n)
		if s.uses.Load() == s.placed {
			return r, false
		}
		x.rank(r)
	}
	return 0, true
}

// sink makes the worth of an object that leaves what a new one begins with.
func (x *index) sink(r ref) {
	if s := x.find(r); s != nil {
		x.order.floor = max(x.order.floor, s.worth)
	}
}
