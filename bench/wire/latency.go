package main

import (
	"context"

	"edgecache/bench"
)

// What latencies are looked at with.
const (
	rateShare = 0.2   // of the least saturation: the rate at which requests come
	maxRate   = 20000 // that the client can keep on its core
	tlsRate   = 2000  // the same, of Go's client over TLS
	tlsBytes  = 100e6 // the same, of bodies a second
	rateConns = 64    // connections
	tlsConns  = 16    // the same, over TLS
	moment    = 1e-6  // a microsecond
)

// pathOf names request i of a round to a server.
type pathOf func(one *server, round, i int) string

// latencies looks at p50 and p99 at a rate that all can keep.
func latencies(ctx context.Context, s *stand, t trial, r *result, path pathOf) error {
	rate := float64(maxRate)
	if t.wire != overPlain {
		rate = min(tlsRate, tlsBytes/float64(t.size))
	}
	var all []*server
	for _, one := range s.servers {
		if seen := r.find(one.name, "throughput"); seen != nil {
			rate, all = min(rate, rateShare*seen.Median()), append(all, one)
		}
	}
	rate = max(rate, 10)
	r.note("latencies at %.0f requests a second, from when each was due", rate)
	return rounds(s.o, all, r, func(round int, one *server) error {
		h, asked, err := latency(ctx, s, t, one, int(rate), func(i int) string { return path(one, round, i) })
		if err != nil {
			return err
		}
		one.sent += int64(asked)
		r.add(one.name, "p50", "µs", h.Quantile(0.50).Seconds()/moment)
		r.add(one.name, "p99", "µs", h.Quantile(0.99).Seconds()/moment)
		return nil
	})
}

func latency(ctx context.Context, s *stand, t trial, one *server, rate int, path func(int) string) (*bench.Histogram, int, error) {
	if t.wire == overPlain {
		loop := openLoop{addr: one.plain, path: path, rate: rate, span: s.o.span, conns: rateConns, body: t.size}
		h, err := loop.run(ctx)
		return h, loop.total(), err
	}
	loop := pacedLoop{url: one.url(t.wire, path(0)), h2: t.wire == overH2, rate: rate, span: s.o.span, conns: tlsConns, body: t.size}
	h, err := loop.run(ctx)
	return h, loop.total(), err
}
