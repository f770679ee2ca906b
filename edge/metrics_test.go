package edge

import (
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"edgecache/cachestore"
	"edgecache/edge/origin"
	"edgecache/policy"
	"edgecache/purge"
)

// newTestEngine makes an engine that serves no wire.
func newTestEngine(t testing.TB) *Engine {
	t.Helper()
	store, err := cachestore.NewMemory(cachestore.MemoryConfig{Size: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	purges, err := purge.Open(purge.Config{Path: filepath.Join(t.TempDir(), "purge.db")})
	if err != nil {
		t.Fatal(err)
	}
	pool, err := origin.NewPool(origin.Config{Name: "main", Peers: []string{"http://127.0.0.1:1"}})
	if err != nil {
		t.Fatal(err)
	}
	e, err := New(Config{Store: store, Purges: purges, Upstreams: map[string]*origin.Pool{"main": pool}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		e.Close()
		store.Close()
		purges.Close()
	})
	return e
}

// scrapeAll gives every series and its value, by name and labels.
func scrapeAll(t testing.TB, m *Metrics) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(m); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		for _, one := range f.GetMetric() {
			name := f.GetName()
			for _, l := range one.GetLabel() {
				name += " " + l.GetName() + "=" + l.GetValue()
			}
			switch {
			case one.GetCounter() != nil:
				all[name] = one.GetCounter().GetValue()
			case one.GetGauge() != nil:
				all[name] = one.GetGauge().GetValue()
			case one.GetHistogram() != nil:
				all[name] = float64(one.GetHistogram().GetSampleCount())
			}
		}
	}
	return all
}

func TestMetricsCountRequests(t *testing.T) {
	e := newTestEngine(t)
	m := e.metrics
	for range 3 {
		m.observe(&Record{Cache: CacheHit, Reason: policy.Fresh, Status: 200, Bytes: 100, Duration: 2e6})
	}
	m.observe(&Record{Cache: CacheMiss, Reason: policy.Collapsed, Status: 502, Error: "x", Proto: HTTP10, Bytes: 10, Unstored: policy.NoStore})
	m.observe(&Record{Cache: CacheMiss, Reason: policy.Expired, Status: 304, Kind: KindRefresh})
	m.observe(&Record{Cache: CacheBypass, Reason: policy.BadRequest, Status: 999})
	peer := e.cfg.Upstreams["main"].Peers()[0]
	m.upstreamDone(peer, 200, 1e6)
	m.upstreamDone(peer, 0, 1e6)
	m.upstreamDone(&origin.Peer{Upstream: "made up by a hook"}, 500, 1e6)
	e.finder.spared.Add(2)
	got := scrapeAll(t, m)
	for name, want := range map[string]float64{
		"edge_requests_total cache=hit code_class=2xx proto=HTTP/1.1":                 3,
		"edge_requests_total cache=miss code_class=5xx proto=HTTP/1.0":                1,
		"edge_requests_total cache=bypass code_class=none proto=HTTP/1.1":             1,
		"edge_request_reasons_total cache=miss reason=collapsed":                      1,
		"edge_request_reasons_total cache=hit reason=" + policy.Fresh.String():        3,
		"edge_errors_total kind=collapsed":                                            1,
		"edge_unstored_total reason=no_store":                                         1,
		"edge_refreshes_total code_class=3xx":                                         1,
		"edge_followers_total":                                                        1,
		"edge_request_duration_seconds cache=hit":                                     3,
		"edge_bytes_total direction=out":                                              310,
		"edge_upstream_requests_total code_class=2xx peer=127.0.0.1:1 upstream=main":  1,
		"edge_upstream_requests_total code_class=none peer=127.0.0.1:1 upstream=main": 1,
		"edge_upstream_requests_total code_class=5xx peer= upstream=":                 1,
		"edge_upstream_duration_seconds upstream=main":                                1,
		"edge_upstream_peer_healthy peer=127.0.0.1:1 upstream=main":                   1,
		"edge_upstream_spared_total reason=backoff":                                   2,
		"edge_fills_in_flight":                                                        0,
		"edge_purge_seq":                                                              float64(e.index.Now()),
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s is %v (there: %t), want %v", name, v, ok, want)
		}
	}
	if _, ok := got["edge_requests_total cache=miss code_class=3xx proto=HTTP/1.1"]; ok {
		t.Error("a refresh is counted as a client's request")
	}
}

// TestMetricsCardinality is the case metrics-cardinality: labels come from the
// configuration only.
// TestMetricsNameTheFault: an answer that broke off after a good head is counted
// by what broke it, not by why it was a miss.
func TestMetricsNameTheFault(t *testing.T) {
	e := newTestEngine(t)
	s := &Session{engine: e, Status: 200, Err: &origin.BodyError{Err: io.ErrUnexpectedEOF}}
	s.Cache = CacheResult{Status: CacheMiss, Reason: policy.URIMiss}
	var r Record
	s.record(&r)
	e.metrics.observe(&r)
	got := scrapeAll(t, e.metrics)
	name := "edge_errors_total kind=" + policy.UpstreamConnectionFailed.String()
	if got[name] != 1 || got["edge_errors_total kind=uri_miss"] != 0 {
		t.Errorf("%s is %v, by the miss's reason %v", name, got[name], got["edge_errors_total kind=uri_miss"])
	}
}

func TestMetricsCardinality(t *testing.T) {
	m := newTestEngine(t).metrics
	ask := func(i int) {
		text := fmt.Appendf(nil, "x%d", i)
		m.observe(&Record{Cache: CacheMiss, Reason: policy.URIMiss, Status: 200, Host: text, Method: string(text), Path: text, UserAgent: text, Client: text, Peer: string(text)})
	}
	ask(0)
	before := len(scrapeAll(t, m))
	for i := range 10_000 {
		ask(i)
	}
	if after := len(scrapeAll(t, m)); after != before {
		t.Errorf("%d series after 10,000 hosts and methods, %d before", after, before)
	}
}

func TestMetricsLoseNothingUnderLoad(t *testing.T) {
	m := newTestEngine(t).metrics
	var all sync.WaitGroup
	const workers, each = 8, 2000
	for range workers {
		all.Go(func() {
			for range each {
				m.observe(&Record{Cache: CacheHit, Reason: policy.Fresh, Status: 200, Duration: 1e5})
			}
		})
	}
	all.Wait()
	if n := m.sum().byCache(CacheHit); n != workers*each {
		t.Errorf("%d requests counted, want %d", n, workers*each)
	}
}

func TestMetricsAllocateNothing(t *testing.T) {
	m := newTestEngine(t).metrics
	r := &Record{Cache: CacheHit, Tier: TierMemory, Reason: policy.Fresh, Status: 200, Duration: 1e5}
	if n := testing.AllocsPerRun(1000, func() { m.observe(r) }); n >= 1 {
		t.Errorf("%v allocations a request, want none", n)
	}
}

func TestHistogramBuckets(t *testing.T) {
	var h histogram
	for _, seconds := range []float64{0, durationBuckets[0], durationBuckets[0] + 1e-6, 10, 11} {
		h.observe(int64(seconds * 1e9))
	}
	var s spread
	s.add(&h)
	count, sum, buckets := s.cumulative()
	if count != 5 || sum < 21 || sum > 21.1 {
		t.Errorf("count %d, sum %v", count, sum)
	}
	for bound, want := range map[float64]uint64{durationBuckets[0]: 2, durationBuckets[1]: 3, 10: 4} {
		if buckets[bound] != want {
			t.Errorf("up to %v: %d, want %d", bound, buckets[bound], want)
		}
	}
}

func BenchmarkObserve(b *testing.B) {
	m := newTestEngine(b).metrics
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		r := &Record{Cache: CacheHit, Reason: policy.Fresh, Status: 200, Duration: 1e5}
		for pb.Next() {
			m.observe(r)
		}
	})
}
