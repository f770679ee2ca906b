package cachestore

import (
	"errors"
	"math"

	bolterrors "go.etcd.io/bbolt/errors"
)

// How a file gets room that is at its largest: what is worth least goes, a part at a time,
// until the free pages are together that one thing needs.
const (
	widenTimes  = 24
	widenShare  = 32      // a part is one so many-th of a shard
	widenAtMost = 8 << 20 // bytes of a part
)

// usedLocked is what the quota counts: what is stored, bodies that are not
// committed yet, and what is deleted but still read.
func (s *diskShard) usedLocked() int64 { return s.liveLocked() + s.loose + s.held }

// makeRoom takes objects out of the index until the job's bytes fit into the
// quota: those that are of no use any more, then those that are worth least. What
// is to be written has no place in the order yet, or it might be its own victim,
// and what is large and asked for often would never come in.
func (s *diskShard) makeRoom(j *job) {
	room := s.quota - j.need
	for more := true; more; {
		s.mu.Lock()
		more = s.evictExpiredLocked(j, room)
		s.mu.Unlock()
	}
	s.shed(j, room, DiskEvictedLeast)
}

// shed takes out what is worth least until at most room bytes are used, a slice
// at a time. What is being read, or written anew, is spared.
func (s *diskShard) shed(j *job, room int64, why DiskEviction) {
	var spared []ref
	for more := true; more; {
		s.mu.Lock()
		more = s.shedLocked(j, room, why, &spared)
		if !more {
			for _, r := range spared {
				s.index.rank(r)
			}
		}
		s.mu.Unlock()
	}
}

func (s *diskShard) shedLocked(j *job, room int64, why DiskEviction, spared *[]ref) (more bool) {
	for range lockSlice {
		if s.usedLocked() <= room || s.pacedLocked(j) {
			return false
		}
		r, again := s.index.least(lockSlice)
		switch {
		case again:
			return true
		case r == 0:
			return false
		case s.leases[r] != nil || s.pending[r] != nil:
			s.index.unrank(r)
			*spared = append(*spared, r)
		default:
			s.evictLocked(j, r, why)
		}
	}
	return true
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
	if why == DiskEvictedLeast || why == DiskEvictedFile {
		s.index.sink(r)
		s.choice.evicted(in.Hash, in.Body, in.Uses)
	}
	if s.leases[r] != nil {
		s.dropLocked(r)
		return
	}
	*s.slotLocked(in.Hash)++
	s.index.hide(r)
	j.drops = append(j.drops, &change{kind: changeDrop, ref: r, id: in.ID})
}

// widen makes room in a file that is at its largest. Objects leave it here and
// there, so that after a while its pages are half empty, and no free stretch is long
// enough for a chunk: then it is compacted, if enough was written since it was last. Else
// what the job would have deleted is deleted before it, and some more.
func (s *diskShard) widen(j *job) error {
	if s.mayCompact() {
		if err := s.compact(); err == nil {
			s.d.compactions.Add(1)
			return nil
		} else if s.isGone() || s.file.broken.Load() != nil {
			return err
		} else {
			s.d.log.Warn("disk shard is not compacted; it keeps less until it is", "file", s.file.path, "err", err)
			s.compactAt = s.d.now() + int64(fitAgain)
		}
	}
	s.mu.RLock()
	goal := s.usedLocked() - max(min(j.need, commitBytes), min(s.quota/widenShare, widenAtMost))
	s.mu.RUnlock()
	s.shed(j, goal, DiskEvictedFile)
	if err := s.deleteApart(j); err != nil {
		return err
	}
	return s.apply(&job{state: j.state}) // the pages are free once a later transaction has begun
}

// mayCompact says whether as much was written since the last compaction as one writes: so
// compactions at most double what is written.
func (s *diskShard) mayCompact() bool {
	if s.sinceCompact < s.quota || s.d.now() < s.compactAt {
		return false
	}
	s.sinceCompact = 0
	return true
}

// deleteApart carries out what a job deletes, in as many transactions as it takes: whatever
// is beside it on a page is written anew, which needs free pages, too.
func (s *diskShard) deleteApart(j *job) error {
	for n := len(j.drops); len(j.drops) > 0; {
		n = min(n, len(j.drops))
		only := &job{drops: j.drops[:n], state: j.state}
		err := s.apply(only)
		switch {
		case errors.Is(err, bolterrors.ErrMaxSizeReached) && n > 1:
			n = (n + 3) / 4
			continue
		case err != nil:
			return err
		}
		s.settle(only, nil)
		j.drops = j.drops[n:]
	}
	return nil
}

// seconds32 is a time in Unix seconds, within 32 bits.
func seconds32(nanos int64) uint32 {
	return uint32(min(max(nanos/1e9, 0), math.MaxUint32-1))
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
