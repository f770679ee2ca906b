package h3

import "sync/atomic"

// Stats is what a Server has counted since its start.
type Stats struct {
	Open     int64 // connections now, handshakes included
	Accepted int64 // handshakes that were completed
	Refused  int64 // connections over limits.conns
	Proved   int64 // connections that began with a proof of the client's address (RFC 9000, 8.1)
	Requests int64 // requests that became a session

	HandshakeFaults int64 // handshakes that failed or took longer than limits.header_timeout

	Faults       [FaultKinds]int64 // refused heads, by FaultKind
	BodyFaults   int64             // malformed or cut request bodies
	IdleTimeouts int64             // connections closed for limits.idle
	SlowBodies   int64             // bodies under limits.body_min_rate
	WriteStalls  int64             // clients that took nothing for limits.write_stall
	Aborted      int64             // answers broken off: reset streams
	Panics       int64             // panics that cost a stream

	BytesIn  int64 // from clients, in UDP datagrams
	BytesOut int64 // to clients, in UDP datagrams
}

// counters are the Stats while they are counted.
type counters struct {
	open, accepted, refused, proved, requests atomic.Int64
	faults                                    [FaultKinds]atomic.Int64
	handshakes, bodyFaults                    atomic.Int64
	idleTimeouts, slowBodies                  atomic.Int64
	writeStalls, aborted                      atomic.Int64
	panics                                    atomic.Int64
	bytesIn, bytesOut                         atomic.Int64 // of connections that are over
}

// stats reads every counter. They are not read at one instant.
func (c *counters) stats() Stats {
	s := Stats{
		Open:            c.open.Load(),
		Accepted:        c.accepted.Load(),
		Refused:         c.refused.Load(),
		Proved:          c.proved.Load(),
		Requests:        c.requests.Load(),
		HandshakeFaults: c.handshakes.Load(),
		BodyFaults:      c.bodyFaults.Load(),
		IdleTimeouts:    c.idleTimeouts.Load(),
		SlowBodies:      c.slowBodies.Load(),
		WriteStalls:     c.writeStalls.Load(),
		Aborted:         c.aborted.Load(),
		Panics:          c.panics.Load(),
		BytesIn:         c.bytesIn.Load(),
		BytesOut:        c.bytesOut.Load(),
	}
	for i := range s.Faults {
		s.Faults[i] = c.faults[i].Load()
	}
	return s
}
