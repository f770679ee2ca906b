package cachestore

import (
	"math"
	"sync/atomic"
)

// lease keeps a body from being deleted from disk while it is read.
type lease struct {
	readers int // guarded by the shard
	revoked atomic.Bool
}

// deferral is a deletion that waits for a lease to end.
type deferral struct {
	since int64 // Unix nanoseconds
	bytes int64
}

// lend opens a lease on a body, so that it can be read until returned.
func (s *diskShard) lend(id BodyID) (r ref, l *lease, in indexed, ok bool) {
	r, ours := s.refOf(id)
	if !ours {
		return 0, nil, in, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if in, ok = s.index.get(r); !s.index.shows(r) || s.retired.Load() {
		return 0, nil, in, false // what is hidden may be half deleted
	}
	if l = s.leases[r]; l == nil {
		l = &lease{}
		s.leases[r] = l
	}
	l.readers++
	return r, l, in, true
}

func (s *diskShard) deferredLocked(r ref) bool {
	_, waits := s.deferred[r]
	return waits
}

// giveBack ends a lease.
func (s *diskShard) giveBack(r ref, l *lease) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.readers--; l.readers > 0 || s.leases[r] != l {
		return
	}
	delete(s.leases, r)
	s.releaseLocked(r)
}

// releaseLocked lets a deferred deletion go on.
func (s *diskShard) releaseLocked(r ref) {
	d, waits := s.deferred[r]
	if !waits {
		return
	}
	delete(s.deferred, r)
	s.held -= d.bytes
	delete(s.pending, r)
	if in, ok := s.index.get(r); ok {
		s.queue.offer(&change{kind: changeDrop, ref: r, id: in.ID})
	}
}

// Bounds of deletions that wait for readers.
const (
	deferShare = 8             // an eighth of the quota
	deferMost  = 10 * 60 * 1e9 // nanoseconds
)

// revokeLocked ends the leases of deleted bodies that wait for too long, or that
// hold too many bytes, the oldest first.
func (s *diskShard) revokeLocked() {
	now := s.d.now()
	for len(s.deferred) > 0 {
		oldest, since := ref(0), int64(math.MaxInt64)
		for r, d := range s.deferred {
			if d.since > now { // the clock went back: it waits from now on
				d.since = now
				s.deferred[r] = d
			}
			if d.since < since {
				oldest, since = r, d.since
			}
		}
		if s.held <= s.quota/deferShare && now-since < deferMost {
			return
		}
		if l := s.leases[oldest]; l != nil {
			l.revoked.Store(true)
			delete(s.leases, oldest)
			s.d.drop(DiskDropLease)
		}
		s.releaseLocked(oldest)
	}
}

// revokeAll ends all leases: the shard is closing.
func (s *diskShard) revokeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for r, l := range s.leases {
		l.revoked.Store(true)
		delete(s.leases, r)
		s.releaseLocked(r)
	}
}
