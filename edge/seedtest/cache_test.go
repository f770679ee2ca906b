package seedtest

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"edgecache/edge"
	"edgecache/edge/edgetest"
	"edgecache/policy"
)

var update = flag.Bool("update", false, "write the golden traces anew")

// enabling is a recorder that takes down what the client's session said about
// caching when it was logged.
func enabling() (*edgetest.Recorder, func(id string) bool) {
	var mu sync.Mutex
	enabled := map[string]bool{}
	rec := &edgetest.Recorder{Logged: func(s *edge.Session, _ error) {
		mu.Lock()
		defer mu.Unlock()
		if s.Kind == edge.KindClient {
			enabled[string(s.ID)] = s.CacheEnabled
		}
	}}
	return rec, func(id string) bool {
		mu.Lock()
		defer mu.Unlock()
		return enabled[id]
	}
}

// cached is a world with a clock, whose origin answers /a with a version that
// grows.
func cached(t *testing.T, rules policy.Rules, fields ...string) (world, *edgetest.Clock, func(id string) bool) {
	rec, enabled := enabling()
	clock := &edgetest.Clock{}
	w := startWith(t, edgetest.Config{Recorder: rec, Clock: clock, Rules: rules})
	version := 0
	w.origin.OnFunc("/a", func(edgetest.Seen) edgetest.Answer {
		version++
		return edgetest.Text(200, fmt.Sprint("version ", version), fields...)
	})
	return w, clock, enabled
}

func TestS29_Miss(t *testing.T) {
	w, _, enabled := cached(t, policy.Rules{}, fresh)
	r := w.Get("/a")
	wantReply(t, w.Harness, r, 200, edge.CacheMiss, policy.URIMiss)
	if !enabled(r.ID()) || w.Store.Stats().Variants != 1 {
		t.Errorf("a miss enables storing: %v, stored %d", enabled(r.ID()), w.Store.Stats().Variants)
	}
}

func TestS29_Hit(t *testing.T) {
	w, _, enabled := cached(t, policy.Rules{}, fresh)
	w.Get("/a")
	r := w.Get("/a")
	wantReply(t, w.Harness, r, 200, edge.CacheHit, policy.Fresh)
	if enabled(r.ID()) || r.Body != "version 1" || w.origin.Asked("/a") != 1 {
		t.Errorf("a hit serves: %q, storing enabled %v, %d asked", r.Body, enabled(r.ID()), w.origin.Asked("/a"))
	}
}

func TestS29_Stale(t *testing.T) {
	w, clock, enabled := cached(t, policy.Rules{}, "Cache-Control: max-age=60, stale-while-revalidate=60")
	w.Get("/a")
	clock.Advance(90 * time.Second)
	r := w.Get("/a")
	wantReply(t, w.Harness, r, 200, edge.CacheStale, policy.StaleWhileRevalidate)
	if !enabled(r.ID()) || r.Body != "version 1" {
		t.Errorf("stale serves %q and enables storing: %v", r.Body, enabled(r.ID()))
	}
	w.Records.Wait(t, "the refresh", func(l []edge.Record) bool {
		return slices.ContainsFunc(l, func(r edge.Record) bool { return r.Kind == edge.KindRefresh })
	})
	fresh := w.Get("/a")
	wantReply(t, w.Harness, fresh, 200, edge.CacheHit, policy.Fresh)
	if fresh.Body != "version 2" {
		t.Errorf("after the refresh the body is %q: nothing was stored", fresh.Body)
	}
}

func TestS29_Bypass(t *testing.T) {
	w, _, enabled := cached(t, policy.Rules{Bypass: true}, fresh)
	for range 2 {
		r := w.Get("/a")
		wantReply(t, w.Harness, r, 200, edge.CacheBypass, policy.BypassRule)
		if enabled(r.ID()) {
			t.Error("a bypass leaves storing enabled")
		}
	}
	if w.origin.Asked("/a") != 2 || w.Store.Stats().Variants != 0 {
		t.Errorf("%d asked, %d stored; want 2, 0", w.origin.Asked("/a"), w.Store.Stats().Variants)
	}
}

func TestS30_PeerInLogAndMetrics(t *testing.T) {
	w := start(t, nil)
	w.origin.On("/a", edgetest.Text(200, "a", fresh))
	miss, hit := w.Get("/a"), w.Get("/a")
	peer := strings.TrimPrefix(w.origin.URL, "http://")
	rec := w.Record(miss.ID())
	if rec.Peer != peer || !rec.PeerHealthy {
		t.Errorf("the miss is logged with peer %q, healthy %v", rec.Peer, rec.PeerHealthy)
	}
	if line := string(rec.AppendJSON(nil)); !strings.Contains(line, `"peer":"`+peer+`"`) || !strings.Contains(line, `"peer_healthy":true`) {
		t.Errorf("the line is %s", line)
	}
	if rec := w.Record(hit.ID()); rec.Peer != "" {
		t.Errorf("the hit is logged with peer %q", rec.Peer)
	}
	view := explained(t, w.Harness, miss.ID()).Session.UpstreamPeer
	if view == nil || view.Upstream != "main" || fmt.Sprintf("%s:%d", view.Address, view.Port) != peer || !view.Healthy {
		t.Errorf("explain tells %+v", view)
	}
	healthy := func(want int) {
		t.Helper()
		_, text := adminPort(t, w.Harness, "/metrics")
		for _, line := range []string{
			fmt.Sprintf(`edge_upstream_peer_healthy{peer="%s",upstream="main"} %d`, peer, want),
			fmt.Sprintf(`edge_upstream_requests_total{code_class="2xx",peer="%s",upstream="main"} 1`, peer),
		} {
			if !strings.Contains(string(text), line+"\n") {
				t.Errorf("the metrics have no line %s", line)
			}
		}
	}
	healthy(1)
	w.origin.Close()
	w.Peers("main")[0].MarkUnhealthy(time.Now())
	healthy(0)
	if rec := w.Record(w.Get("/b").ID()); rec.PeerHealthy {
		t.Error("logged as healthy after it was marked unhealthy")
	}
}

// golden runs one request of each kind and gives the phases that it went
// through, delivery too.
func golden(t *testing.T) string {
	swr := "Cache-Control: max-age=60, stale-while-revalidate=60"
	w, clock, _ := cached(t, policy.Rules{}, swr)
	w.origin.On("/broken", edgetest.Script(edgetest.Bytes("nonsense\r\n\r\n"), edgetest.Cut()))
	w.origin.On("/checked", edgetest.Text(200, "checked", "Cache-Control: max-age=60", `Etag: "e"`), edgetest.Text(304, "", "Cache-Control: max-age=60"))
	w.Get("/checked")
	w.rec.Request = func(s *edge.Session) (edge.FilterResult, error) {
		if string(s.Request.Path) == "/secret" {
			return edge.Reject(403, "secret"), nil
		}
		return edge.Continue, nil
	}
	var text strings.Builder
	run := func(name, method, path string) {
		r := w.Do(method, path, "")
		fmt.Fprintf(&text, "%s: %s\n", name, strings.Join(w.Explain(r.ID()).Phases, " "))
	}
	run("miss", "GET", "/a")
	run("hit", "GET", "/a")
	clock.Advance(90 * time.Second)
	run("stale", "GET", "/a")
	run("revalidated", "GET", "/checked")
	run("bypass", "POST", "/a")
	run("reject", "GET", "/secret")
	run("error", "GET", "/broken")
	return text.String()
}

func TestS31_GoldenTraces(t *testing.T) {
	got := golden(t)
	const name = "testdata/traces.golden"
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("traces\n%s\nwant\n%s", got, want)
	}
}

// A refresh is a session of its own: logged alone, by its own phases.
func TestS31_RefreshIsLoggedAlone(t *testing.T) {
	w, clock, _ := cached(t, policy.Rules{}, "Cache-Control: max-age=60, stale-while-revalidate=60")
	w.Record(w.Get("/a").ID())
	clock.Advance(90 * time.Second)
	w.rec.Forget()
	r := w.Get("/a")
	records := w.Records.Wait(t, "three records", func(l []edge.Record) bool { return len(l) == 3 })[1:]
	kinds := map[edge.Kind]int{}
	for _, rec := range records {
		kinds[rec.Kind]++
	}
	if kinds[edge.KindClient] != 1 || kinds[edge.KindRefresh] != 1 {
		t.Errorf("records %+v, want one of the client and one of the refresh", records)
	}
	if n := w.rec.Total("logging"); n != 2 {
		t.Errorf("logging ran %d times, want twice", n)
	}
	if got := strings.Join(w.Phases(r.ID()), " "); got != onHit {
		t.Errorf("the client's phases are %s", got)
	}
	for hook, want := range map[string]int{"upstream_peer": 1, "upstream_request_filter": 1, "response_filter": 1, "cache_store": 1, "delivery": 1} {
		if got := w.rec.Total(hook); got != want {
			t.Errorf("%s ran %d times, want %d", hook, got, want)
		}
	}
}

func TestS34_LoggerAndMetrics(t *testing.T) {
	w := start(t, nil)
	w.origin.On("/a", edgetest.Text(200, "a", fresh))
	w.origin.On("/broken", edgetest.Script(edgetest.Cut()))
	ids := []string{w.Get("/a").ID(), w.Get("/a").ID(), w.Get("/a").ID(), w.Do("POST", "/a", "").ID(), w.Get("/broken").ID(), w.Get("/missing").ID()}
	for _, id := range ids {
		w.Record(id)
	}
	if n := w.rec.Total("logging"); n != len(ids) {
		t.Errorf("%d requests were logged, want %d", n, len(ids))
	}
	_, text := adminPort(t, w.Harness, "/metrics")
	for _, line := range []string{
		`edge_requests_total{cache="miss",code_class="2xx",proto="HTTP/1.1"} 1`,
		`edge_requests_total{cache="hit",code_class="2xx",proto="HTTP/1.1"} 2`,
		`edge_requests_total{cache="bypass",code_class="2xx",proto="HTTP/1.1"} 1`,
		`edge_requests_total{cache="miss",code_class="5xx",proto="HTTP/1.1"} 1`,
		`edge_requests_total{cache="miss",code_class="4xx",proto="HTTP/1.1"} 1`,
		`edge_request_reasons_total{cache="hit",reason="fresh"} 2`,
		`edge_errors_total{kind="upstream_connection_failed"} 1`,
		`edge_request_duration_seconds_count{cache="hit"} 2`,
		`edge_request_duration_seconds_bucket{cache="hit",le="+Inf"} 2`,
		`edge_request_duration_seconds_count{cache="miss"} 3`,
	} {
		line = strings.Replace(line, "HTTP/1.1", proto(), 1)
		if !strings.Contains(string(text), line+"\n") {
			t.Errorf("the metrics have no line %s", line)
		}
	}
	for _, secret := range []string{"/broken", "/missing", ids[0]} {
		if strings.Contains(string(text), secret) {
			t.Errorf("%q, which a client sent, is in the metrics", secret)
		}
	}
}
