package cachestore

// ranking is a binary heap of slots of an index, that with the least key on top. A slot
// knows its place in it, from 1, so that it can leave at any time.
type ranking struct {
	heap numbers // slot numbers; place p is at p-1
	by   rankKey
}

// rankKey says what a ranking is by. Each slot has a place for each of them.
type rankKey uint8

const (
	byExpiry rankKey = iota // who is of no use first
	byWorth                 // who is worth the least
)

func (k rankKey) of(s *slot) float64 {
	if k == byWorth {
		return s.worth
	}
	return float64(s.expires)
}

func (k rankKey) place(s *slot) *uint32 {
	if k == byWorth {
		return &s.ranked
	}
	return &s.due
}

// first is the slot on top; 0 when there is none.
func (r *ranking) first() uint32 {
	if r.heap.len == 0 {
		return 0
	}
	return *r.heap.at(0)
}

func (r *ranking) push(a *slots, n uint32) {
	r.heap.push(n)
	r.up(a, r.heap.len, n)
}

// remove takes out a slot; one that is not in the ranking is left alone.
func (r *ranking) remove(a *slots, n uint32) {
	place := r.by.place(a.at(n))
	hole := int(*place)
	if hole == 0 {
		return
	}
	*place = 0
	last := r.heap.pop()
	if last != n {
		r.settle(a, hole, last)
	}
}

// fix finds the place of a slot in the ranking whose key has changed.
func (r *ranking) fix(a *slots, n uint32) { r.settle(a, int(*r.by.place(a.at(n))), n) }

// settle puts a slot at place p, or above or below it where it belongs.
func (r *ranking) settle(a *slots, p int, n uint32) {
	if p > 1 && r.by.of(a.at(n)) < r.by.of(a.at(*r.heap.at(p/2 - 1))) {
		r.up(a, p, n)
		return
	}
	r.down(a, p, n)
}

// up lets the slots over place p sink until n may stand there.
func (r *ranking) up(a *slots, p int, n uint32) {
	key := r.by.of(a.at(n))
	for p > 1 {
		over := *r.heap.at(p/2 - 1)
		if r.by.of(a.at(over)) <= key {
			break
		}
		r.set(a, p, over)
		p /= 2
	}
	r.set(a, p, n)
}

// down lets the slots under place p rise until n may stand there.
func (r *ranking) down(a *slots, p int, n uint32) {
	key := r.by.of(a.at(n))
	for 2*p <= r.heap.len {
		child := 2 * p
		under := *r.heap.at(child - 1)
		if child < r.heap.len {
			if other := *r.heap.at(child); r.by.of(a.at(other)) < r.by.of(a.at(under)) {
				child, under = child+1, other
			}
		}
		if key <= r.by.of(a.at(under)) {
			break
		}
		r.set(a, p, under)
		p = child
	}
	r.set(a, p, n)
}

func (r *ranking) set(a *slots, p int, n uint32) {
	*r.heap.at(p - 1) = n
	*r.by.place(a.at(n)) = uint32(p)
}
