package h3

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// parting is what a client gets, when we drain, to read its last answer's end
// and the GOAWAY, after no request runs any more. Most close before.
const parting = time.Second

// conn is one connection. quic-go reads its frames and runs a goroutine for
// each request, which comes in by ServeHTTP. It has an http3.Server to itself:
// one that is shared must not be shut down while it takes connections.
type conn struct {
	server *Server
	quic   *quic.Conn
	http   *http3.Server

	mu      sync.Mutex
	active  int         // requests
	idle    *time.Timer // runs while active is 0
	wait    time.Duration
	leaving bool // GOAWAY is on its way
	over    bool
}

func newConn(s *Server, q *quic.Conn) *conn {
	c := &conn{server: s, quic: q, wait: s.config.Idle}
	// quic-go's own limit answers without a word to us. It is above ours (a
	// line more takes 32 bytes: RFC 9114, 4.2.2), so that ours judges, and logs.
	c.http = &http3.Server{Handler: c, MaxHeaderBytes: 2*s.config.HeadBytes + 32*s.config.HeadLines, Logger: s.silent}
	return c
}

// serve runs the connection to its end.
func (c *conn) serve() {
	c.mu.Lock()
	c.idle = time.AfterFunc(c.wait, c.expire)
	c.mu.Unlock()
	_ = c.http.ServeQUICConn(c.quic)
	c.bye("") // when Shutdown was faster, nobody has
	c.mu.Lock()
	c.over = true
	c.idle.Stop()
	c.mu.Unlock()
	var quiet *quic.IdleTimeoutError
	if errors.As(context.Cause(c.quic.Context()), &quiet) {
		c.server.counts.idleTimeouts.Add(1)
	}
	c.server.remove(c)
}

// ServeHTTP answers one request, on its stream's goroutine. The library ends
// the stream cleanly when it returns, and resets it when it panics.
func (c *conn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.begin()
	defer c.end()
	st := c.server.spare.Get().(*stream)
	whole := st.serve(c, w, r)
	c.server.spare.Put(st) // not after a panic: somebody may still hold its parts
	if !whole {
		panic(http.ErrAbortHandler)
	}
}

// begin counts a request. How many requests run at once quic-go bounds: a
// stream that the client has reset counts until its request is over.
func (c *conn) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.active++
	c.idle.Stop()
}

func (c *conn) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.active--; c.active == 0 && !c.over {
		c.idle.Reset(c.wait)
	}
}

// expire ends a connection on which no request runs. A head that does not come
// to its end is no request, and does not keep it open.
func (c *conn) expire() {
	c.mu.Lock()
	idle, leaving := c.active == 0, c.leaving
	c.mu.Unlock()
	if !idle {
		return
	}
	if !leaving {
		c.server.counts.idleTimeouts.Add(1)
	}
	c.bye("idle")
}

// bye closes the connection now.
func (c *conn) bye(why string) {
	_ = c.quic.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), why)
}

// farewell sends the GOAWAY and lets the connection end by itself: by the
// client, or once nothing runs on it.
func (c *conn) farewell(ctx context.Context) {
	c.mu.Lock()
	c.leaving, c.wait = true, parting
	if c.active == 0 && !c.over && c.idle != nil {
		c.idle.Reset(c.wait)
	}
	c.mu.Unlock()
	c.server.running.Go(func() { _ = c.http.Shutdown(ctx) })
}

// remote is the client's address now: it may move (RFC 9000, 9).
func (c *conn) remote() netip.AddrPort {
	a, ok := c.quic.RemoteAddr().(*net.UDPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	p := a.AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}
