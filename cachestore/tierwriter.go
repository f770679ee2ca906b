package cachestore

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"edgecache/policy"
)

// spillAt is the largest body that is kept in memory while it comes. A larger
// one goes to disk as it comes, and is not in memory at its commit.
const spillAt = 8 << 20

// Waits of a body that goes to disk as it comes.
const (
	spillStall = 10 * time.Second       // a chunk that the disk does not take for so long ends it
	spillLook  = 100 * time.Millisecond // how often it looks whether the shard still writes
)

// errSlowDisk says that the disk did not take a body as fast as it must.
var errSlowDisk = errors.New("cachestore: the disk does not take the body")

// tierWriter takes one body for memory and disk. It is in memory as long as it
// is small; then it spills.
type tierWriter struct {
	t      *Tiers
	memory *memoryWriter // until it spills
	spill  *spilling     // from then on
	length int64
	limit  int64 // bytes that stay in memory
	passed bool  // the disk was asked, and did not choose it
}

var _ Spiller = (*tierWriter)(nil)

// Begin starts to take a body for k.
func (t *Tiers) Begin(k policy.Key, meta Meta) Writer {
	s := t.disk.shard(k.Hash)
	if s == nil || !s.takes(max(meta.Length, 0)) {
		return t.mem.Begin(k, meta)
	}
	w := &tierWriter{t: t, length: meta.Length, limit: min(spillAt, t.mem.config.MaxObject, s.queue.limit/2)}
	if meta.Length > w.limit {
		if w.spill = s.spill(k.Clone(), meta.Length); w.spill != nil {
			return w
		}
		w.passed = true
	}
	w.memory = t.mem.Begin(k, meta).(*memoryWriter)
	return w
}

// takes says whether a body of that size could be stored now.
func (s *diskShard) takes(size int64) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return size <= s.most && !s.restingLocked() && !s.retired.Load()
}

func (w *tierWriter) Chunk(p []byte) error {
	if w.spill != nil {
		return w.spill.chunk(p)
	}
	if w.passed || w.memory.done || w.memory.refuse != nil || w.memory.size+int64(len(p)) <= w.limit {
		return w.memory.Chunk(p)
	}
	s := w.t.disk.shard(w.memory.key.Hash)
	if s == nil || !s.takes(w.memory.size+int64(len(p))) {
		return w.memory.Chunk(p)
	}
	if w.spill = s.spill(w.memory.key, w.memory.size+int64(len(p))); w.spill == nil {
		w.passed = true
		return w.memory.Chunk(p)
	}
	for _, c := range w.memory.chunks {
		if err := w.spill.chunk(c); err != nil {
			return err
		}
	}
	w.memory.Abort() // from here on the queue accounts for what it holds
	return w.spill.chunk(p)
}

func (w *tierWriter) Commit(v *Variant) error {
	if w.spill == nil {
		if v.Body == nil {
			v.Body = bodyOf(w.memory.chunks, nil)
		}
		v.Body.passed = w.passed
		return w.memory.Commit(v)
	}
	sp := w.spill
	switch {
	case sp.over.Load():
		return ErrWriterDone
	case sp.failed.Load() != nil:
		return *sp.failed.Load()
	case w.length >= 0 && sp.size.Load() != w.length:
		return ErrLength
	}
	if v.Body == nil {
		v.Body = hollowBody(0, sp.size.Load(), nil)
	}
	if v.Body.Size != sp.size.Load() {
		return ErrConflict
	}
	if err := sp.flush(); err != nil {
		return err
	}
	sp.over.Store(true)
	b := hollowBody(0, v.Body.Size, v.Body.Trailer)
	b.spilt = sp
	v.Body = b
	w.t.mem.put(sp.key, v, 0)
	if r, term, _, ok := sp.s.lend(v.Body.ID); ok {
		sp.ref, sp.term = r, term
		sp.stored.Store(true)
		return nil
	}
	w.t.remove(sp.key, v)
	sp.s.abandon(sp)
	return ErrNoRoom
}

// remove takes one variant out of what is stored.
func (t *Tiers) remove(k policy.Key, v *Variant) {
	for {
		r := t.mem.table.get(k)
		if r == nil || !r.hasVariant(v) || t.mem.Replace(k, r, r.Without(v)) {
			return
		}
	}
}

func (w *tierWriter) Abort() {
	if w.memory != nil {
		w.memory.Abort()
	}
	if w.spill != nil && !w.spill.over.Swap(true) {
		w.spill.s.abandon(w.spill)
	}
}

func (w *tierWriter) Spilled() int64 {
	if w.spill == nil {
		return 0
	}
	return w.spill.durable.Load()
}

func (w *tierWriter) Read(ctx context.Context, i int, dst []byte) ([]byte, error) {
	if w.spill == nil {
		return nil, ErrChunkGone
	}
	return w.spill.read(ctx, i, dst)
}

func (w *tierWriter) Release() {
	if sp := w.spill; sp != nil && sp.stored.Load() {
		sp.s.giveBack(sp.ref, sp.term)
	}
}

// spilling is one body that goes to a shard before it has a record.
type spilling struct {
	s   *diskShard
	key policy.Key // owned
	id  uint64

	uses uint32 // as far as is known when it begins

	size    atomic.Int64 // bytes handed over
	durable atomic.Int64 // of them on disk, from the start
	failed  atomic.Pointer[error]
	over    atomic.Bool // committed or aborted
	stored  atomic.Bool // ref and term hold
	ref     ref
	term    *lease

	loose int64 // bytes on disk that no record stands for; guarded by the shard
	count uint32
}

// spill begins a body under a new id, of size bytes as far as is known; nil when
// it is not chosen.
func (s *diskShard) spill(k policy.Key, size int64) *spilling {
	s.mu.Lock()
	defer s.mu.Unlock()
	uses, taken := s.chooseLocked(k.Hash, size)
	if !taken {
		return nil
	}
	return &spilling{s: s, key: k, id: s.nextIDLocked(), uses: uses}
}

// chunk hands the next chunk to the disk. It waits while the queue is full, so
// that the origin sends no faster than the disk writes.
func (sp *spilling) chunk(p []byte) error {
	size := sp.size.Load()
	switch failed := sp.failed.Load(); {
	case sp.over.Load():
		return ErrWriterDone
	case failed != nil:
		return *failed
	case len(p) == 0:
		return nil
	case size%ChunkSize != 0 || len(p) > ChunkSize:
		return fmt.Errorf("cachestore: chunk of %d bytes at %d is off the grid", len(p), size)
	case size+int64(len(p)) > sp.s.most:
		sp.s.d.drop(DiskDropTooLarge)
		return sp.fail(ErrTooLarge)
	}
	c := &change{kind: changeChunk, id: sp.id, n: sp.count, p: p, spill: sp, bytes: int64(len(p)) + putBytes}
	end := size + int64(len(p))
	c.done = func(err error) {
		if err != nil {
			_ = sp.fail(err)
			return
		}
		if sp.failed.Load() == nil {
			sp.durable.Store(end)
		}
	}
	if err := sp.queue(c); err != nil {
		return sp.fail(err)
	}
	sp.count++
	sp.size.Store(end)
	return nil
}

// fail makes err what every later call answers.
func (sp *spilling) fail(err error) error {
	sp.failed.CompareAndSwap(nil, &err)
	return err
}

// queue waits for room in the queue.
func (sp *spilling) queue(c *change) error {
	began := time.Now()
	look := time.NewTicker(spillLook)
	defer look.Stop()
	for {
		again, err := sp.s.queue.full(c)
		if again == nil || err != nil {
			return err
		}
		select {
		case <-again:
		case <-look.C:
			if !sp.s.takes(0) || time.Since(began) > spillStall {
				sp.s.d.drop(DiskDropResting)
				return errSlowDisk
			}
		case <-sp.s.gone:
			return errRetired
		}
	}
}

// flush waits until all that was handed over is on disk.
func (sp *spilling) flush() error {
	done := make(chan error, 1)
	if !sp.s.queue.offer(&change{kind: changeMark, done: func(err error) { done <- err }}) {
		return ErrClosed
	}
	began := time.Now()
	look := time.NewTicker(spillLook)
	defer look.Stop()
	for {
		select {
		case err := <-done:
			if failed := sp.failed.Load(); failed != nil {
				return *failed
			}
			return err
		case <-look.C:
			if !sp.s.takes(0) || time.Since(began) > spillStall {
				return errSlowDisk
			}
		case <-sp.s.gone:
			return errRetired
		}
	}
}

// abandon deletes what was written of a body that is not committed.
func (s *diskShard) abandon(sp *spilling) {
	sp.over.Store(true)
	s.queue.offer(&change{kind: changeDrop, id: sp.id, spill: sp})
}

// read returns a chunk that is on disk.
func (sp *spilling) read(ctx context.Context, i int, dst []byte) ([]byte, error) {
	p := scratchPool.Get().(*pageScratch)
	defer keepScratch(p)
	if sp.stored.Load() {
		c, err := sp.s.chunk(ctx, sp.ref, sp.term, i, p)
		return append(dst[:0], c...), err
	}
	if sp.over.Load() && !sp.stored.Load() && sp.failed.Load() != nil {
		return nil, ErrChunkGone
	}
	if err := sp.s.enter(ctx); err != nil {
		return nil, err
	}
	defer sp.s.leave()
	c, err := sp.s.readChunk(sp.id, i, sp.size.Load(), p)
	if err != nil {
		if errors.Is(err, errBroken) {
			sp.s.d.retire(sp.s, err)
		}
		return nil, fmt.Errorf("%w: %w", ErrChunkGone, err)
	}
	return append(dst[:0], c...), nil
}
