package cachestore

import "math"

// worthOrder is the order in which the objects of an index leave it: by what each is worth,
// which is GreedyDual-Size-Frequency (Cherkasova 1998) with a power of the size. A use does
// nothing but add to the object's count; its worth is put right when it is about to leave.
//
// While recent is set, what has its place now is worth more than all that has had it before,
// whatever its size and its uses: then it is the order of a clock, which is near LRU's.
type worthOrder struct {
	heap  ranking
	floor float64 // the worth of the last one that left
	power float64 // of the size: 1 counts objects that are kept, 0 bytes

	recent bool
	top    float64 // the worth of the last one that was placed while recent
	unit   float64 // what one use of an object is worth, on average
	level  uint32  // slots up to here are still to be levelled
}

const (
	unitWeight  = 1. / 1024 // of an object in the average
	levelAtOnce = 64        // slots
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
	o.top = max(o.top, o.floor) + o.unit/float64(o.heap.heap.len+1)
	return o.top
}

// turn makes the order one of recency, or of frequency again. What frequency has
// made of worth is levelled by and by, or it would outlive all that is new.
func (x *index) turn(recent bool) {
	o := &x.order
	if recent == o.recent {
		return
	}
	o.recent, o.top, o.level = recent, 0, 0
	if recent {
		o.level = x.slots.made
	}
}

// levelSome squeezes what a few objects are worth into less than one use above the floor,
// in the order that they have.
func (x *index) levelSome() {
	o := &x.order
	for i := 0; i < levelAtOnce && o.level > 0; i++ {
		s := x.slots.at(o.level)
		if above := s.worth - o.floor; s.ranked != 0 && above > 0 {
			s.worth = o.floor + o.unit*above/(above+o.unit)
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
	s.placed = s.uses.Load()
	s.worth = x.order.worth(s.placed, s.body+int64(s.meta))
	if s.ranked != 0 {
		x.order.heap.fix(&x.slots, r.slot())
	} else {
		x.order.heap.push(&x.slots, r.slot())
	}
	x.levelSome()
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
