package h1

import (
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"

	"edgecache/cachestore"
	"edgecache/edge"
	"edgecache/edge/syntax"
)

// Sizes of writes.
const (
	copyBytes  = 16 << 10 // bodies up to this are copied behind their head: one write is cheaper than two parts
	batchBytes = 1 << 20  // what one gathering write is given of a larger body
)

// lane sends a connection's answers, one after another. It belongs to the
// connection's goroutine; only what mu guards is also touched by the goroutine
// that reads the request's body.
type lane struct {
	c    *conn
	out  output
	left int64 // body bytes that the head has announced

	state   answerState
	framing answerFraming
	early   bool        // Begin runs: nobody else reads from the connection
	closing bool        // the connection ends after this answer
	begun   atomic.Bool // Started

	mu        sync.Mutex
	final     bool // the final head was formatted: no 1xx after it
	continued bool // a 100 went out, or the body is here without one
}

var _ edge.Lane = (*lane)(nil)

// answerState is how far an answer has come.
type answerState uint8

const (
	answerDue answerState = iota
	answerOpen
	answerEnded
	answerBroken
)

// answerFraming is how a client finds an answer's end (RFC 9112, 6.3).
type answerFraming uint8

const (
	framedNot answerFraming = iota // no body
	framedLength
	framedChunks
	framedClose
)

// next makes the lane ready for the next answer.
func (l *lane) next() {
	l.state, l.framing, l.closing, l.left = answerDue, framedNot, false, 0
	l.early = true
	l.begun.Store(false)
	l.mu.Lock()
	l.final, l.continued = false, false
	l.mu.Unlock()
}

// SendObject sends a whole answer from memory.
func (l *lane) SendObject(h *cachestore.Head, b *cachestore.Body, v *edge.View) error {
	if !v.NoBody && v.Length != v.To-v.From {
		return edge.ErrLength
	}
	if err := l.begin(h, v); err != nil {
		return err
	}
	if l.framing == framedNot || v.From >= v.To {
		return l.ended()
	}
	if v.To-v.From > copyBytes {
		return l.sendLarge(b, v.From, v.To)
	}
	for at := v.From; at < v.To; {
		part := b.At(at)
		if len(part) == 0 {
			return l.broken(edge.ErrAbsent)
		}
		part = part[:min(int64(len(part)), v.To-at)]
		l.out.buf = append(l.out.buf, part...)
		at += int64(len(part))
	}
	return l.ended()
}

// sendLarge sends a body without copying it, some chunks a system call.
func (l *lane) sendLarge(b *cachestore.Body, from, to int64) error {
	for from < to {
		until := min(to, from+batchBytes)
		for from < until {
			part := b.At(from)
			if len(part) == 0 {
				return l.broken(edge.ErrAbsent)
			}
			part = part[:min(int64(len(part)), until-from)]
			l.out.part(part)
			from += int64(len(part))
		}
		if err := l.out.sendParts(); err != nil {
			return err
		}
	}
	return l.ended()
}

// SendHead starts an answer.
func (l *lane) SendHead(h *cachestore.Head, v *edge.View) error { return l.begin(h, v) }

// Write sends body bytes. Small ones wait for Flush, End, or company.
func (l *lane) Write(p []byte) error {
	switch {
	case l.state != answerOpen:
		return edge.ErrEnded
	case l.out.err != nil:
		return l.out.err
	case l.framing == framedNot || len(p) == 0:
		return nil
	case l.framing == framedLength:
		if l.left -= int64(len(p)); l.left < 0 {
			return l.broken(edge.ErrLength)
		}
	}
	if l.framing == framedChunks {
		l.out.buf = strconv.AppendInt(l.out.buf, int64(len(p)), 16)
		l.out.buf = append(l.out.buf, "\r\n"...)
	}
	if len(l.out.buf)+len(p) <= copyBytes {
		l.out.buf = append(l.out.buf, p...)
	} else {
		l.out.part(p)
		if err := l.out.sendParts(); err != nil {
			return err
		}
	}
	if l.framing == framedChunks {
		l.out.buf = append(l.out.buf, "\r\n"...)
	}
	return nil
}

// Flush hands over what is buffered.
func (l *lane) Flush() error { return l.out.flush() }

// End ends the answer cleanly, if as much of it came as was announced.
func (l *lane) End(trailer http.Header) error {
	if l.state != answerOpen {
		return edge.ErrEnded
	}
	if l.framing == framedLength && l.left != 0 {
		return l.broken(edge.ErrLength)
	}
	if l.framing == framedChunks {
		l.out.buf = append(l.out.buf, "0\r\n"...)
		l.out.buf = appendFields(l.out.buf, trailer)
		l.out.buf = append(l.out.buf, "\r\n"...)
	}
	return l.ended()
}

// Abort breaks the answer visibly: what was announced never comes.
func (l *lane) Abort(error) {
	if l.state != answerEnded {
		_ = l.broken(edge.ErrEnded)
	}
}

// Started says whether the final answer's head is out.
func (l *lane) Started() bool { return l.begun.Load() }

// Gone is closed when the client is known to have left. A client that sent
// its end, but may still read, counts as gone after halfCloseGrace.
func (l *lane) Gone() <-chan struct{} { return l.c.leaving.ask() }

// begin formats the head into the buffer and decides how the body is framed.
func (l *lane) begin(h *cachestore.Head, v *edge.View) error {
	if l.state != answerDue {
		return edge.ErrEnded
	}
	if l.out.err != nil {
		return l.out.err
	}
	l.mu.Lock()
	l.final = true
	l.closing = v.Close || l.closesAfter()
	l.mu.Unlock()
	l.state = answerOpen
	l.begun.Store(true)
	l.frame(v)
	l.out.unpark()
	before := len(l.out.buf)
	l.appendHead(h, v)
	l.c.session.HeadBytes = int64(len(l.out.buf) - before)
	return nil
}

// closesAfter says whether the request or the server wants the connection to
// end after this answer. mu is held: while a 100 is due nobody reads the body.
func (l *lane) closesAfter() bool {
	c := l.c
	if !c.parser.keepAlive || c.server.draining.Load() {
		return true
	}
	if c.body.ended.Load() {
		return false
	}
	if c.body.failed.Load() {
		return true
	}
	if c.body.expect && !l.continued {
		// The client may or may not send the body now (RFC 9110, 10.1.1).
		if c.body.total < 0 || int64(len(c.in.buffered())) < c.body.total {
			return true
		}
		l.continued = true
	}
	return c.body.total > c.server.config.UnreadBytes
}

// frame chooses the framing (RFC 9112, 6.3).
func (l *lane) frame(v *edge.View) {
	switch {
	case v.NoBody || bodiless(v.Status):
		l.framing = framedNot
	case v.Length >= 0:
		l.framing, l.left = framedLength, v.Length
	case l.c.session.Request.Proto == edge.HTTP11:
		l.framing = framedChunks
	default:
		l.framing, l.closing = framedClose, true
	}
}

// bodiless says whether answers of that status never have a body.
func bodiless(status int) bool {
	return status < 200 || status == http.StatusNoContent || status == http.StatusNotModified
}

// appendHead formats status line and fields.
func (l *lane) appendHead(h *cachestore.Head, v *edge.View) {
	out := appendStatusLine(l.out.buf, v.Status)
	out = append(out, h.Kept()...)
	if !v.KeptOnly {
		out = append(out, h.Representation()...)
	}
	switch {
	case v.Length >= 0 && v.Status >= 200 && v.Status != http.StatusNoContent:
		out = append(out, "Content-Length: "...)
		out = strconv.AppendInt(out, v.Length, 10)
		out = append(out, "\r\n"...)
	case l.framing == framedChunks:
		out = append(out, "Transfer-Encoding: chunked\r\n"...)
	}
	for i := range v.Tail {
		out = append(out, v.Tail[i].Name...)
		out = append(out, ": "...)
		out = append(out, v.Tail[i].Value...)
		out = append(out, "\r\n"...)
	}
	switch {
	case v.Status == http.StatusSwitchingProtocols:
		out = append(out, "Connection: upgrade\r\n"...)
	case l.closing:
		out = append(out, "Connection: close\r\n"...)
	case l.c.session.Request.Proto == edge.HTTP10:
		out = append(out, "Connection: keep-alive\r\n"...)
	}
	l.out.buf = append(out, "\r\n"...)
}

// appendFields appends the fields of a trailer or an interim answer; what is
// no field is left out.
func appendFields(dst []byte, h http.Header) []byte {
	for name, values := range h {
		if len(name) == 0 || !syntax.All(name, syntax.InToken) {
			continue
		}
		for _, value := range values {
			if !syntax.All(value, syntax.InValue) {
				continue
			}
			dst = append(append(dst, name...), ": "...)
			dst = append(append(dst, value...), "\r\n"...)
		}
	}
	return dst
}

// ended ends an answer. While further requests wait in the buffer, small
// answers from memory wait for them, so that several leave in one write. (Later
// than that another goroutine may be reading: the buffer is not looked at.)
func (l *lane) ended() error {
	l.state = answerEnded
	if l.early && l.c.body.ended.Load() && len(l.c.in.buffered()) > 0 && len(l.out.buf) < copyBytes && !l.closing {
		return l.out.err
	}
	return l.out.flush()
}

// broken ends an answer that is not whole.
func (l *lane) broken(err error) error {
	if l.state != answerBroken {
		l.c.server.counts.aborted.Add(1)
	}
	l.state, l.closing = answerBroken, true
	l.out.drop()
	return err
}

// Interim sends a 1xx answer (RFC 9110, 15.2), unless it comes too late.
func (l *lane) Interim(status int, h http.Header) error {
	if l.c.session.Request.Proto == edge.HTTP10 {
		return nil
	}
	b := appendFields(appendStatusLine(nil, status), h)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.final {
		return nil
	}
	return l.writeInterim(append(b, "\r\n"...))
}

// wantBody sends the 100 that a body waits for, once, and says whether the body
// will come.
func (l *lane) wantBody() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.continued {
		return true
	}
	if l.final {
		return false
	}
	l.continued = true
	return l.writeInterim(continueLine) == nil
}

var continueLine = []byte("HTTP/1.1 100 Continue\r\n\r\n")

// writeInterim writes past the buffer, which is empty until the final head.
func (l *lane) writeInterim(b []byte) error {
	_, err := l.out.dst.Write(b)
	return err
}

// bodyEnded hears that the request's body has come as a whole.
func (l *lane) bodyEnded() { l.c.leaving.bodyEnded() }

// lost hears that the request's body was cut.
func (l *lane) lost() { l.c.leaving.lost() }

// Tunnel sends the 101 and copies both ways until either side ends.
func (l *lane) Tunnel(h *cachestore.Head, v *edge.View, up io.ReadWriteCloser) error {
	return tunnel(l, h, v, up)
}
