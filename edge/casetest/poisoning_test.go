package casetest

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"edgecache/edge"
	"edgecache/edge/edgetest"
	"edgecache/edge/h1"
	"edgecache/policy"
)

var _ = register(map[string]func(*testing.T){
	"unkeyed-x-forwarded-host":   unkeyed("X-Forwarded-Host"),
	"unkeyed-x-forwarded-scheme": unkeyed("X-Forwarded-Scheme"),
	"unkeyed-x-host":             unkeyed("X-Host"),
	"unkeyed-x-original-url":     unkeyed("X-Original-URL"),
	"unkeyed-x-rewrite-url":      unkeyed("X-Rewrite-URL"),
	"unkeyed-x-forwarded-prefix": unkeyed("X-Forwarded-Prefix"),
	"unkeyed-forwarded":          unkeyed("Forwarded"),
	"unkeyed-xff":                unkeyedXFF,
	"unkeyed-cookie":             unkeyedCookie,
	"auth-request":               authRequest,
	"set-cookie":                 setCookie,
	"cpdos-hho":                  cpdosHHO,
	"cpdos-hmc":                  cpdosHMC,
	"cpdos-range":                cpdosRange,
	"cpdos-accept":               cpdosAccept,
	"redirect-loop":              redirectLoop,
	"surrogate-leak":             surrogateLeak,
})

// unkeyed: a field that origins believe and no key has never reaches them.
func unkeyed(name string) func(*testing.T) {
	return func(t *testing.T) {
		s := open(t, edgetest.Config{})
		s.origin.OnFunc("/x", func(r edgetest.Seen) edgetest.Answer {
			return edgetest.Text(200, "for "+r.Header.Get(name), fresh)
		})
		s.miss("for ", "/x", name+": evil.test")
		s.hit("for ", "/x")
		c := s.line("/x?2", strings.ToLower(name)+": evil.test", name+": evil.test")
		if c.Body != "for " {
			t.Errorf("two lines of it: %s", show(c))
		}
	}
}

func unkeyedXFF(t *testing.T) {
	reflect := func(s *site) {
		s.origin.OnFunc("*", func(r edgetest.Seen) edgetest.Answer {
			return edgetest.Text(200, strings.Join(r.Header["X-Forwarded-For"], "|")+" "+r.Header.Get("X-Real-Ip"))
		})
	}
	s := open(t, edgetest.Config{})
	reflect(s)
	s.want("127.0.0.1 127.0.0.1", "/", "X-Forwarded-For: 6.6.6.6", "X-Real-IP: 6.6.6.6")
	s = open(t, edgetest.Config{Edge: edge.Config{Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}})
	reflect(s)
	s.want("192.0.2.7, 127.0.0.1 192.0.2.7", "/", "X-Forwarded-For: 192.0.2.7", "X-Real-IP: 6.6.6.6")
}

func unkeyedCookie(t *testing.T) {
	reflect := func(rules policy.Rules, lines ...string) *site {
		s := open(t, edgetest.Config{Rules: rules})
		s.origin.OnFunc("/x", func(r edgetest.Seen) edgetest.Answer {
			return edgetest.Text(200, "for "+r.Header.Get("Cookie"), lines...)
		})
		return s
	}
	heuristic := policy.Rules{Heuristic: true}
	s := reflect(heuristic, old)
	s.miss("for a=b", "/x", "Cookie: a=b")
	s.miss("for ", "/x")
	s.hit("for ", "/x") // without a cookie the heuristic holds

	s = reflect(heuristic, fresh) // the origin says so itself
	s.miss("for a=b", "/x", "Cookie: a=b")
	s.hit("for a=b", "/x")

	s = reflect(policy.Rules{Heuristic: true, Cookies: policy.CookiesStrip}, old)
	s.miss("for ", "/x", "Cookie: a=b")
	s.hit("for ", "/x", "Cookie: c=d")

	s = reflect(policy.Rules{Cookies: policy.CookiesBypass}, fresh)
	s.miss("for a=b", "/x", "Cookie: a=b")
	s.miss("for ", "/x")
	s.miss("for a=b", "/x", "Cookie: a=b")
	s.hit("for ", "/x")
}

func authRequest(t *testing.T) {
	for control, stored := range map[string]bool{
		"max-age=60": false, "public, max-age=60": true, "s-maxage=60": true,
		"must-revalidate, max-age=60": true, "private, max-age=60": false,
	} {
		s := open(t, edgetest.Config{})
		s.origin.OnFunc("/x", func(r edgetest.Seen) edgetest.Answer {
			return edgetest.Text(200, r.Header.Get("Authorization"), "Cache-Control: "+control)
		})
		s.miss("Basic eA==", "/x", "Authorization: Basic eA==")
		if got := s.Get("/x"); isHit(got) != stored || stored != (got.Body != "") {
			t.Errorf("%s: then without it %s; want it stored: %v", control, show(got), stored)
		}
		s.asked(map[bool]int{true: 1, false: 2}[stored], "/x")
	}
	s := open(t, edgetest.Config{}) // and what is stored for others is not for it
	s.origin.On("/x", edgetest.Text(200, "all", fresh), edgetest.Text(200, "mine", fresh))
	s.miss("all", "/x")
	s.miss("mine", "/x", "Authorization: Basic eA==")
	s.hit("all", "/x")
}

func setCookie(t *testing.T) {
	for _, c := range []struct {
		name   string
		mode   policy.SetCookie
		lines  []string
		stored bool
		cookie string // on the second answer
	}{
		{"by default", policy.SetCookieBypass, []string{fresh}, false, "s=1"},
		{"with s-maxage", policy.SetCookieBypass, []string{"Cache-Control: s-maxage=60"}, true, "s=1"},
		{"store", policy.SetCookieStore, []string{fresh}, true, "s=1"},
		{"strip", policy.SetCookieStrip, []string{fresh}, true, ""},
	} {
		s := open(t, edgetest.Config{Rules: policy.Rules{SetCookie: c.mode}})
		s.origin.On("/x", edgetest.Text(200, "x", append(c.lines, "Set-Cookie: s=1")...))
		s.miss("x", "/x")
		got := s.want("x", "/x")
		if isHit(got) != c.stored || got.Header.Get("Set-Cookie") != c.cookie {
			t.Errorf("%s: %s; want stored %v, cookie %q", c.name, show(got), c.stored, c.cookie)
		}
	}
}

// cpdosHHO: an error that only an oversized head caused is nobody else's.
func cpdosHHO(t *testing.T) {
	large := "X-Oversized: " + strings.Repeat("x", 20<<10)
	script := func(s *site) {
		s.origin.OnFunc("*", func(r edgetest.Seen) edgetest.Answer {
			if len(r.Header.Get("X-Oversized")) > 100 || r.Target == "/small" {
				return edgetest.Text(400, "too much", fresh)
			}
			return edgetest.Text(200, "page", fresh)
		})
	}
	s := open(t, edgetest.Config{})
	script(s)
	s.status(431, "/x", large)
	s.asked(0, "/x")
	s.miss("page", "/x")

	s = openWire(t, edgetest.Config{}, h1.Config{HeadBytes: 64 << 10})
	script(s)
	s.status(400, "/x", large)
	s.miss("page", "/x")
	s.hit("page", "/x")
	s.status(400, "/small")
	if got := s.status(400, "/small"); !isHit(got) { // explicit freshness: any final status is stored
		t.Errorf("an ordinary request's error: %s", show(got))
	}
}

func cpdosHMC(t *testing.T) {
	s := open(t, edgetest.Config{})
	s.origin.On("/x", edgetest.Text(200, "page", fresh))
	for _, meta := range []string{"\n", "\r", "\a", "\x00", "\x1b", "\x7f", "\b"} {
		if got := s.line("/x", "X-Meta: a"+meta+"b"); got.Status != 400 {
			t.Errorf("%q in a value: %s, want 400", meta, show(got))
		}
	}
	s.asked(0, "/x")
	s.miss("page", "/x")
}

// cpdosRange: an error to a Range is not stored for those without one.
func cpdosRange(t *testing.T) {
	s := open(t, edgetest.Config{})
	s.origin.On("/x", edgetest.Text(416, "no", fresh), edgetest.Text(200, "page", fresh))
	s.status(416, "/x", "Range: bytes=x")
	s.miss("page", "/x")
	s.hit("page", "/x", "Range: bytes=x")
	s.origin.On("/y", edgetest.Text(404, "no", fresh), edgetest.Text(200, "page", fresh))
	s.status(404, "/y", "Range: bytes=0-0")
	s.miss("page", "/y")
}

func cpdosAccept(t *testing.T) {
	for _, c := range []struct {
		status int
		line   string
	}{
		{406, "Accept: illegal"}, {406, "Accept-Encoding: ???"}, {426, "Upgrade-Insecure-Requests: 9"}, {302, "Accept: text/x"}, {307, "Accept: text/x"}, {400, "X-Illegal: 1"},
	} {
		s := open(t, edgetest.Config{Rules: policy.Rules{Heuristic: true}})
		s.origin.On("/x", edgetest.Text(c.status, "no", old, "Location: /elsewhere"), edgetest.Text(200, "page", fresh))
		s.status(c.status, "/x", c.line)
		s.miss("page", "/x")
	}
}

// redirectLoop: an origin that redirects cleartext to TLS judges by the scheme
// that we say, and its answer is keyed by that scheme.
func redirectLoop(t *testing.T) {
	s := open(t, edgetest.Config{})
	s.origin.OnFunc("/x", func(r edgetest.Seen) edgetest.Answer {
		if r.Header.Get("X-Forwarded-Proto") == "http" || r.Header.Get("X-Forwarded-Scheme") == "http" {
			return edgetest.Text(301, "", fresh, "Location: https://a.test/x")
		}
		return edgetest.Text(200, "secure", fresh)
	})
	secure := secureClient(t, s.Engine)
	s.status(301, "/x", "Host: a.test", "X-Forwarded-Scheme: https", "X-Forwarded-Proto: https")
	for range 2 {
		if got := secure("/x"); got.Status != 200 || got.Body != "secure" {
			t.Errorf("over TLS: %s", show(got))
		}
		s.status(301, "/x", "Host: a.test")
	}
	s.asked(2, "/x")
}

func surrogateLeak(t *testing.T) {
	hidden := []string{"Surrogate-Control", "CDN-Cache-Control", "Cache-Tag", "Surrogate-Key"}
	s := open(t, edgetest.Config{Rules: policy.Rules{TagHeaders: []string{"Surrogate-Key", "Cache-Tag", "X-Own-Tags", "Cache-Groups"}}})
	s.origin.On("/x", edgetest.Text(200, "page", fresh, "Surrogate-Control: max-age=9", "CDN-Cache-Control: max-age=700",
		"Cache-Tag: secret", "Surrogate-Key: secret", "X-Own-Tags: secret", `Cache-Groups: "g"`))
	for i := range 2 {
		got := s.want("page", "/x", "Surrogate-Control: no-store", "CDN-Cache-Control: no-store", "Cache-Tag: evil", "X-Purge: 1", "Surrogate-Key: evil")
		for _, name := range append(hidden, "X-Own-Tags") {
			if v := got.Header.Get(name); v != "" {
				t.Errorf("answer %d has %s: %s", i, name, v)
			}
		}
		if got.Header.Get("Cache-Groups") == "" {
			t.Errorf("answer %d has lost Cache-Groups, which is for caches of all kinds", i)
		}
	}
	s.asked(1, "/x")
	for _, name := range hidden {
		if v := s.last().Header.Get(name); v != "" {
			t.Errorf("the origin was told %s: %s", name, v)
		}
	}
	s.purge(fmt.Sprintf("http://%s/y", s.Addr)) // the client's X-Purge and tags did nothing; a purge does
	s.hit("page", "/x")
}
