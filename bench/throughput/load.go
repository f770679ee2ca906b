package main

import (
	"context"
	"math/bits"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"edgecache/bench"
)

// load is what is done to a cache.
type load struct {
	name, says string
	share      float64 // of the keys that the cache has room for; over 1 is all
	stocked    bool    // all keys are stored before
	asks       bool    // it looks up
	warm       int     // operations before it is measured, over the keys
	do         func(w *work, c *count, n int)
}

const exponent = 0.9 // of Zipf's popularity

var loads = []load{
	{
		name: "hits", says: "look-ups alone, all is in memory",
		share: 2, stocked: true, asks: true, do: (*work).hits,
	}, {
		name: "mix", says: "look-ups, and what is missed is stored; room for a tenth of the keys, of the tiers' disk for three",
		share: 0.1, asks: true, warm: 3, do: (*work).mix,
	}, {
		name: "stores", says: "stores of new keys alone; room as before",
		share: 0.1, warm: 1, do: (*work).stores,
	},
}

// stock is what all caches are asked and given.
type stock struct {
	urls   []string
	bodies [][]byte
	asked  []uint32 // which, in turn; as many as a power of two
}

const (
	askedTimes = 16  // what is asked, over the keys, before it begins anew
	slice      = 256 // operations between two looks at the time
)

func urlOf(i int) string { return "/objects/" + strconv.Itoa(i) }

func newStock(keys int) *stock {
	s := &stock{urls: make([]string, keys), bodies: make([][]byte, keys), asked: make([]uint32, 1<<bits.Len(uint(askedTimes*keys)))}
	noise := make([]byte, keys*bodyBytes)
	random := rand.NewChaCha8([32]byte{1})
	random.Read(noise)
	for i := range s.urls {
		s.urls[i] = urlOf(i)
		s.bodies[i] = noise[i*bodyBytes : (i+1)*bodyBytes : (i+1)*bodyBytes]
	}
	z, r := bench.NewZipf(keys, exponent), rand.New(random)
	for i := range s.asked {
		s.asked[i] = uint32(z.Draw(r))
	}
	return s
}

// work is one goroutine's part in a load.
type work struct {
	*stock
	worker
	at   int // in asked
	next int // new key
	step int // between its new keys: how many goroutines there are
}

// count is what was done.
type count struct {
	ops          int64
	memory, disk int64 // hits
	asked        int64
	refused      int64
	touched      byte // of all bodies, so that none is left unread
}

func (c *count) add(o *count) {
	c.ops, c.asked, c.refused = c.ops+o.ops, c.asked+o.asked, c.refused+o.refused
	c.memory, c.disk, c.touched = c.memory+o.memory, c.disk+o.disk, c.touched^o.touched
}

// look asks for the next key, and says which it was and whether it was there.
func (w *work) look(c *count) (i uint32, there bool) {
	i = w.asked[w.at&(len(w.asked)-1)]
	w.at++
	c.asked++
	body, from := w.get(w.urls[i])
	switch from {
	case nowhere:
		return i, false
	case inMemory:
		c.memory++
	case onDisk:
		c.disk++
	}
	c.touched ^= body[0] ^ body[len(body)-1]
	return i, true
}

func (w *work) store(c *count, url string, body []byte) {
	if !w.put(url, body) {
		c.refused++
	}
}

func (w *work) hits(c *count, n int) {
	for range n {
		w.look(c)
	}
}

func (w *work) mix(c *count, n int) {
	for range n {
		if i, there := w.look(c); !there {
			w.store(c, w.urls[i], w.bodies[i])
		}
	}
}

func (w *work) stores(c *count, n int) {
	for range n {
		w.store(c, urlOf(w.next), w.bodies[w.next%len(w.bodies)])
		w.next += w.step
	}
}

// crew is all goroutines of one cache.
type crew []*work

func newCrew(s *stock, c cache, workers int) crew {
	all := make(crew, workers)
	for g := range all {
		all[g] = &work{stock: s, worker: c.worker(), at: g * (len(s.asked) / workers), next: len(s.urls) + g, step: workers}
	}
	return all
}

// each runs f for each of them at once, and counts together.
func (all crew) each(f func(*work, *count)) (sum count) {
	var running sync.WaitGroup
	counts := make([]count, len(all))
	for g, w := range all {
		running.Go(func() {
			var own count // not beside another goroutine's in memory
			f(w, &own)
			counts[g] = own
		})
	}
	running.Wait()
	for i := range counts {
		sum.add(&counts[i])
	}
	return sum
}

// times does so many operations in all.
func (all crew) times(ctx context.Context, do func(*work, *count, int), ops int) count {
	return all.each(func(w *work, c *count) {
		for n := 0; n < ops/len(all) && ctx.Err() == nil; n += slice {
			do(w, c, slice)
		}
	})
}

// run lets them work for a span, after a collection.
func (all crew) run(ctx context.Context, do func(*work, *count, int), span time.Duration) (c count, took, cpu time.Duration) {
	runtime.GC()
	ctx, stop := context.WithTimeout(ctx, span)
	defer stop()
	var over atomic.Bool // cheaper to look at than a context
	defer context.AfterFunc(ctx, func() { over.Store(true) })()
	before, began := cpuNow(), time.Now()
	c = all.each(func(w *work, c *count) {
		for !over.Load() {
			do(w, c, slice)
			c.ops += slice
		}
	})
	return c, time.Since(began), cpuNow() - before
}

// stock stores all keys.
func (all crew) stock() (c count) {
	w := all[0]
	for i := range w.urls {
		w.store(&c, w.urls[i], w.bodies[i])
	}
	return c
}
