package policies

// Trace is what is asked for: objects by dense ids, in order.
type Trace struct {
	Requests []uint32
	Sizes    []int64 // bytes, by id
}

// UniqueBytes is the size of all objects once.
func (t Trace) UniqueBytes() int64 {
	var sum int64
	for _, size := range t.Sizes {
		sum += size
	}
	return sum
}

// Optimum is Belady's MIN with sizes: a cache of one capacity that knows all
// requests to come. An object that is asked for again is taken in; then, until
// all fits, the object with the largest distance × size goes, where distance is
// the requests until its next use. That may be the new object itself, which so
// never enters. What is not asked for again leaves at once.
//
// With equal sizes no cache misses fewer requests (Belady, 1966). With sizes the
// optimum is NP-hard (Chrobak and others, 2012); this rule is the usual good
// guess for fewest misses, and a real cache with more luck can be below it.
// Hits count as MemoryHits.
func Optimum(t Trace, capacity int64) Counts {
	return foresee(t, capacity, func(size int64) float64 { return float64(max(size, 1)) })
}

// OptimumBytes is the same for fewest bytes missed: the object with the largest
// distance goes, whatever its size.
func OptimumBytes(t Trace, capacity int64) Counts {
	return foresee(t, capacity, func(int64) float64 { return 1 })
}

// oracle is a cache that knows when each object is asked for next.
type oracle struct {
	trace  Trace
	weight func(size int64) float64
	next   []uint32 // by object: the index of its next request
	order  heap     // keys are negative: the largest distance × weight first
	bytes  int64
}

func foresee(t Trace, capacity int64, weight func(int64) float64) Counts {
	var c Counts
	o := oracle{trace: t, weight: weight, next: make([]uint32, len(t.Sizes)), order: newHeap(len(t.Sizes))}
	uses := nextUses(t)
	for now, id := range t.Requests {
		size := t.Sizes[id]
		c.Requests.Add(size)
		if o.order.has(id) {
			c.MemoryHits.Add(size)
			o.order.remove(id)
			o.bytes -= size
		} else {
			c.Misses.Add(size)
		}
		if uses[now] == 0 || size > capacity {
			continue
		}
		o.next[id] = uses[now]
		o.bytes += size
		o.order.set(id, o.key(id, now))
		for o.bytes > capacity {
			o.evict(now)
		}
	}
	return c
}

// evict lets the first object of the order go. Distances shrink as time goes by,
// each by the same but times its weight, so the order is kept lazily: a key is
// too large or right, and one that is right and still the first is the largest.
func (o *oracle) evict(now int) {
	for {
		first := o.order.ids[0]
		key := o.key(first, now)
		if key <= o.order.keys[first] {
			o.order.remove(first)
			o.bytes -= o.trace.Sizes[first]
			return
		}
		o.order.set(first, key)
	}
}

func (o *oracle) key(id uint32, now int) float64 {
	return -float64(int(o.next[id])-now) * o.weight(o.trace.Sizes[id])
}

// nextUses returns for each request the index of the next one for the same
// object, 0 if there is none.
func nextUses(t Trace) []uint32 {
	next := make([]uint32, len(t.Requests))
	seen := make([]uint32, len(t.Sizes))
	for i := len(t.Requests) - 1; i >= 0; i-- {
		id := t.Requests[i]
		next[i], seen[id] = seen[id], uint32(i)
	}
	return next
}
