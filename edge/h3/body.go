package h3

import (
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"

	"edgecache/edge"
)

// body is a request's body. It has one reader at a time: the wire before the
// session begins, then the engine, or the transport on its behalf. quic-go
// drops its trailers after it has checked them.
type body struct {
	src  io.Reader // quic-go's: it counts against Content-Length
	lane *lane     // sends the 100 that the client waits for
	pace edge.Pace

	expect bool // the client waits for a 100
	told   bool // left was announced
	left   int64
	ahead  []byte // read before the session began
	err    error  // sticky; io.EOF after the clean end

	stopped atomic.Bool // nobody wants the rest
}

var (
	bodyTooSlow    = &edge.BodyError{Status: 408, Detail: "slower than limits.body_min_rate"}
	bodyUnexpected = &edge.BodyError{Status: 400, Detail: "read after the final answer, without a 100"}
	bodyHollow     = &edge.BodyError{Status: 400, Detail: "frames without data"}
)

// maxHollow bounds how many reads in a row may bring nothing.
const maxHollow = 64

// reset makes it the body of the next request.
func (b *body) reset(src io.Reader, p *parser) {
	config := p.limits
	b.src, b.expect, b.told, b.left = src, p.expect, p.told, p.length
	b.ahead, b.err = nil, nil
	b.stopped.Store(false)
	b.pace = edge.Pace{BytesPerSecond: config.BodyMinRate, Grace: config.BodyGrace}
	b.pace.Reset()
}

// Read gives body bytes. A fault is a *BodyError. The last bytes of an announced
// length are given away only when the end behind them has been seen, so that
// one that is too long is never taken for a whole (RFC 9114, 4.1.2).
func (b *body) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(b.ahead) > 0 {
		n := copy(p, b.ahead)
		b.ahead = b.ahead[n:]
		return n, nil
	}
	if b.err != nil {
		return 0, b.err
	}
	if b.expect && !b.lane.wantBody() {
		return 0, b.fail(bodyUnexpected)
	}
	n, err := b.some(p)
	if err == nil && b.told && b.left == 0 {
		err = b.end()
	}
	if err == io.EOF {
		b.err = io.EOF
		if n > 0 {
			err = nil
		}
		return n, err
	}
	if err != nil {
		return 0, b.fail(err)
	}
	return n, nil
}

// some reads until there is something, or the end.
func (b *body) some(p []byte) (n int, err error) {
	for range maxHollow {
		if n, err = b.wait(p); n > 0 || err != nil {
			b.left -= int64(n)
			return n, err
		}
	}
	return 0, bodyHollow
}

// end looks for the end behind the last announced byte.
func (b *body) end() error {
	var one [1]byte
	n, err := b.some(one[:])
	if err == nil && n > 0 {
		return errors.New("longer than its Content-Length")
	}
	return err
}

// readAhead reads up to max bytes before anybody asks, so that a fault in them
// is found before the request is answered, and says whether there is a body.
func (b *body) readAhead(max int64) (has bool, err error) {
	var ahead []byte
	for int64(len(ahead)) < max {
		part := make([]byte, min(max-int64(len(ahead)), 4<<10))
		n, err := b.Read(part)
		ahead = append(ahead, part[:n]...)
		if err == io.EOF {
			break
		}
		if err != nil {
			return true, err
		}
	}
	b.ahead = ahead
	return len(ahead) > 0, nil
}

// stop ends a Read that waits; the answer is broken, so nobody needs the rest.
func (b *body) stop() {
	b.stopped.Store(true)
	_ = b.lane.w.SetReadDeadline(time.Unix(1, 0))
}

// fail keeps the first error, as a fault.
func (b *body) fail(err error) error {
	fault, ok := err.(*edge.BodyError)
	switch {
	case ok:
	case errors.Is(err, os.ErrDeadlineExceeded) && !b.stopped.Load():
		fault = bodyTooSlow
		b.lane.counts.slowBodies.Add(1)
	default:
		fault = &edge.BodyError{Status: 400, Detail: "cut or malformed", Err: err}
	}
	if !b.stopped.Load() {
		b.lane.counts.bodyFaults.Add(1)
	}
	b.err = fault
	return fault
}

// wait reads for as long as the pace allows.
func (b *body) wait(dst []byte) (int, error) {
	start := time.Now()
	_ = b.lane.w.SetReadDeadline(start.Add(b.pace.Left()))
	if b.stopped.Load() { // between the two, or before: stop's deadline may be gone
		return 0, os.ErrDeadlineExceeded
	}
	n, err := b.src.Read(dst)
	b.pace.Waited(start, n)
	return n, err
}
