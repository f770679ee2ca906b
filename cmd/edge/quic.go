package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"

	"edgecache/edge"
	"edgecache/edge/h3"
)

// quicSide is HTTP/3: a UDP socket beside each TLS listener, with its address
// and port.
type quicSide struct {
	sockets []net.PacketConn
	wire    *h3.Server // nil without a socket
}

// listen takes the sockets. One that cannot be had is told and left out:
// clients find the same answers over TCP.
func (q *quicSide) listen(secure []net.Listener, log *slog.Logger) {
	// quic-go prints what it thinks of the buffers that the kernel grants.
	if len(secure) > 0 {
		_ = os.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true")
	}
	for _, l := range secure {
		socket, err := net.ListenPacket("udp", l.Addr().String())
		if err != nil {
			log.Warn("no HTTP/3 beside a TLS listener", "listen", l.Addr().String(), "err", err)
			continue
		}
		q.sockets = append(q.sockets, socket)
	}
}

// addresses are where it is served.
func (q *quicSide) addresses() []string {
	all := make([]string, len(q.sockets))
	for i, s := range q.sockets {
		all[i] = s.LocalAddr().String()
	}
	return all
}

// altSvc tells clients of the other protocols where HTTP/3 is (RFC 7838, 3),
// for a day.
func (q *quicSide) altSvc() string {
	var all []string
	for _, s := range q.sockets {
		_, port, _ := net.SplitHostPort(s.LocalAddr().String())
		if one := fmt.Sprintf(`h3=":%s"; ma=86400`, port); !slices.Contains(all, one) {
			all = append(all, one)
		}
	}
	return strings.Join(all, ", ")
}

// serve starts one goroutine a socket.
func (q *quicSide) serve(r *running) {
	if len(q.sockets) == 0 {
		return
	}
	l := &r.settings.limits
	q.wire = h3.New(r.in.engine, h3.Config{
		HeadBytes: l.headBytes, HeadLines: l.headLines, URIBytes: l.uriBytes,
		HeaderTimeout: l.headerTimeout, Idle: l.idle, WriteStall: l.writeStall, Drain: l.drain,
		BodyMinRate: l.bodyMinRate, Conns: l.conns, Log: r.log,
	})
	for _, s := range q.sockets {
		config := r.certs.TLS() // its tickets, too
		config.MinVersion, config.GetConfigForClient = tls.VersionTLS13, nil
		go r.run(func() error { return q.wire.Serve(s, config) })
	}
}

// count adds this wire's counters to those of the other.
func (q *quicSide) count(w *edge.WireStats) {
	if q.wire == nil {
		return
	}
	s := q.wire.Stats()
	w.BytesIn += s.BytesIn
	w.BytesOut += s.BytesOut
	w.Open += s.Open
	w.Accepted += s.Accepted
	w.Refused += s.Refused
	for event, n := range map[string]int64{
		"handshake": s.HandshakeFaults, "proved": s.Proved, "body_fault": s.BodyFaults, "idle_timeout": s.IdleTimeouts,
		"slow_body": s.SlowBodies, "write_stall": s.WriteStalls, "aborted": s.Aborted, "panic": s.Panics,
	} {
		w.Events["h3_"+event] = n
	}
	for kind, n := range s.Faults {
		w.Events["h3_refused_"+h3.FaultKind(kind).String()] = n
	}
}

func (q *quicSide) shutdown(ctx context.Context) error {
	if q.wire == nil {
		return nil
	}
	return q.wire.Shutdown(ctx)
}

// close gives back sockets on which nothing has been served.
func (q *quicSide) close() {
	for _, s := range q.sockets {
		s.Close()
	}
}
