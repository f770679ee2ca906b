package origin

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"sync"
	"time"
)

// body is an answer's body. One goroutine reads it; Close may come from
// another. At its end, however it comes, the connection goes back to the idle
// list or is closed, and the turn under max_conns is given back.
type body struct {
	ctx    context.Context
	peer   *Peer
	wire   *wire
	inner  io.ReadCloser // nil: left bytes of in
	in     *bufio.Reader
	left   int64
	idle   time.Duration
	grip   grip
	direct bool // not net/http's; the wire itself may be another's by now
	once   sync.Once
	err    error // what the last Read said, and every later one says
}

// tunnel is the body of a 101: both directions of the raw connection.
type tunnel struct {
	end  func()
	wire *wire
	raw  io.ReadWriter
	stop func() bool // stops the watch on the context
}

var (
	_ io.ReadCloser      = (*body)(nil)
	_ io.ReadWriteCloser = (*tunnel)(nil)
)

// deliver puts our body into res, or ends the exchange when there is none.
func (x exchange) deliver(ctx context.Context, p *Peer, res *http.Response, idle time.Duration, g grip) {
	b, ours := res.Body.(*body)
	if !ours {
		b = &body{inner: res.Body}
	}
	b.ctx, b.peer, b.wire, b.idle, b.grip, b.direct = ctx, p, x.wire, idle, g, x.wire.cc == nil
	raw, switched := res.Body.(io.ReadWriteCloser)
	switch {
	case switched && res.StatusCode == http.StatusSwitchingProtocols:
		x.wire.conn.startTunnel()
		res.Body = &tunnel{end: func() { b.end(false) }, wire: x.wire, raw: raw, stop: context.AfterFunc(ctx, x.wire.close)}
	case res.Body == http.NoBody:
		b.end(true)
	default:
		res.Body = b
	}
}

// Ready says whether the next Read has something without waiting for the peer. It may
// say no when there is.
func (b *body) Ready() bool {
	return b.direct && b.err == nil && b.wire.in != nil && b.wire.in.Buffered() > 0
}

// Read returns io.EOF only after the whole body.
func (b *body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.read(p)
	if err == nil {
		return n, nil
	}
	b.err = b.verdict(err)
	b.end(b.err == io.EOF)
	return n, b.err
}

// read returns io.EOF together with the last byte of a known length.
func (b *body) read(p []byte) (int, error) {
	if b.inner != nil {
		return b.inner.Read(p)
	}
	if b.left == 0 {
		return 0, io.EOF
	}
	n, err := b.in.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	switch {
	case b.left == 0:
		return n, io.EOF
	case err == io.EOF:
		return n, io.ErrUnexpectedEOF
	}
	return n, err
}

// verdict says what an error of net/http means.
func (b *body) verdict(err error) error {
	f, u := b.wire.conn.verdict()
	switch {
	case f != nil && f.reason != ReasonSurplus:
		b.peer.stats.badAnswers.Add(1)
		return &BodyError{Peer: b.peer.Name(), Reason: f.reason}
	case err == io.EOF && b.wire.conn.atEnd():
		return io.EOF
	case err == io.EOF:
		return &BodyError{Peer: b.peer.Name(), Err: io.ErrUnexpectedEOF}
	case b.ctx.Err() != nil:
		return &BodyError{Peer: b.peer.Name(), Err: context.Cause(b.ctx)}
	case u.expired != "", isTimeout(err):
		return &TimeoutError{Peer: b.peer.Name(), Phase: PhaseIdle, Sent: true}
	}
	return &BodyError{Peer: b.peer.Name(), Err: err}
}

// Close ends the exchange. A body that was not read to its end costs its
// connection.
func (b *body) Close() error {
	if b.direct { // what net/http's body would do is to read the rest
		b.end(false)
		return nil
	}
	err := b.inner.Close()
	b.end(true)
	return err
}

// end gives the connection back if all of the answer was read, as far as the
// caller knows, and nothing speaks against it.
func (b *body) end(whole bool) {
	b.once.Do(func() {
		if f, _ := b.wire.conn.verdict(); f != nil && f.reason == ReasonSurplus {
			b.peer.stats.badAnswers.Add(1)
		}
		mine := b.grip.loose()
		if !mine || !whole || !b.wire.reusable() || !b.peer.idle.put(b.wire, b.idle) {
			b.wire.close()
		}
		b.peer.release()
	})
}

// Read reads what the peer sends.
func (t *tunnel) Read(p []byte) (int, error) { return t.raw.Read(p) }

// Write sends to the peer.
func (t *tunnel) Write(p []byte) (int, error) { return t.raw.Write(p) }

// CloseWrite tells the peer that no more will be sent.
func (t *tunnel) CloseWrite() error { return t.wire.conn.CloseWrite() }

// Close closes the connection.
func (t *tunnel) Close() error {
	t.stop()
	t.end()
	return nil
}
