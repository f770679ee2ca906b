package origin

import (
	"sync/atomic"
	"time"
)

// health is what is known of a peer from the requests it got. Nothing probes:
// a peer that was out for its time is asked again, and one more failure takes
// it out again, until it succeeds once. The fields are read without a lock;
// two failures at once may both count, which is what they should do.
type health struct {
	after int64 // failures in a row that make it unhealthy
	span  time.Duration

	failures atomic.Int64 // in a row
	until    atomic.Int64 // unhealthy before this time, Unix nanoseconds
	failedAt atomic.Int64 // the latest failure
}

func (h *health) healthy(now int64) bool { return now >= h.until.Load() }

func (h *health) succeed() {
	if h.failures.Load() != 0 {
		h.failures.Store(0)
	}
	if h.until.Load() != 0 {
		h.until.Store(0)
	}
}

func (h *health) fail(now int64) {
	h.failedAt.Store(now)
	if h.failures.Add(1) >= h.after {
		h.until.Store(now + int64(h.span))
	}
}

func (h *health) mark(now int64) {
	h.failedAt.Store(now)
	h.failures.Store(h.after)
	h.until.Store(now + int64(h.span))
}
