package edge

import (
	"sync"
	"sync/atomic"
	"time"
)

// ghostQueue is how many requests of the sample may wait in a stripe: 56 KiB.
const ghostQueue = 1024

// ghostRequest is a request of the sample.
type ghostRequest struct {
	hash   uint64 // says that it is in the sample
	id     uint64 // of the object
	size   int64  // bytes of its body
	now    int64  // Unix ns
	fresh  time.Duration
	hit    bool // the store itself answered
	purged bool // what was stored before is invalid
}

// ghostStripe is one processor's counts of the requests that could be stored, and those of
// the sample that wait for the ghosts.
type ghostStripe struct {
	requests [2]atomic.Uint64 // misses, hits
	bytes    [2]atomic.Int64  // of the objects that were asked for
	dropped  atomic.Uint64

	mu      sync.Mutex // nobody who has a client waiting waits for it
	n       int
	queued  uint64 // all that ever waited
	waiting [ghostQueue]ghostRequest
	_       [64]byte // keeps neighbours off each other's cache line
}

func (s *ghostStripe) count(size int64, hit bool) {
	i := 0
	if hit {
		i = 1
	}
	s.requests[i].Add(1)
	s.bytes[i].Add(size)
}

// put adds a request, if there is room and nobody else is at it; else it is counted. It
// says whether it is the first that waits.
func (s *ghostStripe) put(q *ghostRequest) (first bool) {
	if !s.mu.TryLock() {
		s.dropped.Add(1)
		return false
	}
	defer s.mu.Unlock()
	if s.n == ghostQueue {
		s.dropped.Add(1)
		return false
	}
	s.waiting[s.n] = *q
	s.n++
	s.queued++
	return s.n == 1
}

// take appends all that waits to told.
func (s *ghostStripe) take(told []ghostRequest) []ghostRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	told = append(told, s.waiting[:s.n]...)
	s.n = 0
	return told
}

// everQueued is how many requests were put, from the first on.
func (s *ghostStripe) everQueued() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queued
}

// ghostCounts are the stripes' counts, added up.
type ghostCounts struct {
	requests [2]uint64
	bytes    [2]int64
	dropped  uint64
}

func (c *ghostCounts) add(s *ghostStripe) {
	for i := range c.requests {
		c.requests[i] += s.requests[i].Load()
		c.bytes[i] += s.bytes[i].Load()
	}
	c.dropped += s.dropped.Load()
}

func (c *ghostCounts) asked() uint64 { return c.requests[0] + c.requests[1] }
