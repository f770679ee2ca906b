package h1

import "sync/atomic"

// Stats is what a Server has counted since its start.
type Stats struct {
	Open     int64 // connections now
	Accepted int64 // connections taken
	Refused  int64 // connections over limits.conns
	Requests int64 // heads that became a session

	Handshakes          [HandshakeFaults]int64 // TLS handshakes that failed, by HandshakeFault
	TLS12, TLS12Resumed int64                  // those of TLS 1.2 that succeeded, and of them those that resumed a session
	TLS13, TLS13Resumed int64                  // of TLS 1.3

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
	handshakes                                   [HandshakeFaults]atomic.Int64
	tls12, tls12Resumed, tls13, tls13Resumed     atomic.Int64
	tunnels, panics                              atomic.Int64
	bytesIn, bytesOut                            atomic.Int64
}

// stats reads every counter. They are not read at one instant.
func (c *counters) stats() Stats {
	s := Stats{
		Open:     c.open.Load(),
		Accepted: c.accepted.Load(),
		Refused:  c.refused.Load(),
		Requests: c.requests.Load(),
		TLS12:    c.tls12.Load(), TLS12Resumed: c.tls12Resumed.Load(),
		TLS13: c.tls13.Load(), TLS13Resumed: c.tls13Resumed.Load(),
		BodyFaults:   c.bodyFaults.Load(),
		HeadTimeouts: c.headTimeouts.Load(),
		IdleTimeouts: c.idleTimeouts.Load(),
		SlowBodies:   c.slowBodies.Load(),
		WriteStalls:  c.writeStalls.Load(),
		LongBodies:   c.longBodies.Load(),
		Aborted:      c.aborted.Load(),
		Tunnels:      c.tunnels.Load(),
		Panics:       c.panics.Load(),
		BytesIn:      c.bytesIn.Load(),
		BytesOut:     c.bytesOut.Load(),
	}
	for i := range s.Faults {
		s.Faults[i] = c.faults[i].Load()
	}
	for i := range s.Handshakes {
		s.Handshakes[i] = c.handshakes[i].Load()
	}
	return s
}
