package cachestore

import (
	"math"
	"slices"
)

// move is an object that was used and goes round again: it gets a new id, so
// that what is old on disk is what nobody asks for.
type move struct {
	ref      ref
	from, to uint64
	meta     []byte // its record under the new id
	body     *Body  // in memory
	hold     *change
}

const (
	moveMost    = 1 << 20 // bytes of the largest body that is copied; a larger one goes round where it is
	spareMost   = 256     // used objects that one transaction passes over
	widenAtMost = 8 << 20 // bytes that are freed when the file is at its largest
)

// usedLocked is what the quota counts: what is stored, bodies that are not
// committed yet, and what is deleted but still read.
func (s *diskShard) usedLocked() int64 { return s.liveLocked() + s.loose + s.held }

// makeRoom takes objects out of the index until the job's bytes fit into the
// quota: those that are of no use any more, then in the order of their ids, and
// used ones only when no others are left.
func (s *diskShard) makeRoom(j *job) {
	room := s.quota - j.need
	for more := true; more; {
		s.mu.Lock()
		more = s.evictExpiredLocked(j, room)
		s.mu.Unlock()
	}
	s.walk(j, &roomWalk{room: room, budget: min(j.need, commitBytes/2), why: DiskEvictedOldest})
}

// walk goes over the objects until there is room, a slice at a time.
func (s *diskShard) walk(j *job, w *roomWalk) {
	for begun, more := false, true; more; begun = true {
		s.mu.Lock()
		if !begun || w.at != 0 && s.index.find(w.at) == nil { // the first, or gone meanwhile
			w.at = s.index.oldest()
		}
		more = s.walkLocked(j, w)
		s.mu.Unlock()
	}
}

// roomWalk is how far makeRoom has come.
type roomWalk struct {
	room   int64 // bytes that may stay
	budget int64 // bytes that may be copied
	spared int
	all    bool // the second time round: use does not count
	at     ref  // the next object
	why    DiskEviction
}

// walkLocked deals with a slice of the objects.
func (s *diskShard) walkLocked(j *job, w *roomWalk) (more bool) {
	for range lockSlice {
		switch {
		case s.usedLocked() <= w.room || s.pacedLocked(j):
			return false
		case w.at == 0 && w.all:
			return false
		case w.at == 0:
			w.at, w.all = s.index.oldest(), true
			continue
		}
		r := w.at
		w.at = s.index.younger(r)
		switch {
		case s.leases[r] != nil || s.pending[r] != nil || j.moving(r):
		case !w.all && w.spared < spareMost && s.index.wasUsed(r):
			s.spareLocked(j, w, r)
		default:
			s.evictLocked(j, r, w.why)
		}
	}
	return true
}

// spareLocked lets a used object go round again.
func (s *diskShard) spareLocked(j *job, w *roomWalk, r ref) {
	w.spared++
	in, _ := s.index.get(r)
	if in.Body > moveMost || in.Body > w.budget {
		s.index.renew(r)
		return
	}
	s.index.unuse(r)
	w.budget -= diskBytes(in.Body, in.Meta)
	j.moves = append(j.moves, &move{ref: r, from: in.ID})
}

// moving says whether an object is to be copied.
func (j *job) moving(r ref) bool {
	return slices.ContainsFunc(j.moves, func(m *move) bool { return m.ref == r })
}

// evictExpiredLocked takes out a slice of what is of no use any more.
func (s *diskShard) evictExpiredLocked(j *job, room int64) (more bool) {
	now := seconds32(s.d.now())
	for range lockSlice {
		if s.usedLocked() <= room || s.pacedLocked(j) {
			return false
		}
		r, ok := s.index.expired(now)
		if !ok || s.pending[r] != nil {
			return false
		}
		s.evictLocked(j, r, DiskEvictedExpired)
	}
	return true
}

// evictLocked takes an object out; the job deletes it, unless it is being read.
func (s *diskShard) evictLocked(j *job, r ref, why DiskEviction) {
	in, ok := s.index.get(r)
	if !ok {
		return
	}
	s.d.evicted[why].Add(1)
	if s.leases[r] != nil {
		s.dropLocked(r)
		return
	}
	*s.slotLocked(in.Hash)++
	s.index.hide(r)
	j.drops = append(j.drops, &change{kind: changeDrop, ref: r, id: in.ID})
}

// widen makes room in a file that is at its largest: it deletes, in a
// transaction of its own, what the job would have deleted and some more.
func (s *diskShard) widen(j *job) error {
	s.mu.RLock()
	goal := s.usedLocked() - max(j.need, widenAtMost)
	s.mu.RUnlock()
	s.walk(j, &roomWalk{room: goal, all: true, why: DiskEvictedFile})
	only := &job{drops: j.drops, state: j.state}
	err := s.apply(only)
	if err != nil {
		return err
	}
	s.settle(only, nil)
	j.drops = nil
	return s.apply(&job{state: j.state}) // the pages are free once a later transaction has begun
}

// seconds32 is a time in Unix seconds, within 32 bits.
func seconds32(nanos int64) uint32 {
	return uint32(min(max(nanos/1e9, 0), math.MaxUint32-1))
}

// readMoves brings into memory what is to be copied. What cannot be read stays
// where it is.
func (s *diskShard) readMoves(j *job) {
	kept := j.moves[:0]
	for _, m := range j.moves {
		v, order, key, err := s.readObject(m.ref, m.from)
		if err != nil {
			continue
		}
		if m.body, err = s.readBody(m.from, v.Body); err != nil {
			continue
		}
		s.mu.Lock()
		if in, ok := s.index.get(m.ref); ok && in.ID == m.from && s.pending[m.ref] == nil && !s.deferredLocked(m.ref) {
			m.to = s.nextIDLocked()
			j.state.NextID = s.state.NextID
			v.Body = m.body
			m.hold = &change{kind: changePut, taken: true, ref: m.ref, v: v, body: m.body, key: key, order: order}
			m.meta, err = appendMeta(nil, s.seal, m.to, &metaRecord{
				Order: order, PurgeGen: s.state.PurgeGen, Variant: v, BodySize: v.Body.Size, Trailer: v.Body.Trailer, Full: key.Full,
			})
			if err == nil { // it was written once, so it is within the limits
				s.pending[m.ref] = m.hold
				kept = append(kept, m)
			}
		}
		s.mu.Unlock()
	}
	j.moves = kept
}

func (w *pen) move(m *move) error {
	before := w.deletes
	w.deletes = 0 // one small body is always deleted as a whole
	if err := w.drop(&change{id: m.from}); err != nil {
		return err
	}
	w.deletes = before
	if err := w.objects.Put(idKey(nil, m.to), m.meta); err != nil {
		return err
	}
	return w.body(m.to, m.body)
}

// settleMovesLocked gives what was copied its new id.
func (s *diskShard) settleMovesLocked(j *job, err error) {
	for _, m := range j.moves {
		if s.pending[m.ref] == m.hold {
			delete(s.pending, m.ref)
		}
		if err == nil && s.index.move(m.ref, m.to) {
			s.d.reinserted.Add(1)
			continue
		}
		// It was deleted meanwhile, or a commit that failed at its very end has
		// left the copy in the file.
		s.dropID(m.to)
	}
}

// warm reads what new ids and the deletions will touch, so that the mapping's faults find it
// in the page cache.
func (s *diskShard) warm(drops []*change) {
	const gap = 64
	if s.file.warmEnd() != nil {
		return
	}
	for i := 0; i < len(drops); {
		from, to := drops[i].id, drops[i].id
		for i++; i < len(drops) && drops[i].id >= to && drops[i].id-to <= gap; i++ {
			to = drops[i].id
		}
		if s.file.warm(from, to+1) != nil {
			return // the transaction will tell
		}
	}
}
