package casetest

import (
	"bufio"
	"fmt"
	"strings"
	"testing"
	"time"

	"edgecache/edge"
	"edgecache/edge/edgetest"
	"edgecache/edge/origin"
	"edgecache/policy"
)

// lone ends a connection with its answer: the next request has a new one, on
// which a reset is no stale keep-alive that is silently tried again.
const lone = "Connection: close"

// TestStaleWhileRevalidate: all are served at once while one refresh, which
// belongs to no client, is on its way; it is logged as a refresh.
func TestStaleWhileRevalidate(t *testing.T) {
	s := open(t, edgetest.Config{})
	g := newGate(t)
	s.origin.On("/x", edgetest.Text(200, "old", "Cache-Control: max-age=10, stale-while-revalidate=60", tagged), g.late(edgetest.Text(200, "new", fresh)))
	s.miss("old", "/x", "Host: a.test")
	s.advance(11)
	var last edgetest.Reply
	for range 10 {
		if last = s.hit("old", "/x", "Host: a.test", `If-None-Match: "other"`, "Range: bytes=x"); last.Header.Get("Age") != "11" {
			t.Errorf("Age %q, want 11", last.Header.Get("Age"))
		}
	}
	s.reached(g)
	s.asked(2, "/x")
	seen := s.last()
	if seen.Header.Get("If-None-Match") != `"v1"` || seen.Header.Get("Range") != "" {
		t.Errorf("the refresh asked with %v", seen.Header)
	}
	if r := s.Record(last.ID()); r.Cache != edge.CacheStale || r.Reason != policy.StaleWhileRevalidate || r.TTL >= 0 {
		t.Errorf("a client's record: %v %v, ttl %d", r.Cache, r.Reason, r.TTL)
	}
	g.open()
	refresh := s.refreshed(1)[0]
	if refresh.Status != 200 || string(refresh.Path) != "/x" || refresh.Peer == "" {
		t.Errorf("the refresh's record: %+v", refresh)
	}
	if r := s.hit("new", "/x", "Host: a.test"); r.Header.Get("Age") != "0" {
		t.Errorf("Age of the new one: %q", r.Header.Get("Age"))
	}
	s.asked(2, "/x")
}

// TestRefreshThatFails leaves what is stored; beyond the window clients wait.
func TestRefreshThatFails(t *testing.T) {
	for name, failure := range map[string]edgetest.Answer{
		"an error": edgetest.Text(503, "down", lone), "no answer": edgetest.Script(edgetest.Reset()),
		"a cut body": edgetest.Script(edgetest.Bytes("HTTP/1.1 200 OK\r\n"+fresh+"\r\nContent-Length: 9\r\n\r\nne"), edgetest.Cut()),
	} {
		s := open(t, edgetest.Config{})
		s.origin.On("/x", edgetest.Text(200, "old", "Cache-Control: max-age=10, stale-while-revalidate=60", lone), failure, failure, edgetest.Text(200, "new", fresh))
		s.miss("old", "/x")
		s.advance(11)
		for i := range 2 {
			s.hit("old", "/x")
			s.refreshed(i + 1)
			s.advance(2) // the origin is not asked again at once
		}
		s.advance(60)
		if got := s.want("new", "/x"); isHit(got) {
			t.Errorf("%s: behind the window %s", name, show(got))
		}
		s.asked(4, "/x")
	}
}

// TestRefreshesAreBounded: over the bound the object stays stale, and clients
// are served all the same.
func TestRefreshesAreBounded(t *testing.T) {
	const bound = 3
	s := open(t, edgetest.Config{Edge: edge.Config{Limits: edge.Limits{Refreshes: bound}}})
	g := make(chan struct{})
	asked := map[string]int{}
	s.origin.OnFunc("*", func(r edgetest.Seen) edgetest.Answer {
		if asked[r.Target]++; asked[r.Target] > 1 {
			return edgetest.Script(edgetest.Gate(g), edgetest.Whole(edgetest.Text(200, "new", fresh)))
		}
		return edgetest.Text(200, "old", "Cache-Control: max-age=10, stale-while-revalidate=60")
	})
	const objects = 8
	for i := range objects {
		s.miss("old", fmt.Sprint("/", i))
	}
	s.advance(11)
	for range 3 {
		for i := range objects {
			s.hit("old", fmt.Sprint("/", i))
		}
	}
	edgetest.Wait(t, "the refreshes that may be", func() bool { return len(s.origin.Seen()) >= objects+bound })
	if n := len(s.origin.Seen()); n != objects+bound {
		t.Errorf("%d refreshes at once, want %d", n-objects, bound)
	}
	close(g)
	s.refreshed(bound)
}

// TestStaleIfError: in its window a failing origin is not seen.
func TestStaleIfError(t *testing.T) {
	for name, c := range map[string]struct {
		control string
		dead    time.Duration
		failure edgetest.Answer
		within  bool
		reason  policy.Reason
	}{
		"an error":                     {"max-age=10, stale-if-error=60", 0, edgetest.Text(503, "down"), true, policy.StaleIfError},
		"another error":                {"max-age=10, stale-if-error=60", 0, edgetest.Text(500, "down", fresh), true, policy.StaleIfError},
		"a reset":                      {"max-age=10, stale-if-error=60", 0, edgetest.Script(edgetest.Reset()), true, policy.StaleIfError},
		"garbage":                      {"max-age=10, stale-if-error=60", 0, edgetest.Script(edgetest.Bytes("garbage\r\n\r\n"), edgetest.Cut()), true, policy.StaleIfError},
		"a reset, nothing said":        {"max-age=10", time.Hour, edgetest.Script(edgetest.Reset()), true, policy.StaleIfDead},
		"an error, nothing said":       {"max-age=10", time.Hour, edgetest.Text(503, "down"), false, 0},
		"must-revalidate":              {"max-age=10, must-revalidate", time.Hour, edgetest.Script(edgetest.Reset()), false, 0},
		"must-revalidate and a window": {"max-age=10, must-revalidate, stale-if-error=60", time.Hour, edgetest.Text(503, "down"), false, 0},
		"a 404 is no failure":          {"max-age=10, stale-if-error=60", time.Hour, edgetest.Text(404, "gone"), false, 0},
	} {
		s := open(t, edgetest.Config{Rules: policy.Rules{StaleIfDead: c.dead}})
		s.origin.On("/x", edgetest.Text(200, "old", "Cache-Control: "+c.control), c.failure)
		s.miss("old", "/x")
		s.advance(11)
		got := s.Get("/x")
		if served := got.Status == 200 && got.Body == "old"; served != c.within {
			t.Errorf("%s: %s, want it stale: %v", name, show(got), c.within)
		}
		if r := s.Record(got.ID()); c.within && (r.Cache != edge.CacheStale || r.Reason != c.reason) {
			t.Errorf("%s: %v %v, want stale %v", name, r.Cache, r.Reason, c.reason)
		}
		if c.within {
			s.advance(3600)
			if got := s.Get("/x"); got.Status < 500 {
				t.Errorf("%s: behind the window %s", name, show(got))
			}
		}
	}
}

// TestStaleForACrowd: one failure serves all who waited for it.
func TestStaleForACrowd(t *testing.T) {
	s := open(t, edgetest.Config{})
	g := newGate(t)
	s.origin.On("/x", edgetest.Text(200, "old", "Cache-Control: max-age=10, stale-if-error=60", lone), edgetest.Script(g.steps(edgetest.Reset())...), edgetest.Text(500, "one too many"))
	s.miss("old", "/x", "Host: a.test")
	s.advance(11)
	all := s.crowd(crowd, "/x")
	s.reached(g)
	g.open()
	for _, c := range all {
		c.gets("old")
	}
	s.asked(2, "/x")
}

// TestSlowOriginIsAnError: 504 in time, or stale in its place.
func TestSlowOriginIsAnError(t *testing.T) {
	s := open(t, edgetest.Config{Pool: origin.Config{Timeouts: origin.Timeouts{FirstByte: 50 * time.Millisecond}}})
	g := newGate(t)
	slow := edgetest.Script(edgetest.Gate(g.pass), edgetest.Cut())
	s.origin.On("/stored", edgetest.Text(200, "old", "Cache-Control: max-age=10, stale-if-error=60"), slow)
	s.origin.On("/cold", slow)
	s.miss("old", "/stored")
	s.advance(11)
	s.want("old", "/stored")
	s.status(504, "/cold")
}

// TestOnlyIfCached is honoured only where the route honours clients.
func TestOnlyIfCached(t *testing.T) {
	s := open(t, edgetest.Config{Rules: policy.Rules{HonorClient: true}})
	s.origin.On("*", edgetest.Text(200, "page", "Cache-Control: max-age=10"))
	s.status(504, "/x", "Cache-Control: only-if-cached")
	s.asked(0, "/x")
	s.miss("page", "/x")
	s.hit("page", "/x", "Cache-Control: only-if-cached")
	s.advance(11)
	s.status(504, "/x", "Cache-Control: only-if-cached")
	s.want("page", "/x", "Cache-Control: only-if-cached, max-stale")
	s.asked(1, "/x")
	s = open(t, edgetest.Config{})
	s.origin.On("*", edgetest.Text(200, "page", "Cache-Control: max-age=10"))
	s.miss("page", "/x", "Cache-Control: only-if-cached")
	s.hit("page", "/x", "Cache-Control: no-cache")
	s.asked(1, "/x")
}

// TestUnsafeInvalidatesBeforeItIsAnswered: who has seen the head of the answer
// to a POST does not get what was stored before it.
func TestUnsafeInvalidatesBeforeItIsAnswered(t *testing.T) {
	for _, c := range []struct {
		name, method string
		status       int
		lines        []string
		gone         []string
	}{
		{"a POST", "POST", 200, nil, []string{"/x"}},
		{"a PUT that made", "PUT", 201, []string{"Location: /a"}, []string{"/x", "/a"}},
		{"a DELETE", "DELETE", 204, nil, []string{"/x"}},
		{"an unknown method", "BREW", 200, nil, []string{"/x"}},
		{"a redirect", "POST", 303, []string{"Location: http://a.test/b"}, []string{"/x", "/b"}},
		{"Content-Location", "PATCH", 200, []string{"Content-Location: a"}, []string{"/x", "/a"}},
		{"another origin's place", "POST", 200, []string{"Location: http://b.test/a"}, []string{"/x"}},
		{"an error of the client", "POST", 404, []string{"Location: /a"}, nil},
		{"an error of the origin", "POST", 500, []string{"Location: /a"}, nil},
		{"OPTIONS", "OPTIONS", 200, nil, nil},
	} {
		s := open(t, edgetest.Config{})
		asked := map[string]int{}
		g := newGate(t)
		s.origin.OnFunc("*", func(r edgetest.Seen) edgetest.Answer {
			if r.Method != "GET" {
				head := fmt.Sprintf("HTTP/1.1 %d X\r\nContent-Length: 4\r\n%s\r\n", c.status, strings.Join(append(c.lines, ""), "\r\n"))
				if c.status == 204 {
					return edgetest.Script(edgetest.Bytes("HTTP/1.1 204 X\r\n\r\n"), edgetest.Tell(g.reached))
				}
				return edgetest.Script(append([]edgetest.Step{edgetest.Bytes(head + "do")}, g.steps(edgetest.Bytes("ne"))...)...)
			}
			asked[r.Target]++
			return edgetest.Text(200, fmt.Sprint(r.Target, " ", asked[r.Target]), fresh)
		})
		for _, path := range []string{"/x", "/a", "/b"} {
			s.miss(path+" 1", path, "Host: a.test")
		}
		conn := s.Dial()
		s.Send(conn, "%s /x HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\n\r\nb", c.method)
		in := bufio.NewReader(conn)
		if line, err := in.ReadString('\n'); err != nil || !strings.Contains(line, fmt.Sprint(" ", c.status, " ")) {
			t.Fatalf("%s: %q %v", c.name, line, err)
		}
		gone := strings.Join(c.gone, " ")
		for _, path := range []string{"/x", "/a", "/b"} { // while the body hangs
			want := path + " 1"
			if strings.Contains(gone, path) {
				want = path + " 2"
			}
			if got := s.Get(path, "Host: a.test"); got.Body != want {
				t.Errorf("%s: then %s, want %s", c.name, show(got), want)
			}
		}
		g.open()
	}
}

// TestUnsafeDuringAFill: what was asked before a change is not kept after it.
func TestUnsafeDuringAFill(t *testing.T) {
	s := open(t, edgetest.Config{})
	g := newGate(t)
	first := true
	s.origin.OnFunc("/x", func(r edgetest.Seen) edgetest.Answer {
		switch {
		case r.Method == "POST":
			return edgetest.Text(204, "")
		case first:
			first = false
			return g.split("before", fresh)
		}
		return edgetest.Text(200, "after", fresh)
	})
	c := s.join("GET", "/x")
	s.reached(g)
	if r := s.Do("POST", "/x", "change", "Host: a.test"); r.Status != 204 {
		t.Fatal(show(r))
	}
	s.join("GET", "/x").gets("after")
	g.open()
	c.gets("before")
	s.hit("after", "/x", "Host: a.test")
}

// TestBrokenTransfers: a body that ends early, or goes on behind its end, is
// seen as broken by everybody who reads it, is stored for nobody, and the
// next one gets a whole answer.
func TestBrokenTransfers(t *testing.T) {
	body := strings.Repeat("0123456789abcdef", 10_000)
	half := body[:len(body)/2]
	head := func(framing string) string { return "HTTP/1.1 200 OK\r\n" + fresh + "\r\n" + framing + "\r\n\r\n" }
	chunk := fmt.Sprintf("%x\r\n%s\r\n", len(half), half)
	for name, c := range map[string]struct{ first, rest string }{
		"shorter than its length":  {head(fmt.Sprint("Content-Length: ", len(body))) + half, ""},
		"one byte short":           {head(fmt.Sprint("Content-Length: ", len(body)+1)) + half, body[len(half):]},
		"no last chunk":            {head("Transfer-Encoding: chunked") + chunk, chunk},
		"cut inside a chunk":       {head("Transfer-Encoding: chunked") + chunk, "ffff\r\nabc"},
		"a chunk longer than said": {head("Transfer-Encoding: chunked") + chunk, "3\r\nabcdef\r\n0\r\n\r\n"},
		"a chunk size that is bad": {head("Transfer-Encoding: chunked") + chunk, "xyz\r\n\r\n"},
		"a bad trailer":            {head("Transfer-Encoding: chunked") + chunk, "0\r\nA B: c\r\n\r\n"},
	} {
		for _, reset := range []bool{false, true} {
			s := open(t, edgetest.Config{})
			g := newGate(t)
			end := edgetest.Cut()
			if reset {
				end = edgetest.Reset()
			}
			s.origin.On("/x",
				edgetest.Script(append([]edgetest.Step{edgetest.Bytes(c.first)}, g.steps(edgetest.Bytes(c.rest), end)...)...),
				edgetest.Text(200, body, fresh))
			leader := s.join("GET", "/x")
			s.reached(g)
			leader.has(len(half) - 1)
			followers := s.crowd(3, "/x")
			socket := s.start("/x", "Host: a.test")
			old := s.Dial() // whom only the end of the connection tells
			s.Send(old, "GET /x HTTP/1.0\r\nHost: a.test\r\n\r\n")
			g.open()
			leader.breaks()
			for _, f := range followers {
				f.breaks()
			}
			if r := socket(); r.Err == nil && r.Body != body {
				t.Errorf("%s: over a socket a clean %s with %d bytes", name, show(r), len(r.Body))
			}
			if n := s.Store.Stats().Variants; n > 0 && s.origin.Asked("/x") < 2 {
				t.Errorf("%s: %d answers are stored", name, n)
			}
			if r := edgetest.Read(edgetest.Reader(old), "GET"); r.Err == nil && r.Body != body && r.Status < 500 {
				t.Errorf("%s: over HTTP/1.0 a clean %s with %d bytes", name, show(r), len(r.Body))
			}
			s.want(body, "/x", "Host: a.test")
			if s.origin.Asked("/x") < 2 {
				t.Errorf("%s: the broken answer was kept", name)
			}
		}
	}
}

// TestSurplusIsNobodysAnswer: bytes behind a body's end do not become the
// answer to the next request.
func TestSurplusIsNobodysAnswer(t *testing.T) {
	s := open(t, edgetest.Config{})
	evil := "HTTP/1.1 200 OK\r\n" + fresh + "\r\nContent-Length: 4\r\n\r\nevil"
	s.origin.On("/x", edgetest.Script(edgetest.Bytes("HTTP/1.1 200 OK\r\n"+fresh+"\r\nContent-Length: 4\r\n\r\npage"+evil)))
	s.origin.On("/y", edgetest.Text(200, "mine", fresh))
	for range 20 {
		s.want("page", "/x")
		s.want("mine", "/y")
		s.purge(s.URL+"/x", s.URL+"/y")
	}
}
