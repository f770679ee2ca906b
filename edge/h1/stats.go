package h1

import "sync/atomic"

// Stats is what a Server has counted since its start.
type Stats struct {
	Open     int64 // connections now
	Accepted int64 // connections taken
	Refused  int64 // connections over limits.conns
	Requests int64 // heads that became a session

	HandshakeFaults int64 // TLS handshakes that failed or took longer than limits.header_timeout

	Faults       [FaultKinds]int64 // refused heads, by FaultKind
	BodyFaults   int64             // malformed or cut request bodies
	HeadTimeouts int64             // heads not complete within limits.header_timeout
	IdleTimeouts int64             // connections closed for limits.idle
	SlowBodies   int64             // bodies under limits.body_min_rate
	WriteStalls  int64             // clients that took nothing for limits.write_stall
	LongBodies   int64             // unread bodies too long to read away: closed instead
	Aborted      int64             // answers broken off
	Tunnels      int64             // upgrades answered with 101
	Panics       int64             // panics that cost a connection

	BytesIn  int64 // from clients, below TLS
	BytesOut int64 // to clients, below TLS
}

// counters are the Stats while they are counted.
type counters struct {
	open, accepted, refused, requests            atomic.Int64
	faults                                       [FaultKinds]atomic.Int64
	bodyFaults, headTimeouts, idleTimeouts       atomic.Int64
	slowBodies, writeStalls, longBodies, aborted atomic.Int64
	handshakes, tunnels, panics                  atomic.Int64
	bytesIn, bytesOut                            atomic.Int64
}

// stats reads every counter. They are not read at one instant.
func (c *counters) stats() Stats {
	s := Stats{
		Open:            c.open.Load(),
		Accepted:        c.accepted.Load(),
		Refused:         c.refused.Load(),
		Requests:        c.requests.Load(),
		HandshakeFaults: c.handshakes.Load(),
		BodyFaults:      c.bodyFaults.Load(),
		HeadTimeouts:    c.headTimeouts.Load(),
		IdleTimeouts:    c.idleTimeouts.Load(),
		SlowBodies:      c.slowBodies.Load(),
		WriteStalls:     c.writeStalls.Load(),
		LongBodies:      c.longBodies.Load(),
		Aborted:         c.aborted.Load(),
		Tunnels:         c.tunnels.Load(),
		Panics:          c.panics.Load(),
		BytesIn:         c.bytesIn.Load(),
		BytesOut:        c.bytesOut.Load(),
	}
	for i := range s.Faults {
		s.Faults[i] = c.faults[i].Load()
	}
	return s
}
