package casetest

import (
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"edgecache/edge"
	"edgecache/edge/edgetest"
	"edgecache/policy"
	"edgecache/purge"
)

var _ = register(map[string]func(*testing.T){
	"purge-method-public": purgeMethodPublic,
	"purge-race":          purgeRace,
	"purge-stale":         purgeStale,
	"via-version":         viaVersion,
})

func purgeMethodPublic(t *testing.T) {
	const token = "a-token-of-more-than-sixteen"
	s := open(t, edgetest.Config{Edge: edge.Config{Token: token, PurgeAllow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}})
	s.origin.On("/x", edgetest.Text(200, "page", fresh))
	s.miss("page", "/x")
	for _, lines := range [][]string{
		nil, {"Authorization: Bearer wrong"}, {"Authorization: Bearer"}, {"Authorization: Basic " + token},
		{"X-Forwarded-For: 192.0.2.1"}, {"Forwarded: for=192.0.2.1"}, {"X-Real-IP: 192.0.2.1"}, {"X-Purge: 1"},
	} {
		if got := s.Do("PURGE", "/x", "", lines...); got.Status != 405 {
			t.Errorf("PURGE with %q: %s, want 405", lines, show(got))
		}
		s.hit("page", "/x")
	}
	s.asked(1, "/x")
	if got := s.Do("PURGE", "/x", "", "Authorization: Bearer "+token); got.Status != 200 || !strings.Contains(got.Body, `"applied":true`) {
		t.Errorf("PURGE with the token: %s", show(got))
	}
	s.miss("page", "/x")
	for _, r := range s.origin.Seen() {
		if r.Method == "PURGE" || r.Header.Get("Authorization") != "" {
			t.Errorf("the origin got %s, Authorization %q", r.Method, r.Header.Get("Authorization"))
		}
	}
	s = open(t, edgetest.Config{Edge: edge.Config{PurgeAllow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}})
	s.origin.On("/x", edgetest.Text(200, "page", fresh))
	s.miss("page", "/x")
	if got := s.Do("PURGE", "/x", ""); got.Status != 200 {
		t.Errorf("PURGE from where it may: %s", show(got))
	}
	s.miss("page", "/x")
}

// purgeRace: what a fetch that began before the purge brings is for those who
// waited for it, and is not kept.
func purgeRace(t *testing.T) {
	for _, point := range []string{"before the head", "in the body"} {
		s := open(t, edgetest.Config{})
		arrived, gate := make(chan struct{}), make(chan struct{})
		head := edgetest.Bytes("HTTP/1.1 200 OK\r\n" + fresh + "\r\nContent-Length: 3\r\n\r\nol")
		steps := []edgetest.Step{edgetest.Tell(arrived), edgetest.Gate(gate), head, edgetest.Bytes("d")}
		if point == "in the body" {
			steps = []edgetest.Step{head, edgetest.Tell(arrived), edgetest.Gate(gate), edgetest.Bytes("d")}
		}
		s.origin.On("/x", edgetest.Script(steps...), edgetest.Text(200, "new", fresh))
		got := s.start("/x")
		edgetest.Receive(t, "the first request at the origin", arrived)
		s.purge(s.URL + "/x")
		s.miss("new", "/x") // does not wait for what is older than the purge
		close(gate)
		if r := got(); r.Err != nil || r.Body != "old" {
			t.Errorf("%s: the one who asked before gets %s", point, show(r))
		}
		s.hit("new", "/x")
		s.asked(2, "/x")
	}
}

func purgeStale(t *testing.T) {
	for _, c := range []struct {
		name, control string
		second        edgetest.Answer
		status        int
	}{
		{"stale-while-revalidate", "max-age=1, stale-while-revalidate=600", edgetest.Text(200, "new", fresh), 200},
		{"stale-if-error", "max-age=1, stale-if-error=600", edgetest.Text(503, "down"), 503},
		{"a dead origin", "max-age=1", edgetest.Script(edgetest.Reset()), 502},
	} {
		s := open(t, edgetest.Config{Rules: policy.Rules{StaleIfDead: 24 * 3600e9}})
		s.origin.On("/x", edgetest.Text(200, "old", "Cache-Control: "+c.control, tagged), c.second)
		s.miss("old", "/x")
		s.purge(s.URL + "/x")
		s.advance(2)
		if got := s.Get("/x"); got.Status != c.status || got.Body == "old" {
			t.Errorf("%s: %s, want %d", c.name, show(got), c.status)
		}
		if v := s.last().Header.Get("If-None-Match"); v != "" {
			t.Errorf("%s: what is purged was validated with %s", c.name, v)
		}
	}
	s := open(t, edgetest.Config{}) // soft is the other verb
	s.origin.On("/x", edgetest.Text(200, "old", "Cache-Control: max-age=600"), edgetest.Text(200, "new", fresh))
	s.miss("old", "/x")
	s.purgeAs(purge.ScopeURL, purge.Soft, s.URL+"/x")
	if got := s.want("old", "/x"); !isHit(got) {
		t.Errorf("after a soft purge: %s", show(got))
	}
	s.refreshed(1)
	s.hit("new", "/x")
}

// viaVersion: no answer of any kind tells what software this is, or its age.
func viaVersion(t *testing.T) {
	s := open(t, edgetest.Config{})
	s.origin.On("/x", edgetest.Text(200, "page", fresh, `ETag: "x"`))
	s.origin.On("/plain", edgetest.Text(200, "page"))
	s.origin.On("/dead", edgetest.Script(edgetest.Reset()))
	via := regexp.MustCompile(`^1\.[01] edge-[0-9a-f]{8}$`)
	product := regexp.MustCompile(`(?i)edge/|go1\.|golang|version|\bv\d`)
	for name, got := range map[string]edgetest.Reply{
		"miss": s.Get("/x"), "hit": s.Get("/x"), "304": s.Get("/x", `If-None-Match: "x"`),
		"range": s.Get("/x", "Range: bytes=0-0"), "relay": s.Do("POST", "/plain", "b"), "404": s.Get("/none"),
		"dead": s.Get("/dead"), "purge": s.Do("PURGE", "/x", ""), "trace": s.line("/x?", "CDN-Loop: edge-00000001"),
	} {
		if got.Err != nil || !via.MatchString(got.Header.Get("Via")) || len(got.Header["Via"]) != 1 {
			t.Errorf("%s: Via %q, %s", name, got.Header["Via"], show(got))
		}
		for field, values := range got.Header {
			if line := field + ": " + strings.Join(values, ", "); product.MatchString(line) || field == "Server" || field == "X-Powered-By" {
				t.Errorf("%s: %s", name, line)
			}
		}
	}
	malformed := s.line("/x", "Bad Name: 1")
	if malformed.Status != 400 || malformed.Header.Get("Server") != "" || product.MatchString(show(malformed)) {
		t.Errorf("malformed: %s", show(malformed))
	}
	if v := s.origin.Seen()[0].Header.Get("Via"); !via.MatchString(v) {
		t.Errorf("the origin sees Via %q", v)
	}
	if v, ok := s.origin.Seen()[0].Header["User-Agent"]; ok && strings.Contains(v[0], "edge") {
		t.Errorf("the origin sees User-Agent %q", v)
	}
}
