package h2

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// Sizes of a connection.
const (
	readBytes   = 32 << 10  // what one read takes; a whole frame fits
	batchBytes  = 256 << 10 // of inline answers that one write sends
	inlineBytes = 64 << 10  // of a body that is answered inline
	writeBytes  = 64 << 10  // gathered from streams for one write
)

// conn is one connection. The reader, its goroutine, owns what is above mu.
type conn struct {
	server *Server
	nc     net.Conn // TLS, or under itself
	under  *shim
	remote netip.AddrPort
	tls    uint16 // version, 0 in cleartext

	buf         []byte // read and not yet used: buf[r:w]
	r, w        int
	armed       time.Time // read deadline; zero = none
	now         time.Time // when the last read returned
	settled     bool      // the client's first SETTINGS came
	decoder     decoder
	fragment    fragment
	scratch     block
	lastID      uint32
	free        []*stream
	answered    recent // streams that the reader has closed
	firstWindow int64  // peerWindow, for the reader
	batch       []byte // inline answers and acknowledgements, not yet written
	grant       int64  // taken from window for inline answers
	granted     bool
	resets      budget
	controls    budget
	updatesDue  int // tiny WINDOW_UPDATEs that requests have paid for

	running sync.WaitGroup // streams
	woken   atomic.Bool    // the reader was waked by us
	hurried atomic.Bool    // the client has not answered the PING of a drain
	live    atomic.Int32   // len(streams)

	mu         sync.Mutex
	streams    map[uint32]*stream
	active     int // of them, those that the client has no end of yet
	recent     recent
	sched      sched
	out        []byte // of streams, not yet written
	window     int64  // what the client lets us send, all streams together
	peerWindow int64  // and a new stream
	theirs     int64  // what the client may still send, all streams together
	unread     int64  // bytes of bodies that wait to be read
	returned   int64  // bytes read and not yet given back
	updates    map[uint32]priority
	leaving    bool // a final GOAWAY went out
	draining   bool
	idleFrom   time.Time
	crumbs     *time.Timer // runs while crumbs of the window are waited out
	err        error
}

// fragment is a header block that has begun (RFC 9113, 6.2, 6.10).
type fragment struct {
	open   bool
	stream uint32
	end    bool // END_STREAM
	block  []byte
	frames int
	since  time.Time
}

// priority is what a PRIORITY_UPDATE said.
type priority struct {
	urgency uint8
	rotates bool
}

func newConn(s *Server, nc net.Conn, under *shim) *conn {
	now := time.Now()
	c := &conn{
		server: s, nc: nc, under: under, decoder: newDecoder(), buf: make([]byte, readBytes), now: now, idleFrom: now,
		streams: map[uint32]*stream{}, window: firstWindow, peerWindow: firstWindow, firstWindow: firstWindow, updates: map[uint32]priority{},
		theirs: int64(s.config.ConnWindow), resets: newBudget(s.config.Resets, now), controls: newBudget(s.config.Controls, now),
	}
	if t, ok := nc.(*tls.Conn); ok {
		c.tls = t.ConnectionState().Version
	}
	if a, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		c.remote = a.AddrPort()
		c.remote = netip.AddrPortFrom(c.remote.Addr().Unmap(), c.remote.Port())
	}
	return c
}

var errIdle = errors.New("nothing came for limits.idle")

// serve runs the connection to its end. first was read before.
func (c *conn) serve(ctx context.Context, first []byte) {
	defer c.close()
	defer context.AfterFunc(ctx, func() { _ = c.under.Conn.Close() })()
	c.under.start(c.drained)
	c.w = copy(c.buf, first)
	c.batch = c.appendHello(c.batch)
	err := c.flushBatch() // nothing comes before it
	if err == nil {
		err = c.greet()
	}
	for err == nil {
		if err = c.flushBatch(); err == nil {
			if err = c.read(); err == nil {
				err = c.frames()
			}
		}
	}
	c.finish(err)
}

// greet reads the client's preface.
func (c *conn) greet() error {
	c.fragment.open, c.fragment.since = true, c.now // it has limits.header_timeout
	for c.w-c.r < len(preface) {
		have := c.w - c.r
		if string(c.buf[c.r:c.w]) != preface[:have] {
			return connError{codeProtocol, "no preface"}
		}
		if err := c.flushBatch(); err != nil {
			return err
		}
		if err := c.read(); err != nil {
			return err
		}
	}
	if string(c.buf[c.r:c.r+len(preface)]) != preface {
		return connError{codeProtocol, "no preface"}
	}
	c.r += len(preface)
	c.fragment = fragment{}
	return c.frames()
}

// frames works off every whole frame that is there.
func (c *conn) frames() error {
	for {
		f, size, err := cutFrame(c.buf[c.r:c.w])
		if err == nil && size > 0 {
			c.r += size
			err = c.on(&f)
		}
		var s streamError
		if errors.As(err, &s) {
			err = c.streamFault(s)
		}
		if err != nil {
			return err
		}
		if size == 0 {
			return nil
		}
		if len(c.batch) >= batchBytes {
			if err := c.flushBatch(); err != nil {
				return err
			}
		}
	}
}

// read waits for more, as long as the state allows.
func (c *conn) read() error {
	if c.r > 0 {
		c.w = copy(c.buf, c.buf[c.r:c.w])
		c.r = 0
	}
	for {
		until, why := c.deadline()
		if c.armed.IsZero() || until.Before(c.armed) {
			c.armed = until
			_ = c.nc.SetReadDeadline(until)
		}
		if c.woken.Swap(false) {
			c.armed = time.Time{}
			if err := c.look(); err != nil {
				return err
			}
			continue
		}
		n, err := c.nc.Read(c.buf[c.w:])
		now := time.Now()
		if n > 0 { // else nothing came, and idleness goes on from where it began
			c.now = now
			c.w += n
			return nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		c.armed = time.Time{}
		if c.woken.Load() {
			continue
		}
		if until, why = c.deadline(); !now.Before(until) {
			return why
		}
	}
}

// deadline says until when a read may wait, and what it is when nothing comes.
func (c *conn) deadline() (time.Time, error) {
	if c.fragment.open {
		return c.fragment.since.Add(c.server.config.HeaderTimeout), connError{codeCalm, "header block not complete in time"}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	from := c.idleFrom
	if from.Before(c.now) {
		from = c.now
	}
	if len(c.streams) > 0 {
		from = time.Now()
	}
	return from.Add(c.server.config.Idle), errIdle
}

// wakeReader makes the reader look at the connection again.
func (c *conn) wakeReader() {
	c.woken.Store(true)
	_ = c.nc.SetReadDeadline(time.Unix(1, 0))
}

// look is what a waked reader does: it ends a drain.
func (c *conn) look() error {
	if c.hurried.Load() {
		if err := c.sayGoodbye(); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leaving && len(c.streams) == 0 {
		return errGone
	}
	return nil
}

// flushBatch writes what the reader has made, and gives back what it has not used
// of the window.
func (c *conn) flushBatch() error {
	if len(c.batch) == 0 && !c.granted {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.window += c.grant
	c.grant, c.granted = 0, false
	if len(c.batch) > 0 && c.err == nil {
		c.write(c.batch)
	}
	c.batch = c.batch[:0]
	c.pump()
	if c.err != nil {
		return c.err
	}
	if c.leaving && len(c.streams) == 0 {
		return errGone
	}
	return nil
}

// write hands bytes to the wire, which takes them all without waiting. mu is held.
func (c *conn) write(b []byte) {
	c.under.cork()
	_, err := c.nc.Write(b)
	if e := c.under.uncork(); err == nil {
		err = e
	}
	if err != nil && c.err == nil {
		if errors.Is(err, errBacklog) {
			c.server.counts.backlogs.Add(1)
		}
		c.err = err
		_ = c.under.Conn.Close()
	}
}

// finish ends what runs, says why, and hangs up.
func (c *conn) finish(err error) {
	var ce connError
	k := codeNone
	switch {
	case errors.As(err, &ce):
		k = ce.code
		c.server.counts.connErrors.Add(1)
		c.note(ce)
	case errors.Is(err, errIdle):
		c.server.counts.idleTimeouts.Add(1)
	}
	c.mu.Lock()
	if c.err == nil {
		c.out = appendGoAway(c.out, c.lastID, k)
		c.flush()
	}
	if c.err == nil {
		c.err = errGone
	}
	for _, st := range c.streams {
		c.end(st, errGone)
	}
	c.mu.Unlock()
	c.linger()
}

// lingerTime is how long what was written last may take, and how long we read what
// was on its way: a socket closed with unread input resets, and the GOAWAY is lost.
const lingerTime = time.Second

func (c *conn) linger() {
	timer := time.AfterFunc(lingerTime, func() { _ = c.under.Conn.Close() })
	defer timer.Stop()
	if c.under.await(0) != nil {
		return
	}
	if t, ok := c.nc.(*tls.Conn); ok {
		_ = t.CloseWrite()
	}
	if c.under.await(0) != nil || c.under.CloseWrite() != nil {
		return
	}
	_ = c.under.Conn.SetReadDeadline(time.Now().Add(lingerTime))
	for left := 2 << 20; left > 0; {
		n, err := c.under.Conn.Read(c.buf)
		if err != nil {
			return
		}
		left -= n
	}
}

// close waits for the streams; a panic of the reader costs this connection alone.
func (c *conn) close() {
	if r := recover(); r != nil {
		c.panicked(r)
		c.mu.Lock()
		c.err = errGone
		for _, st := range c.streams {
			c.end(st, errGone)
		}
		c.mu.Unlock()
	}
	_ = c.under.Close()
	c.running.Wait()
	c.server.remove(c)
}

func (c *conn) panicked(r any) {
	c.server.counts.panics.Add(1)
	c.server.config.Log.Error("panic on an HTTP/2 connection", "panic", r, "stack", string(debug.Stack()))
}
