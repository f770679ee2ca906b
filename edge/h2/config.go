package h2

import (
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
	Controls int // limits.h2_controls: frames that carry nothing: SETTINGS, PING, empty and tiny ones; 10,000

	Log *slog.Logger // for what a person should act on; nil = discard
}

// withDefaults fills the zeros.
func (c Config) withDefaults() Config {
	fill(&c.HeadBytes, 16<<10)
	fill(&c.HeadLines, 100)
	fill(&c.URIBytes, 8<<10)
	fill(&c.Streams, 250)
	fill(&c.HeaderTimeout, 10*time.Second)
	fill(&c.Idle, 60*time.Second)
	fill(&c.WriteStall, 30*time.Second)
	fill(&c.BodyGrace, 30*time.Second)
	fill(&c.BodyMinRate, 100)
	fill(&c.TunnelIdle, 5*time.Minute)
	fill(&c.StreamWindow, 64<<10)
	fill(&c.ConnWindow, 1<<20)
	fill(&c.Backlog, 1<<20)
	fill(&c.UnreadBytes, 64<<10)
	fill(&c.Resets, 1000)
	fill(&c.Controls, 10000)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

func fill[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
