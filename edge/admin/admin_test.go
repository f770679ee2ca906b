package admin_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"edgecache/cachestore"
	"edgecache/edge"
	"edgecache/edge/admin"
	"edgecache/edge/origin"
	"edgecache/purge"
)

const token = "0123456789abcdef-token"

// port is an admin port under test with what stands behind it.
type port struct {
	t      *testing.T
	server *httptest.Server
	engine *edge.Engine
	purges *purge.Log
	broken atomic.Bool // readiness fails
}

func open(t *testing.T, change func(*admin.Config)) *port {
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
	p := &port{t: t, purges: purges}
	p.engine, err = edge.New(edge.Config{Store: store, Purges: purges, Upstreams: map[string]*origin.Pool{"main": pool}})
	if err != nil {
		t.Fatal(err)
	}
	c := admin.Config{
		Engine: p.engine, Purges: purge.NewAPI(purges, nil), Token: token, Listen: "127.0.0.1:9145",
		Hosts: []string{"edge-admin.internal"}, Version: "v1",
		Ready: func() error {
			if p.broken.Load() {
				return errors.New("the purge log is broken")
			}
			return nil
		},
	}
	if change != nil {
		change(&c)
	}
	h, err := admin.New(c)
	if err != nil {
		t.Fatal(err)
	}
	p.server = httptest.NewUnstartedServer(nil)
	p.server.Config = admin.NewServer(h, slog.New(slog.DiscardHandler))
	p.server.Start()
	t.Cleanup(func() {
		p.server.CloseClientConnections()
		p.server.Close()
		p.engine.Close()
		store.Close()
		purges.Close()
	})
	return p
}

// call is one request to the port.
type call struct {
	method, path, body string
	host               string
	header             map[string]string
	bare               bool // without token
}

func (p *port) do(c call) (status int, body string, h http.Header) {
	p.t.Helper()
	if c.method == "" {
		c.method = http.MethodGet
	}
	req, err := http.NewRequest(c.method, p.server.URL+c.path, strings.NewReader(c.body))
	if err != nil {
		p.t.Fatal(err)
	}
	if !c.bare {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for name, value := range c.header {
		req.Header.Set(name, value)
	}
	req.Host = c.host
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return res.StatusCode, string(text), res.Header
}

const purgeAll = `{"type": "all", "purge": true}`

// TestCases runs the cases of admin.jsonl that are about this port, by id.
// The others belong elsewhere: purge-method-public and via-version to the data
// port, admin-bind to the start-up, purge-race, purge-stale and purge-variants
// to the engine and the purge log.
func TestCases(t *testing.T) {
	type want struct {
		call
		status int
	}
	cases := map[string][]want{
		"purge-noauth": {
			{call{method: "POST", path: "/v1/purge", body: purgeAll, bare: true}, 401},
			{call{method: "POST", path: "/v1/purge", body: purgeAll, header: map[string]string{"Authorization": "Bearer " + token + "x"}}, 401},
			{call{method: "POST", path: "/v1/purge", body: purgeAll, header: map[string]string{"Authorization": "Bearer "}}, 401},
			{call{method: "POST", path: "/v1/purge", body: purgeAll, header: map[string]string{"Authorization": "Basic " + token}}, 401},
			{call{method: "POST", path: "/v1/purge", body: purgeAll, header: map[string]string{"Authorization": token}}, 401},
			{call{method: "POST", path: "/v1/purge?token=" + token, body: purgeAll, bare: true}, 401},
		},
		"admin-csrf": {
			{call{method: "POST", path: "/v1/purge", body: purgeAll, header: map[string]string{"Origin": "https://evil.example", "Content-Type": "text/plain"}}, 403},
			{call{method: "POST", path: "/v1/purge", body: purgeAll, bare: true, header: map[string]string{"Origin": "https://evil.example"}}, 403},
			{call{method: "POST", path: "/v1/purge", body: purgeAll, header: map[string]string{"Origin": "null"}}, 403},
			{call{method: "POST", path: "/v1/purge", body: purgeAll, header: map[string]string{"Origin": "http://127.0.0.1:9145"}}, 403},
			{call{method: "POST", path: "/v1/purge", body: purgeAll, host: "evil.example"}, 403},
			{call{method: "POST", path: "/v1/purge", body: purgeAll, host: "127.0.0.1.evil.example:9145", bare: true}, 403},
			{call{path: "/metrics", host: "evil.example"}, 403},
			{call{path: "/livez", host: "192.0.2.1"}, 403},
		},
		"admin-body": {
			{call{method: "POST", path: "/v1/purge", body: strings.Repeat(" ", 2<<20) + purgeAll}, 413},
			{call{method: "POST", path: "/v1/purge", body: `{"type":"tag","selectors":` + strings.Repeat("[", 100_000)}, 400},
			{call{method: "POST", path: "/v1/purge", body: `{"type":"tag","selectors":["x"` + strings.Repeat(`,"x"`, 1000) + `]}`}, 400},
			{call{method: "POST", path: "/v1/purge", body: `{"type":"regex","selectors":["(a+)+$"]}`}, 501},
			{call{method: "POST", path: "/v1/purge", body: `{"type":"tag","selectors":["` + strings.Repeat("k", 1<<20) + `"]}`}, 413},
		},
		"pprof": {
			{call{path: "/debug/pprof/"}, 404},
			{call{path: "/debug/pprof/heap"}, 404},
			{call{path: "/debug/vars"}, 404},
			{call{path: "/debug/pprof/", bare: true}, 404},
		},
	}
	known := caseIDs(t)
	p := open(t, nil)
	before := p.purges.Index().Now()
	for id, list := range cases {
		t.Run(id, func(t *testing.T) {
			if !known[id] {
				t.Fatalf("no case has this id")
			}
			for _, w := range list {
				if status, body, _ := p.do(w.call); status != w.status {
					t.Errorf("%s %.40s with %v and Host %q: %d %.80q, want %d", w.method, w.path, w.header, w.host, status, body, w.status)
				}
			}
			if now := p.purges.Index().Now(); now != before {
				t.Errorf("%d purges were applied, want none", now-before)
			}
		})
	}
}

func caseIDs(t *testing.T) map[string]bool {
	t.Helper()
	f, err := os.Open("testdata/admin.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ids := map[string]bool{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var c struct{ ID string }
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		ids[c.ID] = true
	}
	return ids
}

func TestHostsThatAreKnown(t *testing.T) {
	for name, tt := range map[string]struct {
		listen string
		host   string
		want   int
	}{
		"loopback by number":                  {"127.0.0.1:9145", "127.0.0.1:9145", 200},
		"loopback by name":                    {"127.0.0.1:9145", "LocalHost", 200},
		"loopback of IPv6":                    {"127.0.0.1:9145", "[::1]:9145", 200},
		"a configured name":                   {"127.0.0.1:9145", "edge-admin.internal:80", 200},
		"its own address":                     {"10.1.2.3:9145", "10.1.2.3:9145", 200},
		"another address":                     {"10.1.2.3:9145", "10.1.2.4:9145", 403},
		"any address when it listens on all":  {":9145", "10.1.2.4:9145", 200},
		"no name when it listens on all":      {":9145", "rebound.example:9145", 403},
		"a name that begins like an address":  {"0.0.0.0:9145", "10.1.2.4.example", 403},
		"a subdomain of localhost is not it":  {"127.0.0.1:9145", "x.localhost", 403},
		"its own name with a dot at the end":  {"127.0.0.1:9145", "localhost.", 200},
		"an address with a zone is no escape": {"127.0.0.1:9145", "[fe80::1%25eth0]", 403},
	} {
		t.Run(name, func(t *testing.T) {
			p := open(t, func(c *admin.Config) { c.Listen = tt.listen })
			if status, body, _ := p.do(call{path: "/livez", host: tt.host, bare: true}); status != tt.want {
				t.Errorf("Host %s at %s: %d %q, want %d", tt.host, tt.listen, status, body, tt.want)
			}
		})
	}
}

func TestWhatNeedsNoToken(t *testing.T) {
	p := open(t, nil)
	for path, want := range map[string]int{
		"/livez": 200, "/readyz": 200, "/metrics": 200, "/": 404, "/v2": 404,
		"/v1": 401, "/v1/": 401, "/v1/top": 401, "/v1/log": 401, "/v1/purges": 401, "/v1/explain/x": 401, "/v1/nothing": 401,
	} {
		status, _, h := p.do(call{path: path, bare: true})
		if status != want {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
		if (status == 401) != (h.Get("WWW-Authenticate") != "") {
			t.Errorf("%s: %d with WWW-Authenticate %q", path, status, h.Get("WWW-Authenticate"))
		}
		if h.Get("Server") != "" || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: header %v", path, h)
		}
	}
}

func TestNoTokenMeansNobody(t *testing.T) {
	p := open(t, func(c *admin.Config) { c.Token = "" })
	for _, value := range []string{"Bearer ", "Bearer", "", "Bearer x"} {
		if status, _, _ := p.do(call{path: "/v1/top", header: map[string]string{"Authorization": value}}); status != 401 {
			t.Errorf("Authorization %q: %d, want 401", value, status)
		}
	}
}

func TestReadiness(t *testing.T) {
	p := open(t, nil)
	p.broken.Store(true)
	if status, body, _ := p.do(call{path: "/readyz", bare: true}); status != 503 || !strings.Contains(body, "purge log is broken") {
		t.Errorf("not ready: %d %q, want 503 and why", status, body)
	}
	if status, _, _ := p.do(call{path: "/livez", bare: true}); status != 200 {
		t.Errorf("alive while not ready: %d, want 200", status)
	}
}

func TestPurgeAndItsHistory(t *testing.T) {
	p := open(t, nil)
	status, body, _ := p.do(call{method: "POST", path: "/v1/purge", body: `{"type":"tag","selectors":["a","b"],"purge":true}`})
	var result struct {
		ID      string
		Seq     uint64
		Applied bool
		Mode    string
	}
	if err := json.Unmarshal([]byte(body), &result); err != nil || status != 200 {
		t.Fatalf("%d %q: %v", status, body, err)
	}
	if result.ID == "" || result.Seq != p.purges.Index().Now() || !result.Applied || result.Mode != "hard" {
		t.Errorf("%+v, the last number is %d", result, p.purges.Index().Now())
	}
	for path, want := range map[string]int{"/v1/purges": 200, "/v1/purges/" + result.ID: 200, "/v1/purges/none": 404} {
		if status, body, _ := p.do(call{path: path}); status != want || want == 200 && !strings.Contains(body, result.ID) {
			t.Errorf("%s: %d %q, want %d", path, status, body, want)
		}
	}
	if status, _, h := p.do(call{method: "DELETE", path: "/v1/purge"}); status != 405 || h.Get("Allow") == "" {
		t.Errorf("DELETE: %d, Allow %q", status, h.Get("Allow"))
	}
}

func TestMetricsExposition(t *testing.T) {
	p := open(t, nil)
	_, body, _ := p.do(call{path: "/metrics", bare: true})
	for _, want := range []string{`edge_build_info{go="`, `version="v1"`, "edge_purge_seq ", "edge_cache_bytes{tier=\"memory\"}", "go_goroutines ", "process_"} {
		if !strings.Contains(body, want) {
			t.Errorf("%s is missing", want)
		}
	}
}

func TestExplainAndTop(t *testing.T) {
	p := open(t, nil)
	if status, _, _ := p.do(call{path: "/v1/explain/none"}); status != 404 {
		t.Errorf("an unknown request: %d, want 404", status)
	}
	status, body, _ := p.do(call{path: "/v1/top"})
	var top edge.Top
	if err := json.Unmarshal([]byte(body), &top); err != nil || status != 200 || len(top.Upstreams) != 1 {
		t.Errorf("top: %d %q (%v)", status, body, err)
	}
}

func TestLogFollowsRequests(t *testing.T) {
	p := open(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.server.URL+"/v1/log?reason=bad_request", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	p.engine.Refuse(edge.Refusal{At: 1, Status: 400, Detail: "first"}) // the head is there, so it listens
	p.engine.Refuse(edge.Refusal{At: 2, Status: 431, Detail: "second"})
	lines := bufio.NewScanner(res.Body)
	for _, want := range []string{"first", "second"} {
		if !lines.Scan() || !strings.Contains(lines.Text(), want) || !json.Valid(lines.Bytes()) {
			t.Fatalf("line %q, want the one of %s (%v)", lines.Text(), want, lines.Err())
		}
	}
}

// endless is a listener that always has another client.
type endless struct{ accepted atomic.Int64 }

func (e *endless) Accept() (net.Conn, error) {
	e.accepted.Add(1)
	c, _ := net.Pipe()
	return c, nil
}
func (e *endless) Close() error   { return nil }
func (e *endless) Addr() net.Addr { return &net.TCPAddr{} }

func TestConnectionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &endless{}
		l := admin.Limit(inner)
		served := make(chan net.Conn, 2*admin.Conns)
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					close(served)
					return
				}
				served <- c
			}
		}()
		synctest.Wait()
		if n := inner.accepted.Load(); n != admin.Conns {
			t.Errorf("%d connections at once, want %d", n, admin.Conns)
		}
		c := <-served
		c.Close()
		c.Close() // gives no second slot
		synctest.Wait()
		if n := inner.accepted.Load(); n != admin.Conns+1 {
			t.Errorf("%d connections after one was closed, want %d", n, admin.Conns+1)
		}
		l.Close()
		for c := range served {
			c.Close()
		}
	})
}

func TestHeadIsBounded(t *testing.T) {
	p := open(t, nil)
	status, _, _ := p.do(call{path: "/livez", header: map[string]string{"X": string(bytes.Repeat([]byte("x"), 64<<10))}})
	if status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a head of 64 KiB: %d, want 431", status)
	}
}
