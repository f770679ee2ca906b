package h1

import (
	"bytes"
	"time"
)

// prior is how a preface begins (RFC 9113, 3.4): no request does.
var prior = []byte("PRI ")

// handOver gives a connection to HTTP/2 that has agreed on it, or that begins with its
// preface (prior knowledge). It returns when that has ended.
func (c *conn) handOver() bool {
	h := c.server.config.HTTP2
	if c.tls != nil {
		if c.tls.ConnectionState().NegotiatedProtocol != "h2" {
			return false
		}
		h.Serve(c.server.ctx, c.tls, c.wire.Conn, nil)
		return true
	}
	until := time.Now().Add(c.server.config.HeaderTimeout)
	for {
		have := c.in.buffered()
		if len(have) >= len(prior) || !bytes.HasPrefix(prior, have) {
			break
		}
		c.idle.Store(true)
		err := c.in.fill(until, &c.server.draining)
		c.idle.Store(false)
		if err != nil {
			break // await will find it, too
		}
	}
	if !bytes.HasPrefix(c.in.buffered(), prior) {
		return false
	}
	under := h.Wrap(c.socket)
	h.Serve(c.server.ctx, under, under, bytes.Clone(c.in.buffered()))
	return true
}
