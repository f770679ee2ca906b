package seedtest

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"edgecache/edge"
	"edgecache/edge/edgetest"
	"edgecache/edge/origin"
	"edgecache/policy"
)

// panicking is a recorder whose hook of one name panics.
func panicking(hook string) *edgetest.Recorder {
	r := &edgetest.Recorder{}
	switch hook {
	case "request_filter":
		r.Request = func(*edge.Session) (edge.FilterResult, error) { panic(hook) }
	case "cache_lookup":
		r.Key = func(*edge.Session) ([]byte, error) { panic(hook) }
	case "upstream_peer":
		r.Peer = func(*edge.Session) (*origin.Peer, error) { panic(hook) }
	case "upstream_request_filter":
		r.Upstream = func(*edge.Session, *http.Request) (edge.FilterResult, error) { panic(hook) }
	case "connected_to_upstream":
		r.Connected = func(*edge.Session, origin.ConnInfo) error { panic(hook) }
	case "response_filter":
		r.Response = func(*edge.Session, *http.Response) (edge.FilterResult, error) { panic(hook) }
	case "cache_store":
		r.Store = func(*edge.Session, *policy.Decision) error { panic(hook) }
	case "delivery":
		r.Delivery = func(*edge.Session, *edge.Head) (edge.FilterResult, error) { panic(hook) }
	case "logging":
		r.Logged = func(*edge.Session, error) { panic(hook) }
	}
	return r
}

// logCase is an outcome that is logged exactly once.
type logCase struct {
	name   string
	rec    *edgetest.Recorder
	answer edgetest.Answer // of the origin
	warm   bool            // ask once before
	leave  bool            // the client leaves when the origin has been asked
	method string
	status int
	cache  edge.CacheStatus
	why    policy.Reason
	failed bool // the record has an error
}

func logCases(gate <-chan struct{}) []logCase {
	ok := edgetest.Text(200, "x", fresh)
	rejecting := &edgetest.Recorder{Request: func(*edge.Session) (edge.FilterResult, error) { return edge.Reject(403, "no"), nil }}
	responding := &edgetest.Recorder{Request: func(*edge.Session) (edge.FilterResult, error) { return edge.Respond(200, nil, []byte("me")), nil }}
	stuck := edgetest.Script(edgetest.Gate(gate), edgetest.Cut())
	head := "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nCache-Control: max-age=9\r\n\r\nhalf"
	list := []logCase{
		{name: "miss", answer: ok, status: 200, cache: edge.CacheMiss, why: policy.URIMiss},
		{name: "hit", answer: ok, warm: true, status: 200, cache: edge.CacheHit, why: policy.Fresh},
		{name: "relayed", answer: ok, method: "POST", status: 200, cache: edge.CacheBypass, why: policy.BypassRequest},
		{name: "reject", rec: rejecting, status: 403, cache: edge.CacheBypass, why: policy.Rejected, failed: true},
		{name: "respond", rec: responding, status: 200, cache: edge.CacheBypass, why: policy.Responded},
		{name: "error", answer: edgetest.Script(edgetest.Bytes("nonsense\r\n\r\n"), edgetest.Cut()), status: 502, cache: edge.CacheMiss, why: policy.BadUpstream, failed: true},
		{name: "broken in the body", answer: edgetest.Script(edgetest.Bytes(head), edgetest.Cut()), status: 200, cache: edge.CacheMiss, why: policy.URIMiss, failed: true},
		{name: "client gone from a fetch", answer: stuck, leave: true, status: 499, cache: edge.CacheMiss, why: policy.ClientGone, failed: true},
		{name: "client gone from a relay", answer: stuck, leave: true, method: "POST", status: 499, cache: edge.CacheBypass, why: policy.ClientGone, failed: true},
	}
	for _, hook := range []string{
		"request_filter", "cache_lookup", "upstream_peer", "upstream_request_filter",
		"connected_to_upstream", "response_filter", "cache_store", "delivery",
	} {
		c := logCase{name: "panic in " + hook, rec: panicking(hook), answer: ok, status: 500, cache: edge.CacheMiss, why: policy.HookPanic, failed: true}
		if hook == "request_filter" || hook == "cache_lookup" {
			c.cache = edge.CacheBypass
		}
		list = append(list, c)
	}
	return append(list,
		logCase{name: "panic in upstream_peer of a relay", rec: panicking("upstream_peer"), answer: ok, method: "POST", status: 500, cache: edge.CacheBypass, why: policy.HookPanic, failed: true},
		logCase{name: "panic in logging", rec: panicking("logging"), answer: ok, status: 200, cache: edge.CacheMiss, why: policy.URIMiss})
}

func TestS11_LoggingRunsExactlyOnce(t *testing.T) {
	gate := make(chan struct{})
	defer close(gate)
	for _, c := range logCases(gate) {
		t.Run(c.name, func(t *testing.T) { logsOnce(t, c) })
	}
}

func logsOnce(t *testing.T, c logCase) {
	w := start(t, c.rec)
	before := 0
	if c.warm {
		w.origin.On("/some/path", edgetest.Text(200, "x", fresh))
		w.Record(w.Get("/some/path", "Host: a.test").ID())
		before = 1
	}
	asked := make(chan struct{})
	w.origin.OnFunc("/some/path", func(edgetest.Seen) edgetest.Answer {
		close(asked)
		return c.answer
	})
	method := c.method
	if method == "" {
		method = "GET"
	}
	conn := w.Dial()
	w.Send(conn, "%s /some/path HTTP/1.1\r\nHost: a.test\r\n%s\r\n", method, map[bool]string{true: "Content-Length: 0\r\n"}[method == "POST"])
	if c.leave {
		edgetest.Receive(t, "the origin to be asked", asked)
		reset(t, conn)
	} else {
		edgetest.Read(bufio.NewReader(conn), method)
		conn.Close()
	}
	rec := w.Records.Wait(t, "the record", func(l []edge.Record) bool { return len(l) > before })[before]
	if rec.Status != c.status || rec.Cache != c.cache || rec.Reason != c.why || (rec.Error != "") != c.failed {
		t.Errorf("logged status %d, %v, %v, error %q; want %d, %v, %v, error %v", rec.Status, rec.Cache, rec.Reason, rec.Error, c.status, c.cache, c.why, c.failed)
	}
	if string(rec.Path) != "/some/path" || rec.Method != method || rec.Duration <= 0 || rec.Time == 0 {
		t.Errorf("logged %s %s, %d ns from %d", rec.Method, rec.Path, rec.Duration, rec.Time)
	}
	if trace := w.Explain(string(rec.ID)).Phases; trace[len(trace)-1] != "logging" {
		t.Errorf("logging is not last: %q", trace)
	}
	w.Close() // whatever is still on its way is over then
	if n := w.rec.Total("logging"); n != 1+before {
		t.Errorf("logging ran %d times, want %d", n, 1+before)
	}
	if n := len(w.Records.All()); n != 1+before {
		t.Errorf("%d records, want %d", n, 1+before)
	}
}

// reset breaks a connection off, so that the other side cannot take it for one
// that only sends no more.
func reset(t testing.TB, c net.Conn) {
	t.Helper()
	if err := c.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}

// letters stand for the phases, so that an order is a regular expression.
var letters = map[string]string{
	"request_filter": "r", "cache_lookup": "l", "upstream_peer": "p", "upstream_request_filter": "u",
	"connected_to_upstream": "c", "response_filter": "f", "cache_store": "s", "delivery": "", "logging": "g",
	"fail_to_connect": "", "error_while_proxying": "",
}

// strictOrder has the eight phases in their order. A retry repeats from
// upstream_peer on; a reused connection that proves dead is replaced by a
// second one; a 304 whose base was purged meanwhile asks again.
var strictOrder = regexp.MustCompile(`^r?l?(pu?c{0,2}f?)*s?g$`)

func spell(names []string) string {
	var b strings.Builder
	for _, n := range names {
		b.WriteString(letters[n])
	}
	return b.String()
}

// chance is a random world: its hooks and its origin do what they like.
type chance struct{ r *rand.Rand }

func (c chance) one(in int) bool { return c.r.IntN(in) == 0 }

// result is a filter's, now and then something else than going on.
func (c chance) result() (edge.FilterResult, error) {
	switch c.r.IntN(30) {
	case 0:
		return edge.Reject(403, "by chance"), nil
	case 1:
		return edge.Respond(200, nil, []byte("by chance")), nil
	case 2, 3:
		return edge.Retry, nil
	case 4:
		return edge.SkipRemaining, nil
	case 5:
		return edge.Continue, io.ErrNoProgress
	case 6:
		panic("by chance")
	}
	return edge.Continue, nil
}

func (c chance) err() error {
	if c.one(20) {
		return io.ErrNoProgress
	}
	return nil
}

// recorder has hooks of which each request draws its own luck, by its id, so
// that no two goroutines share a source.
func (c chance) recorder() *edgetest.Recorder {
	seed := c.r.Uint64()
	luck := func(s *edge.Session, phase uint64) chance {
		var n uint64
		for _, b := range s.ID {
			n = n*31 + uint64(b)
		}
		return chance{rand.New(rand.NewPCG(seed^n, phase+uint64(s.RetryCount)<<8))}
	}
	return &edgetest.Recorder{
		Request: func(s *edge.Session) (edge.FilterResult, error) {
			l := luck(s, 1)
			s.CacheEnabled = !l.one(10)
			return l.result()
		},
		Key:       func(s *edge.Session) ([]byte, error) { return nil, luck(s, 2).err() },
		Upstream:  func(s *edge.Session, _ *http.Request) (edge.FilterResult, error) { return luck(s, 3).result() },
		Connected: func(s *edge.Session, _ origin.ConnInfo) error { return luck(s, 4).err() },
		Response: func(s *edge.Session, a *http.Response) (edge.FilterResult, error) {
			l := luck(s, 5)
			if l.one(5) {
				_, err := s.BufferResponseBody()
				return edge.Continue, err
			}
			return l.result()
		},
		Store:    func(s *edge.Session, _ *policy.Decision) error { return luck(s, 6).err() },
		Delivery: func(s *edge.Session, _ *edge.Head) (edge.FilterResult, error) { return luck(s, 7).result() },
		Fail:     func(s *edge.Session, _ *origin.Peer, _ error) bool { return !luck(s, 8).one(4) },
	}
}

// answer is the origin's, of all kinds.
func (c chance) answer(r edgetest.Seen) edgetest.Answer {
	switch c.r.IntN(12) {
	case 0:
		return edgetest.Text(500+c.r.IntN(4), "ill")
	case 1:
		return edgetest.Script(edgetest.Cut())
	case 2:
		return edgetest.Script(edgetest.Bytes("HTTP/1.1 200 OK\r\nContent-Length: 100\r\nCache-Control: max-age=60\r\n\r\npart"), edgetest.Reset())
	case 3:
		return edgetest.Script(edgetest.Bytes("not HTTP at all\r\n\r\n"), edgetest.Cut())
	case 4:
		return edgetest.Text(200, "mine", "Cache-Control: no-store")
	case 5:
		return edgetest.Text(200, "two", fresh, "Vary: X-Kind")
	}
	if r.Header.Get("If-None-Match") != "" {
		return edgetest.Text(304, "", "Cache-Control: max-age=1", `Etag: "e"`)
	}
	return edgetest.Text(200, "short lived", "Cache-Control: max-age=1, stale-while-revalidate=2, stale-if-error=5", `Etag: "e"`)
}

func TestS12_StrictOrder(t *testing.T) {
	worlds, requests := 25, 60
	if testing.Short() {
		worlds = 6
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	orders := map[string]int{}
	for i := range worlds {
		c := chance{rand.New(rand.NewPCG(seed, uint64(i)))}
		randomWorld(t, c, requests, orders)
		if t.Failed() {
			t.Fatalf("world %d of seed %d", i, seed)
		}
	}
	for _, must := range []string{"rg", "rlg", "rlpucfsg", "rlpucfg", "rpucfg"} {
		if orders[must] == 0 && !testing.Short() {
			t.Errorf("the order %s never came: %v", must, orders)
		}
	}
	if len(orders) < 8 {
		t.Errorf("only %d different orders: %v", len(orders), orders)
	}
}

func randomWorld(t *testing.T, c chance, requests int, orders map[string]int) {
	var peers []string
	for range 1 + c.r.IntN(4) {
		if c.one(4) {
			peers = append(peers, edgetest.DeadURL(t))
			continue
		}
		o := edgetest.NewOrigin(t)
		own := chance{rand.New(rand.NewPCG(c.r.Uint64(), 0))}
		o.OnFunc("*", own.answer) // under the origin's lock
		peers = append(peers, o.URL)
	}
	clock := &edgetest.Clock{}
	h := plain(t, edgetest.Config{
		Peers: peers, Clock: clock, Recorder: c.recorder(), Pool: origin.Config{FailFor: time.Millisecond},
		Rules: policy.Rules{Bypass: c.one(8), StaleIfDead: time.Hour, HonorClient: true},
		Edge:  edge.Config{HitForMiss: time.Nanosecond, Limits: edge.Limits{Explain: 1000}},
	})
	for range requests {
		clock.Advance(time.Duration(c.r.IntN(900)) * time.Millisecond)
		ask(h, c)
	}
	h.Close()
	checked := map[string]bool{}
	for _, rec := range h.Records.All() {
		id := string(rec.ID)
		e, ok := h.Engine.Explain().Find(id)
		if !ok || checked[id] || rec.Kind != edge.KindClient {
			continue
		}
		checked[id] = true
		order := spell(e.Phases)
		orders[order]++
		if !strictOrder.MatchString(order) || order[0] != 'r' {
			t.Errorf("phases out of order: %s: %q", order, e.Phases)
		}
		if asked := strings.Count(order, "u"); rec.Peer != "" && asked <= rec.Retries { // more, when a 304 came too late for a purge
			t.Errorf("%s was asked, after %d retries; the phases are %q", rec.Peer, rec.Retries, e.Phases)
		}
	}
	if len(checked) < requests/2 {
		t.Errorf("only %d of %d requests could be checked", len(checked), requests)
	}
}

// ask makes one request of some kind, and sometimes does not wait for the end.
func ask(h *edgetest.Harness, c chance) {
	method := []string{"GET", "GET", "GET", "GET", "HEAD", "POST", "PUT"}[c.r.IntN(7)]
	extra := []string{"", "", "", "Cache-Control: no-cache\r\n", "X-Kind: b\r\n", "Range: bytes=1-2\r\n"}[c.r.IntN(6)]
	if method == "POST" || method == "PUT" {
		extra += "Content-Length: 4\r\n\r\nbody"
	} else {
		extra += "\r\n"
	}
	conn, err := net.Dial("tcp", h.Addr)
	if err != nil {
		return
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "%s /p%d HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n%s", method, c.r.IntN(5), extra); err != nil || c.one(10) {
		return
	}
	edgetest.Read(bufio.NewReader(conn), method)
}
