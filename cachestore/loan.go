package cachestore

import (
	"context"
	"slices"

	"edgecache/policy"
)

// Loan is one stored body while it is read: from memory where it is there, else
// from disk, chunk by chunk. While it is open the body is not deleted from disk,
// within bounds. It belongs to one goroutine.
type Loan struct {
	v    *Variant
	from *diskShard // nil when the body is in memory, or nowhere
	ref  ref
	term *lease

	mem     *Memory
	scratch *pageScratch // counted in memory while it is here
	raising *raising     // nil when the body will not come up to memory
}

// raising collects a body that comes up to memory.
type raising struct {
	mem    *Memory
	key    policy.Key
	chunks [][]byte
	have   int
	held   int64
}

// raiseMost is the largest body that is collected while it streams by, in bytes.
const raiseMost = 8 << 20

// Open begins to read the body of v, which was found in r.
func (m *Memory) Open(_ *Resource, v *Variant) *Loan { return &Loan{v: v} }

// Open begins to read the body of v, which was found in r.
func (t *Tiers) Open(r *Resource, v *Variant) *Loan {
	l := t.open(v)
	if l.from != nil && v.Body.Size <= min(raiseMost, t.mem.config.MaxObject) {
		l.raising = &raising{mem: t.mem, key: r.Key, chunks: make([][]byte, v.Body.Chunks())}
	}
	return l
}

func (t *Tiers) open(v *Variant) *Loan {
	l := &Loan{v: v, mem: t.mem}
	if v.Body.InMemory() {
		return l
	}
	if s := t.disk.owner(v.Body.ID); s != nil {
		if r, term, _, ok := s.lend(v.Body.ID); ok {
			l.from, l.ref, l.term = s, r, term
		}
	}
	return l
}

// OnDisk says whether the disk was asked, or would be.
func (l *Loan) OnDisk() bool { return l.from != nil }

// Chunk returns chunk i: a view that is valid until the next call of Chunk or
// Close. ErrChunkGone: it cannot be had any more.
func (l *Loan) Chunk(ctx context.Context, i int) ([]byte, error) {
	if c := l.v.Body.Chunk(i); c != nil {
		return c, nil
	}
	if l.from == nil || i < 0 || i >= l.v.Body.Chunks() {
		return nil, ErrChunkGone
	}
	if r := l.raising; r != nil {
		if c := r.chunks[i]; c != nil {
			return c, nil
		}
		if r.mem.Reserve(rounded(chunkLength(l.v.Body, i) + chunkKeyBytes)) {
			return l.collect(ctx, i)
		}
		l.giveUp()
	}
	if l.scratch == nil {
		l.mem.Force(chunkBufferBytes)
		l.scratch = scratchPool.Get().(*pageScratch)
	}
	return l.from.chunk(ctx, l.ref, l.term, i, l.scratch)
}

// chunkLength is how long chunk i of a body is.
func chunkLength(b *Body, i int) int64 { return min(b.Size-int64(i)*ChunkSize, ChunkSize) }

// collect reads a chunk that stays; its bytes are counted already.
func (l *Loan) collect(ctx context.Context, i int) ([]byte, error) {
	r := l.raising
	counted := rounded(chunkLength(l.v.Body, i) + chunkKeyBytes)
	p := scratchPool.Get().(*pageScratch)
	entry := p.entry
	p.entry = nil // the chunk is to have memory of its own
	c, err := l.from.chunk(ctx, l.ref, l.term, i, p)
	p.entry = entry
	keepScratch(p)
	if err != nil {
		r.mem.Release(counted)
		return nil, err
	}
	r.chunks[i] = c
	r.have++
	r.held += counted
	return c, nil
}

// giveUp forgets what was collected. Views of it stay valid.
func (l *Loan) giveUp() {
	if l.raising == nil {
		return
	}
	l.raising.mem.Release(l.raising.held)
	l.raising = nil
}

// Whole reads what is left of the body and returns the variant with all of it in
// memory, where it stays if there is room. It is for bodies that are small.
func (l *Loan) Whole(ctx context.Context) (*Variant, error) {
	if l.v.Body.InMemory() {
		return l.v, nil
	}
	chunks := make([][]byte, 0, l.v.Body.Chunks())
	for i := range l.v.Body.Chunks() {
		c, err := l.Chunk(ctx, i)
		if err != nil {
			return nil, err
		}
		if l.raising == nil && l.scratch != nil {
			l.scratch.entry = nil // the chunk is ours
		}
		chunks = append(chunks, c)
	}
	v := l.v.over(l.v.Body.with(chunks))
	l.promote(v)
	return v, nil
}

// Close ends the reading. A body that was read as a whole comes up to memory.
func (l *Loan) Close() {
	if r := l.raising; r != nil && r.have == len(r.chunks) {
		l.promote(l.v.over(l.v.Body.with(r.chunks)))
	}
	l.giveUp()
	if l.scratch != nil {
		keepScratch(l.scratch)
		l.mem.Release(chunkBufferBytes)
		l.scratch = nil
	}
	if l.from != nil {
		l.from.giveBack(l.ref, l.term)
		l.from = nil
	}
}

// promote puts v in the place of its hollow form, if that is still stored. What
// was counted for the reading counts for the object from then on.
func (l *Loan) promote(v *Variant) {
	r := l.raising
	if r == nil {
		return
	}
	l.raising = nil
	m := r.mem
	for range loadTries {
		old := m.table.get(r.key)
		i := -1
		if old != nil {
			i = old.IndexOf(v.Body)
		}
		if i < 0 || old.Variants[i].Body.InMemory() {
			break
		}
		next := &Resource{Key: old.Key, Variants: slices.Clone(old.Variants)}
		next.Variants[i] = old.Variants[i].over(v.Body)
		m.bytes.fills.Add(-r.held)
		if m.swap(r.key, old, next, swapping{quiet: true, credit: r.held}) {
			l.from.d.promoted.Add(1)
			return
		}
		m.bytes.fills.Add(r.held)
	}
	m.Release(r.held)
}
