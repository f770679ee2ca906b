package edge

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"edgecache/cachestore"
	"edgecache/edge/origin"
	"edgecache/policy"
	"edgecache/purge"
)

var _ prometheus.Collector = (*Metrics)(nil)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("edge_"+name, help, labels, nil)
}

var (
	descRequests  = desc("requests_total", "Requests of clients by cache result, class of status, and protocol.", "cache", "code_class", "proto")
	descReasons   = desc("request_reasons_total", "Requests of clients by cache result and its reason.", "cache", "reason")
	descUnstored  = desc("unstored_total", "Answers of origins that were not stored, by reason.", "reason")
	descErrors    = desc("errors_total", "Requests and refreshes that failed, by kind.", "kind")
	descDuration  = desc("request_duration_seconds", "From a request's head to the end of its answer.", "cache")
	descRefreshes = desc("refreshes_total", "Refreshes in the background by class of status.", "code_class")
	descBytes     = desc("bytes_total", "Bytes from (in) and to (out) clients.", "direction")

	descCacheBytes   = desc("cache_bytes", "Bytes of a tier: accounted in memory, live on disk.", "tier")
	descCacheLimit   = desc("cache_limit_bytes", "Configured bytes of a tier.", "tier")
	descCacheObjects = desc("cache_objects", "Stored objects of a tier.", "tier")
	descEvictions    = desc("cache_evictions_total", "Objects that had to go, by reason.", "tier", "reason")
	descDrops        = desc("store_drops_total", "What was not stored, or not read, by reason.", "tier", "reason")
	descHits         = desc("cache_hits_total", "Answers that a tier gave: fresh, stale, or confirmed by the origin.", "tier")
	descHitBytes     = desc("cache_hit_bytes_total", "Bytes of bodies that a tier gave to clients.", "tier")
	descFills        = desc("fills_in_flight", "Fetches that may be stored and run now.")
	descFillBytes    = desc("fill_bytes", "Bytes that fetches in flight hold.")
	descFollowers    = desc("followers_total", "Requests that waited for another's fetch.")
	descSearch       = desc("search_rules", "Paths whose answers have a No-Vary-Search.")
	descSearchDrops  = desc("search_rules_dropped_total", "Such paths that were forgotten for want of room.")
	descSpared       = desc("upstream_spared_total", "Questions that were not asked: backoff (the origin had just failed, a stale answer was there), refreshes, fetches (as many run as may).", "reason")

	descUpstream     = desc("upstream_requests_total", "Attempts at a peer by class of status; none is no answer.", "upstream", "peer", "code_class")
	descUpstreamTime = desc("upstream_duration_seconds", "From an attempt's begin to the first byte of its answer.", "upstream")
	descHealthy      = desc("upstream_peer_healthy", "1 when the peer is asked, 0 when it is left alone.", "upstream", "peer")

	descPeerConns = desc("upstream_connections_total", "Connections of a peer: dialled, reused, replaced (a reused one had died), bad_answer, queue_full.", "upstream", "peer", "event")
	descInFlight  = desc("upstream_in_flight", "Requests that a peer has now.", "upstream", "peer")

	descPurges    = desc("purges_total", "Purges and invalidations that were applied.", "scope", "mode")
	descPurgeSeq  = desc("purge_seq", "Number of the last purge.")
	descPurgeHeld = desc("purges_held", "Purges that the index keeps.")

	descPurgeEvt = desc("purge_events_total", "What bounds and faults did to purges, and what sweeps did.", "event")

	descConns    = desc("connections", "Open connections of clients.")
	descAccepted = desc("connections_total", "Connections of clients, accepted and refused (over limits.conns).", "outcome")
	descLines    = desc("access_log_lines_total", "Lines of the access log: taken, dropped (the buffer was full), lost (taken, but the file could not be written).", "outcome")
	descWire     = desc("wire_events_total", "What went wrong or met a bound between clients and edge.", "event")
	descUnkept   = desc("explain_skipped_total", "Requests that explain did not keep: their place was being read.")
	descListen   = desc("log_listeners", "Clients that follow the requests over the admin API.")
	descUnheard  = desc("log_listener_drops_total", "Requests that a follower was too slow for.")
)

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(m, ch) }

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	s := scrape{ch}
	t := m.sum()
	s.requests(t)
	s.store(m.engine.cfg.Store.Stats(), t)
	s.value(descFills, float64(m.engine.flights.running()))
	s.count(descFollowers, float64(t.reasons[CacheMiss][policy.Collapsed]))
	s.count(descSpared, float64(m.engine.finder.spared.Load()), "backoff")
	s.count(descSpared, float64(m.engine.refreshes.refused.Load()), "refreshes")
	s.count(descSpared, float64(m.engine.flying.refused.Load()), "fetches")
	s.value(descSearch, float64(m.engine.finder.searches.size()))
	s.count(descSearchDrops, float64(m.engine.finder.searches.dropped.Load()))
	m.upstreams(s)
	s.purges(m.engine.cfg.Purges.Stats())
	if read := m.sweeps.Load(); read != nil {
		s.swept((*read)())
	}
	s.explain(m.engine.explain)
	m.edges(s, t)
	if v := m.engine.Ghosts(); v != nil {
		s.ghosts(v)
	}
}

// scrape sends what it is given to one scrape.
type scrape struct{ ch chan<- prometheus.Metric }

func (s scrape) count(d *prometheus.Desc, v float64, labels ...string) {
	s.ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
}

func (s scrape) value(d *prometheus.Desc, v float64, labels ...string) {
	s.ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func (s scrape) spread(d *prometheus.Desc, h *spread, labels ...string) {
	count, seconds, buckets := h.cumulative()
	s.ch <- prometheus.MustNewConstHistogram(d, count, seconds, buckets, labels...)
}

func (s scrape) requests(t *totals) {
	for cache := range t.requests {
		name := cacheLabel(CacheStatus(cache))
		for class := range t.requests[cache] {
			for proto, n := range t.requests[cache][class] {
				if n > 0 {
					s.count(descRequests, float64(n), name, codeClassNames[class], Proto(proto).String())
				}
			}
		}
		for why, n := range merged(&t.reasons[cache]) {
			s.count(descReasons, float64(n), name, why)
		}
		if t.byCache(CacheStatus(cache)) > 0 {
			s.spread(descDuration, &t.durations[cache], name)
		}
	}
	for why, n := range merged(&t.errors) {
		s.count(descErrors, float64(n), why)
	}
	for why, n := range merged(&t.unstored) {
		s.count(descUnstored, float64(n), why)
	}
	for class, n := range t.refreshes {
		if n > 0 {
			s.count(descRefreshes, float64(n), codeClassNames[class])
		}
	}
}

// merged gives the counts that are not zero by the reasons' names; two reasons
// may share one.
func merged(counts *[policy.Reasons]uint64) map[string]uint64 {
	by := map[string]uint64{}
	for why, n := range counts {
		if n > 0 {
			by[reasonLabel(policy.Reason(why))] += n
		}
	}
	return by
}

func reasonLabel(r policy.Reason) string {
	if name := r.String(); name != "" {
		return name
	}
	return "none"
}

func cacheLabel(c CacheStatus) string {
	if c == CacheNone {
		return "none"
	}
	return c.String()
}

func (s scrape) store(st cachestore.Stats, t *totals) {
	memory := TierMemory.String()
	s.value(descCacheBytes, float64(st.Bytes), memory)
	s.value(descCacheLimit, float64(st.Limit), memory)
	s.value(descCacheObjects, float64(st.Variants), memory)
	s.value(descFillBytes, float64(st.FillBytes))
	for why, n := range st.Evicted {
		s.count(descEvictions, float64(n), memory, cachestore.Eviction(why).String())
	}
	for why, n := range st.Dropped {
		s.count(descDrops, float64(n), memory, cachestore.Drop(why).String())
	}
	s.hits(TierMemory, t)
	if st.Disk.Limit > 0 {
		s.disk(&st.Disk)
		s.hits(TierDisk, t)
	}
}

func (s scrape) hits(tier Tier, t *totals) {
	s.count(descHits, float64(t.hits[tier]), tier.String())
	s.count(descHitBytes, float64(t.hitBytes[tier]), tier.String())
}

func (m *Metrics) upstreams(s scrape) {
	now := time.Now()
	for name, pool := range m.engine.cfg.Upstreams {
		var all spread
		for _, p := range pool.Peers() {
			c := m.peers[p]
			s.attempts(c, name, p.Name())
			all.add(&c.duration)
			healthy := 0.0
			if p.Healthy(now) {
				healthy = 1
			}
			s.value(descHealthy, healthy, name, p.Name())
			s.value(descInFlight, float64(p.InFlight()), name, p.Name())
			s.connections(p.Stats(), name, p.Name())
		}
		s.spread(descUpstreamTime, &all, name)
	}
	s.attempts(&m.strange, "", "")
}

func (s scrape) attempts(c *peerCounts, upstream, peer string) {
	for class := range c.classes {
		if n := c.classes[class].Load(); n > 0 {
			s.count(descUpstream, float64(n), upstream, peer, codeClassNames[class])
		}
	}
}

func (s scrape) connections(st origin.PeerStats, upstream, peer string) {
	for _, e := range []struct {
		name string
		n    int64
	}{
		{"dialled", st.Dialled}, {"reused", st.Reused}, {"replaced", st.Replaced},
		{"bad_answer", st.BadAnswers}, {"queue_full", st.QueueFull},
	} {
		s.count(descPeerConns, float64(e.n), upstream, peer, e.name)
	}
}

func (s scrape) swept(st purge.SweepStats) {
	s.count(descPurgeEvt, float64(st.Sweeps), "sweep")
	s.count(descPurgeEvt, float64(st.Removed), "sweep_removed")
	s.count(descPurgeEvt, float64(st.Lowered), "sweep_lowered")
}

func (s scrape) purges(st purge.Stats) {
	for name, n := range map[string]uint64{
		"commit": st.Commits, "too_many": st.TooMany, "busy": st.Busy, "failed": st.Failed,
		"undurable": st.Undurable, "coarsened": st.Coarsened, "forgotten": st.Forgotten,
	} {
		s.count(descPurgeEvt, float64(n), name)
	}
	st.EachApplied(func(scope purge.Scope, mode purge.Strength, n uint64) {
		s.count(descPurges, float64(n), scope.String(), mode.String())
	})
	s.value(descPurgeSeq, float64(st.Seq))
	s.value(descPurgeHeld, float64(st.Purges+st.Invalidations))
}

func (s scrape) explain(x *Explain) {
	s.value(descListen, float64(x.listening.Load()))
	s.count(descUnheard, float64(x.unheard.Load()))
	s.count(descUnkept, float64(x.skipped.Load()))
}

// edges are the counters of the wires and of the access log.
func (m *Metrics) edges(s scrape, t *totals) {
	if read := m.wire.Load(); read != nil {
		w := (*read)()
		s.count(descBytes, float64(w.BytesIn), "in")
		s.count(descBytes, float64(w.BytesOut), "out")
		s.value(descConns, float64(w.Open))
		s.count(descAccepted, float64(w.Accepted), "accepted")
		s.count(descAccepted, float64(w.Refused), "refused")
		for event, n := range w.Events {
			s.count(descWire, float64(n), event)
		}
		if secured := m.tls.Load(); secured != nil {
			s.secure((*secured)(), w, time.Now())
		}
	} else {
		s.count(descBytes, float64(t.sent), "out")
	}
	if read := m.lines.Load(); read != nil {
		l := (*read)()
		s.count(descLines, float64(l.Lines), "taken")
		s.count(descLines, float64(l.Dropped), "dropped")
		s.count(descLines, float64(l.Lost), "lost")
	}
}

// running counts the fetches that can be joined now.
func (f *flights) running() (n int) {
	for i := range f.shards {
		sh := &f.shards[i]
		sh.mu.Lock()
		for h, list := range sh.by {
			for _, fl := range list {
				if fl.key.Hash == h { // not by the slice that it brings, too
					n++
				}
			}
		}
		sh.mu.Unlock()
	}
	return n
}
