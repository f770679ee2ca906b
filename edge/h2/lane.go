package h2

import (
	"io"
	"net/http"

	"edgecache/cachestore"
	"edgecache/edge"
)

var (
	_ edge.Lane    = (*stream)(nil)
	_ edge.Inliner = (*stream)(nil)
)

// maxLeft is how much of an answer that a hook gives at once may wait for its turn.
const maxLeft = 1 << 20

// Inline says whether a body of so many bytes can be answered by whoever runs the
// request now: the reader must not wait.
func (st *stream) Inline(size int64) bool {
	c := st.c
	return !st.inline || size <= inlineBytes && size <= c.grant && size <= c.firstWindow
}

// SendObject sends a whole answer from memory.
func (st *stream) SendObject(h *cachestore.Head, b *cachestore.Body, v *edge.View) error {
	if !v.NoBody && v.Length != v.To-v.From {
		return edge.ErrLength
	}
	empty := v.NoBody || v.From >= v.To
	if err := st.begin(h, v, empty); err != nil || empty {
		return err
	}
	for at := v.From; at < v.To; {
		part := b.At(at)
		if len(part) == 0 {
			return st.broken(edge.ErrAbsent)
		}
		part = part[:min(int64(len(part)), v.To-at)]
		at += int64(len(part))
		if err := st.write(part, at == v.To); err != nil {
			return err
		}
	}
	return nil
}

// SendHead starts an answer.
func (st *stream) SendHead(h *cachestore.Head, v *edge.View) error {
	return st.begin(h, v, v.NoBody || v.Length == 0 || bodiless(v.Status))
}

// Write sends body bytes, and waits until they are out.
func (st *stream) Write(p []byte) error {
	switch {
	case st.state == answerEnded && st.left == 0 && len(p) == 0:
		return nil
	case st.state != answerOpen:
		return edge.ErrEnded
	case len(p) == 0:
		return nil
	}
	return st.write(p, st.left == int64(len(p)))
}

// write sends a part of the body; last ends the answer.
func (st *stream) write(p []byte, last bool) error {
	if st.left >= 0 {
		if st.left -= int64(len(p)); st.left < 0 {
			return st.broken(edge.ErrLength)
		}
	}
	if last {
		st.state = answerEnded
	}
	if !st.inline {
		err := st.send(p, last)
		if err != nil {
			st.state = answerBroken
		}
		return err
	}
	return st.writeInline(p, last)
}

// writeInline appends to the reader's batch. What goes over the window is left to the
// scheduler.
func (st *stream) writeInline(p []byte, last bool) error {
	c := st.c
	if len(st.pending) == 0 {
		n := min(int64(len(p)), c.grant, c.firstWindow-st.owed)
		now, rest := p[:n], p[n:]
		c.grant -= n
		st.owed += n
		for len(now) > 0 {
			part := now[:min(len(now), maxFrame)]
			now = now[len(part):]
			flags := uint8(0)
			if last && len(now) == 0 && len(rest) == 0 {
				flags = flagEndStream
			}
			c.batch = append(appendFrameHead(c.batch, len(part), kindData, flags, st.id), part...)
		}
		p = rest
	}
	if len(st.pending)+len(p) > maxLeft {
		return st.broken(errWindow)
	}
	st.pending = append(st.pending, p...)
	return nil
}

// Flush hands over what is buffered: a head that waits for its body.
func (st *stream) Flush() error {
	if st.inline {
		return nil
	}
	c := st.c
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pump()
	return st.err
}

// End ends the answer cleanly, if as much of it came as was announced.
func (st *stream) End(trailer http.Header) error {
	switch {
	case st.state == answerEnded:
		return nil // with its last byte, or with its head
	case st.state != answerOpen:
		return edge.ErrEnded
	case st.left > 0:
		return st.broken(edge.ErrLength)
	}
	st.state = answerEnded
	switch {
	case len(trailer) > 0:
		return st.headers(true, func(b []byte) []byte { return appendHeader(b, trailer) })
	case !st.inline:
		return st.send(nil, true)
	case len(st.pending) == 0:
		st.c.batch = appendFrameHead(st.c.batch, 0, kindData, flagEndStream, st.id)
	}
	return nil
}

// Abort breaks the answer visibly: the stream is reset.
func (st *stream) Abort(error) {
	if st.state != answerEnded {
		_ = st.broken(edge.ErrEnded)
	}
}

// broken ends an answer that is not whole. The reset is sent when the request is over.
func (st *stream) broken(err error) error {
	st.state = answerBroken
	return err
}

// Started says whether the final answer's head is out.
func (st *stream) Started() bool { return st.started }

// Gone is closed when the client has reset the stream or left.
func (st *stream) Gone() <-chan struct{} {
	c := st.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if st.gone == nil {
		st.gone = make(chan struct{})
		if st.err != nil {
			ch := st.gone
			st.gone = nil
			close(ch)
			return ch
		}
	}
	return st.gone
}

// begin sends the head; end says that it is all.
func (st *stream) begin(h *cachestore.Head, v *edge.View, end bool) error {
	if st.state != answerDue {
		return edge.ErrEnded
	}
	st.state, st.left, st.started = answerOpen, v.Length, true
	if end {
		st.state, st.left = answerEnded, 0
	}
	if !st.inline {
		return st.headers(end, func(b []byte) []byte { return appendHead(b, h, v) })
	}
	c := st.c // as headers does, without a function that is made for each hit
	from := len(c.batch)
	c.batch = closeBlock(appendHead(openBlock(c.batch), h, v), from, st.id, end)
	st.session.HeadBytes += int64(len(c.batch) - from)
	return nil
}

// headers sends a header block, which is counted for the log.
func (st *stream) headers(end bool, encode func([]byte) []byte) error {
	c := st.c
	if st.inline {
		from := len(c.batch)
		c.batch = closeBlock(encode(openBlock(c.batch)), from, st.id, end)
		st.session.HeadBytes += int64(len(c.batch) - from)
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if st.err != nil {
		st.state = answerBroken
		return st.err
	}
	from := len(c.out)
	c.out = closeBlock(encode(openBlock(c.out)), from, st.id, end)
	st.session.HeadBytes += int64(len(c.out) - from)
	if end {
		c.ended(st)
		c.pump()
	}
	return nil
}

// bodiless says whether answers of that status never have a body.
func bodiless(status int) bool {
	return status < 200 || status == http.StatusNoContent || status == http.StatusNotModified
}

// Interim sends a 1xx answer (RFC 9113, 8.1), unless it comes too late.
func (st *stream) Interim(status int, h http.Header) error {
	if st.started || status == http.StatusSwitchingProtocols {
		return nil
	}
	bytes := st.session.HeadBytes
	err := st.headers(false, func(b []byte) []byte { return appendHeader(appendStatus(b, status), h) })
	st.session.HeadBytes = bytes
	if err == nil && !st.inline {
		err = st.Flush()
	}
	return err
}

// Tunnel answers an extended CONNECT and copies both ways (RFC 8441).
func (st *stream) Tunnel(h *cachestore.Head, v *edge.View, up io.ReadWriteCloser) error {
	return tunnel(st, h, v, up)
}
