package edge

import (
	"sync/atomic"
	"time"

	"edgecache/edge/origin"
	"edgecache/policy"
	"edgecache/purge"
)

// Metrics are the engine's counters. Counting one request is a handful of
// atomic adds on memory that its processor seldom shares; names and labels
// come only when somebody scrapes. Every label's values are known at start:
// nothing that a client or an origin sends becomes one.
type Metrics struct {
	engine  *Engine
	stripes *striped[counts]
	peers   map[*origin.Peer]*peerCounts // never changes
	strange peerCounts                   // peers that a Proxy made itself
	wire    atomic.Pointer[func() WireStats]
	lines   atomic.Pointer[func() LogStats]
	sweeps  atomic.Pointer[func() purge.SweepStats]
	tls     atomic.Pointer[func() TLSStats]
}

// WireStats is what the wires have counted.
type WireStats struct {
	BytesIn, BytesOut int64 // below TLS
	Open              int64 // connections now
	Accepted          int64
	Refused           int64            // over limits.conns
	Events            map[string]int64 // what went wrong or was bounded, by a name of the wire's own

	Handshakes      []HandshakeStats
	HandshakeFaults map[string]int64 // TLS handshakes that failed, by reason
}

// Classes of status codes: none (a broken or silent request), 1xx … 5xx.
const codeClasses = 6

var codeClassNames = [codeClasses]string{"none", "1xx", "2xx", "3xx", "4xx", "5xx"}

func codeClass(status int) int {
	if status < 100 || status > 599 {
		return 0
	}
	return status / 100
}

const (
	cacheStates = int(CacheBypass) + 1
	protos      = int(HTTP3) + 1
)

// durationBuckets are the upper bounds of the histograms, in seconds.
var durationBuckets = [...]float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// counts are one stripe.
type counts struct {
	requests  [cacheStates][codeClasses][protos]atomic.Uint64
	reasons   [cacheStates][policy.Reasons]atomic.Uint64
	unstored  [policy.Reasons]atomic.Uint64
	errors    [policy.Reasons]atomic.Uint64
	durations [cacheStates]histogram
	refreshes [codeClasses]atomic.Uint64
	hits      [tiers]atomic.Uint64 // by the tier that gave the answer
	hitBytes  [tiers]atomic.Int64  // of their bodies
	sent      atomic.Int64
	_         [64]byte // keeps neighbours off each other's cache line
}

// histogram counts spans by durationBuckets; the last one is for all beyond.
type histogram struct {
	buckets [len(durationBuckets) + 1]atomic.Uint64
	nanos   atomic.Int64
}

func (h *histogram) observe(nanos int64) {
	seconds := float64(nanos) / float64(time.Second)
	i := 0
	for i < len(durationBuckets) && seconds > durationBuckets[i] {
		i++
	}
	h.buckets[i].Add(1)
	h.nanos.Add(nanos)
}

// peerCounts are one peer's.
type peerCounts struct {
	classes  [codeClasses]atomic.Uint64 // "none": no answer
	duration histogram
}

func newMetrics(e *Engine) *Metrics {
	m := &Metrics{engine: e, stripes: newStriped[counts](), peers: map[*origin.Peer]*peerCounts{}}
	for _, pool := range e.cfg.Upstreams {
		for _, p := range pool.Peers() {
			m.peers[p] = &peerCounts{}
		}
	}
	return m
}

// WatchWires tells where the wires' counters are read at each scrape.
func (m *Metrics) WatchWires(read func() WireStats) { m.wire.Store(&read) }

// WatchLog tells where the access log's counters are read at each scrape.
func (m *Metrics) WatchLog(read func() LogStats) { m.lines.Store(&read) }

// WatchSweeps tells where the purge sweeper's counters are read.
func (m *Metrics) WatchSweeps(read func() purge.SweepStats) { m.sweeps.Store(&read) }

// observe counts one request. It allocates nothing and takes no lock.
func (m *Metrics) observe(r *Record) {
	c := m.stripes.borrow()
	defer m.stripes.giveBack(c)
	class := codeClass(r.Status)
	if r.Error != "" {
		kind := r.Fault
		if kind == policy.None {
			kind = r.Reason
		}
		c.errors[kind].Add(1)
	}
	if r.Unstored != policy.None {
		c.unstored[r.Unstored].Add(1)
	}
	if r.Kind == KindRefresh {
		c.refreshes[class].Add(1)
		return
	}
	c.requests[r.Cache][class][r.Proto].Add(1)
	c.reasons[r.Cache][r.Reason].Add(1)
	c.durations[r.Cache].observe(max(r.Duration, 0))
	if r.Tier != TierNone {
		c.hits[r.Tier].Add(1)
		c.hitBytes[r.Tier].Add(r.BodyBytes)
	}
	c.sent.Add(r.Bytes)
}

// upstreamDone counts one attempt at a peer; status 0 is no answer.
func (m *Metrics) upstreamDone(p *origin.Peer, status int, nanos int64) {
	c := m.peers[p]
	if c == nil {
		c = &m.strange
	}
	c.classes[codeClass(status)].Add(1)
	if status != 0 {
		c.duration.observe(max(nanos, 0))
	}
}

// sum adds up the stripes. It is only for reading.
func (m *Metrics) sum() *totals {
	t := &totals{}
	for _, c := range m.stripes.all {
		for cache := range c.requests {
			for class := range c.requests[cache] {
				for proto := range c.requests[cache][class] {
					t.requests[cache][class][proto] += c.requests[cache][class][proto].Load()
				}
			}
			for why := range c.reasons[cache] {
				t.reasons[cache][why] += c.reasons[cache][why].Load()
			}
			t.durations[cache].add(&c.durations[cache])
		}
		for why := range c.errors {
			t.errors[why] += c.errors[why].Load()
			t.unstored[why] += c.unstored[why].Load()
		}
		for class := range c.refreshes {
			t.refreshes[class] += c.refreshes[class].Load()
		}
		for tier := range c.hits {
			t.hits[tier] += c.hits[tier].Load()
			t.hitBytes[tier] += c.hitBytes[tier].Load()
		}
		t.sent += c.sent.Load()
	}
	return t
}

// totals are the sums of all stripes.
type totals struct {
	requests  [cacheStates][codeClasses][protos]uint64
	reasons   [cacheStates][policy.Reasons]uint64
	unstored  [policy.Reasons]uint64
	errors    [policy.Reasons]uint64
	durations [cacheStates]spread
	refreshes [codeClasses]uint64
	hits      [tiers]uint64
	hitBytes  [tiers]int64
	sent      int64
}

// byCache counts a state's requests of all classes and protocols.
func (t *totals) byCache(c CacheStatus) (n uint64) {
	for class := range t.requests[c] {
		for proto := range t.requests[c][class] {
			n += t.requests[c][class][proto]
		}
	}
	return n
}

// spread is a histogram's sum.
type spread struct {
	buckets [len(durationBuckets) + 1]uint64
	nanos   int64
}

func (s *spread) add(h *histogram) {
	for i := range h.buckets {
		s.buckets[i] += h.buckets[i].Load()
	}
	s.nanos += h.nanos.Load()
}

// cumulative gives the histogram as Prometheus wants it.
func (s *spread) cumulative() (count uint64, seconds float64, buckets map[float64]uint64) {
	buckets = make(map[float64]uint64, len(durationBuckets))
	for i, n := range s.buckets {
		count += n
		if i < len(durationBuckets) {
			buckets[durationBuckets[i]] = count
		}
	}
	return count, time.Duration(s.nanos).Seconds(), buckets
}
