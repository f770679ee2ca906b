package seedtest

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"edgecache/edge"
	"edgecache/edge/edgetest"
	"edgecache/edge/origin"
	"edgecache/policy"
)

func TestS01_NoHostIsRejectedInRequestFilter(t *testing.T) {
	w := start(t, nil)
	w.origin.On("*", edgetest.Text(200, "never"))
	r := w.Raw("GET /x HTTP/1.1\r\nUser-Agent: hostless\r\n\r\n")
	wantReply(t, w.Harness, r, 400, edge.CacheBypass, policy.NoHost)
	wantPhases(t, w.Harness, r, "request_filter logging")
	if n := len(w.origin.Seen()); n != 0 {
		t.Errorf("the origin saw %d requests, want 0", n)
	}
	if n := w.rec.Total("request_filter"); n != 0 {
		t.Errorf("%d parts were asked about a request without Host, want 0: our own check is first", n)
	}
	if n := w.rec.Total("logging"); n != 1 {
		t.Errorf("logged %d times, want 1", n)
	}
	ok := w.Raw("GET /x HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
	if ok.Status != 200 || w.rec.Calls(ok.ID())[0] != "request_filter" {
		t.Errorf("with a Host: status %d, first hook %q", ok.Status, w.rec.Calls(ok.ID()))
	}
}

func TestS02_RequestFilterChangesHeaders(t *testing.T) {
	w := start(t, &edgetest.Recorder{Request: func(s *edge.Session) (edge.FilterResult, error) {
		s.Request.Set("X-Request-Id", "chosen-by-a-hook")
		s.Request.Set("X-Added", "yes")
		s.Request.Set("X-Changed", "after")
		s.Request.Del("X-Removed")
		return edge.Continue, nil
	}})
	w.origin.On("/a", edgetest.Text(200, "a"))
	r := w.Get("/a", "X-Changed: before", "X-Removed: there", "X-Request-Id: of the client")
	if r.ID() != "chosen-by-a-hook" {
		t.Errorf("the client got X-Request-Id %q", r.ID())
	}
	seen := w.origin.Seen()[0].Header
	for name, want := range map[string]string{"X-Request-Id": "chosen-by-a-hook", "X-Added": "yes", "X-Changed": "after", "X-Removed": ""} {
		if got := strings.Join(seen[name], "|"); got != want {
			t.Errorf("the origin saw %s %q, want %q", name, got, want)
		}
	}
	if rec := w.Record("chosen-by-a-hook"); rec.Status != 200 {
		t.Errorf("the access log has status %d", rec.Status)
	}
	if e := explained(t, w.Harness, "chosen-by-a-hook"); !strings.Contains(string(e.Record), "chosen-by-a-hook") {
		t.Errorf("explain tells %s", e.Record)
	}
}

func TestS03_LookupIsSecondAndOnlyWhenEnabled(t *testing.T) {
	for _, c := range []struct {
		name, method, body string
		rules              policy.Rules
		off                bool
		want               string
	}{
		{"enabled", "GET", "", policy.Rules{}, false, onMiss},
		{"a hook switches caching off", "GET", "", policy.Rules{}, true, onBypass},
		{"the route says bypass", "GET", "", policy.Rules{Bypass: true}, false, onBypass},
		{"POST is never looked up", "POST", "x", policy.Rules{}, false, onBypass},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := startWith(t, edgetest.Config{Rules: c.rules, Recorder: &edgetest.Recorder{
				Request: func(s *edge.Session) (edge.FilterResult, error) {
					s.CacheEnabled = !c.off
					return edge.Continue, nil
				},
			}})
			w.origin.On("/a", edgetest.Text(200, "a", fresh))
			r := w.Do(c.method, "/a", c.body)
			wantPhases(t, w.Harness, r, c.want)
			calls := w.rec.Calls(r.ID())
			if looked := slices.Index(calls, "cache_lookup"); c.want == onMiss && looked != 1 || c.want != onMiss && looked != -1 {
				t.Errorf("the key hook was call %d of %q", looked, calls)
			}
		})
	}
}

// A part's CacheKey is inside cache_lookup: what it adds parts two answers.
func TestS03_KeyHookPartsAnswers(t *testing.T) {
	w := start(t, &edgetest.Recorder{Key: func(s *edge.Session) ([]byte, error) {
		side, _ := s.Request.Get("X-Side")
		if side == "broken" {
			return nil, errors.New("no key today")
		}
		return []byte(side), nil
	}})
	w.origin.OnFunc("/a", func(r edgetest.Seen) edgetest.Answer { return edgetest.Text(200, r.Header.Get("X-Side"), fresh) })
	for _, c := range []struct {
		side  string
		cache edge.CacheStatus
		why   policy.Reason
	}{
		{"left", edge.CacheMiss, policy.URIMiss},
		{"right", edge.CacheMiss, policy.URIMiss},
		{"left", edge.CacheHit, policy.Fresh},
		{"right", edge.CacheHit, policy.Fresh},
		{"broken", edge.CacheBypass, policy.BypassHook},
	} {
		r := w.Get("/a", "X-Side: "+c.side)
		wantReply(t, w.Harness, r, 200, c.cache, c.why)
		if r.Body != c.side {
			t.Errorf("side %s got the answer of %s", c.side, r.Body)
		}
	}
}

func TestS04_HitTouchesNoOrigin(t *testing.T) {
	const hits = 1000
	body := strings.Repeat("a stored page\n", 5000)
	fields := []string{fresh, "Content-Type: text/html", "Etag: \"one\"", "X-Own: value", "Set-Own: a", "Set-Own: b"}
	w := start(t, nil)
	w.origin.On("/page", edgetest.Text(200, body, fields...))
	first := w.Get("/page")
	wantReply(t, w.Harness, first, 200, edge.CacheMiss, policy.URIMiss)
	w.Records.Wait(t, "the miss", func(l []edge.Record) bool { return len(l) == 1 })
	w.rec.Forget()
	want := sha256.Sum256([]byte(body))
	var last edgetest.Reply
	for i := range hits {
		r := w.Get("/page")
		if r.Err != nil || r.Status != 200 || sha256.Sum256([]byte(r.Body)) != want {
			t.Fatalf("hit %d: status %d, %d bytes, %v", i, r.Status, len(r.Body), r.Err)
		}
		for name, values := range edgetest.Header(fields...) {
			if !slices.Equal(r.Header[name], values) {
				t.Fatalf("hit %d: %s is %q, the origin sent %q", i, name, r.Header[name], values)
			}
		}
		for name := range r.Header {
			if edgetest.Header(fields...)[name] == nil && !slices.Contains([]string{"Age", "Cache-Status", "Content-Length", "Date", "Via", "X-Request-Id"}, name) {
				t.Fatalf("hit %d: the origin did not send %s: %q", i, name, r.Header[name])
			}
		}
		if r.Header.Get("Age") == "" || !strings.Contains(r.Header.Get("Cache-Status"), "; hit") {
			t.Fatalf("hit %d: Age %q, Cache-Status %q", i, r.Header.Get("Age"), r.Header.Get("Cache-Status"))
		}
		last = r
	}
	w.Records.Wait(t, "all log records", func(l []edge.Record) bool { return len(l) == hits+1 })
	for hook, want := range map[string]int{
		"request_filter": hits, "cache_lookup": hits, "delivery": hits, "logging": hits,
		"upstream_peer": 0, "upstream_request_filter": 0, "connected_to_upstream": 0, "response_filter": 0, "cache_store": 0,
	} {
		if got := w.rec.Total(hook); got != want {
			t.Errorf("%s was called %d times in %d hits, want %d", hook, got, hits, want)
		}
	}
	if n := len(w.origin.Seen()); n != 1 {
		t.Errorf("the origin saw %d requests, want 1", n)
	}
	wantPhases(t, w.Harness, last, onHit)
}

func TestS05_RoutesByLongestPrefix(t *testing.T) {
	origins, peers := map[string]*edgetest.Origin{}, map[string]string{"empty": ""}
	for _, name := range []string{"v2", "api", "static", "default"} {
		o := edgetest.NewOrigin(t)
		o.On("*", edgetest.Text(200, name))
		origins[name], peers[name] = o, o.URL
	}
	h := plain(t, edgetest.Config{Edge: edge.Config{
		Upstreams: upstreams(t, peers),
		Routes: []edge.Route{ // the order must not matter
			{Path: "/", Upstream: "default"}, {Path: "/api", Upstream: "api"}, {Path: "/static", Upstream: "static"},
			{Path: "/api/v2", Upstream: "v2"}, {Path: "/nobody", Upstream: "empty"},
		},
	}})
	for path, want := range map[string]string{
		"/": "default", "/x": "default", "/api": "api", "/api/": "api", "/api/v1/x": "api", "/api/v2": "v2",
		"/api/v2/x": "v2", "/api/v22": "api", "/apis": "default", "/static/a.css": "static", "/x/static/": "default",
	} {
		if r := h.Get(path); r.Body != want {
			t.Errorf("%s went to %q, want %s", path, r.Body, want)
		}
	}
	r := h.Get("/nobody/x")
	wantReply(t, h, r, 502, edge.CacheMiss, policy.NoPeer)
	wantPhases(t, h, r, "request_filter cache_lookup upstream_peer logging")
}

// A part that is the proxy chooses the peer; one that names none is no_peer.
func TestS05_ProxyChoosesThePeer(t *testing.T) {
	a, b := edgetest.NewOrigin(t), edgetest.NewOrigin(t)
	a.On("*", edgetest.Text(200, "a"))
	b.On("*", edgetest.Text(200, "b"))
	pools := upstreams(t, map[string]string{"a": a.URL, "b": b.URL})
	h := plain(t, edgetest.Config{
		Recorder: &edgetest.Recorder{Peer: func(s *edge.Session) (*origin.Peer, error) {
			want, _ := s.Request.Get("X-Want")
			if want == "nobody" {
				return nil, nil
			}
			return pools[want].Peers()[0], nil
		}},
		Edge: edge.Config{Upstreams: pools, Routes: []edge.Route{{Upstream: "a"}}},
	})
	for _, want := range []string{"a", "b"} {
		if r := h.Get("/", "X-Want: "+want); r.Body != want {
			t.Errorf("wanted %s, was answered by %q", want, r.Body)
		}
	}
	wantReply(t, h, h.Get("/", "X-Want: nobody"), 502, edge.CacheMiss, policy.NoPeer)
}

func TestS06_UpstreamRequestFilterIsUnseen(t *testing.T) {
	var mu sync.Mutex
	asked := 0
	w := start(t, &edgetest.Recorder{Upstream: func(s *edge.Session, q *http.Request) (edge.FilterResult, error) {
		mu.Lock()
		defer mu.Unlock()
		asked++
		q.Header.Set("Authorization", fmt.Sprintf("Bearer secret-%d", asked))
		q.Header.Set("X-Backend", "blue")
		return edge.Continue, nil
	}})
	w.origin.On("/a", edgetest.Text(200, "a", fresh))
	w.origin.On("/b", edgetest.Text(200, "b", fresh))
	first, again, other := w.Get("/a", "X-Forwarded-Proto: https", "X-Real-Ip: 9.9.9.9"), w.Get("/a"), w.Get("/b")
	wantReply(t, w.Harness, first, 200, edge.CacheMiss, policy.URIMiss)
	wantReply(t, w.Harness, again, 200, edge.CacheHit, policy.Fresh) // the token is no part of the key
	wantReply(t, w.Harness, other, 200, edge.CacheMiss, policy.URIMiss)
	seen := w.origin.Seen()
	if len(seen) != 2 {
		t.Fatalf("the origin saw %d requests, want 2", len(seen))
	}
	for name, want := range map[string]string{
		"Authorization": "Bearer secret-1", "X-Backend": "blue", "X-Forwarded-Proto": "http", "X-Real-Ip": "127.0.0.1",
	} {
		if got := strings.Join(seen[0].Header[name], "|"); got != want {
			t.Errorf("the origin saw %s %q, want %q", name, got, want)
		}
	}
	if got := seen[1].Header.Get("Authorization"); got != "Bearer secret-2" {
		t.Errorf("the second request went up with %q", got)
	}
	for _, r := range []edgetest.Reply{first, again, other} {
		for name, values := range r.Header {
			if text := name + strings.Join(values, " "); strings.Contains(text, "secret") || strings.Contains(text, "Backend") {
				t.Errorf("the client got %s: %s", name, values)
			}
		}
	}
}

// connections takes down what connected_to_upstream was told.
type connections struct {
	mu   sync.Mutex
	list []origin.ConnInfo
}

func (c *connections) recorder() *edgetest.Recorder {
	return &edgetest.Recorder{Connected: func(s *edge.Session, i origin.ConnInfo) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.list = append(c.list, i)
		return nil
	}}
}

func TestS07_ConnectedOnceForEveryConnectionUsed(t *testing.T) {
	var conns connections
	w := start(t, conns.recorder())
	w.origin.On("/a", edgetest.Text(200, "a", fresh))
	w.origin.On("/b", edgetest.Text(200, "b", fresh))
	before := time.Now().UnixNano()
	w.Get("/a")
	w.Get("/b")
	w.Get("/a")
	hit := w.Get("/b")
	wantReply(t, w.Harness, hit, 200, edge.CacheHit, policy.Fresh)
	if len(conns.list) != 2 {
		t.Fatalf("connected %d times in two misses and two hits, want 2", len(conns.list))
	}
	for i, c := range conns.list {
		if c.Reused != (i == 1) || c.TLSVersion != 0 || c.At < before || c.Peer.URL.String() != w.origin.URL || "http://"+c.Remote != w.origin.URL {
			t.Errorf("connection %d: %+v", i, c)
		}
	}
	if opened, _ := w.origin.Conns(); opened != 1 {
		t.Errorf("%d connections opened, want 1", opened)
	}
}

func TestS07_ConnectedTellsTLS(t *testing.T) {
	secure := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, "safe") }))
	defer secure.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	var conns connections
	h := plain(t, edgetest.Config{
		Peers: []string{secure.URL}, Pool: origin.Config{TLS: origin.TLSConfig{CA: ca, Name: "example.com"}}, Recorder: conns.recorder(),
	})
	if r := h.Get("/"); r.Body != "safe" {
		t.Fatalf("status %d, body %q", r.Status, r.Body)
	}
	if len(conns.list) != 1 || conns.list[0].TLSVersion != tls.VersionTLS13 {
		t.Errorf("connections %+v, want one over TLS 1.3", conns.list)
	}
}

// An error of the hook counts as a failed connect.
func TestS07_ConnectedRefuses(t *testing.T) {
	var failed []error
	w := start(t, &edgetest.Recorder{
		Connected: func(*edge.Session, origin.ConnInfo) error { return errors.New("not this one") },
		Fail: func(_ *edge.Session, _ *origin.Peer, err error) bool {
			failed = append(failed, err)
			return false
		},
	})
	w.origin.On("/a", edgetest.Text(200, "a"))
	r := w.Get("/a")
	wantReply(t, w.Harness, r, 502, edge.CacheMiss, policy.UpstreamConnectionFailed)
	if n := len(w.origin.Seen()); n != 0 {
		t.Errorf("the origin saw %d requests, want none", n)
	}
	var dial *origin.DialError
	if len(failed) != 1 || !errors.As(failed[0], &dial) {
		t.Errorf("fail_to_connect heard of %v", failed)
	}
}

func TestS08_ResponseFilterShapesMissesAndHits(t *testing.T) {
	added := map[string]string{
		"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Strict-Transport-Security": "max-age=31536000",
	}
	removed := []string{"X-Internal-Debug", "X-Backend-Server"}
	w := start(t, &edgetest.Recorder{Response: func(_ *edge.Session, a *http.Response) (edge.FilterResult, error) {
		for name, value := range added {
			a.Header.Set(name, value)
		}
		for _, name := range removed {
			a.Header.Del(name)
		}
		return edge.Continue, nil
	}})
	w.origin.On("/a", edgetest.Text(200, "a", fresh, "X-Internal-Debug: 1", "X-Backend-Server: db7", "X-Frame-Options: ALLOWALL"))
	for _, cache := range []edge.CacheStatus{edge.CacheMiss, edge.CacheHit, edge.CacheHit} {
		r := w.Get("/a")
		if got := w.Record(r.ID()).Cache; got != cache {
			t.Errorf("cache %v, want %v", got, cache)
		}
		for name, want := range added {
			if got := r.Header[name]; len(got) != 1 || got[0] != want {
				t.Errorf("%v: %s is %q, want %q", cache, name, got, want)
			}
		}
		for _, name := range removed {
			if _, there := r.Header[name]; there {
				t.Errorf("%v: %s is still there", cache, name)
			}
		}
	}
	if n := w.rec.Total("response_filter"); n != 1 {
		t.Errorf("response_filter ran %d times, want once a fetch", n)
	}
}

func TestS09_ResponseFilterSwitchesCachingOff(t *testing.T) {
	off := func(s *edge.Session, a *http.Response) (edge.FilterResult, error) {
		if a.StatusCode >= 500 {
			s.CacheEnabled = false
		}
		return edge.Continue, nil
	}
	for _, c := range []struct {
		name          string
		hook          func(*edge.Session, *http.Response) (edge.FilterResult, error)
		status        int
		asked, stored int
		unstored      policy.Reason
		second        edge.CacheStatus
		storeCalls    int
	}{
		{"503 with the filter", off, 503, 2, 0, policy.Hook, edge.CacheMiss, 0},
		{"503 without it", nil, 503, 1, 1, policy.None, edge.CacheHit, 1},
		{"200 with the filter", off, 200, 1, 1, policy.None, edge.CacheHit, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := start(t, &edgetest.Recorder{Response: c.hook})
			w.origin.On("/a", edgetest.Text(c.status, "a", fresh))
			first := w.Get("/a")
			if got := w.Record(first.ID()).Unstored; got != c.unstored {
				t.Errorf("not stored because of %v, want %v", got, c.unstored)
			}
			if got := w.Record(w.Get("/a").ID()).Cache; got != c.second {
				t.Errorf("the second was a %v, want %v", got, c.second)
			}
			if got := w.origin.Asked("/a"); got != c.asked {
				t.Errorf("the origin was asked %d times, want %d", got, c.asked)
			}
			if got := int(w.Store.Stats().Variants); got != c.stored {
				t.Errorf("%d stored, want %d", got, c.stored)
			}
			if got := w.rec.Total("cache_store"); got != c.storeCalls {
				t.Errorf("cache_store was called %d times, want %d", got, c.storeCalls)
			}
		})
	}
}

func TestS10_CacheStoreWhileTheBodyStreams(t *testing.T) {
	rest := make(chan struct{})
	stored := make(chan struct{})
	w := start(t, &edgetest.Recorder{Store: func(*edge.Session, *policy.Decision) error {
		close(stored)
		return nil
	}})
	w.origin.On("/a", edgetest.Script(
		edgetest.Bytes("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 10\r\n\r\nfirst"),
		edgetest.Gate(rest), edgetest.Bytes("other")))
	c := w.Dial()
	w.Send(c, "GET /a HTTP/1.1\r\nHost: a.test\r\n\r\n")
	edgetest.Receive(t, "cache_store before the body's end", stored)
	in := bufio.NewReader(c)
	head, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	half := make([]byte, 5)
	if _, err := io.ReadFull(head.Body, half); err != nil || string(half) != "first" {
		t.Fatalf("while the origin waits the client has %q, %v", half, err)
	}
	if n := w.Store.Stats().Variants; n != 0 {
		t.Errorf("%d stored before the body's end", n)
	}
	close(rest)
	if more, err := io.ReadAll(head.Body); err != nil || string(more) != "other" {
		t.Errorf("the rest is %q, %v", more, err)
	}
	id := head.Header.Get("X-Request-Id")
	if got := strings.Join(w.Phases(id), " "); got != onMiss {
		t.Errorf("phases %s", got)
	}
	wantReply(t, w.Harness, w.Get("/a", "Host: a.test"), 200, edge.CacheHit, policy.Fresh)
}

func TestS10_CacheStoreOnlyForWhatMayBeStored(t *testing.T) {
	cut := edgetest.Script(edgetest.Bytes("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 10\r\n\r\nhalf"), edgetest.Cut())
	for _, c := range []struct {
		name     string
		answer   edgetest.Answer
		hook     func(*edge.Session, *policy.Decision) error
		called   int
		broken   bool
		unstored policy.Reason
	}{
		{"storable", edgetest.Text(200, "a", fresh), nil, 1, false, policy.None},
		{"no-store", edgetest.Text(200, "a", "Cache-Control: no-store"), nil, 0, false, policy.NoStore},
		{"private", edgetest.Text(200, "a", "Cache-Control: private, max-age=60"), nil, 0, false, policy.Private},
		{"a hook forbids", edgetest.Text(200, "a", fresh), func(_ *edge.Session, d *policy.Decision) error {
			d.Store = false
			return nil
		}, 1, false, policy.Hook},
		{"a hook fails", edgetest.Text(200, "a", fresh), func(*edge.Session, *policy.Decision) error { return io.EOF }, 1, false, policy.Hook},
		{"aborted transfer", cut, nil, 1, true, policy.Aborted},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := start(t, &edgetest.Recorder{Store: c.hook})
			w.origin.On("/a", c.answer)
			r := w.Get("/a")
			if broken := r.Err != nil; broken != c.broken {
				t.Errorf("broken: %v (%v), want %v", broken, r.Err, c.broken)
			}
			w.Record(r.ID())
			calls := w.rec.Calls(r.ID())
			if got := w.rec.Total("cache_store"); got != c.called {
				t.Errorf("cache_store was called %d times, want %d", got, c.called)
			}
			if c.called == 1 && slices.Index(calls, "cache_store") != slices.Index(calls, "response_filter")+1 {
				t.Errorf("calls %q, want cache_store right behind response_filter", calls)
			}
			want := 1
			if c.unstored != policy.None {
				want = 2
			}
			w.Get("/a")
			if got := w.origin.Asked("/a"); got != want {
				t.Errorf("the origin was asked %d times, want %d", got, want)
			}
			if got := int(w.Store.Stats().Variants); got != 2-want {
				t.Errorf("%d stored, want %d", got, 2-want)
			}
			if got := w.Record(r.ID()).Unstored; got != c.unstored {
				t.Errorf("not stored because of %v, want %v", got, c.unstored)
			}
		})
	}
}

// A hook may shorten a life and never make it longer.
func TestS10_CacheStoreShortens(t *testing.T) {
	w := start(t, &edgetest.Recorder{Store: func(s *edge.Session, d *policy.Decision) error {
		if string(s.Request.Path) == "/short" {
			d.Life.Fresh /= 60
			return nil
		}
		d.Life.Fresh *= 60
		return nil
	}})
	for path, want := range map[string]int64{"/short": 1, "/long": 60} {
		w.origin.On(path, edgetest.Text(200, "a", fresh))
		w.Get(path)
		r := w.Get(path)
		if rec := w.Record(r.ID()); rec.Cache != edge.CacheHit || rec.TTL > want || rec.TTL < want-1 {
			t.Errorf("%s: %v with ttl %d, want a hit with %d", path, rec.Cache, rec.TTL, want)
		}
	}
}

func TestS13_TransformedBodyIsStored(t *testing.T) {
	const body = "the body of the origin"
	upper := func(s *edge.Session, a *http.Response) (edge.FilterResult, error) {
		p, err := io.ReadAll(a.Body)
		a.Body = io.NopCloser(bytes.NewReader(bytes.ToUpper(p)))
		return edge.Continue, err
	}
	buffered := func(s *edge.Session, a *http.Response) (edge.FilterResult, error) {
		p, err := s.BufferResponseBody()
		a.Body = io.NopCloser(bytes.NewReader(append(bytes.ToUpper(p), '!')))
		return edge.Continue, err
	}
	looked := func(s *edge.Session, _ *http.Response) (edge.FilterResult, error) {
		_, err := s.BufferResponseBody()
		return edge.Continue, err
	}
	for _, c := range []struct {
		name string
		hook func(*edge.Session, *http.Response) (edge.FilterResult, error)
		want string
		etag string
	}{
		{"a reader in its place", upper, strings.ToUpper(body), ""},
		{"out of the buffer", buffered, strings.ToUpper(body) + "!", ""},
		{"buffered and left alone", looked, body, `"strong"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := start(t, &edgetest.Recorder{Response: c.hook})
			w.origin.On("/a", edgetest.Text(200, body, fresh, `Etag: "strong"`))
			for _, cache := range []edge.CacheStatus{edge.CacheMiss, edge.CacheHit} {
				r := w.Get("/a")
				if got := w.Record(r.ID()).Cache; got != cache || r.Err != nil {
					t.Errorf("cache %v, %v; want %v", got, r.Err, cache)
				}
				if r.Body != c.want {
					t.Errorf("%v: body %q, want %q", cache, r.Body, c.want)
				}
				if got := r.Header.Get("Etag"); got != c.etag {
					t.Errorf("%v: Etag %s, want %s: a strong one is of the bytes", cache, got, c.etag)
				}
			}
			if n := w.origin.Asked("/a"); n != 1 {
				t.Errorf("the origin was asked %d times, want 1", n)
			}
		})
	}
}
