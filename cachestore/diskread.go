package cachestore

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"edgecache/policy"
)

// readTries is how often a read looks again for an object that moved under it.
const readTries = 3

// errDamaged says that an object's bytes disagree with their checksum. Others of
// its shard may be well.
var errDamaged = errors.New("cachestore: object on disk is damaged")

// load reads what is stored under k, with hollow bodies but for what is still in
// memory. version goes to unchanged. ErrAbsent: nothing is.
func (s *diskShard) load(ctx context.Context, k policy.Key) (r *Resource, version uint32, err error) {
	found, version := s.under(k.Hash)
	if len(found) == 0 {
		return nil, version, ErrAbsent
	}
	if err := s.enter(ctx); err != nil {
		return nil, version, err
	}
	defer s.leave()
	for i := range found {
		f := &found[i]
		if f.v != nil {
			continue
		}
		v, order, key, err := s.readObject(f.ref, f.id)
		if err != nil {
			if ctx.Err() != nil {
				return nil, version, ctx.Err()
			}
			continue // it is gone by now, or was taken out
		}
		f.v, f.order, f.key = v, order, key
	}
	found = slices.DeleteFunc(found, func(f object) bool { return f.v == nil || !bytes.Equal(f.key.Full, k.Full) })
	if len(found) == 0 {
		return nil, version, ErrAbsent
	}
	slices.SortFunc(found, func(a, b object) int { return cmp.Compare(b.order, a.order) })
	r = &Resource{Key: found[0].key}
	for _, f := range found {
		r.Variants = append(r.Variants, f.v)
	}
	return r, version, nil
}

// object is one object under a hash.
type object struct {
	ref   ref
	id    uint64
	order uint64
	v     *Variant
	key   policy.Key
}

// under lists what is under a hash, with the variants of what is not on
// disk yet.
func (s *diskShard) under(h policy.Hash) (list []object, version uint32) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	version = *s.slotLocked(h)
	if s.retired.Load() {
		return nil, version
	}
	for _, r := range s.index.of(h, nil) {
		in, _ := s.index.get(r)
		f := object{ref: r, id: in.ID}
		if c := s.pending[r]; c != nil {
			f.v, f.order, f.key = c.v, c.order, c.key
		}
		list = append(list, f)
	}
	return list, version
}

// unchanged says whether what load found under h still holds.
func (s *diskShard) unchanged(h policy.Hash, version uint32) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return *s.slotLocked(h) == version && !s.retired.Load()
}

// enter takes one of the places of reads at once.
func (s *diskShard) enter(ctx context.Context) error {
	select {
	case s.reads <- struct{}{}:
		return nil
	default:
		s.d.readWaits.Add(1)
	}
	select {
	case s.reads <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.gone:
		return errRetired
	}
}

func (s *diskShard) leave() { <-s.reads }

var scratchPool = sync.Pool{New: func() any { return &pageScratch{} }}

// keepScratch gives a scratch back, unless it has grown beyond a chunk.
func keepScratch(p *pageScratch) {
	if cap(p.entry) <= 2*ChunkSize {
		scratchPool.Put(p)
	}
}

// readObject reads the record of an object.
func (s *diskShard) readObject(r ref, id uint64) (v *Variant, order uint64, key policy.Key, err error) {
	p := scratchPool.Get().(*pageScratch)
	defer keepScratch(p)
	_, value, err := s.file.find(bucketObjects, idKey(nil, id), p)
	if err != nil {
		return nil, 0, key, s.failed(r, err)
	}
	rec, err := readMeta(s.seal, id, value)
	if err != nil {
		return nil, 0, key, s.failed(r, fmt.Errorf("%w: %w", errDamaged, err))
	}
	if key, err = policy.ReadKey(s.d.config.Seed, rec.Full); err != nil {
		return nil, 0, key, s.failed(r, fmt.Errorf("%w: %w", errDamaged, err))
	}
	return s.dress(r, &rec), rec.Order, key, nil
}

// dress makes the variant of a record complete: with its hollow body, and valid
// as far as the purges are known that its number belongs to.
func (s *diskShard) dress(r ref, rec *metaRecord) *Variant {
	v := rec.Variant
	v.Body = hollowBody(s.bodyID(r), rec.BodySize, rec.Trailer)
	s.mu.RLock()
	defer s.mu.RUnlock()
	v.Body.used = s.index.uses(r)
	if rec.PurgeGen != s.state.PurgeGen {
		// Its number is of another log, or of one that has lost purges.
		v.Life = v.Life.Distrusted()
		v.PurgeSeq = s.state.PurgeFloor
	}
	v.SetChecked(s.state.Swept)
	return v
}

// readBody reads all chunks of an id.
func (s *diskShard) readBody(id uint64, b *Body) (*Body, error) {
	chunks := make([][]byte, 0, b.Chunks())
	for n := range b.Chunks() {
		p := &pageScratch{}
		value, err := s.readChunk(id, n, b.Size, p)
		if err != nil {
			return nil, err
		}
		chunks = append(chunks, value)
	}
	return b.with(chunks), nil
}

// readChunk reads chunk n of an id and checks it. The value lies in the scratch.
func (s *diskShard) readChunk(id uint64, n int, size int64, p *pageScratch) ([]byte, error) {
	key, value, err := s.file.find(bucketChunks, chunkPrefix(nil, id, uint32(n)), p)
	if err != nil {
		return nil, err
	}
	_, _, crc, err := readChunkKey(key)
	if err != nil {
		return nil, err
	}
	want := min(size-int64(n)*ChunkSize, ChunkSize)
	if int64(len(value)) != want || s.seal.chunk(id, uint32(n), value) != crc {
		return nil, fmt.Errorf("%w: chunk %d of %d", errDamaged, n, id)
	}
	s.d.reads.Add(1)
	s.d.readBytes.Add(uint64(len(value)))
	return value, nil
}

// chunk returns chunk n of a body that is lent, from memory while it is not on
// disk. A value from disk lies in the scratch.
func (s *diskShard) chunk(ctx context.Context, r ref, l *lease, n int, p *pageScratch) ([]byte, error) {
	for range readTries {
		if l.revoked.Load() {
			return nil, ErrChunkGone
		}
		in, body, ok := s.where(r)
		if !ok {
			return nil, ErrChunkGone
		}
		if body != nil {
			if c := body.Chunk(n); c != nil {
				return c, nil
			}
		}
		if err := s.enter(ctx); err != nil {
			return nil, err
		}
		value, err := s.readChunk(in.ID, n, in.Body, p)
		s.leave()
		if err == nil {
			return value, nil
		}
		if !errors.Is(err, ErrAbsent) {
			return nil, s.failed(r, err)
		}
	}
	return nil, s.failed(r, fmt.Errorf("%w: chunk %d is missing", errDamaged, n))
}

// where is the place of an object now, and its body if that is still in memory.
func (s *diskShard) where(r ref) (in indexed, body *Body, ok bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if in, ok = s.index.get(r); !ok || s.retired.Load() {
		return in, nil, false
	}
	if c := s.pending[r]; c != nil {
		body = c.body
	}
	return in, body, true
}

// failed judges an error of a read: what is damaged is taken out, a shard that
// is broken is retired. The caller gets ErrChunkGone.
func (s *diskShard) failed(r ref, err error) error {
	switch {
	case errors.Is(err, ErrAbsent):
		return err
	case errors.Is(err, errDamaged):
		s.mu.Lock()
		s.dropLocked(r)
		s.mu.Unlock()
		s.d.evicted[DiskEvictedBroken].Add(1)
	case errors.Is(err, errBroken):
		s.d.drop(DiskDropRead)
		s.d.retire(s, err)
	default:
		s.d.drop(DiskDropRead)
	}
	return fmt.Errorf("%w: %w", ErrChunkGone, err)
}
