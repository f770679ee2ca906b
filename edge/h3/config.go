package h3

import (
	"cmp"
	"log/slog"
	"time"
)

// Config bounds what a client may cost. A zero is the default.
type Config struct {
	HeadBytes int // limits.head: a request's head, as long as it would be in HTTP/1.1; 16 KiB (431)
	HeadLines int // limits.head_lines: field lines of a head; 100 (431)
	URIBytes  int // limits.uri: the target; 8 KiB (414)

	HeaderTimeout time.Duration // limits.header_timeout: a handshake; 10 s
	Idle          time.Duration // limits.idle: a connection on which no request runs, or from which nothing comes; 60 s
	WriteStall    time.Duration // limits.write_stall: a write without progress; 30 s
	Drain         time.Duration // limits.drain: what Shutdown gives active requests; 30 s

	// BodyMinRate is limits.body_min_rate in bytes a second: 100. A client
	// starts with a credit of BodyGrace (30 s) that waiting for it uses up and
	// each byte renews: 3,000 bytes fill it again. At none the body is a 408.
	BodyMinRate int64
	BodyGrace   time.Duration

	UnreadBytes int64 // of a GET's body that are read ahead of its answer; 64 KiB
	Conns       int   // limits.conns: connections at once, handshakes included; 20,000, more are refused
	Streams     int   // requests at once on a connection; 100

	Log *slog.Logger // for what a person should act on; nil = discard
}

// What a client may send ahead of what is read (RFC 9000, 4.1). A body that
// nobody reads yet takes a stream's window of memory, all bodies of a
// connection no more than its own.
const (
	streamWindow     = 64 << 10
	streamWindowMost = 1 << 20
	connWindow       = 128 << 10
	connWindowMost   = 4 << 20
)

// uniStreams are what a client needs of them: control, two of QPACK, and some
// of types that are there to be ignored (RFC 9114, 6.2.3).
const uniStreams = 8

// withDefaults fills the zeros.
func (c Config) withDefaults() Config {
	c.HeadBytes = cmp.Or(c.HeadBytes, 16<<10)
	c.HeadLines = cmp.Or(c.HeadLines, 100)
	c.URIBytes = cmp.Or(c.URIBytes, 8<<10)
	c.HeaderTimeout = cmp.Or(c.HeaderTimeout, 10*time.Second)
	c.Idle = cmp.Or(c.Idle, 60*time.Second)
	c.WriteStall = cmp.Or(c.WriteStall, 30*time.Second)
	c.Drain = cmp.Or(c.Drain, 30*time.Second)
	c.BodyMinRate = cmp.Or(c.BodyMinRate, 100)
	c.BodyGrace = cmp.Or(c.BodyGrace, 30*time.Second)
	c.UnreadBytes = cmp.Or(c.UnreadBytes, 64<<10)
	c.Conns = cmp.Or(c.Conns, 20000)
	c.Streams = cmp.Or(c.Streams, 100)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}
