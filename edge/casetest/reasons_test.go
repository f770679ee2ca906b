package casetest

import (
	"strings"
	"testing"

	"edgecache/edge/edgetest"
	"edgecache/policy"
)

// TestReasonsForGoingOn: why a request went to the origin, and why its answer
// was not stored, each by a reason of its own, and as RFC 9211, 2.2 has it.
func TestReasonsForGoingOn(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer []string // of the origin, both times
		age    int      // seconds between the two requests
		second string   // the second request's line
		fwd    string
		why    policy.Reason
		stored policy.Reason // why the second answer was not stored
	}{
		{"the client's no-cache", []string{fresh}, 10, "Cache-Control: no-cache", "request", policy.ClientNoCache, policy.None},
		{"its Pragma", []string{fresh}, 10, "Pragma: no-cache", "request", policy.ClientNoCache, policy.None},
		{"its max-age", []string{fresh}, 10, "Cache-Control: max-age=5", "request", policy.ClientMaxAge, policy.None},
		{"its min-fresh", []string{fresh}, 10, "Cache-Control: min-fresh=595", "request", policy.ClientMinFresh, policy.None},
		{"its no-store", []string{fresh}, 10, "Cache-Control: no-store", "request", policy.ClientNoStore, policy.ClientNoStore},
		{"over in any case", []string{fresh}, 700, "Cache-Control: max-age=5", "stale", policy.Expired, policy.None},
		{"the answer's no-cache", []string{"Cache-Control: no-cache", tagged}, 10, "X: y", "stale", policy.NoCache, policy.None},
		{"no-cache and no validator", []string{"Cache-Control: no-cache"}, 0, "X: y", "miss", policy.HitForMiss, policy.NoCache},
		{"nothing named", nil, 0, "X: y", "miss", policy.HitForMiss, policy.NoFreshness},
		{"a malformed lifetime", []string{"Cache-Control: max-age=1h"}, 0, "X: y", "miss", policy.HitForMiss, policy.BadFreshness},
		{"a lifetime that is over", []string{fresh, "Age: 600"}, 0, "X: y", "miss", policy.HitForMiss, policy.StaleOnArrival},
		{"a bad Vary", []string{fresh, "Vary: a b"}, 0, "X: y", "miss", policy.HitForMiss, policy.BadVary},
	} {
		s := open(t, edgetest.Config{Rules: policy.Rules{HonorClient: true}})
		s.origin.On("/x", edgetest.Text(200, "page", c.answer...))
		s.want("page", "/x")
		s.advance(c.age)
		got := s.want("page", "/x", c.second)
		record := s.Record(got.ID())
		if record.Reason != c.why || record.Unstored != c.stored {
			t.Errorf("%s: reason %v, unstored %v; want %v, %v", c.name, record.Reason, record.Unstored, c.why, c.stored)
		}
		if status := got.Header.Get("Cache-Status"); !strings.Contains(status+";", "; fwd="+c.fwd+";") {
			t.Errorf("%s: %s, want fwd=%s", c.name, status, c.fwd)
		}
	}
}
