package origin

import (
	"slices"
	"sync"
	"time"
)

// idleList holds a peer's connections that wait for a request, the latest
// last. Nothing of net/http is called under its lock: net/http calls remove
// while it holds a lock of its own.
type idleList struct {
	max int

	mu     sync.Mutex
	wires  []*wire
	timer  *time.Timer // closes those whose time is over
	timed  bool        // the timer runs
	closed bool
}

// maxIdle bounds the idle connections of one peer.
const maxIdle = 256

// take returns the connection that was used last, of those that net/http has or
// has not taken over if there is one, or nil.
func (l *idleList) take(full bool) *wire {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.wires) == 0 {
		return nil
	}
	at := len(l.wires) - 1
	for i, w := range slices.Backward(l.wires) {
		if (w.cc != nil) == full {
			at = i
			break
		}
	}
	w := l.wires[at]
	l.wires = slices.Delete(l.wires, at, at+1)
	return w
}

// put keeps a connection for span at most. It reports false when the list is
// full or closed; the connection is then the caller's to close.
func (l *idleList) put(w *wire, span time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.wires) >= l.max {
		return false
	}
	w.until = time.Now().Add(span)
	l.wires = append(l.wires, w)
	if !l.timed {
		l.armLocked(span)
	}
	return true
}

// armLocked has the timer fire once after span. One timer serves all: most
// connections are taken again long before it.
func (l *idleList) armLocked(span time.Duration) {
	l.timed = true
	if l.timer == nil {
		l.timer = time.AfterFunc(span, l.expire)
		return
	}
	l.timer.Reset(span)
}

// expire closes the connections whose time is over. The list is in the order in
// which they came.
func (l *idleList) expire() {
	for _, w := range l.expired() {
		w.close()
	}
}

func (l *idleList) expired() []*wire {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.timed = false
	now, n := time.Now(), 0
	for n < len(l.wires) && !l.wires[n].until.After(now) {
		n++
	}
	over := slices.Clone(l.wires[:n])
	l.wires = slices.Delete(l.wires, 0, n)
	if len(l.wires) > 0 {
		l.armLocked(l.wires[0].until.Sub(now))
	}
	return over
}

// remove takes w off the list and reports whether it was on it.
func (l *idleList) remove(w *wire) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.wires, w)
	if i < 0 {
		return false
	}
	l.wires = slices.Delete(l.wires, i, i+1)
	return true
}

// drain closes all that is idle now.
func (l *idleList) drain() {
	for w := l.take(false); w != nil; w = l.take(false) {
		w.close()
	}
}

// close drains the list and lets nothing in again.
func (l *idleList) close() {
	l.mu.Lock()
	l.closed = true
	if l.timer != nil {
		l.timer.Stop()
	}
	l.mu.Unlock()
	l.drain()
}

func (l *idleList) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

// len counts the connections, and closes those that have died unseen. One that
// was taken meanwhile is not on the list any more, and is left alone.
func (l *idleList) len() int {
	l.mu.Lock()
	all := slices.Clone(l.wires)
	l.mu.Unlock()
	n := 0
	for _, w := range all {
		if w.peek.quiet() {
			n++
		} else if l.remove(w) {
			w.close()
		}
	}
	return n
}
