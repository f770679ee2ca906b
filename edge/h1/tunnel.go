package h1

import (
	"errors"
	"io"
	"sync/atomic"
	"time"

	"edgecache/cachestore"
	"edgecache/edge"
	"edgecache/policy"
)

// closeWriter is a connection that can end one direction.
type closeWriter interface{ CloseWrite() error }

// tunnel answers 101 and copies bytes both ways until both sides have ended,
// one of them fails, or nothing moved for limits.TunnelIdle (RFC 9110, 7.8).
// Shutdown closes the socket and so ends it, too.
func tunnel(l *lane, h *cachestore.Head, v *edge.View, up io.ReadWriteCloser) error {
	defer up.Close()
	c := l.c
	c.leaving.stop()
	view := *v
	if _, ok := v.Tail.Get("Upgrade"); !ok {
		protocol := policy.Field{Name: []byte("Upgrade"), Value: []byte(c.session.Request.Upgrade)}
		view.Tail = append(v.Tail[:len(v.Tail):len(v.Tail)], protocol)
	}
	if err := l.begin(h, &view); err != nil {
		return err
	}
	l.closing = true
	if err := l.out.flush(); err != nil {
		return err
	}
	c.server.counts.tunnels.Add(1)
	t := &pipe{c: c, up: up}
	t.moved.Store(time.Now().UnixNano())
	down := make(chan error, 1)
	go func() { down <- t.toClient() }()
	err := t.toOrigin()
	if err != nil {
		_ = up.Close()
	}
	if e := t.await(down); err == nil {
		err = e
	}
	l.state = answerEnded
	c.session.BodyBytes = t.sent.Load()
	return err
}

// pipe is a tunnel's two directions.
type pipe struct {
	c     *conn
	up    io.ReadWriteCloser
	moved atomic.Int64 // Unix ns of the last byte either way
	sent  atomic.Int64 // bytes to the client
	wake  atomic.Bool  // the other direction has ended: look again
	half  atomic.Bool  // it has ended cleanly
	cut   atomic.Bool  // it has failed
}

// toOrigin copies what the client sends, first what is buffered. The client's
// end is passed on.
func (t *pipe) toOrigin() error {
	in := &t.c.in
	for {
		if have := in.buffered(); len(have) > 0 {
			if _, err := t.up.Write(have); err != nil {
				return err
			}
			in.consume(len(have))
			t.moved.Store(time.Now().UnixNano())
		}
		switch err := in.fill(t.idleAt(), &t.wake); {
		case err == nil:
		case errors.Is(err, errLate):
			t.wake.Store(false)
			if t.cut.Load() {
				return nil // toClient has the error
			}
			if !time.Now().Before(t.idleAt()) {
				return errLate
			}
		case err == io.EOF:
			if up, ok := t.up.(closeWriter); ok {
				return up.CloseWrite()
			}
			return t.up.Close()
		default:
			return err
		}
	}
}

// idleAt is when the tunnel has been idle for too long. Once one side has
// ended, the other has no more time than a head.
func (t *pipe) idleAt() time.Time {
	idle := t.c.server.config.TunnelIdle
	if t.half.Load() {
		idle = min(idle, t.c.server.config.HeaderTimeout)
	}
	return time.Unix(0, t.moved.Load()).Add(idle)
}

// toClient copies what the origin sends; its end is passed on.
func (t *pipe) toClient() error {
	buf := newBuffer(smallBuffer)
	defer dropBuffer(buf)
	for {
		n, err := t.up.Read(buf)
		if n > 0 {
			t.moved.Store(time.Now().UnixNano())
			if _, err := t.c.lane.out.dst.Write(buf[:n]); err != nil {
				return t.ends(&t.cut, err)
			}
			t.sent.Add(int64(n))
		}
		if err == io.EOF {
			return t.ends(&t.half, t.c.closeWrite())
		}
		if err != nil {
			return t.ends(&t.cut, err)
		}
	}
}

// ends tells toOrigin how the origin's direction ended.
func (t *pipe) ends(how *atomic.Bool, err error) error {
	t.moved.Store(time.Now().UnixNano())
	how.Store(true)
	t.wake.Store(true)
	t.c.wire.interrupt()
	return err
}

// await waits for the origin's direction after the client's has ended, for as
// long as bytes move.
func (t *pipe) await(down <-chan error) error {
	timer := time.NewTimer(time.Until(t.idleAt()))
	defer timer.Stop()
	for {
		select {
		case err := <-down:
			return err
		case <-timer.C:
		}
		left := time.Until(t.idleAt())
		if left <= 0 {
			_ = t.up.Close()
			return errors.Join(errLate, <-down)
		}
		timer.Reset(left)
	}
}
