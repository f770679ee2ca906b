package casetest

import (
	"strings"
	"testing"

	"edgecache/edge"
	"edgecache/edge/edgetest"
)

// TestTierThatAnswered: log and explain say which tier gave an answer, and
// nothing for what an origin or edge itself gave.
func TestTierThatAnswered(t *testing.T) {
	rec := &edgetest.Recorder{Delivery: func(s *edge.Session, _ *edge.Head) (edge.FilterResult, error) {
		if _, ok := s.Request.Fields.Get("X-Refuse"); ok {
			return edge.Reject(403, "refused"), nil
		}
		return edge.Continue, nil
	}}
	s := open(t, edgetest.Config{Recorder: rec})
	s.origin.On("/x",
		edgetest.Text(200, "one", "Cache-Control: max-age=10, stale-if-error=60", tagged),
		edgetest.Answer{Status: 304, Header: edgetest.Header("Cache-Control: max-age=10, stale-if-error=60", tagged)},
		edgetest.Text(503, "down"))
	s.origin.On("/private", edgetest.Text(200, "mine", "Cache-Control: private"))
	for _, c := range []struct {
		name, path string
		advance    int
		lines      []string
		status     int
		want       edge.Tier
	}{
		{"a miss is the origin's", "/x", 0, nil, 200, edge.TierNone},
		{"a hit", "/x", 0, nil, 200, edge.TierMemory},
		{"a condition that memory answers", "/x", 0, []string{`If-None-Match: "v1"`}, 304, edge.TierMemory},
		{"a hook's answer in the place of a hit", "/x", 0, []string{"X-Refuse: 1"}, 403, edge.TierNone},
		{"what the origin confirmed", "/x", 20, nil, 200, edge.TierMemory},
		{"stale in the place of an error", "/x", 20, nil, 200, edge.TierMemory},
		{"what is not stored", "/private", 0, nil, 200, edge.TierNone},
	} {
		s.advance(c.advance)
		r := s.status(c.status, c.path, c.lines...)
		line := s.Explain(r.ID())
		if got := s.Record(r.ID()).Tier; got != c.want || line.Session.CacheResult.Tier != c.want.String() {
			t.Errorf("%s: tier %q, explain says %q, want %q", c.name, got, line.Session.CacheResult.Tier, c.want)
		}
		if logged := strings.Contains(string(line.Record), `"tier":"memory"`); logged != (c.want == edge.TierMemory) {
			t.Errorf("%s: the log's line is %s", c.name, line.Record)
		}
	}
	top := s.Engine.Top(0)
	if got := top.Hits["memory"]; got != 4 || top.Disk != nil || len(top.Hits) != 1 {
		t.Errorf("top counts %v, disk %v; want 4 answers from memory alone", top.Hits, top.Disk)
	}
}
