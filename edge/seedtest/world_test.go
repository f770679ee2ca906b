// Package seedtest holds a test for each line of the seed's checklist, S01 to
// S34, each through a real socket. `make mutate` shows that they fail when the
// calls they are about are taken out.
package seedtest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"edgecache/edge"
	"edgecache/edge/admin"
	"edgecache/edge/edgetest"
	"edgecache/edge/h1"
	"edgecache/edge/h2"
	"edgecache/edge/origin"
	"edgecache/policy"
	"edgecache/purge"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const token = "the-admin-token-of-this-test"

// overHTTP2 makes the clients speak HTTP/2, with prior knowledge; edge/h2/h2test sets it and runs
// all these tests once more. What writes to a connection itself goes on speaking HTTP/1.1.
var overHTTP2 = os.Getenv("EDGE_SEED_HTTP2") != ""

// wire puts the wires before an engine, as cmd/edge does.
func wire(e *edge.Engine) edgetest.Wire { return h1.New(e, h1.Config{HTTP2: h2.New(e, h2.Config{})}) }

// protocols are the clients'.
func protocols() *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(!overHTTP2)
	p.SetUnencryptedHTTP2(overHTTP2)
	return p
}

// isField finds a field by its name in any case: HTTP/2 has them in lower case.
func isField(name, value string) func([2]string) bool {
	return func(f [2]string) bool { return strings.EqualFold(f[0], name) && f[1] == value }
}

// proto is how a request's protocol is called.
func proto() string {
	if overHTTP2 {
		return edge.HTTP2.String()
	}
	return edge.HTTP11.String()
}

// fresh is the field that makes an answer storable for a minute.
const fresh = "Cache-Control: max-age=60"

// world is an origin with an edge in front of it and a recorder in all phases.
type world struct {
	*edgetest.Harness
	origin *edgetest.Origin
	rec    *edgetest.Recorder
}

// start runs a world whose recorder is rec; nil is one that only records.
func start(t testing.TB, rec *edgetest.Recorder) world {
	t.Helper()
	return startWith(t, edgetest.Config{Recorder: rec})
}

func startWith(t testing.TB, c edgetest.Config) world {
	t.Helper()
	o := edgetest.NewOrigin(t)
	if c.Recorder == nil {
		c.Recorder = &edgetest.Recorder{}
	}
	if c.Peers == nil && c.Edge.Upstreams == nil {
		c.Peers = []string{o.URL}
	}
	return world{plain(t, c), o, c.Recorder}
}

// plain runs an edge with the parts that c names and no others.
func plain(t testing.TB, c edgetest.Config) *edgetest.Harness {
	t.Helper()
	c.Wire, c.Edge.Token, c.Protocols = wire, token, protocols()
	return edgetest.New(t, c)
}

// adminPort answers a question on the admin port.
func adminPort(t testing.TB, h *edgetest.Harness, path string) (status int, body []byte) {
	t.Helper()
	handler, err := admin.New(admin.Config{
		Engine: h.Engine, Purges: purge.NewAPI(h.Purges, h.Engine.Keyed), Token: token,
		Listen: "127.0.0.1:0", Ready: func() error { return nil }, Version: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	defer server.Close()
	q, err := http.NewRequest(http.MethodGet, server.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+token)
	a, err := server.Client().Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	body, err = io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return a.StatusCode, body
}

// explained asks GET /v1/explain/{request-id}.
func explained(t testing.TB, h *edgetest.Harness, id string) edge.Explanation {
	t.Helper()
	h.Record(id)
	status, body := adminPort(t, h, "/v1/explain/"+id)
	if status != http.StatusOK {
		t.Fatalf("explain %s: status %d: %s", id, status, body)
	}
	var e edge.Explanation
	if err := json.Unmarshal(body, &e); err != nil {
		t.Fatalf("explain %s: %v", id, err)
	}
	return e
}

// wantReply checks status and cache result of an answer.
func wantReply(t testing.TB, h *edgetest.Harness, r edgetest.Reply, status int, cache edge.CacheStatus, why policy.Reason) edge.Record {
	t.Helper()
	if r.Err != nil {
		t.Fatalf("answer broken: %v", r.Err)
	}
	if r.Status != status {
		t.Errorf("status %d, want %d", r.Status, status)
	}
	rec := h.Record(r.ID())
	if rec.Cache != cache || rec.Reason != why {
		t.Errorf("cache %v, reason %v; want %v, %v", rec.Cache, rec.Reason, cache, why)
	}
	if rec.Status != status {
		t.Errorf("logged status %d, want %d", rec.Status, status)
	}
	return rec
}

func wantPhases(t testing.TB, h *edgetest.Harness, r edgetest.Reply, want string) {
	t.Helper()
	if got := strings.Join(h.Phases(r.ID()), " "); got != want {
		t.Errorf("phases\n got %s\nwant %s", got, want)
	}
}

// The phases of the usual requests.
const (
	onHit    = "request_filter cache_lookup logging"
	onMiss   = "request_filter cache_lookup upstream_peer upstream_request_filter connected_to_upstream response_filter cache_store logging"
	onBypass = "request_filter upstream_peer upstream_request_filter connected_to_upstream response_filter logging"
)

// upstreams makes one pool a name, each with one peer or none.
func upstreams(t testing.TB, peers map[string]string) map[string]*origin.Pool {
	t.Helper()
	all := map[string]*origin.Pool{}
	for name, url := range peers {
		c := origin.Config{Name: name}
		if url != "" {
			c.Peers = []string{url}
		}
		all[name] = edgetest.Pool(t, c)
	}
	return all
}

// quick are timeouts for tests in which one expires.
var quick = origin.Timeouts{Connect: time.Second, FirstByte: 50 * time.Millisecond, Idle: 50 * time.Millisecond}
