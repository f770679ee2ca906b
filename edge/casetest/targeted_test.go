package casetest

import (
	"fmt"
	"testing"
	"time"

	"edgecache/edge/edgetest"
	"edgecache/policy"
)

// TestTargetedFields: what is configured decides before Cache-Control and
// Expires (RFC 9213), Age counts against it, and neither side ever sees it.
func TestTargetedFields(t *testing.T) {
	rules := policy.Rules{Targeted: []string{"Edge-Cache-Control", "Cdn-Cache-Control", "X-Edge"}}
	for i, c := range []struct {
		name  string
		lines []string
		stays time.Duration // how long it is a hit; 0 for never
	}{
		{"the first of the list", []string{"Edge-Cache-Control: max-age=60", "CDN-Cache-Control: max-age=600", "Cache-Control: no-store"}, 60 * time.Second},
		{"the next when it is malformed", []string{"Edge-Cache-Control: max-age=60,", "CDN-Cache-Control: max-age=90", "Cache-Control: no-store"}, 90 * time.Second},
		{"Age counts", []string{"Edge-Cache-Control: max-age=60", "Age: 20"}, 40 * time.Second},
		{"it forbids", []string{"Edge-Cache-Control: no-store", "CDN-Cache-Control: max-age=60", "Cache-Control: max-age=60"}, 0},
		{"Connection cannot list it away", []string{"Connection: X-Edge", "X-Edge: max-age=60", "Cache-Control: no-store"}, 60 * time.Second},
		{"Surrogate-Control is the next", []string{"Surrogate-Control: max-age=70", "Cache-Control: no-store"}, 70 * time.Second},
		{"then Cache-Control", []string{"Edge-Cache-Control: no-store=1", "Surrogate-Control: max-age", "Cache-Control: max-age=80"}, 80 * time.Second},
	} {
		s := open(t, edgetest.Config{Rules: rules})
		path, page := fmt.Sprint("/", i), c.name
		s.origin.On(path, edgetest.Text(200, page, c.lines...))
		s.miss(page, path, "Edge-Cache-Control: x", "CDN-Cache-Control: y", "Surrogate-Control: z")
		for _, name := range []string{"Edge-Cache-Control", "CDN-Cache-Control", "Surrogate-Control"} {
			if v := s.last().Header.Get(name); v != "" {
				t.Errorf("%s: the origin was told %s: %s", c.name, name, v)
			}
		}
		if c.stays == 0 {
			s.miss(page, path)
			continue
		}
		s.clock.Advance(c.stays - 10*time.Second)
		got := s.hit(page, path)
		for _, name := range []string{"Edge-Cache-Control", "CDN-Cache-Control", "Surrogate-Control"} {
			if v := got.Header.Get(name); v != "" {
				t.Errorf("%s: the client sees %s: %s", c.name, name, v)
			}
		}
		s.clock.Advance(10 * time.Second)
		if got := s.want(page, path); isHit(got) {
			t.Errorf("%s: %s after %v, want it asked for", c.name, show(got), c.stays)
		}
	}
}

// TestSurrogateWindow: max-age=60+30 is served stale for 30 s while it is
// refreshed, and for a failing origin.
func TestSurrogateWindow(t *testing.T) {
	s := open(t, edgetest.Config{})
	s.origin.On("/x", edgetest.Text(200, "one", "Surrogate-Control: max-age=60+30", "Cache-Control: no-store"))
	s.origin.On("/y", edgetest.Text(200, "one", "Surrogate-Control: max-age=60+30", "Cache-Control: no-store"))
	s.miss("one", "/x")
	s.miss("one", "/y")
	s.origin.On("/x", edgetest.Text(500, "broken"))
	s.clock.Advance(80 * time.Second)
	if got := s.want("one", "/x"); isHit(got) != true || s.Record(got.ID()).Reason != policy.StaleWhileRevalidate {
		t.Errorf("within the window: %s", show(got))
	}
	s.clock.Advance(10 * time.Second)
	s.origin.On("/y", edgetest.Text(200, "two", fresh))
	s.miss("two", "/y")
}
