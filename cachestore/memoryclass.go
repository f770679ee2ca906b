package cachestore

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/dgraph-io/ristretto/v2"
)

// class is one Ristretto cache, of objects of about one size. It ranks entries
// by their id and never answers a look-up.
//
// Facts about Ristretto v2.4.2 that shape it, each with a test: a Set is applied
// later and by one goroutine, which also runs the callbacks and waits for them; of
// two Sets of a new key the first value is kept; a refused Set may have evicted
// others; an update evicts nothing, and no more does a lower MaxCost, which may be
// 0; a Set is dropped when 32,768 wait, Gets when they come too fast; OnExit may come
// twice, with nil, for a value that is only updated, and while somebody has it; a time
// to live takes away what is stale. No test can hold that Get, Set and Close must not overlap.
type class struct {
	number   int
	cache    *ristretto.Cache[uint64, *entry]
	requests counted      // hits and misses of objects of the class
	held     atomic.Int64 // bytes of order
	budget   atomic.Int64 // bytes that it may hold; Ristretto's MaxCost

	mu      sync.RWMutex // held for reading while a Set, Del or Wait runs
	closed  bool
	offered atomic.Bool // since the last Wait

	line  sync.Mutex
	order ring // what has left the window, ranked or not, for the hand
}

const minCounters = 1 << 10

// tableBytes are the shards of the table.
const tableBytes = tableShards * 64

// ristrettoBytes is what Ristretto takes when empty: four rows of half a byte a
// counter, a Bloom filter of 9.6 bits a counter, all rounded up to powers of
// two, the buffer for Sets, and 256 shards.
func ristrettoBytes(counters int64) int64 {
	return powerOf2(counters)*2 + powerOf2(counters*96/10)/8 + 32<<10*pointerBytes + 256*192
}

func powerOf2(n int64) int64 {
	p := int64(1)
	for p < n {
		p <<= 1
	}
	return p
}

func (c *class) open(m *Memory, number int, counters, maxCost int64) error {
	cache, err := ristretto.NewCache(&ristretto.Config[uint64, *entry]{
		NumCounters:        counters,
		MaxCost:            maxCost,
		BufferItems:        64,
		IgnoreInternalCost: true,
		// Nothing in it ever expires: its clean-up need not wake anybody.
		TtlTickerDurationInSec: 24 * 60 * 60,
		OnEvict:                func(i *ristretto.Item[*entry]) { m.leaves(i.Value, EvictedVictim) },
		OnReject:               func(i *ristretto.Item[*entry]) { m.leaves(i.Value, EvictedRefused) },
		OnExit:                 func(e *entry) { m.leaves(e, EvictedVictim) },
	})
	if err != nil {
		return fmt.Errorf("cachestore: open ristretto: %w", err)
	}
	c.number, c.cache = number, cache
	c.budget.Store(maxCost)
	return nil
}

// close ends Ristretto; no Hit may be inside it any more.
func (c *class) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	if c.cache != nil {
		c.cache.Close()
	}
}

// count makes Ristretto remember one request for an id that it does not hold.
func (c *class) count(id uint64) {
	c.requests.Add(1)
	c.mu.RLock()
	defer c.mu.RUnlock()
	if !c.closed {
		c.cache.Get(id)
	}
}

// setBudget says how much the class may hold. What is over it goes when a new
// one comes, or by the hand.
func (c *class) setBudget(bytes int64) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if !c.closed && c.budget.Swap(bytes) != bytes {
		c.cache.UpdateMaxCost(bytes)
	}
}

// offer gives an entry in placeMain to Ristretto. It is loose when its buffer
// is full or the tier is closed.
func (c *class) offer(e *entry) (taken bool) {
	c.line.Lock()
	if e.at() == placeGone {
		c.line.Unlock()
		return true
	}
	c.order.push(e)
	c.held.Store(c.order.bytes)
	c.line.Unlock()
	c.mu.RLock()
	defer c.mu.RUnlock()
	c.offered.Store(true)
	if c.closed || !c.cache.Set(e.id, e, e.size) {
		e.move(placeMain, placeLoose)
		return false
	}
	if e.at() == placeGone { // dropped meanwhile, maybe before the Set
		c.cache.Del(e.id)
	}
	return true
}

// remove takes an entry out that was moved away from the class; ranked: from
// placeMain.
func (c *class) remove(e *entry, ranked bool) {
	c.line.Lock()
	c.order.remove(e)
	c.held.Store(c.order.bytes)
	c.line.Unlock()
	if !ranked {
		return
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	if !c.closed {
		c.cache.Del(e.id)
	}
}

// candidate is the next in order that was not used since it was looked at last;
// the others go round. After most of them it spares nobody. It stays in order,
// at its end. nil when there is none.
func (c *class) candidate(most int) *entry {
	c.line.Lock()
	defer c.line.Unlock()
	for {
		e := c.order.front
		if e == nil {
			return nil
		}
		c.order.remove(e)
		c.order.push(e)
		hits := e.hits.Load()
		if hits == e.seen || most <= 0 {
			return e
		}
		e.seen = hits
		most--
	}
}

// length is how many entries the class has.
func (c *class) length() int {
	c.line.Lock()
	defer c.line.Unlock()
	return c.order.count
}

// settle waits until Ristretto has decided on all that was offered.
func (c *class) settle() {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.offered.Swap(false) && !c.closed {
		c.cache.Wait()
	}
}
