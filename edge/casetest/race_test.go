package casetest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"edgecache/cachestore"
	"edgecache/edge/edgetest"
	"edgecache/policy"
	"edgecache/purge"
)

// tagsOf has an answer's tags read.
var tagsOf = policy.Rules{TagHeaders: []string{"Surrogate-Key", "Cache-Groups"}}

// purges are ways to purge http://a.test/dir/x, tagged t and in the group g.
var purges = []struct {
	name     string
	scope    purge.Scope
	selector string
	host     string
	known    bool // before the head is
}{
	{"url", purge.ScopeURL, "http://a.test/dir/x", "", true},
	{"url by path", purge.ScopeURL, "/dir/x", "", true},
	{"prefix", purge.ScopePrefix, "http://a.test/dir", "", true},
	{"prefix on all hosts", purge.ScopePrefix, "/dir/", "", true},
	{"host", purge.ScopeHost, "a.test", "", true},
	{"all", purge.ScopeAll, "", "", true},
	{"tag", purge.ScopeTag, "t", "", false},
	{"tag of a host", purge.ScopeTag, "t", "a.test", false},
	{"group", purge.ScopeGroup, "g", "http://a.test", false},
}

var strengths = []purge.Strength{purge.Hard, purge.Revalidate, purge.Soft}

func apply(t *testing.T, l *purge.Log, scope purge.Scope, selector, host string, strength purge.Strength) {
	t.Helper()
	e, err := purge.ParseEntry(scope, selector, host, strength)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Purge(t.Context(), []purge.Entry{e}); err != nil {
		t.Fatal(err)
	}
}

// eachPurge runs a test for all scopes and strengths.
func eachPurge(t *testing.T, run func(t *testing.T, purge func(*site), known bool)) {
	for _, p := range purges {
		for _, strength := range strengths {
			t.Run(p.name+" "+strength.String(), func(t *testing.T) {
				run(t, func(s *site) { apply(t, s.Purges, p.scope, p.selector, p.host, strength) }, p.known)
			})
		}
	}
}

var tags = []string{"Surrogate-Key: s t u", `Cache-Groups: "g"`}

func aged(life string) []string { return append([]string{"Cache-Control: " + life}, tags...) }

// TestPurgeBeforeTheHead: the purge is answered while the fetch waits for its
// head. Who asked before may get what it brings; who comes after does not,
// and neither does the store, though tags are known only with the head.
func TestPurgeBeforeTheHead(t *testing.T) {
	eachPurge(t, func(t *testing.T, purge func(*site), known bool) {
		s := open(t, edgetest.Config{Rules: tagsOf})
		head, body, second := newGate(t), newGate(t), newGate(t)
		first := body.split("old", aged("max-age=600")...)
		first.Steps = append(head.steps(), first.Steps...)
		s.origin.On("/dir/x", first, second.late(edgetest.Text(200, "new", aged("max-age=600")...)), edgetest.Text(200, "one too many"))
		leader := s.join("GET", "/dir/x")
		s.reached(head)
		purge(s)
		after := s.crowd(5, "/dir/x")
		if !known {
			s.asked(1, "/dir/x")
			head.open() // it tells the tags
		}
		s.reached(second) // one fetch for those who came after, while the old one hangs
		second.open()
		for _, c := range after {
			c.gets("new")
		}
		head.open()
		body.open()
		leader.gets("old")
		s.hit("new", "/dir/x", "Host: a.test")
		s.asked(2, "/dir/x")
	})
}

// TestPurgeBetweenHeadAndCommit: the head and its tags are known, the body is
// on its way.
func TestPurgeBetweenHeadAndCommit(t *testing.T) {
	eachPurge(t, func(t *testing.T, purge func(*site), known bool) {
		s := open(t, edgetest.Config{Rules: tagsOf})
		g := newGate(t)
		s.origin.On("/dir/x", g.split("old", aged("max-age=600")...), edgetest.Text(200, "new", aged("max-age=600")...))
		leader := s.join("GET", "/dir/x")
		s.reached(g)
		leader.has(1)
		purge(s)
		s.join("GET", "/dir/x").gets("new") // follows nothing that is older
		g.open()
		leader.gets("old")
		s.hit("new", "/dir/x", "Host: a.test")
		s.asked(2, "/dir/x")
		r := s.Record(leader.reply().ID())
		if r.Unstored != policy.Purged {
			t.Errorf("the old fetch is logged with %v, want purged", r.Unstored)
		}
	})
}

// TestPurgeOfSomethingElse takes nothing away: without it a purge that covers
// everything would pass for right.
func TestPurgeOfSomethingElse(t *testing.T) {
	s := open(t, edgetest.Config{Rules: tagsOf})
	g := newGate(t)
	s.origin.On("/dir/x", g.split("page", aged("max-age=600")...))
	leader := s.join("GET", "/dir/x")
	s.reached(g)
	leader.has(1)
	for _, strength := range strengths {
		apply(t, s.Purges, purge.ScopeURL, "http://a.test/dir/y", "", strength)
		apply(t, s.Purges, purge.ScopePrefix, "http://a.test/dir/x/y", "", strength)
		apply(t, s.Purges, purge.ScopePrefix, "/di", "", strength)
		apply(t, s.Purges, purge.ScopeHost, "b.test", "", strength)
		apply(t, s.Purges, purge.ScopeTag, "st", "", strength)
		apply(t, s.Purges, purge.ScopeTag, "t", "b.test", strength)
		apply(t, s.Purges, purge.ScopeGroup, "g", "http://b.test", strength)
	}
	follower := s.join("GET", "/dir/x")
	g.open()
	leader.gets("page")
	follower.gets("page")
	s.hit("page", "/dir/x", "Host: a.test")
	s.asked(1, "/dir/x")
}

// Test304OnAPurgedBase: the origin confirms what was purged while it was asked.
// The confirmation is worth nothing: it is asked again, without a condition.
func Test304OnAPurgedBase(t *testing.T) {
	eachPurge(t, func(t *testing.T, purge func(*site), _ bool) {
		s := open(t, edgetest.Config{Rules: tagsOf})
		g := newGate(t)
		s.origin.On("/dir/x",
			edgetest.Text(200, "old", append(aged("max-age=1"), tagged)...),
			g.late(edgetest.Text(304, "", append(aged("max-age=600"), tagged)...)),
			edgetest.Text(200, "new", aged("max-age=600")...))
		s.miss("old", "/dir/x", "Host: a.test")
		s.advance(2)
		c := s.join("GET", "/dir/x")
		s.reached(g)
		if v := s.last().Header.Get("If-None-Match"); v != `"v1"` {
			t.Fatalf("If-None-Match %q", v)
		}
		purge(s)
		g.open()
		c.gets("new")
		if v := s.last().Header.Get("If-None-Match"); v != "" {
			t.Errorf("asked again with If-None-Match %q", v)
		}
		s.hit("new", "/dir/x", "Host: a.test")
		s.asked(3, "/dir/x")
	})
}

// TestRefreshOlderThanAPurge: a refresh in the background that began before
// the purge stores nothing, whatever it brings.
func TestRefreshOlderThanAPurge(t *testing.T) {
	eachPurge(t, func(t *testing.T, purge func(*site), _ bool) {
		s := open(t, edgetest.Config{Rules: tagsOf})
		g := newGate(t)
		s.origin.On("/dir/x",
			edgetest.Text(200, "old", aged("max-age=1, stale-while-revalidate=600")...),
			g.late(edgetest.Text(200, "older than the purge", aged("max-age=600")...)),
			edgetest.Text(200, "new", aged("max-age=600")...))
		s.miss("old", "/dir/x", "Host: a.test")
		s.advance(2)
		s.hit("old", "/dir/x", "Host: a.test")
		s.reached(g)
		purge(s)
		g.open()
		s.refreshed(1)
		got := s.Get("/dir/x", "Host: a.test")
		if got.Body == "older than the purge" {
			t.Errorf("served: %s", show(got))
		}
		edgetest.Wait(t, "the answer that is newer than the purge", func() bool {
			return s.Get("/dir/x", "Host: a.test").Body == "new"
		})
		s.hit("new", "/dir/x", "Host: a.test")
	})
}

// TestStrongestPurgeWins: a soft purge after a hard one does not bring back
// what is gone, nor the other way round.
func TestStrongestPurgeWins(t *testing.T) {
	for _, c := range []struct {
		name      string
		order     []purge.Strength
		condition string // what the origin is asked
		served    string // to the first request after the purges
	}{
		{"hard then soft", []purge.Strength{purge.Hard, purge.Soft}, "", "new"},
		{"soft then hard", []purge.Strength{purge.Soft, purge.Hard}, "", "new"},
		{"hard then revalidate", []purge.Strength{purge.Hard, purge.Revalidate}, "", "new"},
		{"revalidate then soft", []purge.Strength{purge.Revalidate, purge.Soft}, `"v1"`, "new"},
		{"soft then revalidate", []purge.Strength{purge.Soft, purge.Revalidate}, `"v1"`, "new"},
		{"soft alone", []purge.Strength{purge.Soft}, `"v1"`, "old"},
	} {
		for _, scopes := range [][]int{{0, 0}, {0, 6}, {6, 0}, {5, 2}} {
			s := open(t, edgetest.Config{Rules: tagsOf})
			s.origin.On("/dir/x", edgetest.Text(200, "old", append(aged("max-age=600"), tagged)...), edgetest.Text(200, "new", aged("max-age=600")...))
			s.miss("old", "/dir/x", "Host: a.test")
			for i, strength := range c.order {
				p := purges[scopes[i]]
				apply(t, s.Purges, p.scope, p.selector, p.host, strength)
			}
			if got := s.Get("/dir/x", "Host: a.test"); got.Body != c.served {
				t.Errorf("%s over %v: %s, want %s", c.name, scopes, show(got), c.served)
			}
			edgetest.Wait(t, "the origin to be asked", func() bool { return s.origin.Asked("/dir/x") == 2 })
			if v := s.last().Header.Get("If-None-Match"); v != c.condition {
				t.Errorf("%s over %v: If-None-Match %q, want %q", c.name, scopes, v, c.condition)
			}
		}
	}
}

// TestSoftWindowEnds: softly purged is served for the window and no longer,
// and not at all where the origin forbids stale.
func TestSoftWindowEnds(t *testing.T) {
	for _, c := range []struct {
		life  string
		after int // seconds
		want  string
	}{
		{"max-age=600", 29, "old"},
		{"max-age=600", 31, "new"},
		{"max-age=600, must-revalidate", 1, "new"},
		{"max-age=10", 11, "new"}, // never longer than without the purge
		{"max-age=10, stale-while-revalidate=5", 12, "old"},
	} {
		s := open(t, edgetest.Config{})
		s.origin.On("/x", edgetest.Text(200, "old", "Cache-Control: "+c.life), edgetest.Text(200, "new", fresh))
		s.miss("old", "/x")
		s.purgeAs(purge.ScopeURL, purge.Soft, s.URL+"/x")
		s.advance(c.after)
		s.want(c.want, "/x")
		edgetest.Wait(t, "the new one to be stored", func() bool { return isHit(s.Get("/x")) && s.Get("/x").Body == "new" })
	}
	s := open(t, edgetest.Config{}) // the oldest soft purge counts
	gate := newGate(t)
	s.origin.On("/x", edgetest.Text(200, "old", fresh), gate.late(edgetest.Text(503, "")), edgetest.Text(200, "new", fresh))
	s.miss("old", "/x")
	s.purgeAs(purge.ScopeURL, purge.Soft, s.URL+"/x")
	s.want("old", "/x")
	s.reached(gate)
	gate.open()
	s.refreshed(1)
	s.advance(20)
	s.purgeAs(purge.ScopeURL, purge.Soft, s.URL+"/x")
	s.advance(11)
	s.want("new", "/x")
}

// TestTagsAreUnited: after a 304 with other tags a purge of either takes it,
// until the next whole answer.
func TestTagsAreUnited(t *testing.T) {
	for _, tag := range []string{"before", "after", "both"} {
		s := open(t, edgetest.Config{Rules: tagsOf})
		s.origin.On("/x",
			edgetest.Text(200, "old", "Cache-Control: max-age=1", tagged, "Surrogate-Key: before both"),
			edgetest.Text(304, "", fresh, tagged, "Surrogate-Key: after both"),
			edgetest.Text(200, "new", fresh, "Surrogate-Key: after"))
		s.miss("old", "/x")
		s.advance(2)
		s.want("old", "/x")
		s.hit("old", "/x")
		s.purgeAs(purge.ScopeTag, purge.Hard, tag)
		s.miss("new", "/x")
		s.purgeAs(purge.ScopeTag, purge.Hard, "before")
		s.hit("new", "/x")
	}
}

// TestLostPurgeLog: what a store kept under another log is taken over with the
// number 0, as a tier does that sees another epoch. All of it is revalidated,
// each object once; under a log that is whole it is served on, and what was
// purged stays gone.
func TestLostPurgeLog(t *testing.T) {
	for _, c := range []struct {
		name string
		lose func(path string) error
		lost bool
	}{
		{"whole", func(string) error { return nil }, false},
		{"deleted", os.Remove, true},
		{"emptied", func(p string) error { return os.Truncate(p, 0) }, true},
		{"cut", func(p string) error { return os.Truncate(p, 5000) }, true},
		{"overwritten", func(p string) error { return os.WriteFile(p, []byte(strings.Repeat("no log", 20_000)), 0o600) }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := edgetest.NewOrigin(t)
			o.OnFunc("*", func(r edgetest.Seen) edgetest.Answer {
				if r.Header.Get("If-None-Match") == tagged[len("ETag: "):] {
					return edgetest.Text(304, "", fresh, tagged)
				}
				return edgetest.Text(200, r.Target, fresh, tagged)
			})
			store := newStore(t)
			a := assembly{Store: store, Origin: o.URL, Purge: purge.Config{Path: filepath.Join(t.TempDir(), "purge.db"), FlushEvery: time.Millisecond}}
			r := a.run(t)
			for _, path := range []string{"/kept", "/purged"} {
				if got := r.get(path); got.Body != path {
					t.Fatal(show(got))
				}
			}
			apply(t, r.Purges, purge.ScopeURL, "http://a.test/purged", "", purge.Hard)
			epoch := r.Purges.Epoch()
			r.end()
			if err := c.lose(a.Purge.Path); err != nil {
				t.Fatal(err)
			}
			r = a.run(t)
			if (r.Purges.Epoch() != epoch) != c.lost {
				t.Errorf("another epoch %v, want %v", !c.lost, c.lost)
			}
			if c.lost {
				takeOver(t, store)
			}
			got := r.get("/kept")
			if got.Body != "/kept" || isHit(got) == c.lost && o.Asked("/kept") != 2 {
				t.Errorf("what was kept: %s, want it validated: %v", show(got), c.lost)
			}
			if n := o.Asked("/kept"); n != map[bool]int{true: 2, false: 1}[c.lost] {
				t.Errorf("the origin was asked %d times for what was kept", n)
			}
			if got := r.get("/kept"); !isHit(got) {
				t.Errorf("and again: %s, want a hit", show(got))
			}
			if r.get("/purged"); o.Asked("/purged") != 2 {
				t.Errorf("the origin was asked %d times for what was purged, want twice", o.Asked("/purged"))
			}
		})
	}
}

// takeOver gives all that is stored the number 0: older than any purge.
func takeOver(t *testing.T, store *cachestore.Memory) {
	t.Helper()
	store.Each(func(r *cachestore.Resource) bool {
		n := cachestore.NewResource(r.Key)
		for _, v := range r.Variants {
			n.Variants = append(n.Variants, v.With(cachestore.Renewal{
				Head: v.Head, Life: v.Life, Tags: v.Tags, SharedAuth: v.SharedAuth, Validators: v.Validators, StoredAt: v.StoredAt,
			}))
		}
		if !store.Replace(r.Key, r, n) {
			t.Error("a resource was changed by somebody else")
		}
		return true
	})
}
