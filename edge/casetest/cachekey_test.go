package casetest

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"edgecache/edge"
	"edgecache/edge/edgetest"
	"edgecache/edge/h1"
	"edgecache/policy"
)

var _ = register(map[string]func(*testing.T){
	"key-host":            keyHost,
	"key-host-case":       keyHostCase,
	"key-host-port":       keyHostPort,
	"key-host-dot":        keyHostDot,
	"key-scheme":          keyScheme,
	"key-sep":             keySep,
	"key-query-order":     keyQueryOrder,
	"key-query-semi":      keyQuerySemi,
	"key-query-empty":     keyQueryEmpty,
	"key-pct":             keyPct,
	"key-dots":            keyDots,
	"key-slashes":         keySlashes,
	"key-fragment":        keyFragment,
	"key-null":            keyNull,
	"key-method":          keyMethod,
	"key-method-override": keyMethodOverride,
	"key-fat-get":         keyFatGet,
})

// mirror is a site whose origin answers each request, storable, with what it
// was asked for: an answer that belongs to another key shows.
func mirror(t *testing.T, c edgetest.Config) *site {
	t.Helper()
	s := open(t, c)
	s.origin.OnFunc("*", func(r edgetest.Seen) edgetest.Answer {
		return edgetest.Text(200, r.Method+" "+r.Host+" "+r.Target, fresh)
	})
	return s
}

func keyHost(t *testing.T) {
	s := mirror(t, edgetest.Config{})
	for range 2 {
		s.want("GET a.test /x", "/x", "Host: a.test")
		s.want("GET b.test /x", "/x", "Host: b.test")
	}
	s.hit("GET a.test /x", "/x", "Host: a.test")
	s.asked(2, "/x")
}

func keyHostCase(t *testing.T) {
	s := mirror(t, edgetest.Config{})
	s.miss("GET a.test /x", "/x", "Host: A.Test")
	s.hit("GET a.test /x", "/x", "Host: a.test")
	s.hit("GET a.test /x", "/x", "Host: a.TEST")
}

func keyHostPort(t *testing.T) {
	s := mirror(t, edgetest.Config{})
	s.miss("GET a.test /x", "/x", "Host: a.test:80")
	s.hit("GET a.test /x", "/x", "Host: a.test")
	s.miss("GET a.test:81 /x", "/x", "Host: a.test:81")
	s.miss("GET a.test:443 /x", "/x", "Host: a.test:443")
	s.hit("GET a.test /x", "/x", "Host: a.test")
}

func keyHostDot(t *testing.T) {
	s := mirror(t, edgetest.Config{})
	s.miss("GET a.test /x", "/x", "Host: a.test.")
	s.hit("GET a.test /x", "/x", "Host: a.test")
	s.miss("GET b.test /x", "/x", "Host: b.test.")
}

// keyScheme has the same engine behind a cleartext and a TLS listener.
func keyScheme(t *testing.T) {
	s := open(t, edgetest.Config{})
	s.origin.OnFunc("/x", func(r edgetest.Seen) edgetest.Answer {
		return edgetest.Text(200, r.Header.Get("X-Forwarded-Proto"), fresh)
	})
	secure := secureClient(t, s.Engine)
	s.miss("http", "/x", "Host: a.test", "X-Forwarded-Proto: https")
	if got := secure("/x"); got.Body != "https" || isHit(got) {
		t.Errorf("over TLS: %s, want its own object", show(got))
	}
	s.hit("http", "/x", "Host: a.test", "X-Forwarded-Proto: https")
	if got := secure("/x"); got.Body != "https" || !isHit(got) {
		t.Errorf("over TLS again: %s, want a hit", show(got))
	}
	s.asked(2, "/x")
}

// secureClient puts a TLS listener in front of an engine and returns how to
// get a path of a.test through it.
func secureClient(t *testing.T, e *edge.Engine) func(path string) edgetest.Reply {
	t.Helper()
	certified := httptest.NewUnstartedServer(http.NotFoundHandler())
	certified.StartTLS()
	certs := certified.TLS.Certificates
	certified.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	wire := h1.New(e, h1.Config{})
	served := make(chan error, 1)
	go func() { served <- wire.Serve(l, &tls.Config{Certificates: certs}) }()
	t.Cleanup(func() {
		if err := wire.Shutdown(t.Context()); err != nil && t.Context().Err() == nil {
			t.Errorf("shut the TLS wire down: %v", err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return func(path string) edgetest.Reply {
		c, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n", path); err != nil {
			t.Fatal(err)
		}
		return edgetest.Read(bufio.NewReader(c), http.MethodGet)
	}
}

// keySep asks for many targets made of what could be a separator, over hosts
// that are prefixes of each other. Each answer names its own request, twice.
func keySep(t *testing.T) {
	s := mirror(t, edgetest.Config{})
	parts := []string{"a", "b", ":", "/", "?", "|", "&", ";", "%3A", "%2F", "%3F", "=", "a.test", ",", "http:"}
	r := rand.New(rand.NewPCG(1, 2))
	c := s.Dial()
	in := bufio.NewReader(c)
	want := map[string]string{}
	ask := func(host, target string) edgetest.Reply {
		s.Send(c, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", target, host)
		return edgetest.Read(in, http.MethodGet)
	}
	for range 2000 {
		target := "/"
		for range 1 + r.IntN(6) {
			target += parts[r.IntN(len(parts))]
		}
		host := []string{"a", "a.test", "a.test:8", "a.test:80", "b"}[r.IntN(5)]
		got := ask(host, target)
		if got.Err != nil || got.Status != 200 {
			t.Fatalf("%s %s: %s", host, target, show(got))
		}
		path, query, _ := strings.Cut(target, "?")
		path = strings.ReplaceAll(path, "|", "%7C") // not a character of paths: one form of it is keyed and forwarded
		key := strings.TrimSuffix(host, ":80") + " " + path
		if len(query) > 0 || strings.Contains(target, "?") {
			key += "?" + query
		}
		if before, ok := want[key]; ok && got.Body != before {
			t.Fatalf("%s gets %q, and %q before", key, got.Body, before)
		}
		if name := "GET " + key; got.Body != name {
			t.Fatalf("%s gets %q, the answer to another request", name, got.Body)
		}
		want[key] = got.Body
	}
}

func keyQueryOrder(t *testing.T) {
	s := mirror(t, edgetest.Config{})
	s.miss("GET a.test /x?a=1&b=2", "/x?a=1&b=2", "Host: a.test")
	s.miss("GET a.test /x?b=2&a=1", "/x?b=2&a=1", "Host: a.test")
	sorted := mirror(t, edgetest.Config{Rules: policy.Rules{Key: policy.KeyRules{Sort: true}}})
	sorted.miss("GET a.test /x?a=1&b=2", "/x?b=2&a=1", "Host: a.test")
	sorted.hit("GET a.test /x?a=1&b=2", "/x?a=1&b=2", "Host: a.test")
}

func keyQuerySemi(t *testing.T) {
	s := mirror(t, edgetest.Config{Rules: policy.Rules{Key: policy.KeyRules{Ignore: []string{"utm_*"}}}})
	s.miss("GET a.test /x?x=1", "/x?x=1&utm_content=a;x=2", "Host: a.test")
	s.hit("GET a.test /x?x=1", "/x?x=1", "Host: a.test")
	s.miss("GET a.test /x?x=1;utm_content=a", "/x?x=1;utm_content=a", "Host: a.test")
	s.hit("GET a.test /x?x=1", "/x?utm_source=z&x=1", "Host: a.test")
}

func keyQueryEmpty(t *testing.T) {
	s := mirror(t, edgetest.Config{})
	for _, target := range []string{"/x", "/x?", "/x?&"} {
		if got := s.line(target); got.Body != "GET a.test "+target || isHit(got) {
			t.Errorf("%s: %s", target, show(got))
		}
	}
	for _, target := range []string{"/x", "/x?", "/x?&"} {
		if got := s.line(target); got.Body != "GET a.test "+target || !isHit(got) {
			t.Errorf("%s again: %s, want a hit", target, show(got))
		}
	}
}

func keyPct(t *testing.T) {
	s := mirror(t, edgetest.Config{})
	for _, c := range []struct{ target, forwarded string }{
		{"/a%2Fb", "/a%2Fb"}, {"/a/b", "/a/b"}, {"/a%2fb", "/a%2Fb"},
		{"/%61", "/a"}, {"/a", "/a"}, {"/%5Ca", "/%5Ca"}, {"/a%25zz", "/a%25zz"},
	} {
		if got := s.line(c.target); got.Body != "GET a.test "+c.forwarded {
			t.Errorf("%s: %s, want the answer to %s", c.target, show(got), c.forwarded)
		}
	}
	s.asked(1, "/a%2Fb")
	s.asked(1, "/a")
	before := len(s.origin.Seen())
	for _, target := range []string{"/a%zz", "/a%", "/a%2", "/a%0x41"} {
		if got := s.line(target); got.Status != 400 {
			t.Errorf("%s: %s, want 400", target, show(got))
		}
	}
	if now := len(s.origin.Seen()); now != before {
		t.Errorf("%d of the bad ones were forwarded", now-before)
	}
}

// keyDots: the route is chosen by the same path that goes up.
func keyDots(t *testing.T) {
	s := open(t, edgetest.Config{Edge: edge.Config{Routes: []edge.Route{
		{Path: "/static", Upstream: "main", Rules: policy.Rules{TTL: time.Hour}},
		{Upstream: "main"},
	}}})
	s.origin.OnFunc("*", func(r edgetest.Seen) edgetest.Answer { return edgetest.Text(200, r.Target) })
	for _, c := range []struct {
		target, forwarded string
		stored            bool
	}{
		{"/static/../account", "/account", false},
		{"/static/%2e%2e/account", "/account", false},
		{"/static/.%2E/./account", "/account", false},
		{"/static/..%2faccount", "/static/..%2Faccount", true}, // one segment, whose name has a slash
		{"/static/x", "/static/x", true},
		{"/x/../static/y", "/static/y", true},
		{"/../../account", "/account", false},
	} {
		first, second := s.line(c.target), s.line(c.target)
		if first.Body != c.forwarded || second.Body != c.forwarded || isHit(second) != c.stored {
			t.Errorf("%s: %s, then %s; want %s, stored %v", c.target, show(first), show(second), c.forwarded, c.stored)
		}
	}
}

func keySlashes(t *testing.T) {
	s := mirror(t, edgetest.Config{})
	for range 2 {
		for _, target := range []string{"/x", "//x", "///x", "/x//", "//evil.test/%2e%2e"} {
			got := s.line(target)
			want := "GET a.test " + strings.TrimSuffix(target, "evil.test/%2e%2e")
			if got.Status != 200 || got.Body != want || got.Header.Get("Location") != "" {
				t.Errorf("%s: %s, want %s", target, show(got), want)
			}
		}
	}
}

func keyFragment(t *testing.T) {
	s := mirror(t, edgetest.Config{})
	if got := s.line("/x%23y"); got.Body != "GET a.test /x%23y" {
		t.Errorf("/x%%23y: %s", show(got))
	}
	if got := s.line("/x"); got.Body != "GET a.test /x" {
		t.Errorf("/x: %s", show(got))
	}
	if got := s.line("/x#y"); got.Status != 400 {
		t.Errorf("/x#y: %s, want 400", show(got))
	}
	s.asked(1, "/x")
}

func keyNull(t *testing.T) {
	s := mirror(t, edgetest.Config{})
	if got := s.line("/account"); got.Body != "GET a.test /account" {
		t.Fatal(show(got))
	}
	if got := s.line("/account%00.css"); got.Status != 400 {
		t.Errorf("%s, want 400", show(got))
	}
	if n := len(s.origin.Seen()); n != 1 {
		t.Errorf("the origin was asked %d times, want once", n)
	}
}

func keyMethod(t *testing.T) {
	s := mirror(t, edgetest.Config{})
	for range 2 {
		if got := s.Do("POST", "/x", "b", "Host: a.test"); got.Body != "POST a.test /x" {
			t.Fatalf("POST: %s", show(got))
		}
	}
	s.miss("GET a.test /x", "/x", "Host: a.test")
	s.hit("GET a.test /x", "/x", "Host: a.test")
	for _, method := range []string{"POST", "PATCH", "BREW", "get", "QUERY"} {
		for range 2 {
			if got := s.Do(method, "/y", "", "Host: a.test"); got.Body != method+" a.test /y" || isHit(got) {
				t.Errorf("%s: %s", method, show(got))
			}
		}
	}
	s.miss("GET a.test /y", "/y", "Host: a.test")
	before := len(s.origin.Seen())
	head := s.Do("HEAD", "/y", "", "Host: a.test")
	if !isHit(head) || head.Body != "" || head.Header.Get("Content-Length") != "13" {
		t.Errorf("HEAD of what a GET stored: %s", show(head))
	}
	if now := len(s.origin.Seen()); now != before {
		t.Error("HEAD of what is stored went to the origin")
	}
	s.Do("HEAD", "/z", "", "Host: a.test")
	s.miss("GET a.test /z", "/z", "Host: a.test")
}

func keyMethodOverride(t *testing.T) {
	s := open(t, edgetest.Config{})
	s.origin.OnFunc("/x", func(r edgetest.Seen) edgetest.Answer {
		return edgetest.Text(200, r.Method+r.Header.Get("X-HTTP-Method-Override"), fresh)
	})
	s.miss("GET", "/x", "X-HTTP-Method-Override: HEAD")
	s.hit("GET", "/x")
	s.hit("GET", "/x", "X-HTTP-Method-Override: POST")
}

// keyFatGet: what a body under GET brought forth is for its sender alone.
func keyFatGet(t *testing.T) {
	s := open(t, edgetest.Config{})
	s.origin.OnFunc("/x", func(r edgetest.Seen) edgetest.Answer {
		return edgetest.Text(200, "body="+string(r.Body), fresh)
	})
	if got := s.Do("GET", "/x", "param=evil"); isHit(got) {
		t.Fatal(show(got))
	}
	s.miss("body=", "/x")
	s.hit("body=", "/x")
	c := s.Dial()
	in := bufio.NewReader(c)
	hidden := "GET /evil HTTP/1.1\r\nHost: evil.test\r\n\r\n"
	s.Send(c, "GET /x HTTP/1.1\r\nHost: a.test\r\nContent-Length: %d\r\n\r\n%s", len(hidden), hidden)
	s.Send(c, "GET /x HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
	for i := range 2 {
		if got := edgetest.Read(in, "GET"); got.Err != nil || !strings.HasPrefix(got.Body, "body=") {
			t.Errorf("answer %d: %s", i, show(got))
		}
	}
	s.asked(0, "/evil")
}
