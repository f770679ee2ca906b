package cachestore

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"edgecache/policy"
)

// MinMemory is the smallest memory tier in bytes: below it the tier's own
// counters and buffers would take more than its objects.
const MinMemory = 4 << 20

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

	virtual bool // no goroutine of its own: Virtual carries out what is to be done
	bare    bool // nothing but bodies counts
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
	main   [classes]class
	shares shares
	own    *duel // of the tier itself
	all    *duel // of it and the one below; nil when there is none
	bytes  ledger

	leaving  chan *entry // verdicts of Ristretto that wait to be carried out
	overflow atomic.Bool // leaving was full: some entries are only marked
	kick     chan struct{}
	done     chan struct{}
	workers  sync.WaitGroup
	closed   atomic.Bool

	eviction sync.Mutex // one goroutine makes room at a time

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
	// keep is offered variant i of what is stored under k, as it leaves memory
	// after so many hits there. It returns the variant as it is stored below from
	// now on, nil when it is not. It is called under the lock of the table.
	keep(k policy.Key, r *Resource, i int, hits uint32) *Variant
	// raise brings what it has under k into memory, with hollow bodies, and
	// returns what is stored now. It may wait for the disk.
	raise(k policy.Key) *Resource
}

const (
	leavingQueue = 4096 // verdicts; when more wait, a sweep of the table finds them
	windowShare  = 0.18 // of the tier
	recentShare  = 0.9  // of it while recency does better
	fillShare    = 2    // fills in flight may hold half of what there is for objects
)

// NewMemory makes an empty memory tier. Close ends it.
func NewMemory(c MemoryConfig) (*Memory, error) {
	if c.Size < MinMemory && !c.virtual {
		return nil, fmt.Errorf("cachestore: memory of %d bytes is too small, the least is %d", c.Size, MinMemory)
	}
	if c.MaxObject == 0 {
		c.MaxObject = c.Size / 8
	}
	if c.MaxVariants == 0 {
		c.MaxVariants = MaxVariants
	}
	m := &Memory{
		config:  c,
		leaving: make(chan *entry, leavingQueue),
		kick:    make(chan struct{}, 1),
		done:    make(chan struct{}),
	}
	fixed := emptyBytes(c.Size)
	if c.bare {
		fixed = 0
	}
	m.bytes.init(c.Size, fixed)
	m.own = newDuel(m.objectBytes(), false)
	for i := range m.main {
		if err := m.main[i].open(m, i, countersOf(i, c.Size), m.mainBytes()/int64(classes)); err != nil {
			m.Close()
			return nil, err
		}
	}
	if !c.virtual {
		m.workers.Go(m.work)
	}
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
	if h := e.key.Hash; m.own.samples(h) || m.all != nil && m.all.samples(h) {
		served := ServedDisk
		if v.Body.InMemory() {
			served = ServedMemory
		}
		m.noted(h, v.Body.Size, served)
	}
	c := &m.main[e.class]
	c.asked(e, e.hits.Add(1))
	if u := v.Body.used; u != nil {
		u.Add(1) // for the disk: an object that memory serves is not one that nobody wants
	}
	if e.at() != placeMain {
		return
	}
	s := m.table.shard(e.key.Hash)
	s.mu.RLock()
	if !s.closed {
		c.cache.Get(e.id)
	}
	s.mu.RUnlock()
}

// noted tells the duels of a request and where it was answered from.
func (m *Memory) noted(h policy.Hash, size int64, served Served) {
	if m.own.samples(h) {
		m.own.note(h, size, served == ServedMemory)
	}
	if m.all != nil && m.all.samples(h) {
		m.all.note(h, size, served != ServedOrigin)
	}
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
	if m.closed.Swap(true) {
		return ErrClosed
	}
	close(m.done)
	m.workers.Wait()
	m.table.close() // no Hit is inside Ristretto after this
	for i := range m.main {
		m.main[i].close()
	}
	return nil
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
