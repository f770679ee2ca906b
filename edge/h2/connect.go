package h2

import (
	"crypto/rand"
	"encoding/base64"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"edgecache/cachestore"
	"edgecache/edge"
	"edgecache/policy"
)

// connect makes an extended CONNECT the Upgrade that an HTTP/1.1 origin knows (RFC
// 8441, 5). Only WebSocket is joined: its handshake needs a key, which HTTP/2 has not. The
// engine checks what the origin makes of that.
func (st *stream) connect(p *pseudo, r *edge.Request) malformed {
	switch {
	case p.seen&seenProtocol == 0:
		return "CONNECT without :protocol"
	case !policy.EqualFold(p.protocol, "websocket"):
		return "a :protocol that is not served"
	case p.seen&seenAuthority == 0:
		return "CONNECT without :authority"
	}
	key := make([]byte, 16)
	_, _ = rand.Read(key)
	r.Method, r.Upgrade = "GET", "websocket"
	theirs := func(f policy.Field) bool { return string(f.Name) == "sec-websocket-key" } // means nothing here
	st.fields = append(slices.DeleteFunc(st.fields, theirs),
		policy.Field{Name: []byte("sec-websocket-key"), Value: base64.StdEncoding.AppendEncode(nil, key)})
	return ""
}

// tunnelBytes is what a tunnel copies at once.
const tunnelBytes = 32 << 10

// tunnel answers 200 and copies bytes both ways until both sides have ended, one of
// them fails, or nothing moved for the idle time.
func tunnel(st *stream, h *cachestore.Head, v *edge.View, up io.ReadWriteCloser) error {
	defer up.Close()
	view := *v
	view.Status, view.Length = 200, edge.LengthUnknown
	if err := st.begin(h, &view, false); err != nil {
		return err
	}
	if err := st.Flush(); err != nil {
		return err
	}
	st.c.server.counts.tunnels.Add(1)
	t := &joint{st: st, up: up}
	t.moved.Store(time.Now().UnixNano())
	idle := time.AfterFunc(st.c.server.config.TunnelIdle, t.look)
	t.timer.Store(idle)
	defer func() { t.timer.Load().Stop() }()
	down := make(chan error, 1)
	go func() { down <- t.toClient() }()
	err := t.toOrigin()
	if err != nil {
		_ = up.Close()
	}
	if e := <-down; err == nil {
		err = e
	}
	st.session.BodyBytes = t.sent.Load()
	return err
}

// joint is a tunnel's two directions.
type joint struct {
	st    *stream
	up    io.ReadWriteCloser
	moved atomic.Int64
	sent  atomic.Int64
	timer atomic.Pointer[time.Timer]
}

// look ends a tunnel in which nothing moves.
func (t *joint) look() {
	left := t.st.c.server.config.TunnelIdle - time.Since(time.Unix(0, t.moved.Load()))
	if left > 0 {
		t.timer.Load().Reset(left)
		return
	}
	_ = t.up.Close()
	c := t.st.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.st.err == nil {
		c.reset(t.st, codeCancel)
		c.flush()
	}
}

// toOrigin copies what the client sends; its end is passed on.
func (t *joint) toOrigin() error {
	b := &t.st.body
	b.patient = true
	buf := make([]byte, tunnelBytes)
	for {
		n, err := b.Read(buf)
		if n > 0 {
			t.moved.Store(time.Now().UnixNano())
			if _, err := t.up.Write(buf[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			if w, ok := t.up.(interface{ CloseWrite() error }); ok {
				return w.CloseWrite()
			}
			return t.up.Close()
		}
		if err != nil {
			return err
		}
	}
}

// toClient copies what the origin sends; its end is the stream's.
func (t *joint) toClient() error {
	buf := make([]byte, tunnelBytes)
	for {
		n, err := t.up.Read(buf)
		if n > 0 {
			t.moved.Store(time.Now().UnixNano())
			if err := t.st.write(buf[:n], false); err != nil {
				return err
			}
			t.sent.Add(int64(n))
		}
		if err == io.EOF {
			return t.st.End(nil)
		}
		if err != nil {
			_ = t.st.broken(err)
			return err
		}
	}
}
