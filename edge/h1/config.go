package h1

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"time"
)

// Handoff serves the connections that turn out to speak HTTP/2. What accepted them stays
// theirs: limits.conns, the TLS handshake, Shutdown.
type Handoff interface {
	// Wrap is put between the socket and TLS, or the preface, while it is not known yet
	// what will be spoken: until Serve it is what it wraps.
	Wrap(net.Conn) net.Conn
	// Serve runs a connection to its end, or to ctx's. under came from Wrap; nc is TLS over
	// it, or under itself; first are bytes that were already read from nc.
	Serve(ctx context.Context, nc, under net.Conn, first []byte)
	// Drain lets what runs end and takes nothing new.
	Drain()
}

// Config bounds what a client may cost. A zero is the default.
type Config struct {
	HeadBytes int // limits.head: a request's head; 16 KiB (431)
	HeadLines int // limits.head_lines: field lines of a head; 100 (431)
	URIBytes  int // limits.uri: the target; 8 KiB (414)

	HeaderTimeout time.Duration // limits.header_timeout: from a head's first byte to its last, and a TLS handshake; 10 s (408)
	Idle          time.Duration // limits.idle: between two requests; 60 s
	TunnelIdle    time.Duration // a tunnel without a byte either way; 5 min
	WriteStall    time.Duration // limits.write_stall: a write without progress; 30 s
	Drain         time.Duration // limits.drain: what Shutdown gives active requests; 30 s

	// BodyMinRate is limits.body_min_rate in bytes a second: 100. A client
	// starts with a credit of BodyGrace (30 s) that waiting for it uses up and
	// each byte renews: 3,000 bytes fill it again. At none the body is a 408.
	BodyMinRate int64
	BodyGrace   time.Duration

	UnreadBytes int64 // of a body nobody read that are read away; 64 KiB, then the connection is closed
	Conns       int   // limits.conns: connections at once; 20,000, more get 503

	HTTP2 Handoff // nil: HTTP/2 is not spoken

	Log *slog.Logger // for what a person should act on; nil = discard
}

// withDefaults fills the zeros.
func (c Config) withDefaults() Config {
	c.HeadBytes = cmp.Or(c.HeadBytes, 16<<10)
	c.HeadLines = cmp.Or(c.HeadLines, 100)
	c.URIBytes = cmp.Or(c.URIBytes, 8<<10)
	c.HeaderTimeout = cmp.Or(c.HeaderTimeout, 10*time.Second)
	c.Idle = cmp.Or(c.Idle, 60*time.Second)
	c.TunnelIdle = cmp.Or(c.TunnelIdle, 5*time.Minute)
	c.WriteStall = cmp.Or(c.WriteStall, 30*time.Second)
	c.Drain = cmp.Or(c.Drain, 30*time.Second)
	c.BodyMinRate = cmp.Or(c.BodyMinRate, 100)
	c.BodyGrace = cmp.Or(c.BodyGrace, 30*time.Second)
	c.UnreadBytes = cmp.Or(c.UnreadBytes, 64<<10)
	c.Conns = cmp.Or(c.Conns, 20000)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}
