package casetest

import (
	"net/http"
	"testing"

	"edgecache/edge"
	"edgecache/edge/edgetest"
	"edgecache/policy"
)

// TestWhatMustBeValidatedIsNotShared: an answer that may not be used again
// without asking the origin is the answer to one request. Who waited for it
// asks for itself (RFC 9111, 4 and 5.2.2.4): the origin may tell users apart by
// a cookie that no Vary names.
func TestWhatMustBeValidatedIsNotShared(t *testing.T) {
	for _, control := range []string{"no-cache", "max-age=0", "no-cache, max-age=600", "max-age=0, must-revalidate"} {
		s := open(t, edgetest.Config{})
		g := newGate(t)
		page := func(user string) edgetest.Answer {
			return edgetest.Text(200, "page of "+user, "Cache-Control: "+control, `ETag: "`+user+`"`)
		}
		asked := 0
		s.origin.OnFunc("/x", func(r edgetest.Seen) edgetest.Answer {
			if asked++; asked == 1 {
				return g.late(page("ann"))
			}
			return page(r.Header.Get("Cookie"))
		})
		ann := s.join("GET", "/x", "Cookie: ann")
		s.reached(g)
		bob := s.join("GET", "/x", "Cookie: bob")
		eve := s.join("GET", "/x", "Cookie: eve")
		g.open()
		ann.gets("page of ann")
		bob.gets("page of bob")
		eve.gets("page of eve")
		s.asked(3, "/x")
	}
}

// TestConfirmedForOneIsNotForAll: a 304 to one user's validation says nothing
// about another's page.
func TestConfirmedForOneIsNotForAll(t *testing.T) {
	s := open(t, edgetest.Config{})
	g := newGate(t)
	page := func(user string) edgetest.Answer {
		return edgetest.Text(200, "page of "+user, "Cache-Control: no-cache, max-age=600", `ETag: "`+user+`"`)
	}
	asked := 0
	s.origin.OnFunc("/x", func(r edgetest.Seen) edgetest.Answer {
		user := r.Header.Get("Cookie")
		asked++
		switch {
		case asked == 1 || r.Header.Get("If-None-Match") != `"`+user+`"`:
			return page(user)
		case asked == 2:
			return g.late(edgetest.Answer{Status: 304, Header: page(user).Header})
		}
		return edgetest.Answer{Status: 304, Header: page(user).Header}
	})
	s.ask("GET", "/x", "Cookie: ann").gets("page of ann")
	ann := s.join("GET", "/x", "Cookie: ann")
	s.reached(g)
	bob := s.join("GET", "/x", "Cookie: bob")
	g.open()
	ann.gets("page of ann")
	bob.gets("page of bob")
}

// TestNobodyJoinsWhatHasGrownStale: a download may outlast its answer's
// freshness; who comes then asks anew.
func TestNobodyJoinsWhatHasGrownStale(t *testing.T) {
	s := open(t, edgetest.Config{})
	g := newGate(t)
	s.origin.On("/x", g.split("the old body", "Cache-Control: max-age=10"), edgetest.Text(200, "the new body", "Cache-Control: max-age=10"))
	first := s.join("GET", "/x")
	s.reached(g)
	first.has(6)
	s.advance(5)
	second := s.join("GET", "/x")
	second.has(6) // it is on before the answer grows stale
	s.advance(6)
	third := s.ask("GET", "/x")
	third.gets("the new body")
	g.open()
	first.gets("the old body")
	second.gets("the old body")
	s.asked(2, "/x")
}

// TestFollowersOwnMaxAge: a client that asks for nothing older joins nothing
// older.
func TestFollowersOwnMaxAge(t *testing.T) {
	c := edgetest.Config{}
	c.Rules.HonorClient = true
	s := open(t, c)
	g := newGate(t)
	s.origin.On("/x", g.split("the old body", fresh), edgetest.Text(200, "the new body", fresh))
	first := s.join("GET", "/x")
	s.reached(g)
	first.has(6)
	s.advance(5)
	s.ask("GET", "/x", "Cache-Control: max-age=3").gets("the new body")
	g.open()
	first.gets("the old body")
}

// TestOneHooksAnswerIsNotAnothers: a hook that answers in the origin's place
// answers one request; those who waited have it answer them.
func TestOneHooksAnswerIsNotAnothers(t *testing.T) {
	s := &site{}
	release := make(chan struct{})
	c := edgetest.Config{Recorder: &edgetest.Recorder{
		Upstream: func(_ *edge.Session, r *http.Request) (edge.FilterResult, error) {
			<-release
			return edge.Respond(200, http.Header{"Cache-Control": {"no-store"}}, []byte("for "+r.Header.Get("Cookie"))), nil
		},
	}}
	s = open(t, c)
	users := []string{"ann", "bob", "eve", "dan", "kim"}
	var clients []*client
	for _, user := range users {
		clients = append(clients, s.join("GET", "/x", "Cookie: "+user))
	}
	close(release)
	for i, user := range users {
		clients[i].gets("for " + user)
	}
}

// TestHeadRefreshesInTheBackground: a HEAD may find something stale, and what
// brings it up to date is a GET, to be stored like any other.
func TestHeadRefreshesInTheBackground(t *testing.T) {
	s := open(t, edgetest.Config{})
	const window = "Cache-Control: max-age=10, stale-while-revalidate=60"
	s.origin.On("/x", edgetest.Text(200, "one", window, tagged), edgetest.Text(200, "two", window, `ETag: "v2"`))
	s.want("one", "/x")
	s.advance(15)
	if r := s.Do("HEAD", "/x", ""); r.Err != nil || r.Status != 200 {
		t.Fatalf("HEAD: %s", show(r))
	}
	s.refreshed(1)
	s.want("two", "/x")
	s.asked(2, "/x")
	if seen := s.last(); seen.Method != "GET" {
		t.Errorf("refreshed by %s", seen.Method)
	}
}

// TestFieldsForOneClient: what private="…" and no-cache="…" list is for the client
// that asked, and for nobody else (RFC 9111, 5.2.2.4 and 5.2.2.7).
func TestFieldsForOneClient(t *testing.T) {
	for _, control := range []string{`private="X-Mine, Set-Cookie"`, `no-cache="x-mine"`} {
		s := open(t, edgetest.Config{Rules: policy.Rules{SetCookie: policy.SetCookieStore}})
		g := newGate(t)
		s.origin.On("/x", g.late(edgetest.Text(200, "hello", "Cache-Control: max-age=60, "+control, "X-Mine: secret", "X-All: 1")))
		first, second := s.join("GET", "/x"), s.join("GET", "/x")
		s.reached(g)
		g.open()
		if r := first.gets("hello"); r.Header.Get("X-Mine") != "secret" {
			t.Errorf("%s: the client that asked gets %v", control, r.Header)
		}
		if r := second.gets("hello"); r.Header.Get("X-Mine") != "" || r.Header.Get("X-All") != "1" {
			t.Errorf("%s: who waited gets %v", control, r.Header)
		}
		if r := s.hit("hello", "/x", "Host: a.test"); r.Header.Get("X-Mine") != "" || r.Header.Get("X-All") != "1" {
			t.Errorf("%s: a hit has %v", control, r.Header)
		}
	}
}
