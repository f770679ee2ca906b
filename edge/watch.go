package edge

import (
	"sync"
	"time"

	"edgecache/edge/origin"
)

// watchDelay is how long an answer may take before its client is watched: most are
// there by then.
const watchDelay = 20 * time.Millisecond

// watch cuts a request to an origin when its client leaves. A session has one, which
// costs a timer's setting where the answer comes soon.
type watch struct {
	timer *time.Timer // nil until the first use

	mu    sync.Mutex
	lane  Lane          // nil: it is stopped
	leash *origin.Leash // what is cut
	ended chan struct{} // closed by stop; nil until somebody waits for it
	over  chan struct{} // closed by who waited
}

// begin watches the lane's client, from now on or from a while later on. A lane whose
// request has a body must be asked now: later the body is being read.
func (w *watch) begin(l Lane, leash *origin.Leash, body bool) {
	if body && l.Gone() == nil {
		return
	}
	w.mu.Lock()
	w.lane, w.leash = l, leash
	w.mu.Unlock()
	if w.timer == nil {
		w.timer = time.AfterFunc(watchDelay, w.run)
		return
	}
	w.timer.Reset(watchDelay)
}

// run waits for the client's leaving. The timer of an earlier request may have been on
// its way: then it begins early, which harms nobody.
func (w *watch) run() {
	w.mu.Lock()
	l, leash := w.lane, w.leash
	if l == nil || w.ended != nil {
		w.mu.Unlock()
		return
	}
	w.ended, w.over = make(chan struct{}), make(chan struct{})
	ended, over := w.ended, w.over
	w.mu.Unlock()
	defer close(over)
	gone := l.Gone()
	if gone == nil {
		return
	}
	select {
	case <-gone:
		leash.Cut()
	case <-ended:
	case <-leash.Done():
	}
}

// stop ends the watch and waits for it. It may be called twice.
func (w *watch) stop() {
	if w.timer != nil {
		w.timer.Stop()
	}
	w.mu.Lock()
	ended, over := w.ended, w.over
	w.lane, w.leash, w.ended, w.over = nil, nil, nil, nil
	w.mu.Unlock()
	if ended != nil {
		close(ended)
		<-over
	}
}
