package origin

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"time"
)

// wire is one connection to a peer, below it our strict reader. It serves one
// request at a time and belongs to that request, or to the idle list. It is
// spoken on by ourselves until a request needs net/http's client, and from then
// on by that: its goroutine reads whatever comes.
type wire struct {
	cc         *http.ClientConn // nil: we speak ourselves
	in         *bufio.Reader    // of the answers, where we do
	head       []byte           // an answer's
	stacked    bool             // in reads from another in: not to be kept
	keep       bool             // both sides keep the connection after the last answer
	peek       *peeker
	conn       *checkedConn
	tlsVersion uint16
	remote     string
	until      time.Time // while it is idle: when that is over
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
	return c.wire(p, raw, version), nil
}

func (c *Client) wire(p *Peer, raw net.Conn, version uint16) *wire {
	w := &wire{tlsVersion: version, remote: raw.RemoteAddr().String(), peek: newPeeker(raw)}
	w.conn = &checkedConn{
		Conn:    raw,
		idle:    c.timeouts.Idle,
		first:   c.timeouts.FirstByte,
		onClose: func() { p.idle.remove(w) },
		scan:    scanner{maxBytes: c.headBytes, maxLines: c.headLines},
	}
	return w
}

// hand gives a connection to net/http's client for good.
func (c *Client) hand(ctx context.Context, p *Peer, w *wire) error {
	if w.cc != nil {
		return nil
	}
	w.conn.handOver()
	cc, err := c.transport(w.conn).NewClientConn(ctx, "http", p.URL.Host)
	if err != nil {
		return &DialError{Peer: p.Name(), Err: err}
	}
	w.cc, w.in, w.head = cc, nil, nil
	return nil
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

// reusable reports whether the reader and the scanner are done with the last
// answer and agree where it ended.
func (w *wire) reusable() bool {
	if w.cc != nil {
		return w.cc.Available() > 0 && w.conn.complete()
	}
	return w.keep && w.conn.complete() && w.in.Buffered() == 0
}

func (w *wire) close() {
	if w.cc != nil {
		w.cc.Close()
	}
	w.conn.Close() // after a 101 net/http leaves that to us
}
