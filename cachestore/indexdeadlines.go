package cachestore

// deadlines is the binary heap of the slots of an index that expire, the first to do so
// on top. A slot knows its place in it, from 1, so that it can leave at any time.
type deadlines struct {
	heap numbers // slot numbers; place p is at p-1
}

// first is the slot that expires first; 0 when none does.
func (d *deadlines) first() uint32 {
	if d.heap.len == 0 {
		return 0
	}
	return *d.heap.at(0)
}

func (d *deadlines) push(a *slots, n uint32) {
	d.heap.push(n)
	d.up(a, d.heap.len, n)
}

func (d *deadlines) remove(a *slots, n uint32) {
	hole := int(a.at(n).due)
	a.at(n).due = 0
	last := d.heap.pop()
	if last != n {
		d.settle(a, hole, last)
	}
}

// fix finds the place of a slot that expires at another time now.
func (d *deadlines) fix(a *slots, n uint32) { d.settle(a, int(a.at(n).due), n) }

// settle puts a slot at place p, or above or below it where it belongs.
func (d *deadlines) settle(a *slots, p int, n uint32) {
	if p > 1 && a.at(n).expires < a.at(*d.heap.at(p/2 - 1)).expires {
		d.up(a, p, n)
		return
	}
	d.down(a, p, n)
}

// up lets the slots over place p sink until n may stand there.
func (d *deadlines) up(a *slots, p int, n uint32) {
	expires := a.at(n).expires
	for p > 1 {
		over := *d.heap.at(p/2 - 1)
		if a.at(over).expires <= expires {
			break
		}
		d.set(a, p, over)
		p /= 2
	}
	d.set(a, p, n)
}

// down lets the slots under place p rise until n may stand there.
func (d *deadlines) down(a *slots, p int, n uint32) {
	expires := a.at(n).expires
	for 2*p <= d.heap.len {
		child := 2 * p
		under := *d.heap.at(child - 1)
		if child < d.heap.len {
			if other := *d.heap.at(child); a.at(other).expires < a.at(under).expires {
				child, under = child+1, other
			}
		}
		if expires <= a.at(under).expires {
			break
		}
		d.set(a, p, under)
		p = child
	}
	d.set(a, p, n)
}

func (d *deadlines) set(a *slots, p int, n uint32) {
	*d.heap.at(p - 1) = n
	a.at(n).due = uint32(p)
}
