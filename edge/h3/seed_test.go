package h3

import (
	"crypto/sha256"
	"strings"
	"testing"

	"edgecache/edge"
	"edgecache/edge/edgetest"
	"edgecache/policy"
)

// The phases of the usual requests, as edge/seedtest has them over HTTP/1.1.
const (
	phasesHit  = "request_filter cache_lookup logging"
	phasesMiss = "request_filter cache_lookup upstream_peer upstream_request_filter connected_to_upstream response_filter cache_store logging"
	phasesPass = "request_filter upstream_peer upstream_request_filter connected_to_upstream response_filter logging"
)

// seeded is a world with a recorder in all phases.
func seeded(t *testing.T) (*world, *edgetest.Recorder, *client) {
	rec := &edgetest.Recorder{}
	w := start(t, Config{}, func(c *edgetest.Config) { c.Recorder = rec })
	return w, rec, dial(t, w.addr)
}

func (w *world) wantPhases(a answer, want string) {
	w.t.Helper()
	id := a.Header.Get("X-Request-Id")
	w.Record(id)
	if got := strings.Join(w.Phases(id), " "); got != want {
		w.t.Errorf("phases\n got %s\nwant %s", got, want)
	}
}

// TestS04_HitRunsNoUpstreamPhase: what a hit is made of is what the origin sent.
func TestS04_HitRunsNoUpstreamPhase(t *testing.T) {
	w, rec, c := seeded(t)
	body := strings.Repeat("what the origin says ", 3000)
	w.origin.On("/s04", edgetest.Text(200, body, "Cache-Control: max-age=60", "X-Own: kept"))
	hooks := []string{"upstream_peer", "upstream_request_filter", "connected_to_upstream", "response_filter", "cache_store"}
	c.must("GET", "/s04", "")
	edgetest.Wait(t, "the miss is logged", func() bool { return rec.Total("logging") == 1 })
	for _, hook := range hooks {
		if n := rec.Total(hook); n != 1 {
			t.Errorf("%s ran %d times on the miss", hook, n)
		}
	}
	rec.Forget()
	for range 1000 {
		a := c.must("GET", "/s04", "")
		if sha256.Sum256([]byte(a.body)) != sha256.Sum256([]byte(body)) || a.Header.Get("X-Own") != "kept" || a.Header.Get("Age") == "" {
			t.Fatalf("%d %v, %d bytes", a.StatusCode, a.Header, len(a.body))
		}
	}
	edgetest.Wait(t, "all are logged", func() bool { return rec.Total("logging") == 1000 })
	for _, hook := range hooks {
		if n := rec.Total(hook); n != 0 {
			t.Errorf("%s ran %d times", hook, n)
		}
	}
	if n := w.origin.Asked("/s04"); n != 1 {
		t.Errorf("the origin was asked %d times", n)
	}
}

// TestS12_Order: hit, miss and what is passed on run the phases in their order.
func TestS12_Order(t *testing.T) {
	w, _, c := seeded(t)
	w.wantPhases(c.must("GET", "/s12", ""), phasesMiss)
	w.wantPhases(c.must("GET", "/s12", ""), phasesHit)
	w.wantPhases(c.must("POST", "/s12", "body"), phasesPass)
}

// TestS10_AbortStoresNothing: nor does it end cleanly for the client.
func TestS10_AbortStoresNothing(t *testing.T) {
	w, _, c := seeded(t)
	w.origin.On("/s10", edgetest.Script(edgetest.Bytes("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 100\r\n\r\nhalf"), edgetest.Cut()))
	if a := c.try(c.request("GET", "/s10", nil)); a.err == nil {
		t.Errorf("a cut answer came as %d %q", a.StatusCode, a.body)
	}
	w.Records.Wait(t, "it is logged", func(l []edge.Record) bool { return len(l) == 1 && l[0].Error != "" })
	if n := w.Store.Stats().Variants; n != 0 {
		t.Errorf("%d stored", n)
	}
}

// TestS20_NoOrigin is an answer like any other.
func TestS20_NoOrigin(t *testing.T) {
	w := start(t, Config{}, func(c *edgetest.Config) { c.Peers = []string{edgetest.DeadURL(t)} })
	a := dial(t, w.addr).must("GET", "/s20", "")
	if a.StatusCode != 502 || !strings.Contains(a.Header.Get("Proxy-Status"), "error=") {
		t.Errorf("%d %v", a.StatusCode, a.Header)
	}
}

// TestS11_LoggedOnce: every outcome is one record.
func TestS11_LoggedOnce(t *testing.T) {
	w, _, c := seeded(t)
	for i, x := range []struct {
		method, path string
		cache        edge.CacheStatus
		why          policy.Reason
	}{
		{"GET", "/s11", edge.CacheMiss, policy.URIMiss},
		{"GET", "/s11", edge.CacheHit, policy.Fresh},
		{"HEAD", "/s11", edge.CacheHit, policy.Fresh},
		{"DELETE", "/s11", edge.CacheBypass, policy.BypassRequest},
		{"GET", "/s11", edge.CacheMiss, policy.Purged},
		{"GET", "/%00", edge.CacheBypass, policy.BadRequest},
	} {
		a := c.must(x.method, x.path, "")
		list := w.Records.Wait(t, "it is logged", func(l []edge.Record) bool { return len(l) > i })
		r := list[len(list)-1]
		if len(list) != i+1 || r.Cache != x.cache || r.Status != a.StatusCode || string(r.ID) != a.Header.Get("X-Request-Id") {
			t.Errorf("%s %s: %d records, the last %v %v %d", x.method, x.path, len(list), r.Cache, r.Reason, r.Status)
		}
		if x.why != policy.BypassRequest && r.Reason != x.why {
			t.Errorf("%s %s: reason %v, want %v", x.method, x.path, r.Reason, x.why)
		}
	}
}
