package h2

import "sync/atomic"

// Stats is what a Server has counted since its start.
type Stats struct {
	Open     int64 // connections now
	Accepted int64 // connections taken
	Requests int64 // heads that became a session
	Inline   int64 // requests answered where they were read

	ConnErrors   int64 // connections ended with an error of the client's
	StreamErrors int64 // streams reset because of the client
	Refused      int64 // streams over limits.h2_streams, or behind a GOAWAY
	LargeHeads   int64 // heads over their limits: 431 or 414
	Malformed    int64 // requests that are none (RFC 9113, 8.1.1)
	ResetFloods  int64 // connections over limits.h2_resets
	FrameFloods  int64 // connections over limits.h2_controls, or with a header block without end
	Backlogs     int64 // connections that made us write without reading
	HeadTimeouts int64 // header blocks not complete within limits.header_timeout
	IdleTimeouts int64 // connections closed for limits.idle
	WriteStalls  int64 // streams that took nothing for limits.write_stall
	SlowBodies   int64 // bodies that did not come
	Aborted      int64 // answers broken off
	Tunnels      int64 // extended CONNECTs answered with 200
	Panics       int64 // panics that cost a connection
}

// counters are the Stats while they are counted.
type counters struct {
	open, accepted, requests, inline        atomic.Int64
	connErrors, streamErrors, refused       atomic.Int64
	largeHeads, malformed                   atomic.Int64
	resetFloods, frameFloods, backlogs      atomic.Int64
	headTimeouts, idleTimeouts, writeStalls atomic.Int64
	slowBodies, aborted, tunnels, panics    atomic.Int64
}

// Stats reads every counter. They are not read at one instant.
func (s *Server) Stats() Stats {
	c := &s.counts
	return Stats{
		Open: c.open.Load(), Accepted: c.accepted.Load(), Requests: c.requests.Load(), Inline: c.inline.Load(),
		ConnErrors: c.connErrors.Load(), StreamErrors: c.streamErrors.Load(), Refused: c.refused.Load(),
		LargeHeads: c.largeHeads.Load(), Malformed: c.malformed.Load(),
		ResetFloods: c.resetFloods.Load(), FrameFloods: c.frameFloods.Load(), Backlogs: c.backlogs.Load(),
		HeadTimeouts: c.headTimeouts.Load(), IdleTimeouts: c.idleTimeouts.Load(), WriteStalls: c.writeStalls.Load(),
		SlowBodies: c.slowBodies.Load(), Aborted: c.aborted.Load(), Tunnels: c.tunnels.Load(), Panics: c.panics.Load(),
	}
}
