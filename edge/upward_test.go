package edge

import (
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"edgecache/cachestore"
	"edgecache/policy"
)

// TestWhatGoesUp: a request is written out where there is no hook, and made for
// it where there is one; both have the same fields.
func TestWhatGoesUp(t *testing.T) {
	const ours = "X-Forwarded-Proto: http\nX-Real-Ip: 192.0.2.1\nX-Request-Id: 0123\n"
	base := &cachestore.Variant{Validators: policy.Validators{ETag: []byte(`"1"`), LastModified: []byte("Mon, 02 Nov 2026 10:00:00 GMT")}}
	for _, c := range []struct {
		name   string
		fields []string // name, value and so on
		trust  bool
		edit   func(*Session)
		q      question
		want   string
	}{
		{name: "the client's, and ours", fields: []string{"accept", "*/*", "USER-AGENT", "ua"},
			want: "GET /a?b\nHost: a.test\nUser-Agent: ua\nAccept: */*\nCdn-Loop: edge-00000000\nVia: 1.1 edge-00000000\nX-Forwarded-For: 192.0.2.9\n" + ours},
		{name: "lines keep their order, ours is last", fields: []string{"via", "1.0 b", "x-a", "2", "Via", "1.1 a", "X-A", "1"},
			want: "GET /a?b\nHost: a.test\nCdn-Loop: edge-00000000\nVia: 1.0 b\nVia: 1.1 a\nVia: 1.1 edge-00000000\nX-A: 2\nX-A: 1\nX-Forwarded-For: 192.0.2.9\n" + ours},
		{name: "who is not trusted says nothing of others", fields: []string{"X-Forwarded-For", "198.51.100.1", "x-real-ip", "198.51.100.2", "X-Request-Id", "evil", "X-Forwarded-Proto", "https"},
			want: "GET /a?b\nHost: a.test\nCdn-Loop: edge-00000000\nVia: 1.1 edge-00000000\nX-Forwarded-For: 192.0.2.9\n" + ours},
		{name: "who is trusted is added to", trust: true, fields: []string{"X-Forwarded-For", "198.51.100.1", "x-forwarded-for", "198.51.100.2", "CDN-Loop", "other"},
			want: "GET /a?b\nHost: a.test\nCdn-Loop: other, edge-00000000\nVia: 1.1 edge-00000000\nX-Forwarded-For: 198.51.100.1, 198.51.100.2, 192.0.2.9\n" + ours},
		{name: "what only answers have stays here", fields: []string{"Surrogate-Control", "x", "cache-tag", "x", "Surrogate-Key", "x", "CDN-Cache-Control", "x", "My-Cache-Control", "x"},
			edit: func(s *Session) { s.route.Rules.Targeted = []string{"My-Cache-Control"} },
			want: "GET /a?b\nHost: a.test\nCdn-Loop: edge-00000000\nVia: 1.1 edge-00000000\nX-Forwarded-For: 192.0.2.9\n" + ours},
		{name: "alone it keeps its conditions", fields: []string{"Range", "bytes=0-1", "If-None-Match", `"2"`, "Accept-Encoding", "br;q=1, gzip"},
			want: "GET /a?b\nHost: a.test\nAccept-Encoding: br;q=1, gzip\nCdn-Loop: edge-00000000\nIf-None-Match: \"2\"\nRange: bytes=0-1\nVia: 1.1 edge-00000000\nX-Forwarded-For: 192.0.2.9\n" + ours},
		{name: "for all it has ours", q: question{shared: true, base: base},
			fields: []string{"Range", "bytes=0-1", "If-None-Match", `"2"`, "If-Modified-Since", "x", "If-Match", "x", "If-Unmodified-Since", "x", "If-Range", "x", "Accept-Encoding", "br;q=1, gzip"},
			want:   "GET /a?b\nHost: a.test\nAccept-Encoding: br, gzip\nCdn-Loop: edge-00000000\nIf-Modified-Since: Mon, 02 Nov 2026 10:00:00 GMT\nIf-None-Match: \"1\"\nVia: 1.1 edge-00000000\nX-Forwarded-For: 192.0.2.9\n" + ours},
		{name: "a slice is of its object", q: question{shared: true, wish: &wish{from: 0, to: 10, of: base}}, fields: []string{"Range", "bytes=5-6"},
			want: "GET /a?b\nHost: a.test\nCdn-Loop: edge-00000000\nIf-Match: \"1\"\nRange: bytes=0-9\nVia: 1.1 edge-00000000\nX-Forwarded-For: 192.0.2.9\n" + ours},
		{name: "the route has the last word", fields: []string{"cookie", "a=1", "X-B", "client"},
			edit: func(s *Session) {
				s.route.RequestHeaders = HeaderRules{Set: map[string]string{"x-b": "route"}, Remove: []string{"Cookie", "via"}}
			},
			want: "GET /a?b\nHost: a.test\nCdn-Loop: edge-00000000\nX-B: route\nX-Forwarded-For: 192.0.2.9\n" + ours},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newTestEngine(t)
			pool := e.cfg.Upstreams["main"]
			if c.trust {
				e.trusted = network{netip.MustParsePrefix("192.0.2.0/24")}
			}
			s := &Session{engine: e, route: &route{}, ID: []byte("0123"), Client: []byte("192.0.2.1"), Scheme: "http"}
			s.Request = Request{Method: "GET", Host: []byte("a.test"), Path: []byte("/a"), Query: []byte("b"), HasQuery: true,
				Remote: netip.MustParseAddrPort("192.0.2.9:1234")}
			for i := 0; i < len(c.fields); i += 2 {
				s.Request.Add(c.fields[i], c.fields[i+1])
			}
			if c.edit != nil {
				c.edit(s)
			}
			if err := e.compose(s, &c.q, pool.Peers()[0], pool); err != nil || s.Upstream != nil {
				t.Fatalf("%v, Upstream %v", err, s.Upstream)
			}
			got := strings.ReplaceAll(strings.TrimSuffix(string(s.plain.Head()), "\r\n"), "\r\n", "\n")
			if want := strings.Replace(c.want, "\n", " HTTP/1.1\n", 1); got != want {
				t.Errorf("got\n%swant\n%s", got, want)
			}
			written := http.Header{}
			for name, value := range s.plain.Fields() {
				written.Add(string(name), string(value))
			}
			e.hooks.any = true
			if err := e.compose(s, &c.q, pool.Peers()[0], pool); err != nil || s.plain.Head() != nil {
				t.Fatalf("%v, written %q", err, s.plain.Head())
			}
			r := s.Upstream
			if r.Host != "a.test" || r.URL.RequestURI() != "/a?b" || !maps.EqualFunc(r.Header, written, slices.Equal) {
				t.Errorf("for a hook %s %s %v, written %v", r.Host, r.URL.RequestURI(), r.Header, written)
			}
		})
	}
}

// TestWhatIsLeftToNetHTTP: a request that cannot be written out is made for net/http.
func TestWhatIsLeftToNetHTTP(t *testing.T) {
	e := newTestEngine(t)
	pool := e.cfg.Upstreams["main"]
	for name, edit := range map[string]func(*Session, *question){
		"two slashes":  func(s *Session, _ *question) { s.Request.Path = []byte("//b/a") },
		"the server":   func(s *Session, _ *question) { s.Request.Method, s.Request.Path = "OPTIONS", []byte("*") },
		"an upgrade":   func(s *Session, _ *question) { s.Request.Upgrade = "websocket" },
		"a body":       func(_ *Session, q *question) { q.body = &requestBody{} },
		"no such name": func(s *Session, _ *question) { s.Request.Add("a b", "x") },
	} {
		s := &Session{engine: e, route: &route{}, Request: Request{Method: "GET", Host: []byte("a.test"), Path: []byte("/a")}}
		q := &question{}
		edit(s, q)
		if err := e.compose(s, q, pool.Peers()[0], pool); err != nil || s.Upstream == nil || s.plain.Head() != nil {
			t.Errorf("%s: %v, it is written out: %q", name, err, s.plain.Head())
		}
	}
}
