package casetest

import (
	"testing"

	"edgecache/edge/edgetest"
	"edgecache/policy"
)

// TestMaxAgeWantsNothingStale: a client that sends max-age without max-stale
// waits for the origin where others get the stale answer (RFC 9111, 5.2.1.1).
func TestMaxAgeWantsNothingStale(t *testing.T) {
	window := "Cache-Control: max-age=60, stale-while-revalidate=600"
	for _, c := range []struct {
		name  string
		honor bool
		line  string
		want  string
		why   policy.Reason
	}{
		{"max-age", true, "Cache-Control: max-age=100", "two", policy.ClientMaxAge},
		{"with max-stale", true, "Cache-Control: max-age=100, max-stale", "one", policy.StaleWhileRevalidate},
		{"where clients are ignored", false, "Cache-Control: max-age=100", "one", policy.StaleWhileRevalidate},
		{"no directive", true, "X: y", "one", policy.StaleWhileRevalidate},
	} {
		s := open(t, edgetest.Config{Rules: policy.Rules{HonorClient: c.honor}})
		s.origin.On("/x", edgetest.Text(200, "one", window))
		s.miss("one", "/x")
		s.origin.On("/x", edgetest.Text(200, "two", window))
		s.advance(70)
		got := s.want(c.want, "/x", c.line)
		if why := s.Record(got.ID()).Reason; why != c.why {
			t.Errorf("%s: reason %v, want %v", c.name, why, c.why)
		}
	}
}
