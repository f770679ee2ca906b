package casetest

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dunglas/httpsfv"

	"edgecache/edge"
	"edgecache/edge/edgetest"
	"edgecache/policy"
	"edgecache/purge"
)

// says demands our member of Cache-Status, the last one (RFC 9211, 2).
func (s *site) says(r edgetest.Reply, want string) {
	s.t.Helper()
	lines := r.Header.Values("Cache-Status")
	if _, err := httpsfv.UnmarshalList(lines); err != nil || len(lines) == 0 {
		s.t.Errorf("Cache-Status %q: %v", lines, err)
		return
	}
	got := lines[len(lines)-1]
	if timeless(got, want) != want {
		s.t.Errorf("Cache-Status %q, want %q, or a few seconds less", got, want)
	}
}

var ttl = regexp.MustCompile(`; ttl=(-?\d+)`)

// timeless is got with the ttl of want, if it is that or a little less: the
// machine's clock goes on.
func timeless(got, want string) string {
	g, w := ttl.FindStringSubmatch(got), ttl.FindStringSubmatch(want)
	if g == nil || w == nil {
		return got
	}
	a, _ := strconv.Atoi(g[1])
	b, _ := strconv.Atoi(w[1])
	if a > b || a < b-8 {
		return got
	}
	return strings.Replace(got, g[0], w[0], 1)
}

// TestCacheStatusTellsWhatHappened: one answer of each kind.
func TestCacheStatusTellsWhatHappened(t *testing.T) {
	s := open(t, edgetest.Config{Rules: policy.Rules{HonorClient: true}})
	const swr = "Cache-Control: max-age=10, stale-while-revalidate=20, stale-if-error=100"
	s.origin.OnFunc("/x", func(r edgetest.Seen) edgetest.Answer {
		switch {
		case r.Header.Get("If-None-Match") != "":
			return edgetest.Answer{Status: 304, Header: edgetest.Header(swr, tagged)}
		}
		return edgetest.Text(200, "x", swr, tagged, "Vary: Accept-Language")
	})
	s.says(s.Get("/x"), "edge; fwd=uri-miss; fwd-status=200; ttl=10; stored")
	s.says(s.hit("x", "/x"), "edge; hit; ttl=10")
	s.says(s.Do("HEAD", "/x", ""), "edge; hit; ttl=10")
	s.says(s.Get("/x", "Accept-Language: en"), "edge; fwd=vary-miss; fwd-status=200; ttl=10; stored")
	s.says(s.Get("/x", "Cache-Control: no-cache"), "edge; fwd=request; fwd-status=304; ttl=10; stored")
	s.says(s.Get("/x", "Cache-Control: no-store"), "edge; fwd=request; fwd-status=200")
	s.says(s.Do("POST", "/x", "a form"), "edge; fwd=method; fwd-status=200")
	s.advance(11)
	s.says(s.Get("/x", "Accept-Language: en"), "edge; fwd=stale; fwd-status=304; ttl=10; stored") // after the POST
	s.advance(11)
	s.says(s.hit("x", "/x", "Accept-Language: en"), "edge; hit; ttl=-1")
	s.refreshed(1)
	s.purge("/x")
	s.says(s.Get("/x"), "edge; fwd=uri-miss; fwd-status=200; ttl=10; stored")
	s.advance(31)
	s.origin.On("/x", edgetest.Text(503, "down"))
	s.says(s.Get("/x"), "edge; fwd=stale; fwd-status=503; ttl=-21")
	s.says(s.Get("/x"), "edge; hit; ttl=-21") // the origin is left alone for a while
	s.advance(2)
	s.origin.On("/x", edgetest.Script(edgetest.Reset()))
	s.says(s.Get("/x"), "edge; fwd=stale; ttl=-23")
	s.says(s.Get("/x", "Cache-Control: only-if-cached, no-cache"), "edge")
	s.origin.On("/private", edgetest.Text(200, "mine", "Cache-Control: private, max-age=9"))
	s.says(s.Get("/private"), "edge; fwd=uri-miss; fwd-status=200")
	s.says(s.Get("/private"), "edge; fwd=miss; fwd-status=200")
	s.says(s.Get("/x", "Host: a.test", "Cdn-Loop: edge-00000001"), "edge")
}

// TestCacheStatusOfFollowers: they were collapsed, and say what the origin said.
func TestCacheStatusOfFollowers(t *testing.T) {
	s := open(t, edgetest.Config{})
	g := newGate(t)
	s.origin.On("/x", g.late(edgetest.Text(200, "x", fresh)))
	first := s.join("GET", "/x")
	s.reached(g)
	second := s.join("GET", "/x")
	g.open()
	s.says(first.gets("x"), "edge; fwd=uri-miss; fwd-status=200; ttl=600; stored")
	s.says(second.gets("x"), "edge; fwd=uri-miss; fwd-status=200; ttl=600; collapsed")
}

// TestCacheStatusOfParts: a range of which a part is stored is forwarded for the
// rest, and a stored one is a hit.
func TestCacheStatusOfParts(t *testing.T) {
	body := strings.Repeat("0123456789", 2*slice/10)
	m := newMedia(t, body, `"v1"`)
	s := openMedia(t, m, edgetest.Config{})
	s.says(s.part(body, 0, 5), "edge; fwd=uri-miss; fwd-status=206; ttl=60; stored")
	s.says(s.part(body, 5, 9), "edge; hit; ttl=60")
	r := s.part(body, slice, slice+5)
	if got := r.Header.Get("Cache-Status"); !strings.HasPrefix(got, "edge; fwd=partial; fwd-status=206") {
		t.Errorf("Cache-Status %q, want the rest forwarded", got)
	}
	s.says(s.part(body, slice, slice+5), "edge; hit; ttl=60")
	m.answer(func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(503); return true })
	s.purge("/v")
	s.says(s.status(503, "/v", "Range: bytes=0-1"), "edge; fwd=uri-miss; fwd-status=503")
}

// TestCacheStatusBehindTheOrigins: its members are passed on in front of ours, and
// stay with what is stored.
func TestCacheStatusBehindTheOrigins(t *testing.T) {
	s := open(t, edgetest.Config{})
	s.origin.On("/x", edgetest.Text(200, "x", fresh, "Cache-Status: shield; hit; ttl=3", "Cache-Status: far; fwd=stale"))
	for _, own := range []string{"edge; fwd=uri-miss; fwd-status=200; ttl=600; stored", "edge; hit; ttl=600"} {
		r := s.want("x", "/x")
		list, err := httpsfv.UnmarshalList(r.Header.Values("Cache-Status"))
		if err != nil || len(list) != 3 {
			t.Fatalf("%d members, %v", len(list), err)
		}
		for i, want := range []string{"shield", "far", "edge"} {
			if got := list[i].(httpsfv.Item).Value; got != httpsfv.Token(want) {
				t.Errorf("member %d is %v, want %s", i, got, want)
			}
		}
		s.says(r, own)
	}
}

// TestCacheStatusDetail: the key and our reason are for those who run the cache.
func TestCacheStatusDetail(t *testing.T) {
	const token = "0123456789abcdef"
	for _, everybody := range []bool{false, true} {
		s := open(t, edgetest.Config{Edge: edge.Config{Token: token, CacheStatusDetail: everybody}})
		s.origin.On("/x", edgetest.Text(200, "x", fresh, "Vary: X-Secret"))
		const told = `; key="http://a.test/x?q=%22a\\"; detail=`
		miss, hit := "edge; fwd=uri-miss; fwd-status=200; ttl=600; stored", "edge; hit; ttl=600"
		if everybody {
			miss, hit = miss+told+"uri_miss", hit+told+"fresh"
		}
		s.says(s.Get(`/x?q=%22a\`, "Host: a.test", "X-Secret: 42"), miss)
		s.says(s.Get(`/x?q=%22a\`, "Host: a.test", "X-Secret: 42"), hit)
		s.says(s.Get(`/x?q=%22a\`, "Host: a.test", "X-Secret: 42", "Authorization: Bearer "+token), "edge; hit; ttl=600"+told+"fresh")
	}
}

// TestCacheStatusAfterASoftPurge: served stale it is a hit that is over.
func TestCacheStatusAfterASoftPurge(t *testing.T) {
	s := open(t, edgetest.Config{Edge: edge.Config{PurgeSoftWindow: time.Minute}})
	s.origin.On("/x", edgetest.Text(200, "x", fresh))
	s.miss("x", "/x")
	s.advance(10)
	s.purgeAs(purge.ScopeURL, purge.Soft, "/x")
	s.advance(5)
	s.says(s.hit("x", "/x"), "edge; hit; ttl=-5")
}

// TestPostSaysThatItIsStored: RFC 9211, 2.2 to 2.5.
func TestPostSaysThatItIsStored(t *testing.T) {
	s := open(t, edgetest.Config{})
	s.origin.On("/x", edgetest.Text(200, "posted", fresh, located))
	s.says(s.Do("POST", "/x", "a form"), "edge; fwd=method; fwd-status=200; ttl=600; stored")
	s.says(s.hit("posted", "/x"), "edge; hit; ttl=600")
}
