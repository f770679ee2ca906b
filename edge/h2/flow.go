package h2

import "time"

// pump sends what streams have waiting, as far as the windows and the client's
// reading let it. mu is held.
func (c *conn) pump() {
	for c.err == nil && c.under.Backlog() == 0 {
		st := c.sched.first()
		if st == nil || len(st.pending) > 0 && c.window <= 0 {
			break
		}
		if len(st.pending) > 0 && st.window <= 0 {
			c.sched.remove(st) // until its window opens
			continue
		}
		if c.crumb(st) {
			break
		}
		c.sendOne(st)
		if len(c.out) >= writeBytes {
			c.flush()
		}
	}
	c.flush()
}

// A client that gives each frame's bytes back at once would get ever smaller frames: what is
// left of the connection's window is cut into crumbs, which come back as crumbs (the silly
// window of RFC 1122, 4.2.3.4). So a crumb waits for more of the window, but not for long.
const (
	crumbBytes = 1 << 10
	crumbTime  = 100 * time.Millisecond
)

// crumb says whether to wait, since only the connection's window makes the frame so small.
// mu is held.
func (c *conn) crumb(st *stream) bool {
	if c.window >= crumbBytes || c.window >= min(int64(len(st.pending)), st.window) {
		return false
	}
	if c.crumbs == nil {
		c.crumbs = time.AfterFunc(crumbTime, c.sendCrumb)
	}
	return true
}

// sendCrumb sends what has waited for more and not got it.
func (c *conn) sendCrumb() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.crumbs = nil
	st := c.sched.first()
	if st != nil && c.err == nil && c.window > 0 && st.window > 0 && c.under.Backlog() == 0 {
		c.sendOne(st)
	}
	c.pump()
}

// sendOne makes one frame of what a stream has waiting.
func (c *conn) sendOne(st *stream) {
	c.out = c.outLoan.take(c.out)
	n := min(int64(len(st.pending)), maxFrame, st.window, c.window)
	n = max(n, 0)
	whole := n == int64(len(st.pending))
	flags := uint8(0)
	if whole && st.last {
		flags = flagEndStream
	}
	c.out = appendFrameHead(c.out, int(n), kindData, flags, st.id)
	c.out = append(c.out, st.pending[:n]...)
	st.window -= n
	c.window -= n
	st.pending, st.moved = st.pending[n:], time.Now()
	if !whole {
		if st.rotates {
			c.sched.rotate(st)
		}
		return
	}
	c.sched.remove(st)
	st.pending, st.busy = nil, false
	if flags != 0 {
		c.ended(st)
	}
	if st.orphan {
		c.over(st)
		return
	}
	signal(st.wake)
}

// ended notes that a stream's answer is out. mu is held.
func (c *conn) ended(st *stream) {
	st.sentEnd = true
	if st.gotEnd {
		c.inactive(st)
	}
}

// flush writes what was gathered. mu is held.
func (c *conn) flush() {
	if len(c.out) > 0 {
		if c.err == nil {
			c.write(c.out)
		}
		c.out = c.outLoan.give(c.out)
	}
}

// drained hears that the client has read everything, or that the wire has failed.
func (c *conn) drained() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pump()
}

// send queues bytes of an answer and waits until they are out: they are the
// caller's again then. last ends the stream with them.
func (st *stream) send(p []byte, last bool) error {
	c := st.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if st.err != nil {
		return st.err
	}
	select { // of an earlier turn
	case <-st.wake:
	default:
	}
	st.pending, st.last, st.busy, st.moved = p, last, true, time.Now()
	c.sched.add(st)
	c.pump()
	for st.busy && st.err == nil {
		c.mu.Unlock()
		late := st.wait()
		c.mu.Lock()
		if late && st.busy && st.err == nil && time.Since(st.moved) >= c.server.config.WriteStall {
			c.server.counts.writeStalls.Add(1)
			c.reset(st, codeCancel)
			st.err = errWindow
			c.flush()
		}
	}
	return st.err
}

// wait waits for the stream's turn to be over; late says that it may be stalled.
func (st *stream) wait() (late bool) {
	timer := time.NewTimer(st.c.server.config.WriteStall)
	defer timer.Stop()
	select {
	case <-st.wake:
		return false
	case <-timer.C:
		return true
	}
}

// giveBack tells the client that n more bytes of bodies were read, when enough have
// come together. mu is held.
func (c *conn) giveBack(n int64) {
	c.returned += n
	if c.returned >= int64(c.server.config.ConnWindow)/2 {
		c.out = appendWindow(c.out, 0, uint32(c.returned))
		c.theirs += c.returned
		c.returned = 0
	}
}
