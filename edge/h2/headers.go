package h2

import (
	"encoding/binary"
	"time"

	"edgecache/edge"
)

// Bounds of a header block as it comes: decoded it is bounded by limits.head.
const (
	blockFactor = 2  // times limits.head: coded it may be larger, but not by much
	blockFrames = 32 // CONTINUATIONs
)

// onHeaders takes the first part of a header block (RFC 9113, 6.2).
func (c *conn) onHeaders(f *frame) error {
	if f.stream == 0 {
		return connError{codeProtocol, "HEADERS on stream 0"}
	}
	if err := f.unpad(); err != nil {
		return err
	}
	var depends error // told when the block is whole: it must be decoded
	if f.has(flagPriority) {
		if len(f.payload) < 5 {
			return connError{codeSize, "no room for the priority"}
		}
		if binary.BigEndian.Uint32(f.payload)&maxStreamID == f.stream {
			depends = streamError{f.stream, codeProtocol, "a stream that depends on itself"}
		}
		f.payload = f.payload[5:]
	}
	if !f.has(flagEndHeaders) {
		if len(f.payload) == 0 {
			if err := c.control("empty HEADERS frames"); err != nil {
				return err
			}
		}
		c.fragment = fragment{open: true, stream: f.stream, end: f.has(flagEndStream), depends: depends,
			block: append(c.fragment.block[:0], f.payload...), since: c.now}
		return nil
	}
	return c.onBlock(f.stream, f.payload, f.has(flagEndStream), depends)
}

// onContinuation takes a further part (RFC 9113, 6.10).
func (c *conn) onContinuation(f *frame) error {
	g := &c.fragment
	if !g.open {
		return connError{codeProtocol, "CONTINUATION of nothing"}
	}
	g.frames++
	if len(g.block)+len(f.payload) > blockFactor*c.server.config.HeadBytes || g.frames > blockFrames {
		c.server.counts.frameFloods.Add(1)
		return connError{codeCalm, "header block without end"}
	}
	g.block = append(g.block, f.payload...)
	if !f.has(flagEndHeaders) {
		return nil
	}
	g.open = false
	return c.onBlock(g.stream, g.block, g.end, g.depends)
}

// onBlock takes a whole header block: a request, or the trailers of one. Whatever
// becomes of it, it must be decoded: the table goes on.
func (c *conn) onBlock(id uint32, src []byte, end bool, depends error) error {
	if c.idle(id) && id%2 == 1 {
		return c.request(id, src, end, depends)
	}
	c.scratch.reset()
	if err := c.decode(src, &c.scratch); err != nil {
		return err
	}
	if id%2 == 0 {
		return connError{codeProtocol, "HEADERS on a stream of the server's"}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	st := c.streams[id]
	if st == nil || st.err != nil || st.gotEnd {
		if known, _ := c.closed(id); st == nil && !known {
			return connError{codeProtocol, "a stream that was passed over"} // RFC 9113, 5.1.1
		}
		return c.late(id, st)
	}
	switch bad := c.trailers(); {
	case !end:
		return streamError{id, codeProtocol, "trailers without END_STREAM"}
	case bad != "":
		return streamError{id, codeProtocol, string(bad)}
	case st.length >= 0 && st.body.got != st.length:
		return streamError{id, codeProtocol, "body differs from content-length"}
	}
	c.requestEnds(st)
	return nil
}

func (c *conn) decode(src []byte, dst *block) error {
	if err := c.decoder.decode(src, dst, c.server.config.HeadBytes, c.server.config.HeadLines); err != nil {
		return connError{codeCompression, err.Error()}
	}
	return nil
}

// trailers checks a request's trailers; nobody is interested in them.
func (c *conn) trailers() malformed {
	for i := range c.scratch.lines {
		name, value := c.scratch.field(i)
		if len(name) == 0 || name[0] == ':' {
			return "a pseudo-header in trailers"
		}
		if bad := checkField(name, value); bad != "" {
			return bad
		}
	}
	return ""
}

// request takes a new request and has it answered.
func (c *conn) request(id uint32, src []byte, end bool, depends error) error {
	if c.leaving { // only the reader sets it
		c.server.counts.refused.Add(1)
		c.scratch.reset()
		return c.decode(src, &c.scratch)
	}
	c.lastID = id
	c.updatesDue = min(c.updatesDue+tinyOfRequest, maxTinyUpdates)
	if c.crowded() {
		c.scratch.reset()
		if err := c.decode(src, &c.scratch); err != nil {
			return err
		}
		c.server.counts.refused.Add(1)
		return streamError{id, codeRefused, "over limits.h2_streams"}
	}
	st := c.take(id)
	if err := c.decode(src, &st.head); err != nil {
		return err
	}
	if depends != nil {
		c.give(st)
		return depends
	}
	st.body.reset(st)
	bad := badSize
	if !st.head.over {
		bad = st.read()
	}
	if bad == "" && end && st.length > 0 {
		bad = "no body, but a content-length"
	}
	if bad != "" {
		return c.refuse(st, bad)
	}
	c.server.counts.requests.Add(1)
	r := &st.session.Request
	r.Remote, r.TLS, r.TLSVersion, r.Body = c.remote, c.tls != 0, c.tls, nil
	if end || r.Upgrade != "" { // a tunnel's bytes are no body: they belong to nobody but the tunnel
		r.Length = 0
	} else {
		r.Body = &st.body
	}
	if end && r.Upgrade == "" && c.mayInline() {
		return c.inline(st)
	}
	c.start(st, end, false)
	return nil
}

// crowded says whether there are too many streams already: those that the client
// knows of, or those that it has reset and that still hold somebody up.
func (c *conn) crowded() bool {
	if c.live.Load() == 0 {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.active >= c.server.config.Streams || len(c.streams) >= 2*c.server.config.Streams
}

// start has a request run by a goroutine of its own.
func (c *conn) start(st *stream, end, begun bool) {
	c.mu.Lock()
	c.open(st, end)
	c.mu.Unlock()
	c.running.Add(1)
	go st.run(begun)
}

// mayInline says whether an answer may be made by the reader: the client reads, the
// window is open, and nobody waits for it. What of the window it takes is settled at
// the batch's end.
func (c *conn) mayInline() bool {
	if c.granted {
		return len(c.batch) < batchBytes
	}
	if !c.server.inline {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sched.n > 0 || c.window <= 0 || c.under.Backlog() > 0 {
		return false
	}
	c.grant, c.granted = min(c.window, batchBytes), true
	c.window -= c.grant
	return true
}

// inline answers a request where it was read, if memory has the answer.
func (c *conn) inline(st *stream) error {
	st.inline, st.owed, st.pending = true, 0, nil
	done := c.server.engine.Begin(st.session)
	st.inline = false
	switch {
	case !done:
		c.start(st, true, true)
	case len(st.pending) > 0 && st.state == answerEnded:
		c.leaveRest(st)
	case st.state != answerEnded:
		c.server.engine.Release(st.session)
		c.batch = appendReset(c.batch, st.id, codeInternal)
		c.server.counts.aborted.Add(1)
		c.answered.add(st.id, true)
		c.give(st)
	default:
		c.server.engine.Release(st.session)
		c.server.counts.inline.Add(1)
		c.answered.add(st.id, false)
		c.give(st)
	}
	return nil
}

// leaveRest leaves what a hook answered over the window to the scheduler.
func (c *conn) leaveRest(st *stream) {
	c.server.engine.Release(st.session)
	c.mu.Lock()
	defer c.mu.Unlock()
	rest := st.pending
	c.open(st, true)
	st.window -= st.owed
	st.pending, st.last, st.busy, st.orphan, st.finished = rest, true, true, true, true
	c.sched.add(st)
	time.AfterFunc(c.server.config.WriteStall, func() { c.cutOrphan(st) })
}

// cutOrphan resets a stream whose rest the client does not take: nobody waits for it who
// would find that out.
func (c *conn) cutOrphan(st *stream) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.streams[st.id] != st || st.err != nil {
		return
	}
	if left := c.server.config.WriteStall - time.Since(st.moved); left > 0 {
		time.AfterFunc(left, func() { c.cutOrphan(st) })
		return
	}
	c.server.counts.writeStalls.Add(1)
	c.reset(st, codeCancel)
	c.forget(st)
	c.flush()
}

// refuse answers a request that is none: an error of the stream, or 431 and 414 where
// only a limit was passed.
func (c *conn) refuse(st *stream, bad malformed) error {
	status, reset := 400, true
	switch bad {
	case badSize:
		status, reset = 431, false
	case badTarget:
		status, reset = 414, false
	}
	c.server.engine.Refuse(edge.Refusal{
		At: time.Now().UnixNano(), Remote: c.remote, TLS: c.tls != 0, Status: status, Proto: edge.HTTP2, Detail: string(bad),
	})
	id := st.id
	c.give(st)
	if reset {
		c.server.counts.malformed.Add(1)
		return streamError{id, codeProtocol, string(bad)}
	}
	c.server.counts.largeHeads.Add(1)
	from := len(c.batch)
	c.batch = closeBlock(appendStatus(openBlock(c.batch), status), from, id, true)
	c.batch = appendReset(c.batch, id, codeNone)
	c.answered.add(id, true)
	return c.spoilt()
}

// note logs why a client was sent away.
func (c *conn) note(e connError) {
	c.server.config.Log.Debug("HTTP/2 connection ended", "client", c.remote.String(), "code", uint32(e.code), "why", e.detail)
}
