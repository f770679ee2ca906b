package h2

import (
	"encoding/binary"
	"maps"
	"time"
)

// on works off one frame.
func (c *conn) on(f *frame) error {
	if c.fragment.open && (f.kind != kindContinuation || f.stream != c.fragment.stream) {
		return connError{codeProtocol, "a header block is interrupted"}
	}
	if !c.settled && f.kind != kindSettings {
		return connError{codeProtocol, "the first frame is not SETTINGS"} // RFC 9113, 3.4
	}
	switch f.kind {
	case kindData:
		return c.onData(f)
	case kindHeaders:
		return c.onHeaders(f)
	case kindContinuation:
		return c.onContinuation(f)
	case kindPriority:
		return c.onPriority(f)
	case kindReset:
		return c.onReset(f)
	case kindSettings:
		return c.onSettings(f)
	case kindPush:
		return connError{codeProtocol, "PUSH_PROMISE of a client"}
	case kindPing:
		return c.onPing(f)
	case kindGoAway:
		return c.onGoAway(f)
	case kindWindow:
		return c.onWindow(f)
	case kindPriorityUpdate:
		return c.onPriorityUpdate(f)
	}
	return c.control("unknown frames") // RFC 9113, 4.1: ignored
}

// control counts a frame that carries nothing.
func (c *conn) control(what string) error {
	if c.controls.spend(c.now) {
		return nil
	}
	c.server.counts.frameFloods.Add(1)
	return connError{codeCalm, "too many " + what}
}

// spoilt counts a stream that ended early because of the client.
func (c *conn) spoilt() error {
	if c.resets.spend(c.now) {
		return nil
	}
	c.server.counts.resetFloods.Add(1)
	return connError{codeCalm, "too many streams end early"}
}

// streamFault resets a stream for what the client has done. It counts like a reset of
// the client's own: either makes us work for nothing. A refused one does not: nothing was
// begun for it, and a client that has not yet read our SETTINGS, or counts a stream as ended
// before we do, may open more than there may be (RFC 9113, 5.1.2). It counts as a
// frame that brings nothing.
func (c *conn) streamFault(e streamError) error {
	c.server.counts.streamErrors.Add(1)
	c.mu.Lock()
	if st := c.streams[e.stream]; st != nil && st.err == nil {
		st.mine = true
		c.out = appendReset(c.out, e.stream, e.code)
		c.end(st, errReset)
		c.tidy(st)
		c.flush()
	} else {
		c.batch = appendReset(c.batch, e.stream, e.code)
		c.recent.add(e.stream, true)
	}
	c.mu.Unlock()
	if e.code == codeRefused {
		return c.control("streams over limits.h2_streams")
	}
	return c.spoilt()
}

// idle says whether a stream was never opened.
func (c *conn) idle(id uint32) bool { return id > c.lastID || id%2 == 0 }

// onData takes a part of a request's body (RFC 9113, 6.1).
func (c *conn) onData(f *frame) error {
	n := int64(len(f.payload)) // padding counts, too
	switch {
	case f.stream == 0:
		return connError{codeProtocol, "DATA on stream 0"}
	case c.idle(f.stream):
		return connError{codeProtocol, "DATA on an idle stream"}
	}
	if err := f.unpad(); err != nil {
		return err
	}
	if len(f.payload) == 0 && !f.has(flagEndStream) {
		if err := c.control("empty DATA frames"); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.theirs -= n; c.theirs < 0 {
		return connError{codeFlow, "DATA over the connection's window"}
	}
	st := c.streams[f.stream]
	if st == nil || st.err != nil || st.gotEnd {
		c.giveBack(n)
		c.flush()
		return c.late(f.stream, st)
	}
	b := &st.body
	b.window -= n
	b.part = 0
	b.got += int64(len(f.payload))
	padding := n - int64(len(f.payload))
	b.returned += padding
	c.giveBack(padding)
	switch {
	case b.window < 0:
		c.giveBack(int64(len(f.payload)))
		return streamError{f.stream, codeFlow, "DATA over the stream's window"}
	case st.length >= 0 && (b.got > st.length || f.has(flagEndStream) && b.got != st.length):
		c.giveBack(int64(len(f.payload)))
		return streamError{f.stream, codeProtocol, "body differs from content-length"}
	}
	if b.stopped {
		c.giveBack(int64(len(f.payload)))
		c.flush()
	} else {
		c.unread += int64(len(f.payload))
		b.put(f.payload)
	}
	switch {
	case f.has(flagEndStream):
		c.requestEnds(st)
	case st.finished && b.got > c.server.config.UnreadBytes:
		c.reset(st, codeNone)
		c.tidy(st)
		c.flush()
	}
	return nil
}

// requestEnds notes that a request is whole. mu is held.
func (c *conn) requestEnds(st *stream) {
	st.gotEnd = true
	st.body.end()
	if st.sentEnd {
		c.inactive(st)
	}
	c.tidy(st)
}

// closed says whether a stream is known to have been closed, and whether by a reset.
// The reader's; mu is held.
func (c *conn) closed(id uint32) (known, reset bool) {
	if known, reset = c.answered.find(id); !known {
		known, reset = c.recent.find(id)
	}
	return known, reset
}

// late judges a frame for a stream that takes none any more (RFC 9113, 5.1). mu is
// held.
func (c *conn) late(id uint32, st *stream) error {
	switch {
	case st != nil && st.gotEnd && st.err == nil && !st.sentEnd:
		return streamError{id, codeClosed, "a frame behind END_STREAM"}
	case st != nil && st.mine:
		return nil // was on its way when we reset it
	case st != nil && st.err != nil:
		return streamError{id, codeClosed, "a frame behind RST_STREAM"}
	case st != nil:
		return connError{codeClosed, "a frame on a closed stream"}
	}
	if known, reset := c.closed(id); known && !reset {
		return connError{codeClosed, "a frame on a closed stream"}
	}
	return c.control("frames on closed streams")
}

// onPriority takes what RFC 9113, 5.3.2, has deprecated; it is only checked.
func (c *conn) onPriority(f *frame) error {
	switch {
	case f.stream == 0:
		return connError{codeProtocol, "PRIORITY on stream 0"}
	case len(f.payload) != 5:
		return streamError{f.stream, codeSize, "PRIORITY has 5 bytes"}
	case binary.BigEndian.Uint32(f.payload)&maxStreamID == f.stream:
		return streamError{f.stream, codeProtocol, "a stream that depends on itself"}
	}
	return c.control("PRIORITY frames")
}

// onReset ends a stream for the client (RFC 9113, 6.4).
func (c *conn) onReset(f *frame) error {
	switch {
	case f.stream == 0:
		return connError{codeProtocol, "RST_STREAM on stream 0"}
	case len(f.payload) != 4:
		return connError{codeSize, "RST_STREAM has 4 bytes"}
	case c.idle(f.stream):
		return connError{codeProtocol, "RST_STREAM on an idle stream"}
	}
	c.mu.Lock()
	if st := c.streams[f.stream]; st != nil {
		c.end(st, errReset)
		c.tidy(st)
		c.pump()
	}
	c.mu.Unlock()
	return c.spoilt()
}

// tidy forgets a stream that nobody runs any more. mu is held.
func (c *conn) tidy(st *stream) {
	if st.finished {
		c.forget(st)
	}
}

// onPing answers (RFC 9113, 6.7). The answer to our own says that the client has
// heard of the GOAWAY.
func (c *conn) onPing(f *frame) error {
	switch {
	case f.stream != 0:
		return connError{codeProtocol, "PING on a stream"}
	case len(f.payload) != 8:
		return connError{codeSize, "PING has 8 bytes"}
	case f.has(flagAck):
		if string(f.payload) == drainPing && c.isDraining() {
			return c.sayGoodbye()
		}
		return c.control("PING acks")
	}
	c.batch = appendPong(c.batch, f.payload)
	return c.control("PINGs")
}

// onGoAway hears that the client opens no more streams; what runs goes on.
func (c *conn) onGoAway(f *frame) error {
	switch {
	case f.stream != 0:
		return connError{codeProtocol, "GOAWAY on a stream"}
	case len(f.payload) < 8:
		return connError{codeSize, "GOAWAY cut"}
	}
	return c.control("GOAWAYs")
}

// tinyWindow is an increment below which a WINDOW_UPDATE is worth nothing.
// Two come with each request, for a small answer is given back in small updates, of the
// stream's window and of the connection's.
const (
	tinyWindow     = 256
	tinyOfRequest  = 2
	maxTinyUpdates = 1000
)

// onWindow lets us send more (RFC 9113, 6.9).
func (c *conn) onWindow(f *frame) error {
	if len(f.payload) != 4 {
		return connError{codeSize, "WINDOW_UPDATE has 4 bytes"}
	}
	n := int64(binary.BigEndian.Uint32(f.payload) & maxWindow)
	switch {
	case f.stream == 0 && n == 0:
		return connError{codeProtocol, "WINDOW_UPDATE by 0"}
	case f.stream != 0 && c.idle(f.stream):
		return connError{codeProtocol, "WINDOW_UPDATE on an idle stream"}
	case n == 0:
		return streamError{f.stream, codeProtocol, "WINDOW_UPDATE by 0"}
	case n < tinyWindow && c.updatesDue > 0:
		c.updatesDue--
	case n < tinyWindow:
		if err := c.control("tiny WINDOW_UPDATEs"); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.stream == 0 {
		if c.window += n; c.window+c.grant > maxWindow {
			return connError{codeFlow, "the connection's window over 2^31-1"}
		}
		c.pump()
		return nil
	}
	st := c.streams[f.stream]
	if st == nil || st.err != nil {
		return nil
	}
	if st.window += n; st.window > maxWindow {
		c.server.counts.streamErrors.Add(1)
		c.reset(st, codeFlow)
		c.tidy(st)
		c.flush()
		return c.spoilt()
	}
	if st.busy {
		c.sched.add(st)
		c.pump()
	}
	return nil
}

// maxUpdates is how many PRIORITY_UPDATEs for streams to come are remembered.
const maxUpdates = 100

// onPriorityUpdate changes a stream's priority (RFC 9218, 7.1).
func (c *conn) onPriorityUpdate(f *frame) error {
	switch {
	case f.stream != 0:
		return connError{codeProtocol, "PRIORITY_UPDATE on a stream"}
	case len(f.payload) < 4:
		return connError{codeSize, "PRIORITY_UPDATE cut"}
	}
	id := binary.BigEndian.Uint32(f.payload) & maxStreamID
	if id%2 == 0 {
		return connError{codeProtocol, "PRIORITY_UPDATE of no stream of the client's"}
	}
	u, i := parsePriority(f.payload[4:])
	c.mu.Lock()
	defer c.mu.Unlock()
	switch st := c.streams[id]; {
	case st != nil:
		queued := st.queued
		c.sched.remove(st)
		st.urgency, st.rotates = u, i
		if queued {
			c.sched.add(st)
		}
	case id > c.lastID:
		if len(c.updates) >= maxUpdates {
			maps.DeleteFunc(c.updates, func(id uint32, _ priority) bool { return id <= c.lastID })
		}
		if len(c.updates) < maxUpdates {
			c.updates[id] = priority{u, i}
		}
	}
	return c.control("PRIORITY_UPDATEs")
}

// drainPing is the payload of the PING whose answer shows that a first GOAWAY has
// arrived (RFC 9113, 6.8).
const drainPing = "farewell"

// drain says that the connection ends: no stream that is not on its way already.
func (c *conn) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.draining || c.err != nil {
		return
	}
	c.draining = true
	c.out = appendGoAway(c.out, maxStreamID, codeNone)
	c.out = append(appendFrameHead(c.out, 8, kindPing, 0, 0), drainPing...)
	c.flush()
	time.AfterFunc(drainGrace, c.hurry)
}

// drainGrace is how long the answer to that PING may take.
const drainGrace = time.Second

func (c *conn) isDraining() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.draining
}

// hurry ends a drain whose PING was not answered, by the reader.
func (c *conn) hurry() {
	c.hurried.Store(true)
	c.wakeReader()
}

// sayGoodbye names the last stream that is served. The reader's.
func (c *conn) sayGoodbye() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leaving {
		return nil
	}
	c.leaving = true
	c.out = appendGoAway(c.out, c.lastID, codeNone)
	c.flush()
	if len(c.streams) == 0 {
		return errGone
	}
	return nil
}
