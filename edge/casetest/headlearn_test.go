package casetest

import (
	"net/http"
	"testing"

	"edgecache/edge"
	"edgecache/edge/edgetest"
	"edgecache/policy"
	"edgecache/purge"
)

// answersHead starts a site whose /x is "body", fresh for ten seconds, and whose
// HEAD answers as said.
func answersHead(t *testing.T, c edgetest.Config, head edgetest.Answer) *site {
	t.Helper()
	s := open(t, c)
	s.origin.OnFunc("/x", func(r edgetest.Seen) edgetest.Answer {
		switch {
		case r.Method == "HEAD":
			return head
		case r.Header.Get("If-None-Match") == `"v1"`:
			return edgetest.Answer{Status: 304, Header: edgetest.Header("Cache-Control: max-age=10", tagged)}
		}
		return edgetest.Text(200, "body", "Cache-Control: max-age=10", tagged, old, "X-Old: yes", "Cache-Tag: red")
	})
	return s
}

// head sends a HEAD that goes to the origin, and waits for its end.
func (s *site) head(lines ...string) edgetest.Reply {
	s.t.Helper()
	before := len(s.origin.Seen())
	r := s.Do("HEAD", "/x", "", lines...)
	if r.Err != nil || isHit(r) || len(s.origin.Seen()) != before+1 || s.last().Method != "HEAD" {
		s.t.Fatalf("HEAD: %s", show(r))
	}
	s.Record(r.ID())
	return r
}

// TestHeadFreshens: RFC 9111, 4.3.5, by what the HEAD says, when the stored answer
// is ten seconds old and over.
func TestHeadFreshens(t *testing.T) {
	const four = "Content-Length: 4"
	for name, c := range map[string]struct {
		head  edgetest.Answer
		lines []string
		fresh bool
	}{
		"all equal":                    {edgetest.Text(200, "", fresh, tagged, old, four), nil, true},
		"the tag alone":                {edgetest.Text(200, "", fresh, tagged, four), nil, true},
		"the date alone":               {edgetest.Text(200, "", fresh, old, four), nil, true},
		"another tag":                  {edgetest.Text(200, "", fresh, `ETag: "v2"`, old, four), nil, false},
		"another length":               {edgetest.Text(200, "", fresh, tagged, "Content-Length: 5"), nil, false},
		"no validator":                 {edgetest.Text(200, "", fresh, four), nil, false},
		"another coding":               {edgetest.Text(200, "", fresh, tagged, four, "Content-Encoding: br"), nil, false},
		"not found":                    {edgetest.Text(404, "", fresh, tagged, four), nil, false},
		"an error":                     {edgetest.Text(503, "", fresh, tagged, four), nil, false},
		"personal":                     {edgetest.Text(200, "", fresh, tagged, four), []string{"Authorization: Basic eA=="}, false},
		"a range is about a part":      {edgetest.Text(200, "", fresh, tagged, four), []string{"Range: bytes=0-1"}, false},
		"another Vary":                 {edgetest.Text(200, "", fresh, tagged, four, "Vary: Accept-Language"), nil, false},
		"304 that names it":            {edgetest.Answer{Status: 304, Header: edgetest.Header(fresh, tagged)}, []string{`If-None-Match: "v1"`}, true},
		"304 that names another":       {edgetest.Answer{Status: 304, Header: edgetest.Header(fresh, `ETag: "v2"`)}, []string{`If-None-Match: "v2"`}, false},
		"304 that names it weakly":     {edgetest.Answer{Status: 304, Header: edgetest.Header(fresh, `ETag: W/"v1"`)}, []string{`If-None-Match: "v1"`}, false},
		"304 without a name":           {edgetest.Answer{Status: 304, Header: edgetest.Header(fresh)}, []string{`If-None-Match: "v1"`}, false},
		"200 to a condition, the same": {edgetest.Text(200, "", fresh, tagged, four), []string{`If-None-Match: "v0"`}, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := answersHead(t, edgetest.Config{Rules: policy.Rules{TagHeaders: []string{"Cache-Tag"}}}, c.head)
			s.miss("body", "/x")
			s.advance(11)
			s.head(c.lines...)
			r := s.want("body", "/x")
			if isHit(r) != c.fresh {
				t.Fatalf("GET after it: %s, want a hit: %v", show(r), c.fresh)
			}
			if !c.fresh {
				return
			}
			if r.Header.Get("Age") != "0" || r.Header.Get("Cache-Control") != "max-age=600" || r.Header.Get("X-Old") != "yes" {
				t.Errorf("merged: %s", show(r))
			}
			s.purgeAs(purge.ScopeTag, purge.Hard, "red") // which the HEAD did not say again
			s.miss("body", "/x")
		})
	}
}

// TestHeadOutdates: what is fresh by its own word and another's at the origin is
// stale from then on, and is validated.
func TestHeadOutdates(t *testing.T) {
	honest := edgetest.Config{Rules: policy.Rules{HonorClient: true}}
	for name, c := range map[string]struct {
		head edgetest.Answer
		want bool // still fresh
	}{
		"another tag":    {edgetest.Text(200, "", fresh, `ETag: "v2"`, "Content-Length: 4"), false},
		"another length": {edgetest.Text(200, "", fresh, "Content-Length: 5"), false},
		"not found":      {edgetest.Text(404, "", fresh), true},
		"gone":           {edgetest.Text(410, "", fresh), true},
		"nothing said":   {edgetest.Text(200, "", fresh, "Content-Length: 4"), true},
	} {
		s := answersHead(t, honest, c.head)
		s.miss("body", "/x")
		s.head("Cache-Control: no-cache")
		r := s.want("body", "/x")
		if isHit(r) != c.want {
			t.Errorf("%s: %s, want a hit: %v", name, show(r), c.want)
		}
		if !c.want && s.last().Header.Get("If-None-Match") != `"v1"` {
			t.Errorf("%s: it was not validated but fetched: %v", name, s.last().Header)
		}
	}
}

// TestHeadTakesOut: a head that forbids storing forbids what is stored.
func TestHeadTakesOut(t *testing.T) {
	s := answersHead(t, edgetest.Config{}, edgetest.Text(200, "", "Cache-Control: no-store", tagged, "Content-Length: 4"))
	s.miss("body", "/x")
	s.advance(11)
	s.head()
	s.miss("body", "/x")
	if got := s.last().Header.Get("If-None-Match"); got != "" {
		t.Errorf("validated by %s, want nothing stored", got)
	}
}

// TestHeadAndPurge: a purge while the HEAD is on its way is not undone by it, and
// one before it is not forgotten.
func TestHeadAndPurge(t *testing.T) {
	for _, strength := range []purge.Strength{purge.Soft, purge.Revalidate, purge.Hard} {
		g := newGate(t)
		s := answersHead(t, edgetest.Config{}, g.late(edgetest.Script(edgetest.Bytes("HTTP/1.1 200 OK\r\n"+fresh+"\r\n"+tagged+"\r\nContent-Length: 4\r\n\r\n"))))
		s.miss("body", "/x")
		s.advance(11)
		wait := s.startAs("HEAD", "/x")
		s.reached(g)
		s.purgeAs(purge.ScopeURL, strength, "/x")
		g.open()
		s.Record(wait().ID())
		r := s.want("body", "/x")
		if rec := s.Record(r.ID()); rec.Cache == edge.CacheHit {
			t.Errorf("%v: %s", strength, show(r))
		}
		if got := s.last().Header.Get("If-None-Match"); (got == "") != (strength == purge.Hard) {
			t.Errorf("%v: asked with %q", strength, got)
		}
	}
}

// TestHeadFreshensOnDisk: what lies on disk alone is brought up to date there.
func TestHeadFreshensOnDisk(t *testing.T) {
	s := shelve(t, edgetest.Config{})
	s.origin.OnFunc("/x", func(r edgetest.Seen) edgetest.Answer {
		if r.Method == "HEAD" {
			return edgetest.Text(200, "", fresh, tagged, "Content-Length: 4", "X-New: yes")
		}
		return edgetest.Text(200, "body", "Cache-Control: max-age=10", tagged)
	})
	s.miss("body", "/x")
	s.reshelve()
	s.advance(11)
	s.head()
	s.reshelve()
	if r := s.hit("body", "/x"); r.Header.Get("X-New") != "yes" {
		t.Errorf("%s, want what the HEAD said", show(r))
	}
	s.asked(2, "/x")
}

// TestHeadOfASparseObject: its length is that of the whole.
func TestHeadOfASparseObject(t *testing.T) {
	body := noise(7, 2*slice)
	for _, same := range []bool{true, false} {
		m := newMedia(t, body, `"v1"`)
		s := openMedia(t, m, edgetest.Config{})
		s.part(body, 0, 10)
		s.advance(61)
		m.set("Date", s.clock.Now().UTC().Format(http.TimeFormat))
		if !same {
			m.becomes(body+"more", `"v1"`)
		}
		if r := s.Do("HEAD", "/v", ""); r.Err != nil || isHit(r) {
			t.Fatalf("HEAD: %s", show(r))
		}
		s.settled()
		r := s.Get("/v", "Range: bytes=0-9")
		if isHit(r) != same {
			t.Errorf("the same %v: %s", same, show(r))
		}
	}
}
