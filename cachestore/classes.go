package cachestore

import (
	"math"
	"sync"
	"sync/atomic"
)

// classTops are the largest objects of each class but the last, in bytes. Each
// class has a Ristretto of its own, whose sampled eviction knows no sizes: among
// objects of about one size it need not.
var classTops = [classes - 1]int64{4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20}

const classes = 6

// classOf is the class of an object that holds size bytes.
func classOf(size int64) uint8 {
	for i, top := range classTops {
		if size <= top {
			return uint8(i)
		}
	}
	return classes - 1
}

// nominal is the size that the objects of a class are taken to have.
func nominal(class int) int64 {
	if class == classes-1 {
		return 2 * classTops[class-1]
	}
	return classTops[class] / 2
}

// How the memory that is not the window's is shared out among the classes: by a
// moving average of each one's share of the requests, to a power below one, so
// that a class that is seldom asked for keeps what is asked for most in it.
const (
	shareSpan  = 2048 // requests between two looks
	shareKept  = 0.8  // of the average that was, at each look
	sharePower = 0.7
	askStride  = 8 // of so many hits on one entry one is counted, for all of them
)

// shares are how the classes stand in the requests, and what each may hold.
type shares struct {
	mu      sync.Mutex
	seen    [classes]uint64 // requests counted at the last look
	total   uint64
	average [classes]float64
}

// look takes in the counts of requests so far, and says whether a look was due.
func (s *shares) look(counts *[classes]uint64) (due bool) {
	var total uint64
	for _, n := range counts {
		total += n
	}
	if total-s.total < shareSpan {
		return false
	}
	span := float64(total - s.total)
	for i, n := range counts {
		s.average[i] = shareKept*s.average[i] + (1-shareKept)*float64(n-s.seen[i])/span
	}
	s.seen, s.total = *counts, total
	return true
}

// divide shares bytes out; equally as long as nothing was asked for.
func (s *shares) divide(bytes int64) (parts [classes]int64) {
	var weights [classes]float64
	sum := 0.0
	for i, a := range s.average {
		weights[i] = math.Pow(a, sharePower)
		sum += weights[i]
	}
	for i := range parts {
		if sum == 0 {
			parts[i] = bytes / int64(classes)
		} else {
			parts[i] = int64(float64(bytes) * weights[i] / sum)
		}
	}
	return parts
}

// countersOf is how many counters the Ristretto of a class gets: 40 for each of
// its objects that would fit into its part of a tier of that size.
func countersOf(class int, size int64) int64 {
	return max(minCounters, 40*size/nominal(class))
}

// asked counts a hit, the n-th on its entry: one in askStride of them, at a point
// that differs by entry, for all of them, so that the cores seldom meet here.
func (c *class) asked(e *entry, n uint32) {
	if (n+uint32(e.id))%askStride == 0 {
		c.requests.Add(askStride)
	}
}

// rebalance gives the classes their parts of what there is for objects beside
// the window, when it is due or forced.
func (m *Memory) rebalance(force bool) {
	if force {
		m.shares.mu.Lock()
	} else if !m.shares.mu.TryLock() {
		return
	}
	defer m.shares.mu.Unlock()
	var counts [classes]uint64
	for i := range m.main {
		counts[i] = m.main[i].requests.Load()
	}
	if !m.shares.look(&counts) && !force {
		return
	}
	for i, part := range m.shares.divide(m.mainBytes()) {
		m.main[i].setBudget(part)
	}
}

// ring is entries in the order in which they came, linked through themselves.
type ring struct {
	front, back *entry
	bytes       int64
	count       int
}

func (r *ring) push(e *entry) {
	e.prev = r.back
	if r.back != nil {
		r.back.next = e
	} else {
		r.front = e
	}
	r.back = e
	r.bytes += e.size
	r.count++
}

// remove takes out an entry; one that is not in the ring is left alone.
func (r *ring) remove(e *entry) {
	if e.prev == nil && e.next == nil && r.front != e {
		return
	}
	if e.prev != nil {
		e.prev.next = e.next
	} else {
		r.front = e.next
	}
	if e.next != nil {
		e.next.prev = e.prev
	} else {
		r.back = e.prev
	}
	e.prev, e.next = nil, nil
	r.bytes -= e.size
	r.count--
}

// mostOver is the class that holds most over what it may, of those that still
// have something to give; nil when none has.
func (m *Memory) mostOver(empty *[classes]bool) *class {
	var most *class
	by := int64(math.MinInt64)
	for i := range m.main {
		c := &m.main[i]
		if held := c.held.Load(); held > 0 && !empty[i] && held-c.budget.Load() > by {
			most, by = c, held-c.budget.Load()
		}
	}
	return most
}

// counted is a number that several cores add to now and then.
type counted struct {
	atomic.Uint64
	_ [56]byte
}
