package cachestore

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/dgraph-io/ristretto/v2"

	"edgecache/policy"
)

// MinMemory is the smallest memory tier in bytes: below it the tier's own
// counters and buffers would take more than its objects.
const MinMemory = 2 << 20

// MemoryConfig says how large a memory tier is. A zero is its default.
type MemoryConfig struct {
	// Size is the accounted bytes of the tier: bodies, heads, keys, index,
	// Ristretto's counters and fills in flight. No default. It is kept with 5 %
	// of slack: a tier of 1 GiB never accounts for more than 1.05 GiB.
	Size int64
	// MaxObject is the largest body that is stored, in bytes; Size/8, which is
	// 128 MiB in a tier of 1 GiB.
	MaxObject int64
	// MaxVariants is how many variants a resource may have; 32.
	MaxVariants int
	// NominalObject is the size in bytes that objects are expected to have; it
	// decides how many counters Ristretto gets, 40 for each such object that
	// fits. 16 KiB: a tier of 1 GiB gets 2.6 million counters, 9 MiB.
	NominalObject int64
}

// Memory is the tier that holds objects in memory. A new object enters a
// window, first in first out; what leaves it is offered to Ristretto, which
// decides who stays. Look-ups go to a table of our own, so that no answer
// depends on Ristretto's timing; our own count of bytes has the last word.
type Memory struct {
	config MemoryConfig
	below  lower // the tier under this one; nil when there is none
	table  table
	window window
	main   class
	bytes  ledger

	leaving  chan *entry // verdicts of Ristretto that wait to be carried out
	overflow atomic.Bool // leaving was full: some entries are only marked
	kick     chan struct{}
	done     chan struct{}
	workers  sync.WaitGroup

	eviction sync.Mutex // guards hand; one goroutine makes room at a time
	hand     int        // the shard that the hand looks at next

	ids                 atomic.Uint64
	resources, variants atomic.Int64
	evicted             [Evictions]atomic.Uint64
	dropped             [Drops]atomic.Uint64
}

var _ Store = (*Memory)(nil)

// lower is a tier under memory, which has what memory lets go. Its methods may
// be called from any goroutine.
type lower interface {
	// follow hears that new is stored under k in the place of old. It is called
	// under the lock of the table, in the order of the swaps, and never blocks.
	follow(k policy.Key, old, new *Resource)
	// holds says whether a body can be had from it.
	holds(b *Body) bool
	// raise brings what it has under k into memory, with hollow bodies, and
	// returns what is stored now. It may wait for the disk.
	raise(k policy.Key) *Resource
}

const (
	leavingQueue = 4096 // verdicts; when more wait, a sweep of the table finds them
	windowShare  = 5    // a fifth of the tier
	fillShare    = 2    // fills in flight may hold half of it
)

// NewMemory makes an empty memory tier. Close ends it.
func NewMemory(c MemoryConfig) (*Memory, error) {
	if c.Size < MinMemory {
		return nil, fmt.Errorf("cachestore: memory of %d bytes is too small, the least is %d", c.Size, MinMemory)
	}
	if c.MaxObject == 0 {
		c.MaxObject = c.Size / 8
	}
	if c.MaxVariants == 0 {
		c.MaxVariants = MaxVariants
	}
	if c.NominalObject == 0 {
		c.NominalObject = 16 << 10
	}
	m := &Memory{
		config:  c,
		leaving: make(chan *entry, leavingQueue),
		kick:    make(chan struct{}, 1),
		done:    make(chan struct{}),
	}
	counters := max(minCounters, 40*c.Size/c.NominalObject)
	fixed := ristrettoBytes(counters) + leavingQueue*pointerBytes + tableBytes
	if fixed > c.Size/2 {
		return nil, fmt.Errorf("cachestore: memory of %d bytes leaves no room beside counters for objects of %d bytes",
			c.Size, c.NominalObject)
	}
	m.bytes.init(c.Size, fixed)
	if err := m.main.open(m, counters, m.mainBytes()); err != nil {
		return nil, err
	}
	m.workers.Go(m.work)
	return m, nil
}

// Peek says what is stored under k. It takes no exclusive lock.
func (m *Memory) Peek(k policy.Key) (*Resource, Presence) {
	if r := m.table.get(k); r != nil {
		return r, InMemory
	}
	return nil, Absent
}

// Load is Peek: everything is in memory.
func (m *Memory) Load(_ context.Context, k policy.Key) (*Resource, error) {
	if r := m.table.get(k); r != nil {
		return r, nil
	}
	return nil, ErrAbsent
}

// Chunk returns chunk i of b.
func (m *Memory) Chunk(_ context.Context, b *Body, i int) ([]byte, error) {
	if c := b.Chunk(i); c != nil {
		return c, nil
	}
	return nil, ErrChunkGone
}

// Hit marks v as used: one atomic add, and one Get where Ristretto holds it.
// Hits in the window are not counted there.
func (m *Memory) Hit(_ *Resource, v *Variant) {
	e := v.place.Load()
	if e == nil {
		return
	}
	e.hits.Add(1)
	if u := v.Body.used; u != nil && u.Load() == 0 {
		u.Store(1) // for the disk: an object that memory serves is not one that nobody wants
	}
	if e.at() != placeMain {
		return
	}
	s := m.table.shard(e.key.Hash)
	s.mu.RLock()
	if !s.closed {
		m.main.cache.Get(e.id)
	}
	s.mu.RUnlock()
}

// Each calls f for what is stored.
func (m *Memory) Each(f func(*Resource) bool) { m.table.each(f) }

// Stats is a snapshot.
func (m *Memory) Stats() Stats {
	s := Stats{
		Limit: m.config.Size, Bytes: m.bytes.used.Load(), Fixed: m.bytes.fixed + m.bytes.others.Load(),
		FillBytes: m.bytes.fills.Load(), Window: m.window.size(),
		Resources: m.resources.Load(), Variants: m.variants.Load(),
	}
	for i := range s.Evicted {
		s.Evicted[i] = m.evicted[i].Load()
	}
	for i := range s.Dropped {
		s.Dropped[i] = m.dropped[i].Load()
	}
	return s
}

// Close ends the tier's goroutines and Ristretto's, and waits for them. What is
// stored can be read on; nothing new is ranked.
func (m *Memory) Close() error {
	m.main.mu.Lock()
	closed := m.main.closed
	m.main.closed = true
	m.main.mu.Unlock()
	if closed {
		return ErrClosed
	}
	close(m.done)
	m.workers.Wait()
	m.table.close() // no Hit is inside Ristretto after this
	m.main.cache.Close()
	return nil
}

// class is one Ristretto cache. There is one for now; six by size come with the
// work on hit ratios. It ranks entries by their id and never answers a look-up.
//
// Facts about Ristretto v2.4.2 that shape it, each with a test: a Set is applied
// later and by one goroutine, which also runs the callbacks; of two Sets of a
// new key the first value is kept; a refused Set may have evicted others; an
// update evicts nothing; a Set is dropped when 32,768 wait; OnExit may come
// twice, with nil, and for a value that is only updated; Get, Set and Close
// must not overlap.
type class struct {
	cache *ristretto.Cache[uint64, *entry]

	mu     sync.RWMutex // held for reading while a Set, Del or Wait runs
	closed bool
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

func (c *class) open(m *Memory, counters, maxCost int64) error {
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
	c.cache = cache
	return nil
}

// count makes Ristretto remember one request for an id that it does not hold.
func (c *class) count(id uint64) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if !c.closed {
		c.cache.Get(id)
	}
}

// offer gives an entry in placeMain to Ristretto. It is loose when its buffer
// is full or the tier is closed.
func (c *class) offer(e *entry) (taken bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.closed || !c.cache.Set(e.id, e, e.size) {
		e.move(placeMain, placeLoose)
		return false
	}
	if e.at() == placeGone { // dropped meanwhile, maybe before the Set
		c.cache.Del(e.id)
	}
	return true
}

// remove takes an entry out that was moved away from placeMain.
func (c *class) remove(e *entry) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if !c.closed {
		c.cache.Del(e.id)
	}
}

// settle waits until Ristretto has decided on all that was offered.
func (c *class) settle() {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if !c.closed {
		c.cache.Wait()
	}
}

// leaves hears of a verdict, on the goroutine that drains Ristretto's buffer or
// inside Set and Del: it may not block and may not call Ristretto. Only the
// first verdict on an entry counts, and none on one that has left by itself.
func (m *Memory) leaves(e *entry, why Eviction) {
	select {
	case <-m.done: // Ristretto empties itself when it is closed
		return
	default:
	}
	if e == nil || !e.move(placeMain, placeLeaving) {
		return
	}
	m.evicted[why].Add(1)
	select {
	case m.leaving <- e:
	default:
		m.dropped[DropQueue].Add(1)
		m.overflow.Store(true)
		m.wake()
	}
}
