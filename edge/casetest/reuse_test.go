package casetest

import (
	"fmt"
	"strings"
	"testing"

	"edgecache/edge/edgetest"
	"edgecache/policy"
)

var honoured = policy.Rules{HonorClient: true}

// TestSafeMethodsInvalidateNothing: RFC 9111, 4.4; a method that is not known is
// taken for one that changes things.
func TestSafeMethodsInvalidateNothing(t *testing.T) {
	for method, safe := range map[string]bool{
		"GET": true, "HEAD": true, "OPTIONS": true, "PROPFIND": true, "REPORT": true, "SEARCH": true, "QUERY": true,
		"POST": false, "PUT": false, "DELETE": false, "PATCH": false, "FROBNICATE": false,
	} {
		s := open(t, edgetest.Config{})
		s.origin.OnFunc("/x", func(r edgetest.Seen) edgetest.Answer {
			if r.Method != "GET" {
				return edgetest.Text(200, "done", "Location: /y", "Content-Location: /x")
			}
			return edgetest.Text(200, "stored", fresh)
		})
		s.origin.On("/y", edgetest.Text(200, "other", fresh))
		s.miss("stored", "/x")
		s.miss("other", "/y")
		if r := s.Do(method, "/x", ""); r.Status != 200 {
			t.Errorf("%s: %s", method, show(r))
		}
		for _, path := range []string{"/x", "/y"} {
			if r := s.Get(path); isHit(r) != safe {
				t.Errorf("after %s %s is a hit: %v, want %v", method, path, isHit(r), safe)
			}
		}
	}
}

// TestUnsafeThatFailed changes nothing: RFC 9111, 4.4, wants an answer that is
// no error; and it never reaches another origin's url.
func TestUnsafeThatFailed(t *testing.T) {
	s := open(t, edgetest.Config{})
	s.origin.On("/x", edgetest.Text(200, "stored", fresh), edgetest.Text(409, "no"))
	s.origin.On("/y", edgetest.Text(200, "other", fresh))
	s.origin.On("/z", edgetest.Text(201, "made", "Location: http://elsewhere.test/y", "Content-Location: http://elsewhere.test/x"))
	s.miss("stored", "/x")
	s.miss("other", "/y")
	s.Do("POST", "/x", "")
	s.hit("stored", "/x")
	s.Do("POST", "/z", "")
	s.hit("stored", "/x")
	s.hit("other", "/y")
}

// TestRequestDirectives: RFC 9111, 5.2.1, where the route honours clients.
func TestRequestDirectives(t *testing.T) {
	for name, c := range map[string]struct {
		control, ask string
		at           int // seconds after the answer came
		status       int
		hit          bool
	}{
		"nothing":                                 {"max-age=10", "", 5, 200, true},
		"no-cache":                                {"max-age=10", "no-cache", 5, 200, false},
		"max-age that is over":                    {"max-age=10", "max-age=4", 5, 200, false},
		"max-age that is not":                     {"max-age=10", "max-age=6", 5, 200, true},
		"max-age=0":                               {"max-age=10", "max-age=0", 5, 200, false},
		"min-fresh that is left":                  {"max-age=10", "min-fresh=4", 5, 200, true},
		"min-fresh that is not":                   {"max-age=10", "min-fresh=6", 5, 200, false},
		"max-stale bare":                          {"max-age=10", "max-stale", 9999, 200, true},
		"max-stale that is enough":                {"max-age=10", "max-stale=6", 15, 200, true},
		"max-stale that is exceeded":              {"max-age=10", "max-stale=5", 16, 200, false},
		"max-stale malformed":                     {"max-age=10", "max-stale=x", 15, 200, false},
		"max-stale against must-revalidate":       {"max-age=10, must-revalidate", "max-stale", 15, 200, false},
		"max-stale against proxy-revalidate":      {"max-age=10, proxy-revalidate", "max-stale", 15, 200, false},
		"max-stale against s-maxage":              {"s-maxage=10", "max-stale", 15, 200, false},
		"max-stale with max-age":                  {"max-age=10", "max-stale=20, max-age=60", 15, 200, true},
		"max-stale does not outlive max-age":      {"max-age=10", "max-stale=20, max-age=14", 15, 200, false},
		"only-if-cached, fresh":                   {"max-age=10", "only-if-cached", 5, 200, true},
		"only-if-cached, stale":                   {"max-age=10", "only-if-cached", 15, 504, false},
		"only-if-cached, stale and allowed":       {"max-age=10", "only-if-cached, max-stale", 15, 200, true},
		"only-if-cached, stale while refreshed":   {"max-age=10, stale-while-revalidate=10", "only-if-cached", 15, 200, true},
		"only-if-cached beside no-cache":          {"max-age=10", "only-if-cached, no-cache", 5, 504, false},
		"no-store is not answered from the store": {"max-age=10", "no-store", 5, 200, false},
		"what nobody knows":                       {"max-age=10", "nothing-to-see-here, max-stall=1", 5, 200, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, edgetest.Config{Rules: honoured})
			s.origin.On("/x", edgetest.Text(200, "x", "Cache-Control: "+c.control))
			s.miss("x", "/x")
			s.advance(c.at)
			if r := s.Get("/x", "Cache-Control: "+c.ask); r.Status != c.status || isHit(r) != c.hit {
				t.Errorf("%s; want %d, a hit: %v", show(r), c.status, c.hit)
			}
			if c.status == 504 {
				s.asked(1, "/x")
			}
		})
	}
	s := open(t, edgetest.Config{Rules: honoured})
	s.status(504, "/absent", "Cache-Control: only-if-cached")
	s.asked(0, "/absent")
}

// TestPreconditions: RFC 9110, 13.2.2, against what is stored: If-Match before
// If-Unmodified-Since, both before If-None-Match, that before If-Modified-Since.
func TestPreconditions(t *testing.T) {
	const modified, before, after = "Wed, 01 Jan 2025 00:00:00 GMT", "Tue, 31 Dec 2024 23:59:59 GMT", "Wed, 01 Jan 2025 00:00:01 GMT"
	for name, c := range map[string]struct {
		tag    string
		lines  string
		status int
	}{
		"If-Match":                                  {`"a"`, `If-Match: "a"`, 200},
		"If-Match in a list":                        {`"a"`, `If-Match: "x", "a"`, 200},
		"If-Match on two lines":                     {`"a"`, "If-Match: \"x\"|If-Match: \"a\"", 200},
		"If-Match, another":                         {`"a"`, `If-Match: "b"`, 412},
		"If-Match *":                                {`"a"`, `If-Match: *`, 200},
		"If-Match weak in the request":              {`"a"`, `If-Match: W/"a"`, 412},
		"If-Match weak in store":                    {`W/"a"`, `If-Match: W/"a"`, 412},
		"If-Match goes before If-Unmodified-Since":  {`"a"`, `If-Match: "a"|If-Unmodified-Since: ` + before, 200},
		"If-Unmodified-Since, it is":                {`"a"`, `If-Unmodified-Since: ` + modified, 200},
		"If-Unmodified-Since, it is not":            {`"a"`, `If-Unmodified-Since: ` + before, 412},
		"If-Unmodified-Since malformed":             {`"a"`, `If-Unmodified-Since: yesterday`, 200},
		"If-None-Match":                             {`"a"`, `If-None-Match: "a"`, 304},
		"If-None-Match weak":                        {`"a"`, `If-None-Match: W/"a"`, 304},
		"If-None-Match, another":                    {`"a"`, `If-None-Match: "b"`, 200},
		"If-None-Match *":                           {`"a"`, `If-None-Match: *`, 304},
		"If-None-Match before If-Modified-Since":    {`"a"`, `If-None-Match: "b"|If-Modified-Since: ` + after, 200},
		"If-Modified-Since, it is not":              {`"a"`, `If-Modified-Since: ` + modified, 304},
		"If-Modified-Since, it is":                  {`"a"`, `If-Modified-Since: ` + before, 200},
		"If-Match fails before If-None-Match holds": {`"a"`, `If-Match: "b"|If-None-Match: "a"`, 412},
		"both hold":                                 {`"a"`, `If-Match: "a"|If-None-Match: "a"`, 304},
	} {
		s := open(t, edgetest.Config{})
		s.origin.On("/x", edgetest.Text(200, "stored", fresh, "Etag: "+c.tag, "Last-Modified: "+modified))
		lines := strings.Split(c.lines, "|")
		// The first request has the same conditions: its fetch must not.
		for _, round := range []string{"cold", "stored"} {
			r := s.Get("/x", lines...)
			body := map[int]string{200: "stored", 304: "", 412: ""}[c.status]
			if r.Status != c.status || r.Body != body || c.status == 304 && r.Header.Get("Etag") != c.tag {
				t.Errorf("%s, %s: %s; want %d", name, round, show(r), c.status)
			}
		}
		s.asked(1, "/x")
		for field := range s.last().Header {
			if strings.HasPrefix(field, "If-") {
				t.Errorf("%s: %s went up with a fetch that is shared", name, field)
			}
		}
	}
}

// TestTargetedAgainstCacheControl: RFC 9213, 2.2: the targeted field decides
// alone, whatever Cache-Control and Expires say.
func TestTargetedAgainstCacheControl(t *testing.T) {
	for _, other := range []string{
		"no-store", "private", "no-cache", "max-age=0", "s-maxage=0", "must-revalidate, max-age=0", "max-age=1", "no-store, private, no-cache", "max-age=x",
		"max-age=0\r\nExpires: Thu, 01 Jan 1970 00:00:00 GMT", "private=\"Set-Cookie\"",
	} {
		s := open(t, edgetest.Config{})
		s.origin.On("/x", edgetest.Text(200, "x", "CDN-Cache-Control: max-age=600", "Cache-Control: "+other))
		s.miss("x", "/x")
		s.advance(300)
		if r := s.Get("/x"); !isHit(r) || r.Header.Get("Cdn-Cache-Control") != "" || r.Header.Get("Cache-Control") == "" {
			t.Errorf("targeted max-age beside %q: %s", other, show(r))
		}
	}
	for _, targeted := range []string{"no-store", "private", "max-age=0", "no-cache, max-age=600"} {
		s := open(t, edgetest.Config{})
		s.origin.On("/x", edgetest.Text(200, "x", "CDN-Cache-Control: "+targeted, "Cache-Control: max-age=600, public", "Expires: Thu, 01 Jan 2099 00:00:00 GMT"))
		s.miss("x", "/x")
		if r := s.Get("/x"); isHit(r) {
			t.Errorf("targeted %q beside a fresh Cache-Control: %s", targeted, show(r))
		}
	}
	for _, wrong := range []string{"max-age=\"600\"", "max-age=600.5", "max-age", "no-store=1", "max-age=600,,", "MAX-AGE=600", "max age=600", ""} {
		s := open(t, edgetest.Config{})
		s.origin.On("/x", edgetest.Text(200, "x", "CDN-Cache-Control: "+wrong, "Cache-Control: no-store"))
		s.miss("x", "/x")
		if r := s.Get("/x"); isHit(r) {
			t.Errorf("%q is no such field, so Cache-Control holds: %s", wrong, show(r))
		}
	}
	s := open(t, edgetest.Config{})
	s.origin.On("/x", edgetest.Text(200, "x", "CDN-Cache-Control: max-age=600", "Cache-Control: max-age=9999", "Age: 500"))
	s.miss("x", "/x")
	s.advance(99)
	s.hit("x", "/x")
	s.advance(1)
	s.miss("x", "/x") // Age counts against it
}

// TestMustUnderstand: RFC 9111, 5.2.2.3: it overrides no-store where the status
// is understood, and forbids where it is not.
func TestMustUnderstand(t *testing.T) {
	for _, c := range []struct {
		status  int
		control string
		stored  bool
	}{
		{200, "must-understand, no-store, max-age=60", true},
		{200, "must-understand, max-age=60", true},
		{404, "must-understand, no-store, max-age=60", true},
		{599, "must-understand, no-store, max-age=60", false},
		{599, "must-understand, max-age=60", false},
		{599, "max-age=60", true},
		{200, "no-store, max-age=60", false},
		{299, "must-understand, max-age=60", false},
		{200, "must-understand, no-store", false},
		{200, "must-understand, private, max-age=60", false},
	} {
		s := open(t, edgetest.Config{})
		s.origin.On("/x", edgetest.Text(c.status, "x", "Cache-Control: "+c.control))
		s.Get("/x")
		if r := s.Get("/x"); isHit(r) != c.stored || r.Status != c.status {
			t.Errorf("%d with %q: stored %v, want %v", c.status, c.control, isHit(r), c.stored)
		}
	}
}

// TestAuthorization: RFC 9111, 3.5: only an answer that says so is shared, in
// both directions.
func TestAuthorization(t *testing.T) {
	const auth = "Authorization: Basic YTpi"
	for control, shared := range map[string]bool{
		"max-age=60": false, "public, max-age=60": true, "s-maxage=60": true, "must-revalidate, max-age=60": true,
		"proxy-revalidate, max-age=60": false, "no-cache=\"X\", max-age=60": false, "private, max-age=60": false,
	} {
		s := open(t, edgetest.Config{})
		s.origin.On("/x", edgetest.Text(200, "x", "Cache-Control: "+control))
		s.miss("x", "/x", auth)
		for _, lines := range [][]string{{auth}, {}, {"Authorization: other"}} {
			if r := s.Get("/x", lines...); isHit(r) != shared {
				t.Errorf("%q was stored with Authorization, asked with %q: a hit %v, want %v", control, lines, isHit(r), shared)
				break
			}
			if !shared {
				break // the second one would be stored for those without
			}
		}
		s = open(t, edgetest.Config{})
		s.origin.On("/x", edgetest.Text(200, "x", "Cache-Control: "+control))
		s.miss("x", "/x")
		if r := s.Get("/x", auth); isHit(r) != shared {
			t.Errorf("%q was stored without, asked with Authorization: a hit %v, want %v", control, isHit(r), shared)
		}
	}
}

// TestVaryOverTime: an answer whose Vary has changed is never taken for one that
// was selected by other fields.
func TestVaryOverTime(t *testing.T) {
	s := open(t, edgetest.Config{})
	vary := ""
	s.origin.OnFunc("/x", func(r edgetest.Seen) edgetest.Answer {
		lines := []string{fresh}
		if vary != "" {
			lines = append(lines, "Vary: "+vary)
		}
		return edgetest.Text(200, fmt.Sprint(r.Header.Get("X-A"), "|", r.Header.Get("X-B"), "|", vary), lines...)
	})
	ask := func(a, b string, hit bool, want string) {
		t.Helper()
		r := s.Get("/x", "X-A: "+a, "X-B: "+b)
		if isHit(r) != hit || r.Body != want {
			t.Errorf("%s, %s: %q, a hit %v; want %q, %v", a, b, r.Body, isHit(r), want, hit)
		}
	}
	ask("1", "1", false, "1|1|")
	ask("2", "2", true, "1|1|") // nothing says that it varies
	vary = "X-A"
	s.purge(s.URL + "/x")
	ask("1", "1", false, "1|1|X-A")
	ask("2", "1", false, "2|1|X-A")
	ask("1", "9", true, "1|1|X-A")
	vary = "X-A, X-B"
	ask("3", "1", false, "3|1|X-A, X-B")
	ask("1", "1", false, "1|1|X-A, X-B") // what X-A alone selected may be another's
	ask("1", "2", false, "1|2|X-A, X-B")
	ask("1", "1", true, "1|1|X-A, X-B")
	vary = "*"
	s.purge(s.URL + "/x")
	ask("1", "1", false, "1|1|*")
	ask("1", "1", false, "1|1|*")
}
