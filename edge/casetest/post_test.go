package casetest

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"edgecache/edge"
	"edgecache/edge/edgetest"
	"edgecache/policy"
	"edgecache/purge"
)

const located = "Content-Location: /x"

// post sends a POST and waits until it is over in the engine.
func (s *site) post(path, body string, lines ...string) (edgetest.Reply, edge.Record) {
	s.t.Helper()
	r := s.Do("POST", path, body, lines...)
	if r.Err != nil {
		s.t.Fatalf("POST %s: %s", path, show(r))
	}
	return r, s.Record(r.ID())
}

// TestPostIsStoredForALaterGet: RFC 9110, 9.3.3.
func TestPostIsStoredForALaterGet(t *testing.T) {
	for name, c := range map[string]struct {
		answer edgetest.Answer
		lines  []string
		want   policy.Reason // why it is not stored; None: it is
	}{
		"its place and a lifetime": {edgetest.Text(200, "posted", fresh, located), nil, policy.None},
		"in chunks":                {edgetest.Answer{Body: "posted", Chunked: true, Header: edgetest.Header(fresh, located)}, nil, policy.None},
		"without its place":        {edgetest.Text(200, "posted", fresh), nil, policy.BypassRequest},
		"another place":            {edgetest.Text(200, "posted", fresh, "Content-Location: /y"), nil, policy.BypassRequest},
		"without a lifetime":       {edgetest.Text(200, "posted", old, located), nil, policy.BypassRequest},
		"another status":           {edgetest.Text(201, "posted", fresh, located), nil, policy.BypassRequest},
		"private":                  {edgetest.Text(200, "posted", "Cache-Control: private, max-age=60", located), nil, policy.Private},
		"a person's":               {edgetest.Text(200, "posted", fresh, located), []string{"Authorization: Basic eA=="}, policy.Authorization},
		"an odd coding":            {edgetest.Text(200, "posted", fresh, located, "Content-Encoding: deflate"), nil, policy.Method},
		"cut": {edgetest.Script(edgetest.Bytes("HTTP/1.1 200 OK\r\n"+fresh+"\r\n"+located+"\r\nContent-Length: 9\r\n\r\npost"), edgetest.Cut()),
			nil, policy.Aborted},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, edgetest.Config{})
			s.origin.OnFunc("/x", func(r edgetest.Seen) edgetest.Answer {
				if r.Method == "POST" {
					return c.answer
				}
				return edgetest.Text(200, "got", fresh)
			})
			r := s.Do("POST", "/x", "a form", c.lines...)
			if c.want != policy.Aborted && (r.Err != nil || r.Body != "posted") {
				t.Fatalf("POST: %s", show(r))
			}
			rec := s.Record(r.ID())
			if rec.Unstored != c.want || rec.Cache != edge.CacheBypass {
				t.Errorf("%v, not stored because of %v, want %v", rec.Cache, rec.Unstored, c.want)
			}
			if c.want == policy.None {
				s.hit("posted", "/x")
				return
			}
			s.miss("got", "/x")
		})
	}
}

// TestPostIsNeverAnsweredFromTheStore, and makes what is there invalid before
// its own answer takes the place.
func TestPostIsNeverAnsweredFromTheStore(t *testing.T) {
	s := open(t, edgetest.Config{})
	n := 0
	s.origin.OnFunc("/x", func(r edgetest.Seen) edgetest.Answer {
		n++
		return edgetest.Text(200, fmt.Sprint(r.Method, n), fresh, located)
	})
	s.miss("GET1", "/x")
	for i := 2; i < 5; i++ {
		if r, _ := s.post("/x", "a form"); r.Body != fmt.Sprint("POST", i) {
			t.Fatalf("POST: %s", show(r))
		}
		s.hit(fmt.Sprint("POST", i), "/x")
	}
}

// TestPostVaries: a GET finds it by the values that the POST had (RFC 9111, 4.1).
func TestPostVaries(t *testing.T) {
	s := open(t, edgetest.Config{})
	s.origin.OnFunc("/x", func(r edgetest.Seen) edgetest.Answer {
		return edgetest.Text(200, r.Method+" in "+r.Header.Get("Accept-Language"), fresh, located, "Vary: Accept-Language")
	})
	s.post("/x", "a form", "Accept-Language: en")
	s.hit("POST in en", "/x", "Accept-Language: en")
	s.miss("GET in de", "/x", "Accept-Language: de")
	s.hit("POST in en", "/x", "Accept-Language: en")
}

// TestPostStripsOnlyWhatIsStored: the client that posts gets its own cookie.
func TestPostStripsOnlyWhatIsStored(t *testing.T) {
	s := open(t, edgetest.Config{Rules: policy.Rules{SetCookie: policy.SetCookieStrip}})
	s.origin.On("/x", edgetest.Text(200, "posted", fresh, located, "Set-Cookie: a=b"))
	if r, _ := s.post("/x", "a form"); r.Header.Get("Set-Cookie") != "a=b" {
		t.Errorf("POST: %s", show(r))
	}
	if r := s.hit("posted", "/x"); r.Header.Get("Set-Cookie") != "" {
		t.Errorf("GET: %s", show(r))
	}
}

// TestPostOverTheLimit streams by and is not kept; so does what the tier refuses.
func TestPostOverTheLimit(t *testing.T) {
	const limit = 200_000
	for name, framed := range map[string]bool{"announced": false, "in chunks": true} {
		for size, stored := range map[int]bool{limit: true, limit + 1: false} {
			s := open(t, edgetest.Config{Edge: edge.Config{Limits: edge.Limits{Object: limit}}})
			body := strings.Repeat("x", size)
			s.origin.On("/x", edgetest.Answer{Body: body, Chunked: framed, Header: edgetest.Header(fresh, located)})
			r, rec := s.post("/x", "a form")
			if r.Body != body {
				t.Fatalf("%s: POST got %d bytes", name, len(r.Body))
			}
			if got := isHit(s.want(body, "/x")); got != stored {
				t.Errorf("%s, %d bytes: a GET is a hit %v, want %v (%v)", name, size, got, stored, rec.Unstored)
			}
			if !stored && rec.Unstored != policy.TooLarge {
				t.Errorf("%s: not stored because of %v", name, rec.Unstored)
			}
		}
	}
	s := open(t, edgetest.Config{MemoryBytes: 4 << 20})
	body := strings.Repeat("x", 900_000)
	s.origin.On("/x", edgetest.Answer{Body: body, Header: edgetest.Header(fresh, located)})
	if r, rec := s.post("/x", "a form"); r.Body != body || rec.Unstored != policy.TooLarge {
		t.Errorf("%d bytes, not stored because of %v", len(r.Body), rec.Unstored)
	}
}

// TestPostAndPurge: a purge while the answer is awaited, or while its body
// arrives, covers it, whatever it names.
func TestPostAndPurge(t *testing.T) {
	for scope, selector := range map[purge.Scope]string{
		purge.ScopeURL: "/x", purge.ScopeTag: "red", purge.ScopePrefix: "/", purge.ScopeAll: "",
	} {
		for _, inBody := range []bool{false, true} {
			s := open(t, edgetest.Config{Rules: policy.Rules{TagHeaders: []string{"Cache-Tag"}}})
			g := newGate(t)
			lines := []string{fresh, located, "Cache-Tag: red"}
			answer := g.late(edgetest.Text(200, "posted", lines...))
			if inBody {
				answer = g.split("posted", lines...)
			}
			s.origin.OnFunc("/x", func(r edgetest.Seen) edgetest.Answer {
				if r.Method == "POST" {
					return answer
				}
				return edgetest.Text(200, "got", fresh)
			})
			wait := s.startAs("POST", "/x")
			s.reached(g)
			s.purgeAs(scope, purge.Soft, selector)
			g.open()
			r := wait()
			if r.Body != "posted" {
				t.Fatalf("POST: %s", show(r))
			}
			if rec := s.Record(r.ID()); rec.Unstored != policy.Purged || rec.Cache != edge.CacheBypass {
				t.Errorf("%v, in the body %v: not stored because of %v, want purged", scope, inBody, rec.Unstored)
			}
			s.miss("got", "/x")
		}
	}
}

// TestPostsAndPurgesRace: when a purge has been answered, no POST's answer that
// the origin made before it is served, whatever came between its head and its
// own invalidation.
func TestPostsAndPurgesRace(t *testing.T) {
	s := open(t, edgetest.Config{})
	var version atomic.Int64
	s.origin.OnFunc("/x", func(edgetest.Seen) edgetest.Answer {
		return edgetest.Text(200, fmt.Sprint(version.Load()), fresh, located)
	})
	stop := make(chan struct{})
	var posting sync.WaitGroup
	for range 4 {
		posting.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					if r := s.Do("POST", "/x", "a form"); r.Err != nil {
						t.Errorf("POST: %v", r.Err)
						return
					}
				}
			}
		})
	}
	hits := 0
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end) && !t.Failed(); {
		want := version.Add(1)
		s.purgeAs(purge.ScopeURL, purge.Hard, "/x")
		for range 4 {
			r := s.Get("/x")
			got, err := strconv.ParseInt(r.Body, 10, 64)
			if err != nil || got < want {
				t.Errorf("after the purge of %d: %s", want, show(r))
			}
			if isHit(r) {
				hits++
			}
		}
	}
	close(stop)
	posting.Wait()
	if hits == 0 {
		t.Error("nothing was ever stored")
	}
}

// TestPostOnDisk: a large answer goes to the disk tier as a GET's does.
func TestPostOnDisk(t *testing.T) {
	s := shelve(t, edgetest.Config{})
	body := strings.Repeat("0123456789", largeBody/10)
	s.origin.On("/x", edgetest.Text(200, body, fresh, located))
	if r, rec := s.post("/x", "a form"); r.Body != body || rec.Unstored != policy.None {
		t.Fatalf("%d bytes, not stored because of %v", len(r.Body), rec.Unstored)
	}
	s.reshelve()
	s.hit(body, "/x")
	s.asked(1, "/x")
}

// tenants keys by a field, and may forbid to store.
type tenants struct{ forbid bool }

var (
	_ edge.CacheKeyer  = (*tenants)(nil)
	_ edge.CacheStorer = (*tenants)(nil)
)

func (*tenants) CacheKey(s *edge.Session) ([]byte, error) {
	tenant, ok := s.Request.Get("X-Tenant")
	if !ok {
		return nil, http.ErrNoCookie
	}
	return []byte(tenant), nil
}

func (p *tenants) CacheStore(_ *edge.Session, d *policy.Decision) error {
	d.Store = !p.forbid
	return nil
}

// TestPostAndHooks: it is stored under the key that a GET would have, and not
// where a hook forbids it, where the key fails, or where response filters run.
func TestPostAndHooks(t *testing.T) {
	for name, c := range map[string]struct {
		config edgetest.Config
		line   string
		want   policy.Reason
	}{
		"a key of its own":   {edgetest.Config{Edge: edge.Config{Parts: []any{&tenants{}}}}, "X-Tenant: a", policy.None},
		"no key":             {edgetest.Config{Edge: edge.Config{Parts: []any{&tenants{}}}}, "X-Other: a", policy.BypassRequest},
		"forbidden":          {edgetest.Config{Edge: edge.Config{Parts: []any{&tenants{forbid: true}}}}, "X-Tenant: a", policy.Hook},
		"a response filter":  {edgetest.Config{Recorder: &edgetest.Recorder{}}, "X-Tenant: a", policy.BypassRequest},
		"a bypassed route":   {edgetest.Config{Rules: policy.Rules{Bypass: true}}, "X-Tenant: a", policy.BypassRule},
		"the client forbids": {edgetest.Config{Rules: policy.Rules{HonorClient: true}}, "Cache-Control: no-store", policy.BypassRequest},
	} {
		s := open(t, c.config)
		s.origin.OnFunc("/x", func(r edgetest.Seen) edgetest.Answer { return edgetest.Text(200, r.Method, fresh, located) })
		if _, rec := s.post("/x", "a form", c.line); rec.Unstored != c.want {
			t.Errorf("%s: not stored because of %v, want %v", name, rec.Unstored, c.want)
		}
		if c.want == policy.None {
			s.hit("POST", "/x", "X-Tenant: a")
			s.miss("GET", "/x", "X-Tenant: b")
			continue
		}
		s.miss("GET", "/x", "X-Tenant: a")
	}
}

// TestPostWhoseClientLeaves stores nothing.
func TestPostWhoseClientLeaves(t *testing.T) {
	s := open(t, edgetest.Config{})
	g := newGate(t)
	answer := g.split(strings.Repeat("posted", 1000), fresh, located)
	s.origin.OnFunc("/x", func(r edgetest.Seen) edgetest.Answer {
		if r.Method == "POST" {
			return answer
		}
		return edgetest.Text(200, "got", fresh)
	})
	c := s.Dial()
	s.Send(c, "POST /x HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n")
	s.reached(g)
	if _, err := edgetest.ReadHead(c); err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	s.Records.Wait(t, "the end of the POST", func(all []edge.Record) bool { return len(all) == 1 })
	g.open()
	s.miss("got", "/x", "Host: a.test")
	s.settled()
}
