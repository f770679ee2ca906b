package casetest

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"edgecache/edge"
	"edgecache/edge/edgetest"
	"edgecache/policy"
	"edgecache/purge"
)

// answered asks for /x and demands a body and what the cache made of it.
func (s *site) answered(about, body string, cache edge.CacheStatus, why policy.Reason, lines ...string) edgetest.Reply {
	s.t.Helper()
	r := s.Get("/x", lines...)
	rec := s.Record(r.ID())
	if r.Err != nil || r.Body != body || rec.Cache != cache || rec.Reason != why {
		s.t.Errorf("%s: %v %v, want %v %v with %q: %s", about, rec.Cache, rec.Reason, cache, why, body, show(r))
	}
	if len(r.Header["Warning"]) > 0 {
		s.t.Errorf("%s: a Warning, which RFC 9111 has taken out", about)
	}
	return r
}

// TestStaleWindows: each window counts from the end of freshness, of an answer
// that was old already when it came, too, and ends (RFC 5861, 3 and 4).
func TestStaleWindows(t *testing.T) {
	for name, c := range map[string]struct {
		control string
		age     int // the answer's Age
		rules   policy.Rules
		at      int // seconds after it came
		why     policy.Reason
	}{
		"the last second of freshness":          {"max-age=10, stale-while-revalidate=10", 0, policy.Rules{}, 9, policy.Fresh},
		"the first of the window":               {"max-age=10, stale-while-revalidate=10", 0, policy.Rules{}, 10, policy.StaleWhileRevalidate},
		"the last of the window":                {"max-age=10, stale-while-revalidate=10", 0, policy.Rules{}, 19, policy.StaleWhileRevalidate},
		"behind the window":                     {"max-age=10, stale-while-revalidate=10", 0, policy.Rules{}, 20, policy.Expired},
		"age counts":                            {"max-age=10, stale-while-revalidate=10", 8, policy.Rules{}, 2, policy.StaleWhileRevalidate},
		"age counts, behind the window":         {"max-age=10, stale-while-revalidate=10", 8, policy.Rules{}, 12, policy.Expired},
		"must-revalidate":                       {"max-age=10, stale-while-revalidate=10, must-revalidate", 0, policy.Rules{}, 12, policy.Expired},
		"proxy-revalidate":                      {"max-age=10, stale-while-revalidate=10, proxy-revalidate", 0, policy.Rules{}, 12, policy.Expired},
		"no-cache":                              {"max-age=10, stale-while-revalidate=10, no-cache\r\nEtag: \"v1\"", 0, policy.Rules{}, 12, policy.NoCache},
		"s-maxage beside the directive":         {"s-maxage=10, stale-while-revalidate=10", 0, policy.Rules{}, 12, policy.StaleWhileRevalidate},
		"s-maxage by the letter":                {"s-maxage=10, stale-while-revalidate=10", 0, policy.Rules{StrictSMaxAge: true}, 12, policy.Expired},
		"the route's window":                    {"max-age=10", 0, policy.Rules{StaleWhileRevalidate: policy.Window{Fixed: true, For: 5 * time.Second}}, 14, policy.StaleWhileRevalidate},
		"the route forbids":                     {"max-age=10, stale-while-revalidate=10", 0, policy.Rules{StaleWhileRevalidate: policy.Window{Fixed: true}}, 12, policy.Expired},
		"the route's window, must-revalidate":   {"max-age=10, must-revalidate", 0, policy.Rules{StaleWhileRevalidate: policy.Window{Fixed: true, For: time.Hour}}, 12, policy.Expired},
		"a malformed window is none":            {"max-age=10, stale-while-revalidate=x", 0, policy.Rules{}, 10, policy.Expired},
		"the targeted field's window counts":    {"no-store\r\nCDN-Cache-Control: max-age=10, stale-while-revalidate=10", 0, policy.Rules{}, 12, policy.StaleWhileRevalidate},
		"Cache-Control's beside a targeted not": {"stale-while-revalidate=99\r\nCDN-Cache-Control: max-age=10", 0, policy.Rules{}, 12, policy.Expired},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, edgetest.Config{Rules: c.rules})
			s.origin.OnFunc("/x", func(edgetest.Seen) edgetest.Answer {
				return edgetest.Text(200, "x", "Cache-Control: "+c.control, fmt.Sprint("Age: ", c.age), "Date: "+s.clock.Now().UTC().Format(http.TimeFormat))
			})
			s.miss("x", "/x")
			s.advance(c.at)
			r := s.Get("/x")
			rec := s.Record(r.ID())
			if rec.Reason != c.why {
				t.Errorf("%v %v, want %v", rec.Cache, rec.Reason, c.why)
			}
			if want := fmt.Sprint(c.age + c.at); isHit(r) && r.Header.Get("Age") != want {
				t.Errorf("Age %s, want %s", r.Header.Get("Age"), want)
			}
		})
	}
}

// TestStaleIfErrorByStatus: which answers of the origin are failures.
func TestStaleIfErrorByStatus(t *testing.T) {
	for status, stale := range map[int]bool{
		500: true, 502: true, 503: true, 504: true, 520: true, 599: true, 501: false, 505: false, 404: false, 410: false, 429: false, 403: false,
	} {
		s := open(t, edgetest.Config{})
		s.origin.On("/x", edgetest.Text(200, "old", "Cache-Control: max-age=10, stale-if-error=60"), edgetest.Text(status, "new", "Cache-Control: no-store"))
		s.miss("old", "/x")
		s.advance(11)
		if r := s.Get("/x"); (r.Body == "old") != stale || stale && r.Header.Get("Age") != "11" {
			t.Errorf("%d: %s, want it stale: %v", status, show(r), stale)
		}
	}
}

// TestTheClientsOwnStaleIfError: RFC 5861, 4: a request may allow it for itself,
// where the route honours clients, and never against the answer.
func TestTheClientsOwnStaleIfError(t *testing.T) {
	for name, c := range map[string]struct {
		control, ask string
		honor, stale bool
	}{
		"allowed":                    {"max-age=10", "stale-if-error=60", true, true},
		"too old for it":             {"max-age=10", "stale-if-error=1", true, false},
		"not honoured":               {"max-age=10", "stale-if-error=60", false, false},
		"against must-revalidate":    {"max-age=10, must-revalidate", "stale-if-error=60", true, false},
		"against s-maxage":           {"s-maxage=10", "stale-if-error=60", true, false},
		"malformed":                  {"max-age=10", "stale-if-error=x", true, false},
		"beside one of the answer's": {"max-age=10, stale-if-error=60", "stale-if-error=0", true, true},
	} {
		s := open(t, edgetest.Config{Rules: policy.Rules{HonorClient: c.honor}})
		s.origin.On("/x", edgetest.Text(200, "old", "Cache-Control: "+c.control), edgetest.Text(503, "down"))
		s.miss("old", "/x")
		s.advance(15)
		if r := s.Get("/x", "Cache-Control: "+c.ask); (r.Body == "old") != c.stale {
			t.Errorf("%s: %s", name, show(r))
		}
	}
}

// TestFailingOriginIsLeftAlone: a stale answer stands in at once while the origin
// rests; the rest doubles, and an answer ends it.
func TestFailingOriginIsLeftAlone(t *testing.T) {
	for name, c := range map[string]struct {
		control string
		rules   policy.Rules
		failure edgetest.Answer
		why     policy.Reason
	}{
		"errors":  {"max-age=10, stale-if-error=600", policy.Rules{}, edgetest.Text(503, "down", lone), policy.StaleIfError},
		"nothing": {"max-age=10", policy.Rules{StaleIfDead: time.Hour}, edgetest.Script(edgetest.Reset()), policy.StaleIfDead},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, edgetest.Config{Rules: c.rules})
			s.origin.On("/x", edgetest.Text(200, "old", "Cache-Control: "+c.control, lone), c.failure)
			s.miss("old", "/x")
			s.advance(11)
			asked := 1
			for _, rest := range []int{1, 2, 4, 8, 16, 30, 30} {
				for range 3 {
					s.answered("while it rests", "old", edge.CacheStale, c.why)
				}
				asked++
				s.asked(asked, "/x")
				s.advance(rest + rest/4 + 1)
			}
			s.origin.On("/x", edgetest.Text(200, "new", fresh))
			s.want("new", "/x")
			s.hit("new", "/x")
		})
	}
}

// TestRestHidesNothing: who may not have the stale answer is not kept from the
// origin by its rest.
func TestRestHidesNothing(t *testing.T) {
	start := func(t *testing.T, control string) *site {
		s := open(t, edgetest.Config{Rules: policy.Rules{HonorClient: true, StaleIfDead: 40 * time.Second}})
		s.origin.On("/x", edgetest.Text(200, "old", "Cache-Control: "+control, tagged, lone), edgetest.Text(503, "down", lone), edgetest.Text(200, "new", fresh))
		s.miss("old", "/x")
		s.advance(11)
		return s
	}
	t.Run("a hard purge", func(t *testing.T) {
		s := start(t, "max-age=10, stale-if-error=60")
		s.want("old", "/x")
		s.purge(s.URL + "/x")
		s.want("new", "/x")
	})
	t.Run("a purge that demands a validation", func(t *testing.T) {
		s := start(t, "max-age=10, stale-if-error=60")
		s.want("old", "/x")
		s.purgeAs(purge.ScopeURL, purge.Revalidate, s.URL+"/x")
		s.want("new", "/x")
	})
	t.Run("the client's no-cache", func(t *testing.T) {
		s := start(t, "max-age=10, stale-if-error=60")
		s.want("old", "/x")
		s.want("new", "/x", "Cache-Control: no-cache")
	})
	t.Run("the end of the window", func(t *testing.T) {
		s := start(t, "max-age=10, stale-if-error=2")
		s.want("old", "/x")
		s.advance(1)
		if r := s.Get("/x"); r.Body != "new" {
			t.Errorf("behind the window: %s", show(r))
		}
	})
	t.Run("an error is not no answer", func(t *testing.T) {
		s := start(t, "max-age=10")
		s.status(503, "/x")
		s.want("new", "/x")
	})
}

// TestRefreshIsDecided: what a refresh in the background brings counts, an error
// changes nothing.
func TestRefreshIsDecided(t *testing.T) {
	for name, c := range map[string]struct {
		answer edgetest.Answer
		then   string // the next answer's body, from the store or not
		hit    bool
	}{
		"another answer":       {edgetest.Text(200, "new", fresh), "new", true},
		"a 304":                {edgetest.Text(304, "", fresh, tagged), "old", true},
		"a 404 that is stored": {edgetest.Text(404, "gone", fresh), "gone", true},
		"a 410 that is not":    {edgetest.Text(410, "gone", "Cache-Control: no-store"), "last", false},
		"no-store":             {edgetest.Text(200, "mine", "Cache-Control: no-store"), "last", false},
		"a 503":                {edgetest.Text(503, "down", lone), "old", true},
		"no answer":            {edgetest.Script(edgetest.Reset()), "old", true},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, edgetest.Config{})
			s.origin.On("/x", edgetest.Text(200, "old", "Cache-Control: max-age=10, stale-while-revalidate=60", tagged, lone), c.answer, edgetest.Text(200, "last", "Cache-Control: no-store"))
			s.miss("old", "/x")
			s.advance(11)
			s.hit("old", "/x")
			s.refreshed(1)
			r := s.Get("/x")
			if r.Body != c.then || isHit(r) != c.hit {
				t.Errorf("afterwards %s, want %q, a hit: %v", show(r), c.then, c.hit)
			}
		})
	}
}
