package main

import (
	"sync"
	"time"
)

// outage is the time in which the demo's edge is down on purpose. A request that
// fails then says nothing against it.
type outage struct {
	mu    sync.Mutex
	from  time.Time // zero: it was never down
	until time.Time // zero while it is down
}

func (o *outage) begin() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.from = time.Now()
}

func (o *outage) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.until = time.Now()
}

// covers says whether a request that was sent at a moment and has failed now met
// the outage.
func (o *outage) covers(sent time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.from.IsZero() && (o.until.IsZero() || sent.Before(o.until))
}

// lasted is how long edge was down.
func (o *outage) lasted() time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.until.IsZero() {
		return 0
	}
	return o.until.Sub(o.from)
}
