package casetest

import (
	"strings"
	"testing"

	"edgecache/edge/edgetest"
)

// TestInvalidatedByKeyRules: what an unsafe request makes invalid is named as
// the rules of its route key it (RFC 9111, 4.4).
func TestInvalidatedByKeyRules(t *testing.T) {
	c := edgetest.Config{}
	c.Rules.Key.Ignore = []string{"utm"}
	s := open(t, c)
	s.origin.On("/list", edgetest.Text(200, "one", fresh), edgetest.Text(200, "two", fresh))
	s.origin.On("/add", edgetest.Text(201, "", "Location: /list?utm=mail"))
	s.want("one", "/list")
	if r := s.Do("POST", "/add", "an entry"); r.Err != nil || r.Status != 201 {
		t.Fatalf("POST: %s", show(r))
	}
	s.want("two", "/list?utm=web")
}

// TestVaryThatChangesIsAskedAnew: a 304 that says that the answer varies by
// something else cannot confirm what was not selected by it.
func TestVaryThatChangesIsAskedAnew(t *testing.T) {
	s := open(t, edgetest.Config{})
	s.origin.OnFunc("/x", func(r edgetest.Seen) edgetest.Answer {
		lang := r.Header.Get("Accept-Language")
		switch {
		case r.Header.Get("If-None-Match") != "":
			return edgetest.Answer{Status: 304, Header: edgetest.Header(fresh, tagged, "Vary: Accept-Language")}
		case lang == "":
			return edgetest.Text(200, "for all", "Cache-Control: max-age=10", tagged)
		}
		return edgetest.Text(200, "in "+lang, fresh, tagged, "Vary: Accept-Language")
	})
	s.want("for all", "/x")
	s.advance(20)
	s.want("in en", "/x", "Accept-Language: en")
	s.want("in de", "/x", "Accept-Language: de")
	s.want("in en", "/x", "Accept-Language: en")
}

// TestHeadTooLargeForTheOriginCostsNothing: an error about one client's request
// head takes nothing out of the store that others can have.
func TestHeadTooLargeForTheOriginCostsNothing(t *testing.T) {
	s := open(t, edgetest.Config{})
	s.origin.On("/x",
		edgetest.Text(200, "the page", "Cache-Control: max-age=10", tagged),
		edgetest.Text(431, "too large"),
		edgetest.Answer{Status: 304, Header: edgetest.Header(fresh, tagged)})
	s.want("the page", "/x")
	s.advance(20)
	s.status(431, "/x", "X-Big: "+strings.Repeat("x", 9<<10))
	r := s.want("the page", "/x")
	if got := s.Record(r.ID()).Reason.String(); got != "revalidated" {
		t.Errorf("reason %s, want revalidated: the validator is still there", got)
	}
}

// TestFullQueueIsNobodysIllness: requests that the edge itself turns away do
// not make the peer unhealthy.
func TestFullQueueIsNobodysIllness(t *testing.T) {
	g := newGate(t)
	c := edgetest.Config{}
	c.Pool.MaxConns, c.Pool.Queue = 1, 1
	s := open(t, c)
	s.origin.On("/1", g.late(edgetest.Text(200, "at last")))
	first := s.join("GET", "/1")
	s.reached(g)
	second := s.join("GET", "/2")
	edgetest.Wait(t, "a full queue", func() bool { return s.Peers("main")[0].InFlight() == 2 })
	for range 10 {
		s.status(503, "/3")
	}
	if p := s.Peers("main")[0]; !p.Healthy(s.clock.Now()) {
		t.Error("the peer is unhealthy")
	}
	g.open()
	first.gets("at last")
	second.leave()
	_ = second.answer()
}
