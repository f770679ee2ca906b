package cachestore

import "math"

// worthOrder is the order in which the objects of an index leave it: by what each is worth,
// which is GreedyDual-Size-Frequency (Cherkasova 1998) with a power of the size. A use does
// nothing but add to the object's count; its worth is put right when it is about to leave.
type worthOrder struct {
	heap  ranking
	floor float64 // the worth of the last one that left
	power float64 // of the size: 1 counts objects that are kept, 0 bytes
}

// worth is what an object is worth that has its place now.
func (o *worthOrder) worth(uses uint32, size int64) float64 {
	if o.power == 0 {
		return o.floor + float64(uses)
	}
	bytes := float64(max(size, 1))
	if o.power != 1 {
		bytes = math.Pow(bytes, o.power)
	}
	return o.floor + float64(uses)/bytes
}

// rank gives a visible object its place in the order, by its uses so far.
func (x *index) rank(r ref) {
	s := x.find(r)
	if s == nil {
		return
	}
	x.order.heap.by = byWorth
	s.placed = s.uses.Load()
	s.worth = x.order.worth(s.placed, s.body+int64(s.meta))
	if s.ranked != 0 {
		x.order.heap.fix(&x.slots, r.slot())
	} else {
		x.order.heap.push(&x.slots, r.slot())
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
