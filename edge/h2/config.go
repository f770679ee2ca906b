package h2

import (
	"cmp"
	"log/slog"
	"time"
)

// Config bounds what a client may cost. A zero is the default.
type Config struct {
	HeadBytes int // limits.head: a request's decoded head; 16 KiB (431)
	HeadLines int // limits.head_lines: its fields; 100 (431)
	URIBytes  int // limits.uri: :path; 8 KiB (414)
	Streams   int // limits.h2_streams: requests at once on a connection; 250, more are refused

	HeaderTimeout time.Duration // limits.header_timeout: from a header block's first frame to its last; 10 s
	Idle          time.Duration // limits.idle: a connection without streams and without a frame; 60 s
	WriteStall    time.Duration // limits.write_stall: an answer or a connection without progress; 30 s
	BodyGrace     time.Duration // what waiting for a request's body may use up at first; 30 s (408)
	BodyMinRate   int64         // limits.body_min_rate: bytes a second; 100. Each byte gives its part of the grace back
	TunnelIdle    time.Duration // a tunnel without a byte either way; 5 min

	StreamWindow int   // bytes of a request's body that wait to be read; 64 KiB
	ConnWindow   int   // the same, of all streams of a connection; 1 MiB
	Backlog      int   // bytes that a client makes us write without reading; 1 MiB, then it is cut
	UnreadBytes  int64 // of a body nobody read that are taken before the stream is reset; 64 KiB

	// Budgets against floods: so many at once, and a hundredth of it again each second.
	Resets   int // limits.h2_resets: streams ended early, by the client or because of it; 1,000
	Controls int // limits.h2_controls: frames that carry nothing: SETTINGS, PING, empty and tiny ones, refused requests; 10,000

	Log *slog.Logger // for what a person should act on; nil = discard
}

// withDefaults fills the zeros.
func (c Config) withDefaults() Config {
	c.HeadBytes = cmp.Or(c.HeadBytes, 16<<10)
	c.HeadLines = cmp.Or(c.HeadLines, 100)
	c.URIBytes = cmp.Or(c.URIBytes, 8<<10)
	c.Streams = cmp.Or(c.Streams, 250)
	c.HeaderTimeout = cmp.Or(c.HeaderTimeout, 10*time.Second)
	c.Idle = cmp.Or(c.Idle, 60*time.Second)
	c.WriteStall = cmp.Or(c.WriteStall, 30*time.Second)
	c.BodyGrace = cmp.Or(c.BodyGrace, 30*time.Second)
	c.BodyMinRate = cmp.Or(c.BodyMinRate, 100)
	c.TunnelIdle = cmp.Or(c.TunnelIdle, 5*time.Minute)
	c.StreamWindow = cmp.Or(c.StreamWindow, 64<<10)
	c.ConnWindow = cmp.Or(c.ConnWindow, 1<<20)
	c.Backlog = cmp.Or(c.Backlog, 1<<20)
	c.UnreadBytes = cmp.Or(c.UnreadBytes, 64<<10)
	c.Resets = cmp.Or(c.Resets, 1000)
	c.Controls = cmp.Or(c.Controls, 10000)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}
