package edge

import (
	"slices"
	"sync"
	"time"
)

// Bounds of the goroutines that wait for the next fetch: how many, and for how long
// at least, and twice that at most.
const (
	idleCrew = 64
	crewRest = time.Second
)

// crew runs fetches, each on a goroutine of its own. One that is done waits for the
// next fetch, as far as idleCrew allows: its stack has grown to what a fetch takes, which
// costs a new one as much as all else about it.
type crew struct {
	hands sync.WaitGroup

	mu     sync.Mutex
	idle   []*hand // who came last goes first
	turn   int     // of the timer
	timer  *time.Timer
	timed  bool // the timer runs
	closed bool
}

// hand is one goroutine.
type hand struct {
	jobs chan func()
	turn int // in which it became idle
}

// run has f run, unless the crew is closed.
func (c *crew) run(f func()) bool {
	h, ok := c.take()
	switch {
	case !ok:
		return false
	case h != nil:
		h.jobs <- f
	default:
		go c.work(f)
	}
	return true
}

// take gives an idle hand, or nil where a new one is to begin, which is counted.
func (c *crew) take() (h *hand, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, false
	}
	last := len(c.idle) - 1
	if last < 0 {
		c.hands.Add(1)
		return nil, true
	}
	h = c.idle[last]
	c.idle[last], c.idle = nil, c.idle[:last]
	return h, true
}

// work is a hand's life.
func (c *crew) work(f func()) {
	defer c.hands.Done()
	h := &hand{jobs: make(chan func(), 1)}
	for f != nil {
		f()
		if f = nil; c.rest(h) {
			f = <-h.jobs
		}
	}
}

// rest makes a hand idle, if it is wanted any more.
func (c *crew) rest(h *hand) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || len(c.idle) >= idleCrew {
		return false
	}
	h.turn = c.turn
	c.idle = append(c.idle, h)
	if !c.timed {
		c.armLocked()
	}
	return true
}

func (c *crew) armLocked() {
	c.timed = true
	if c.timer == nil {
		c.timer = time.AfterFunc(crewRest, c.dismiss)
		return
	}
	c.timer.Reset(crewRest)
}

// dismiss ends those who were idle all the last turn.
func (c *crew) dismiss() {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for n < len(c.idle) && c.idle[n].turn < c.turn {
		close(c.idle[n].jobs)
		n++
	}
	c.idle = slices.Delete(c.idle, 0, n)
	c.turn++
	if c.timed = len(c.idle) > 0; c.timed {
		c.armLocked()
	}
}

// close lets no fetch begin any more, and waits for those that run.
func (c *crew) close() {
	c.mu.Lock()
	c.closed = true
	if c.timer != nil {
		c.timer.Stop()
	}
	for _, h := range c.idle {
		close(h.jobs)
	}
	c.idle = nil
	c.mu.Unlock()
	c.hands.Wait()
}
