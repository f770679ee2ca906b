package casetest

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"edgecache/edge"
	"edgecache/edge/edgetest"
	"edgecache/edge/origin"
	"edgecache/policy"
	"edgecache/purge"
)

// ending is how a fetch ends for which many wait. The answer is the first that
// the origin gives to them, held at a gate; all later ones are "later", stored
// unless the case says otherwise.
type ending struct {
	stored  string // what is stored, and stale, before: its Cache-Control; "" is nothing
	answer  edgetest.Answer
	later   edgetest.Answer // nil Steps and 0 Status: 200 "later", fresh
	rules   policy.Rules
	timeout time.Duration // of the first byte
	purge   purge.Strength
	vary    bool // each client has a value of its own

	leader    int    // the leader's status; 0: it does not matter
	body      string // the leader's body
	followers string // what the followers get
	status    int    // and its status; 0 is 200
	asked     int    // how often the origin is asked for all of them
	hit       bool   // whether a request afterwards is a hit
}

var endings = map[string]ending{
	"a 200 that is stored":       {answer: edgetest.Text(200, "new", fresh), leader: 200, body: "new", followers: "new", asked: 1, hit: true},
	"an empty 204":               {answer: edgetest.Text(204, "", fresh), leader: 204, followers: "", status: 204, asked: 1, hit: true},
	"a chunked one":              {answer: edgetest.Answer{Body: "new", Chunked: true, Header: edgetest.Header(fresh)}, leader: 200, body: "new", followers: "new", asked: 1, hit: true},
	"no-store":                   {answer: edgetest.Text(200, "mine", "Cache-Control: no-store"), later: edgetest.Text(200, "own", "Cache-Control: no-store"), leader: 200, body: "mine", followers: "own", asked: waiters},
	"private":                    {answer: edgetest.Text(200, "mine", "Cache-Control: private"), later: edgetest.Text(200, "own", "Cache-Control: private"), leader: 200, body: "mine", followers: "own", asked: waiters},
	"Set-Cookie":                 {answer: edgetest.Text(200, "mine", fresh, "Set-Cookie: a=b"), later: edgetest.Text(200, "own", fresh, "Set-Cookie: c=d"), leader: 200, body: "mine", followers: "own", asked: waiters},
	"max-age=0, nothing else":    {answer: edgetest.Text(200, "mine", "Cache-Control: max-age=0"), later: edgetest.Text(200, "own", "Cache-Control: max-age=0"), leader: 200, body: "mine", followers: "own", asked: waiters},
	"Vary *":                     {answer: edgetest.Text(200, "mine", fresh, "Vary: *"), later: edgetest.Text(200, "own", fresh, "Vary: *"), leader: 200, body: "mine", followers: "own", asked: waiters},
	"Vary, one value":            {answer: edgetest.Text(200, "new", fresh, "Vary: X-Who"), leader: 200, body: "new", followers: "new", asked: 1, hit: true},
	"Vary, each its own":         {vary: true, answer: edgetest.Text(200, "new", fresh, "Vary: X-Who"), later: edgetest.Text(200, "own", fresh, "Vary: X-Who"), leader: 200, body: "new", followers: "own", asked: waiters, hit: true},
	"a 404 that is stored":       {answer: edgetest.Text(404, "none", fresh), leader: 404, body: "none", followers: "none", status: 404, asked: 1, hit: true},
	"a 404 that is not":          {answer: edgetest.Text(404, "none", "Cache-Control: no-store"), later: edgetest.Text(404, "own", "Cache-Control: no-store"), leader: 404, body: "none", followers: "own", status: 404, asked: waiters},
	"a 500 without a word":       {answer: edgetest.Text(500, "down"), later: edgetest.Text(500, "own"), leader: 500, body: "down", followers: "own", status: 500, asked: waiters},
	"a 503, a stale one allowed": {stored: "max-age=10, stale-if-error=60", answer: edgetest.Text(503, "down"), leader: 200, body: "old", followers: "old", asked: 1, hit: true},
	"a 503, a stale one not":     {stored: "max-age=10, must-revalidate", answer: edgetest.Text(503, "down", "Cache-Control: no-store"), later: edgetest.Text(503, "own", "Cache-Control: no-store"), leader: 503, body: "down", followers: "own", status: 503, asked: waiters},
	"a 304":                      {stored: "max-age=10", answer: edgetest.Text(304, "", fresh, tagged), leader: 200, body: "old", followers: "old", asked: 1, hit: true},
	"a 304 about another one":    {stored: "max-age=10", answer: edgetest.Text(304, "", fresh, `Etag: "else"`), leader: 200, body: "later", followers: "later", asked: 2, hit: true},
	"a reset before the head":    {answer: edgetest.Script(edgetest.Reset()), leader: 0, followers: "later", asked: 2, hit: true},
	"garbage for a head":         {answer: edgetest.Script(edgetest.Bytes("garbage\r\n\r\n"), edgetest.Cut()), leader: 502, body: "502 Bad Gateway\n", followers: "later", asked: 2, hit: true},
	"a reset, a stale one":       {stored: "max-age=10", rules: policy.Rules{StaleIfDead: time.Hour}, answer: edgetest.Script(edgetest.Reset()), leader: 200, body: "old", followers: "old", hit: true},
	"no head in time":            {timeout: 100 * time.Millisecond, answer: edgetest.Script(edgetest.Gate(nil)), leader: 504, body: "504 Gateway Timeout\n", followers: "later", asked: 2, hit: true},
	"a hard purge while waiting": {purge: purge.Hard, answer: edgetest.Text(200, "new", fresh), leader: 200, body: "new", followers: "later", asked: 2, hit: true},
	"an invalidation the while":  {purge: purge.Revalidate, answer: edgetest.Text(200, "new", fresh), leader: 200, body: "new", followers: "later", asked: 2, hit: true},
	"a soft purge while waiting": {purge: purge.Soft, answer: edgetest.Text(200, "new", fresh), leader: 200, body: "new", followers: "later", asked: 2, hit: true},
}

const waiters = 5

// TestEveryEnding: what those get who have waited for a fetch, by how it ends.
func TestEveryEnding(t *testing.T) {
	for name, c := range endings {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.run(t)
		})
	}
}

func (c ending) run(t *testing.T) {
	s := open(t, edgetest.Config{Rules: c.rules, Pool: origin.Config{Timeouts: origin.Timeouts{FirstByte: c.timeout}}})
	before := 0
	if c.stored != "" {
		s.origin.On("/x", edgetest.Text(200, "old", "Cache-Control: "+c.stored, tagged, lone))
		s.miss("old", "/x", "Host: a.test")
		s.advance(11)
		before = 1
	}
	if c.later.Status == 0 && c.later.Steps == nil {
		c.later = edgetest.Text(200, "later", fresh)
	}
	g := newGate(t)
	held := g.late(c.answer)
	if c.timeout > 0 {
		held = edgetest.Script(edgetest.Tell(g.reached), edgetest.Gate(g.pass), edgetest.Cut())
	}
	s.origin.On("/x", held, c.later)
	var all []*client
	for i := range waiters {
		who := "one"
		if c.vary {
			who = fmt.Sprint(i)
		}
		all = append(all, s.join("GET", "/x", "X-Who: "+who))
	}
	s.reached(g)
	if c.purge != 0 {
		s.purgeAs(purge.ScopeURL, c.purge, "http://a.test/x")
		all = append(all, s.join("GET", "/x", "X-Who: one")) // it came after the purge
	}
	if c.timeout == 0 {
		g.open()
	}
	c.judge(t, all)
	if n := s.origin.Asked("/x") - before; c.asked > 0 && n != c.asked {
		t.Errorf("the origin was asked %d times, want %d", n, c.asked)
	}
	s.settled()
	if r := s.Get("/x", "Host: a.test", "X-Who: one"); isHit(r) != c.hit && !c.vary {
		t.Errorf("afterwards a hit: %v, want %v: %s", isHit(r), c.hit, show(r))
	}
}

// judge looks at what each client got. Who came before a purge may have the answer
// that was under way; who came after it may not.
func (c ending) judge(t *testing.T, all []*client) {
	t.Helper()
	for i, one := range all {
		r := one.answer()
		status, body := max(c.status, 0), c.followers
		if status == 0 {
			status = 200
		}
		switch {
		case i == 0 && c.leader == 0:
			continue
		case i == 0:
			status, body = c.leader, c.body
		case c.purge != 0 && i < waiters:
			body = r.Body
			if body != c.body && body != c.followers {
				body = c.followers
			}
		}
		if r.Err != nil || r.Status != status || r.Body != body {
			t.Errorf("client %d: %s; want %d %q", i, show(r), status, body)
		}
	}
}

// TestEndingsInTheBody: a body that breaks off is seen as broken by all who read
// it, with whatever they got, and is stored for nobody.
func TestEndingsInTheBody(t *testing.T) {
	for name, c := range map[string][2]string{
		"Content-Length": {"Content-Length: 10\r\n\r\n01234", ""},
		"chunked":        {"Transfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n", "5\r\n56"},
		"bad chunk":      {"Transfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n", "xyz\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, edgetest.Config{})
			g := newGate(t)
			head := edgetest.Bytes("HTTP/1.1 200 OK\r\n" + fresh + "\r\n" + c[0])
			s.origin.On("/x", edgetest.Script(append([]edgetest.Step{head}, g.steps(edgetest.Bytes(c[1]), edgetest.Cut())...)...), edgetest.Text(200, "later", fresh))
			first := s.ask("GET", "/x")
			s.reached(g)
			first.has(5)
			all := append(s.crowd(waiters, "/x"), first)
			for _, one := range all {
				one.has(5)
			}
			g.open()
			for _, one := range all {
				one.breaks()
			}
			s.asked(1, "/x")
			s.settled()
			s.miss("later", "/x", "Host: a.test")
		})
	}
}

// TestLeaversHarmNobody: the leader, or all but one of the followers, leave at
// any point; who stays gets the whole, and it is stored.
func TestLeaversHarmNobody(t *testing.T) {
	for name, stays := range map[string]int{"the leader leaves": 1, "the followers leave": 0} {
		for _, headed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, after the head %v", name, headed), func(t *testing.T) {
				s := open(t, edgetest.Config{})
				g := newGate(t)
				a := g.late(edgetest.Text(200, "0123456789", fresh))
				if headed {
					a = g.split("0123456789", fresh)
				}
				s.origin.On("/x", a)
				all := s.crowd(waiters, "/x")
				s.reached(g)
				if headed {
					all[stays].has(5)
				}
				for i, c := range all {
					if i != stays {
						c.leave()
					}
				}
				g.open()
				all[stays].gets("0123456789")
				s.settled()
				s.hit("0123456789", "/x", "Host: a.test")
				s.asked(1, "/x")
			})
		}
	}
}

// TestHookEndsAFetch: a hook's own answer is the leader's; each other asks for
// itself, and nobody is answered with what was meant for another.
func TestHookEndsAFetch(t *testing.T) {
	hooks := &edgetest.Recorder{Response: func(*edge.Session, *http.Response) (edge.FilterResult, error) {
		return edge.Reject(403, "not for you"), nil
	}}
	s := open(t, edgetest.Config{Recorder: hooks})
	g := newGate(t)
	s.origin.On("/x", g.late(edgetest.Text(200, "secret", fresh)), edgetest.Text(200, "secret", fresh))
	all := s.crowd(waiters, "/x")
	s.reached(g)
	g.open()
	for i, c := range all {
		if r := c.answer(); r.Status != 403 || r.Body != "not for you\n" {
			t.Errorf("client %d: %s", i, show(r))
		}
	}
}
