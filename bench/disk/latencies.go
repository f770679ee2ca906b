package main

import (
	"strings"
	"time"

	"edgecache/bench"
	"edgecache/bench/program"
)

// latencies are those of hits, of each round, in µs from when each was due.
type latencies struct{ p50, p99, p999, most program.Spread }

func (l *latencies) add(h *bench.Histogram) {
	micros := func(d time.Duration) float64 { return float64(d) / 1e3 }
	l.p50, l.p99 = append(l.p50, micros(h.Quantile(0.5))), append(l.p99, micros(h.Quantile(0.99)))
	l.p999, l.most = append(l.p999, micros(h.Quantile(0.999))), append(l.most, micros(h.Max()))
}

func (l *latencies) report(out *strings.Builder) {
	line(out, "  p50, p99", "%s, %s", l.p50, l.p99)
	line(out, "  p99.9, max", "%s, %s", l.p999, l.most)
}
