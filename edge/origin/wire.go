package origin

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// wire is one connection to a peer: net/http's client for it, and our reader
// below that. It serves one request at a time and belongs to that request, or
// to the idle list.
type wire struct {
	cc         *http.ClientConn
	conn       *checkedConn
	tlsVersion uint16
	remote     string
	expiry     *time.Timer // while it is idle
}

// connect makes a new connection to the peer.
func (c *Client) connect(ctx context.Context, p *Peer) (*wire, error) {
	raw, version, err := p.dialer.dial(ctx)
	if err != nil && ctx.Err() != nil {
		return nil, &ConnError{Peer: p.Name(), Err: context.Cause(ctx)}
	}
	if err != nil {
		return nil, &DialError{Peer: p.Name(), Err: err}
	}
	p.stats.dialled.Add(1)
	return c.wire(ctx, p, raw, version)
}

func (c *Client) wire(ctx context.Context, p *Peer, raw net.Conn, version uint16) (*wire, error) {
	w := &wire{tlsVersion: version, remote: raw.RemoteAddr().String()}
	w.conn = &checkedConn{
		Conn:    raw,
		idle:    c.timeouts.Idle,
		onClose: func() { p.idle.remove(w) },
		scan:    scanner{maxBytes: c.headBytes, maxLines: c.headLines},
	}
	cc, err := c.transport(w.conn).NewClientConn(ctx, "http", p.URL.Host)
	if err != nil {
		raw.Close()
		return nil, &DialError{Peer: p.Name(), Err: err}
	}
	w.cc = cc
	return w, nil
}

// transport returns the settings for one connection, which is already made and,
// for https, has shaken hands.
func (c *Client) transport(conn net.Conn) *http.Transport {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Transport{
		DialContext:            func(context.Context, string, string) (net.Conn, error) { return conn, nil },
		Protocols:              &protocols,
		DisableCompression:     true,
		ResponseHeaderTimeout:  c.timeouts.FirstByte,
		ExpectContinueTimeout:  continueTimeout,
		MaxResponseHeaderBytes: int64(c.headBytes) + 64<<10, // the scanner's limit is the one that counts
	}
}

// continueTimeout is how long a request with Expect: 100-continue waits before
// its body is sent anyway (RFC 9110, 10.1.1).
const continueTimeout = time.Second

// reusable reports whether both net/http and the scanner are done with the
// last answer and agree where it ended.
func (w *wire) reusable() bool {
	return w.cc.Available() > 0 && w.conn.complete()
}

func (w *wire) close() {
	w.cc.Close()
	w.conn.Close() // after a 101 net/http leaves that to us
}

// idleList holds a peer's connections that wait for a request, the latest
// last. Nothing of net/http is called under its lock: net/http calls remove
// while it holds a lock of its own.
type idleList struct {
	max int

	mu     sync.Mutex
	wires  []*wire
	closed bool
}

// maxIdle bounds the idle connections of one peer.
const maxIdle = 256

// take returns the connection that was used last, or nil.
func (l *idleList) take() *wire {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.wires) == 0 {
		return nil
	}
	w := l.wires[len(l.wires)-1]
	l.wires[len(l.wires)-1] = nil
	l.wires = l.wires[:len(l.wires)-1]
	w.expiry.Stop()
	return w
}

// put keeps a connection for span at most. It reports false when the list is
// full or closed; the connection is then the caller's to close.
func (l *idleList) put(w *wire, span time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.wires) >= l.max {
		return false
	}
	l.wires = append(l.wires, w)
	w.expiry = time.AfterFunc(span, func() {
		if l.remove(w) {
			w.close()
		}
	})
	return true
}

// remove takes w off the list and reports whether it was on it.
func (l *idleList) remove(w *wire) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, x := range l.wires {
		if x == w {
			l.wires = append(l.wires[:i], l.wires[i+1:]...)
			w.expiry.Stop()
			return true
		}
	}
	return false
}

// drain closes all that is idle now.
func (l *idleList) drain() {
	for w := l.take(); w != nil; w = l.take() {
		w.close()
	}
}

// close drains the list and lets nothing in again.
func (l *idleList) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.drain()
}

func (l *idleList) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

func (l *idleList) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.wires)
}
