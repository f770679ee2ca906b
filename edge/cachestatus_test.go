package edge

import (
	"net/http"
	"slices"
	"testing"

	"github.com/dunglas/httpsfv"
	"pgregory.net/rapid"

	"edgecache/cachestore"
	"edgecache/policy"
)

// TestCacheStatusIsAlwaysAStructuredField: whatever becomes of a request, and
// whatever its url has in it, the member can be parsed (RFC 9651), is a hit or
// forwarded and never both, and has the registered tokens (RFC 9211, 2).
func TestCacheStatusIsAlwaysAStructuredField(t *testing.T) {
	tokens := []string{"bypass", "method", "uri-miss", "vary-miss", "miss", "request", "stale", "partial"}
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.OneOf(rapid.SampledFrom([]string{"", "edge", "a.b-c_1", "9lives", `a"b\c`}), rapid.String()).Draw(t, "id")
		e := &Engine{statusID: []byte(statusToken(id))}
		e.cfg.CacheStatusDetail = rapid.Bool().Draw(t, "detail")
		s := &Session{Scheme: "https"}
		s.Request.Method = rapid.SampledFrom([]string{"GET", "HEAD", "POST"}).Draw(t, "method")
		s.Request.Host, s.Request.Path = []byte("a.test"), []byte(rapid.StringN(0, 40, 80).Draw(t, "path"))
		s.Request.Query, s.Request.HasQuery = []byte(rapid.StringN(0, 40, 80).Draw(t, "query")), rapid.Bool().Draw(t, "has query")
		s.Cache = CacheResult{
			Status: CacheStatus(rapid.IntRange(0, 4).Draw(t, "status")),
			Reason: policy.Reason(rapid.IntRange(0, policy.Reasons-1).Draw(t, "reason")),
			Stored: rapid.Bool().Draw(t, "stored"), TTL: rapid.Int64Range(-1<<40, 1<<40).Draw(t, "ttl"),
		}
		if rapid.Bool().Draw(t, "key") {
			s.Cache.Key, _ = policy.NewKey(nil, 1, s.URL(), nil)
		}
		st := &s.state
		st.authed, st.followed = rapid.Bool().Draw(t, "token"), rapid.Bool().Draw(t, "followed")
		if rapid.Bool().Draw(t, "base") {
			st.base = &cachestore.Variant{}
		}
		if rapid.Bool().Draw(t, "looked up") {
			st.forward = s.lookupMissed()
		}
		if rapid.Bool().Draw(t, "asked") {
			s.Upstream = &http.Request{}
			if rapid.Bool().Draw(t, "answered") {
				s.Response = &http.Response{StatusCode: rapid.IntRange(100, 999).Draw(t, "fwd-status")}
			}
		}
		text := string(e.appendCacheStatus(nil, s))
		list, err := httpsfv.UnmarshalList([]string{text})
		if err != nil || len(list) != 1 {
			t.Fatalf("%q: %d members, %v", text, len(list), err)
		}
		p := list[0].(httpsfv.Item).Params
		_, hit := p.Get("hit")
		fwd, forwarded := p.Get("fwd")
		if token, ok := fwd.(httpsfv.Token); hit && forwarded || forwarded && (!ok || !slices.Contains(tokens, string(token))) {
			t.Fatalf("%q", text)
		}
		_, status := p.Get("fwd-status")
		_, stored := p.Get("stored")
		if _, collapsed := p.Get("collapsed"); !forwarded && (status || stored || collapsed) {
			t.Fatalf("%q tells of a forward that was none", text)
		}
		_, key := p.Get("key")
		if _, detail := p.Get("detail"); (key || detail) && !e.tells(s) {
			t.Fatalf("%q tells everybody", text)
		}
	})
}
