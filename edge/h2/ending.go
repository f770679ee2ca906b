package h2

import (
	"crypto/tls"
	"errors"
	"runtime/debug"
	"time"
)

// finish ends what runs, says why, and hangs up.
func (c *conn) finish(err error) {
	var ce connError
	k := codeNone
	switch {
	case errors.As(err, &ce):
		k = ce.code
		c.server.counts.connErrors.Add(1)
		if ce == errSlowHead {
			c.server.counts.headTimeouts.Add(1)
		}
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
