package cachestore

import (
	"cmp"
	"context"
	"slices"
)

// Objects leave a file in the order of their worth, here and there, so that after a while no
// free stretch of it is long enough for a chunk. Then a stretch is cleaned: half of what is in
// it goes, the other half is written anew, and in its place is one hole.

// move is an object that is written again under a higher id.
type move struct {
	ref  ref
	from uint64
	to   uint64
	meta []byte // its record under the new id
	body *Body  // in memory
	hold *change
}

const (
	moveMost   = 1 << 20 // bytes of the largest body that is moved; a larger one stays where it is
	cleanLeast = 8 << 20 // bytes of bodies in the first stretch
	cleanTries = 5       // stretches that one job may have cleaned, each twice as long as the one before
	cleanBatch = 256     // records that are read at once
)

// widen makes room in a file that is at its largest: in transactions of its own it deletes what
// the job would have deleted, and a stretch. What is to stay of that is in the job's moves.
func (s *diskShard) widen(j *job, try int) error {
	from := len(j.moves)
	if !s.clean(j, max(j.need, cleanLeast)<<try) {
		s.mu.RLock()
		goal := s.usedLocked() - max(j.need, cleanLeast)
		s.mu.RUnlock()
		s.shed(j, goal, DiskEvictedFile)
	}
	only := &job{drops: j.drops, state: j.state}
	for _, m := range j.moves[from:] {
		only.drops = append(only.drops, &change{kind: changeDrop, id: m.from})
	}
	if err := s.apply(only); err != nil {
		return err
	}
	s.settle(only, nil)
	j.drops = nil
	return s.apply(&job{state: j.state}) // the pages are free once a later transaction has begun
}

// stretch is what was found of one.
type stretch struct {
	object
	worth float64
	bytes int64
}

// clean takes the objects of a stretch that begins where the last one ended, and has at least
// so many bytes. It finds nothing where all is being read, or too large to be moved.
func (s *diskShard) clean(j *job, bytes int64) (found bool) {
	var all []stretch
	sum := int64(0)
	for wrapped := false; sum < bytes; {
		list, next, err := s.records(context.Background(), s.cleanAt, cleanBatch)
		if err != nil {
			break
		}
		all, sum = s.measure(all, sum, list)
		if s.cleanAt = next; next != 0 {
			continue
		}
		if wrapped {
			break
		}
		wrapped = true
	}
	slices.SortFunc(all, func(a, b stretch) int { return cmp.Compare(b.worth, a.worth) })
	kept := int64(0)
	for i := range all {
		o := &all[i]
		if kept+o.bytes <= sum/2 && s.hold(j, o) {
			kept += o.bytes
			continue
		}
		s.mu.Lock()
		if in, ok := s.index.get(o.ref); ok && in.ID == o.id && s.pending[o.ref] == nil {
			s.evictLocked(j, o.ref, DiskEvictedFile)
		}
		s.mu.Unlock()
	}
	return len(all) > 0
}

// measure adds what may leave its place to a stretch.
func (s *diskShard) measure(all []stretch, sum int64, list []object) ([]stretch, int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range list {
		in, ok := s.index.get(o.ref)
		if !ok || in.ID != o.id || in.Body > moveMost || s.leases[o.ref] != nil || s.pending[o.ref] != nil {
			continue
		}
		bytes := diskBytes(in.Body, in.Meta)
		all = append(all, stretch{o, s.index.worthNow(o.ref), bytes})
		sum += bytes
	}
	return all, sum
}

// hold reads an object into memory, from where it is written anew. One that cannot be
// read, or is not what it was, is not held.
func (s *diskShard) hold(j *job, o *stretch) (held bool) {
	body, err := s.readBody(o.id, o.v.Body)
	if err != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	in, ok := s.index.get(o.ref)
	if !ok || in.ID != o.id || s.pending[o.ref] != nil || s.leases[o.ref] != nil || s.deferredLocked(o.ref) {
		return false
	}
	m := &move{ref: o.ref, from: o.id, to: s.nextIDLocked(), body: body}
	j.state.NextID = s.state.NextID
	o.v.Body = body
	m.hold = &change{kind: changePut, taken: true, ref: o.ref, id: m.to, v: o.v, body: body, key: o.key, order: o.order}
	m.meta, err = appendMeta(nil, s.seal, m.to, &metaRecord{
		Order: o.order, PurgeGen: s.state.PurgeGen, Variant: o.v, BodySize: body.Size, Trailer: body.Trailer, Full: o.key.Full,
	})
	if err != nil { // it was written once, so it is within the limits
		return false
	}
	s.pending[o.ref] = m.hold
	j.moves = append(j.moves, m)
	return true
}

// move writes an object that is moved.
func (w *pen) move(m *move) error {
	if err := w.objects.Put(idKey(nil, m.to), m.meta); err != nil {
		return err
	}
	return w.body(m.to, m.body)
}

// settleMovesLocked gives what was moved its new id. What is not on disk any more after an
// error is not stored any more.
func (s *diskShard) settleMovesLocked(j *job, err error) {
	for _, m := range j.moves {
		in, ok := s.index.get(m.ref)
		there := ok && in.ID == m.from && s.index.shows(m.ref)
		if s.pending[m.ref] == m.hold {
			delete(s.pending, m.ref)
		}
		switch {
		case err == nil && there:
			s.index.rename(m.ref, m.to)
			s.d.moved.Add(1)
		case err == nil: // it was deleted meanwhile
			s.dropID(m.to)
		case there:
			s.d.drop(DiskDropWrite)
			s.dropLocked(m.ref)
		}
	}
}
