package h2

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Sizes of a connection.
const (
	readBytes   = 32 << 10  // what one read takes; a whole frame fits
	idleBytes   = 4 << 10   // the same, of a connection that says little
	batchBytes  = 256 << 10 // of the window that inline answers take at once
	flushBytes  = 64 << 10  // of inline answers that one write sends: they are still in the cache
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
	small       []byte // idleBytes; buf, or what buf comes back to
	large       loan
	begun       time.Time // when the frame began that is not whole yet, one that is no DATA; zero = none
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
	batchLoan   loan
	grant       int64 // taken from window for inline answers
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
	outLoan    loan
	window     int64 // what the client lets us send, all streams together
	peerWindow int64 // and a new stream
	theirs     int64 // what the client may still send, all streams together
	unread     int64 // bytes of bodies that wait to be read
	returned   int64 // bytes read and not yet given back
	updates    map[uint32]priority
	leaving    bool // a final GOAWAY went out
	draining   bool
	idleFrom   time.Time
	crumbs     *time.Timer // runs while crumbs of the window are waited out
	err        error
}

// fragment is a header block that has begun (RFC 9113, 6.2, 6.10).
type fragment struct {
	open    bool
	stream  uint32
	end     bool  // END_STREAM
	depends error // what is wrong with its priority
	block   []byte
	frames  int
	since   time.Time
}

// priority is what a PRIORITY_UPDATE said.
type priority struct {
	urgency uint8
	rotates bool
}

func newConn(s *Server, nc net.Conn, under *shim) *conn {
	now := time.Now()
	c := &conn{
		server: s, nc: nc, under: under, decoder: newDecoder(), small: make([]byte, idleBytes), now: now, idleFrom: now,
		streams: map[uint32]*stream{}, window: firstWindow, peerWindow: firstWindow, firstWindow: firstWindow, updates: map[uint32]priority{},
		theirs: int64(s.config.ConnWindow), resets: newBudget(s.config.Resets, now), controls: newBudget(s.config.Controls, now),
	}
	c.buf = c.small
	if t, ok := nc.(*tls.Conn); ok {
		c.tls = t.ConnectionState().Version
	}
	if a, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		c.remote = a.AddrPort()
		c.remote = netip.AddrPortFrom(c.remote.Addr().Unmap(), c.remote.Port())
	}
	return c
}

var (
	errIdle     = errors.New("nothing came for limits.idle")
	errSlowHead = connError{codeCalm, "header block not complete in time"}
)

// serve runs the connection to its end. first was read before.
func (c *conn) serve(ctx context.Context, first []byte) {
	defer c.close()
	defer context.AfterFunc(ctx, func() { _ = c.under.Conn.Close() })()
	c.under.start(c.drained)
	c.hold(len(first))
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
			c.begun = time.Time{}
			c.r += size
			err = c.on(&f)
		}
		if err != nil {
			if err = c.mend(err); err != nil {
				return err
			}
		}
		if size == 0 {
			c.await()
			return nil
		}
		if len(c.batch) >= flushBytes {
			if err := c.flushBatch(); err != nil {
				return err
			}
		}
	}
}

// await notes since when a frame is not whole. DATA may take its time: a body has a
// rate of its own.
func (c *conn) await() {
	have := c.buf[c.r:c.w]
	switch {
	case len(have) == 0:
		c.begun = time.Time{}
	case len(have) > frameKindAt && kind(have[frameKindAt]) == kindData:
		c.begun = time.Time{}
		c.partOf(have)
	case c.begun.IsZero():
		c.begun = c.now
	}
}

// partOf tells a body how much has come of a DATA frame that is not whole.
func (c *conn) partOf(have []byte) {
	if len(have) <= frameHead {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if st := c.streams[frameStream(have)]; st != nil {
		st.body.part = int64(len(have) - frameHead)
	}
}

// mend resets the stream that an error is about; another error ends the connection.
func (c *conn) mend(err error) error {
	var s streamError
	if errors.As(err, &s) {
		return c.streamFault(s)
	}
	return err
}

// read waits for more, as long as the state allows.
func (c *conn) read() error {
	c.park()
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
			c.batch = c.batchLoan.take(c.batch)
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
		return c.fragment.since.Add(c.server.config.HeaderTimeout), errSlowHead
	}
	if !c.begun.IsZero() {
		return c.begun.Add(c.server.config.HeaderTimeout), errSlowHead
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
