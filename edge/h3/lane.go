package h3

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"edgecache/cachestore"
	"edgecache/edge"
	"edgecache/edge/syntax"
)

var (
	errStall = errors.New("client takes nothing")
)

// responder is what quic-go's ResponseWriter can do.
type responder interface {
	http.ResponseWriter
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
	FlushError() error
}

// lane sends one stream's answer. It belongs to the stream's goroutine; only
// what mu guards is also touched by the goroutine that reads the request's body.
type lane struct {
	session *edge.Session
	counts  *counters
	body    *body
	stall   time.Duration

	w      responder
	gone   <-chan struct{}
	left   int64 // body bytes that the head has announced; -1 nobody knows
	silent bool  // the answer has no body
	state  answerState
	begun  atomic.Bool

	mu        sync.Mutex
	final     bool // the final head is made: no 1xx after it
	continued bool // a 100 went out
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

// next makes the lane ready for a stream.
func (l *lane) next(w responder, gone <-chan struct{}) {
	l.w, l.gone, l.left, l.silent, l.state = w, gone, 0, false, answerDue
	l.begun.Store(false)
	l.final, l.continued = false, false
}

// SendObject sends a whole answer from memory.
func (l *lane) SendObject(h *cachestore.Head, b *cachestore.Body, v *edge.View) error {
	if !v.NoBody && v.Length != v.To-v.From {
		return edge.ErrLength
	}
	if err := l.SendHead(h, v); err != nil {
		return err
	}
	for at := v.From; at < v.To && !l.silent; {
		part := b.At(at)
		if len(part) == 0 {
			return l.broken(edge.ErrAbsent)
		}
		part = part[:min(int64(len(part)), v.To-at)]
		if err := l.Write(part); err != nil {
			return err
		}
		at += int64(len(part))
	}
	return l.End(nil)
}

// SendHead starts an answer. It leaves with the body's first bytes, or at Flush.
func (l *lane) SendHead(h *cachestore.Head, v *edge.View) error {
	if l.state != answerDue {
		return edge.ErrEnded
	}
	l.mu.Lock()
	l.final = true
	l.mu.Unlock()
	l.state, l.silent, l.left = answerOpen, v.NoBody || bodiless(v.Status), -1
	if v.Length >= 0 {
		l.left = v.Length
	}
	l.begun.Store(true)
	f := fields{into: l.w.Header()}
	f.block(h.Kept())
	if !v.KeptOnly {
		f.block(h.Representation())
	}
	for i := range v.Tail {
		f.add(string(v.Tail[i].Name), string(v.Tail[i].Value))
	}
	if v.Length >= 0 && v.Status >= 200 && v.Status != http.StatusNoContent {
		f.add("Content-Length", strconv.FormatInt(v.Length, 10))
	}
	f.stay("Content-Length")
	f.stay("Content-Type")
	f.stay("Date")
	l.session.HeadBytes = f.bytes
	l.w.WriteHeader(v.Status)
	return nil
}

// bodiless says whether answers of that status never have a body.
func bodiless(status int) bool {
	return status < 200 || status == http.StatusNoContent || status == http.StatusNotModified
}

// fields fills quic-go's header and counts its bytes.
type fields struct {
	into  http.Header
	bytes int64
}

// block adds the lines of a head's span.
func (f *fields) block(lines []byte) {
	for rest := string(lines); rest != ""; {
		var line string
		line, rest, _ = strings.Cut(rest, "\r\n")
		name, value, _ := strings.Cut(line, ": ")
		f.add(name, value)
	}
}

// add adds a field, unless it is one of a connection (RFC 9114, 4.2) or would
// make quic-go take others for trailers.
func (f *fields) add(name, value string) {
	name = http.CanonicalHeaderKey(name)
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade", "Trailer":
		return
	}
	if strings.HasPrefix(name, http.TrailerPrefix) {
		return
	}
	f.into[name] = append(f.into[name], value)
	f.bytes += int64(len(name) + len(value))
}

// stay keeps quic-go from making up a field that the answer does not have.
func (f *fields) stay(name string) {
	if _, has := f.into[name]; !has {
		f.into[name] = nil
	}
}

// Write sends body bytes. Small ones wait for Flush, End, or company.
func (l *lane) Write(p []byte) error {
	if l.state != answerOpen {
		return edge.ErrEnded
	}
	if l.silent || len(p) == 0 {
		return nil
	}
	if l.left >= 0 {
		if l.left -= int64(len(p)); l.left < 0 {
			return l.broken(edge.ErrLength)
		}
	}
	for len(p) > 0 {
		n, err := l.push(p)
		if err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// push writes once, for as long as something moves.
func (l *lane) push(p []byte) (int, error) {
	_ = l.w.SetWriteDeadline(time.Now().Add(l.stall))
	n, err := l.w.Write(p)
	if err == nil || n > 0 && errors.Is(err, os.ErrDeadlineExceeded) {
		return n, nil
	}
	return n, l.stuck(err)
}

// stuck ends an answer whose client cannot be written to.
func (l *lane) stuck(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		l.counts.writeStalls.Add(1)
		err = errStall
	}
	return l.broken(err)
}

// Flush hands over what is buffered.
func (l *lane) Flush() error {
	if l.state != answerOpen {
		return nil
	}
	_ = l.w.SetWriteDeadline(time.Now().Add(l.stall))
	if err := l.w.FlushError(); err != nil {
		return l.stuck(err)
	}
	return nil
}

// End ends the answer cleanly, if as much of it came as was announced. The
// stream's end itself goes out when the request is over.
func (l *lane) End(trailer http.Header) error {
	if l.state != answerOpen {
		return edge.ErrEnded
	}
	if !l.silent && l.left > 0 {
		return l.broken(edge.ErrLength)
	}
	if err := l.Flush(); err != nil {
		return err
	}
	if !l.silent {
		l.trail(trailer)
	}
	l.state = answerEnded
	return nil
}

// trail gives quic-go the trailers; what is no field is left out.
func (l *lane) trail(trailer http.Header) {
	h := l.w.Header()
	for name, values := range trailer {
		for _, value := range values {
			if name != "" && syntax.All(name, syntax.InToken) && syntax.All(value, syntax.InValue) {
				name := http.TrailerPrefix + http.CanonicalHeaderKey(name)
				h[name] = append(h[name], value)
			}
		}
	}
}

// Abort breaks the answer visibly: the stream is reset.
func (l *lane) Abort(error) {
	if l.state != answerEnded {
		_ = l.broken(edge.ErrEnded)
	}
}

// broken ends an answer that is not whole. The stream is reset when its
// goroutine comes back; so nobody may wait for the request's body.
func (l *lane) broken(err error) error {
	if l.state != answerBroken {
		l.counts.aborted.Add(1)
	}
	l.state = answerBroken
	l.body.stop()
	return err
}

// Started says whether the final answer's head is out.
func (l *lane) Started() bool { return l.begun.Load() }

// Gone is closed when the client has left the stream, or the connection.
func (l *lane) Gone() <-chan struct{} { return l.gone }

// Interim sends a 1xx answer (RFC 9114, 4.1), unless it comes too late.
func (l *lane) Interim(status int, h http.Header) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.final {
		return nil
	}
	f := fields{into: l.w.Header()}
	for name, values := range h {
		for _, value := range values {
			if name != "" && syntax.All(name, syntax.InToken) && syntax.All(value, syntax.InValue) {
				f.add(name, value)
			}
		}
	}
	_ = l.w.SetWriteDeadline(time.Now().Add(l.stall))
	l.w.WriteHeader(status)
	clear(f.into)
	return nil
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
	_ = l.w.SetWriteDeadline(time.Now().Add(l.stall))
	l.w.WriteHeader(http.StatusContinue)
	return true
}

// Tunnel is not for this wire: no request of it asks for an upgrade.
func (l *lane) Tunnel(_ *cachestore.Head, _ *edge.View, up io.ReadWriteCloser) error {
	_ = l.broken(errors.ErrUnsupported)
	return errors.Join(errors.ErrUnsupported, up.Close())
}
