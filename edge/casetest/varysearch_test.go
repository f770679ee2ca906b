package casetest

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"edgecache/edge"
	"edgecache/edge/edgetest"
	"edgecache/policy"
	"edgecache/purge"
)

var searching = policy.Rules{Key: policy.KeyRules{NoVarySearch: true}}

// TestNoVarySearch: what does not count makes no other object (the draft, 2 to 5);
// what goes up is the query as it was sent.
func TestNoVarySearch(t *testing.T) {
	for name, c := range map[string]struct {
		rule         string
		first, other string
		hit          bool
	}{
		"a parameter that does not count": {`params=("utm")`, "id=1&utm=a", "id=1&utm=b", true},
		"one that counts":                 {`params=("utm")`, "id=1&utm=a", "id=2&utm=a", false},
		"none of it left":                 {`params=("utm")`, "utm=a", "utm=b", true},
		"no query at all":                 {`params`, "a=1", "", true},
		"all but one":                     {`params, except=("id")`, "x=1&id=7", "id=7&y", true},
		"all but one, which differs":      {`params, except=("id")`, "x=1&id=7", "x=1&id=8", false},
		"the order":                       {`key-order`, "a=1&b=2", "b=2&a=1", true},
		"the order of one name":           {`key-order`, "a=1&a=2", "a=2&a=1", false},
		"the order without the word":      {`params=("c")`, "a=1&b=2", "b=2&a=1", false},
		"blanks":                          {`key-order`, "a=x+y", "a=x%20y", true},
		"malformed":                       {`params=(utm)`, "id=1&utm=a", "id=1&utm=b", false},
		"nothing":                         {``, "id=1&utm=a", "id=1&utm=b", false},
	} {
		for _, on := range []bool{true, false} {
			s := open(t, edgetest.Config{Rules: policy.Rules{Key: policy.KeyRules{NoVarySearch: on}}})
			s.origin.On("/x", edgetest.Text(200, "hello", fresh, "No-Vary-Search: "+c.rule))
			s.miss("hello", "/x?"+c.first)
			s.hit("hello", "/x?"+c.first)
			other := "/x"
			if c.other != "" {
				other += "?" + c.other
			}
			if r := s.Get(other); isHit(r) != (c.hit && on) || r.Header.Get("No-Vary-Search") != c.rule {
				t.Errorf("%s, switched on %v: %s", name, on, show(r))
			}
			if seen := s.origin.Seen()[0].Target; seen != "/x?"+c.first {
				t.Errorf("%s: %s went up", name, seen)
			}
		}
	}
}

// TestNoVarySearchChanges: the latest answer's rule holds.
func TestNoVarySearchChanges(t *testing.T) {
	s := open(t, edgetest.Config{Rules: searching})
	rule := `params=("a")`
	s.origin.OnFunc("/x", func(r edgetest.Seen) edgetest.Answer {
		return edgetest.Text(200, r.Target+rule, "Cache-Control: max-age=10", "No-Vary-Search: "+rule, tagged)
	})
	s.miss(`/x?a=1&b=1params=("a")`, "/x?a=1&b=1")
	s.hit(`/x?a=1&b=1params=("a")`, "/x?a=2&b=1")
	s.advance(11)
	rule = `params=("b")`
	s.miss(`/x?a=3&b=1params=("b")`, "/x?a=3&b=1")
	s.hit(`/x?a=3&b=1params=("b")`, "/x?a=3&b=9")
	s.miss(`/x?a=4&b=1params=("b")`, "/x?a=4&b=1")
	s.advance(11)
	rule = ""
	s.miss(`/x?a=3&b=1`, "/x?a=3&b=1")
	s.miss(`/x?a=3&b=2`, "/x?a=3&b=2")
	s.hit(`/x?a=3&b=2`, "/x?a=3&b=2")
}

// TestNoVarySearchConfirmed: a 304 with another rule confirms nothing that would be
// looked for elsewhere.
func TestNoVarySearchConfirmed(t *testing.T) {
	s := open(t, edgetest.Config{Rules: searching})
	s.origin.On("/x", edgetest.Text(200, "old", "Cache-Control: max-age=10", `No-Vary-Search: params=("a")`, tagged),
		edgetest.Text(304, "", fresh, `No-Vary-Search: params=("b")`, tagged), edgetest.Text(200, "new", fresh, `No-Vary-Search: params=("b")`, tagged))
	s.miss("old", "/x?a=1&b=1")
	s.advance(11)
	s.miss("new", "/x?a=2&b=1")
	s.hit("new", "/x?a=2&b=7")
}

// TestNoVarySearchCollapsed: who waits under the old rule gets the answer only if
// the new one lets it.
func TestNoVarySearchCollapsed(t *testing.T) {
	s := open(t, edgetest.Config{Rules: searching})
	g := newGate(t)
	held := false
	s.origin.OnFunc("/x", func(r edgetest.Seen) edgetest.Answer {
		rule := `params=("a" "b")`
		if held {
			rule = `params=("a")`
		}
		a := edgetest.Text(200, r.Target, "Cache-Control: max-age=10", "No-Vary-Search: "+rule)
		if held && r.Target == "/x?a=1&b=1" {
			return g.late(a)
		}
		return a
	})
	s.miss("/x?a=0&b=0", "/x?a=0&b=0", "Host: a.test")
	s.advance(11)
	held = true
	first := s.join("GET", "/x?a=1&b=1")
	same, other := s.join("GET", "/x?a=2&b=1"), s.join("GET", "/x?a=1&b=2")
	s.reached(g)
	g.open()
	first.gets("/x?a=1&b=1")
	same.gets("/x?a=1&b=1")
	other.gets("/x?a=1&b=2")
}

// TestNoVarySearchIsBounded: over the bound a path is forgotten and counted: a
// miss, no more.
func TestNoVarySearchIsBounded(t *testing.T) {
	s := open(t, edgetest.Config{Rules: searching, Edge: edge.Config{Limits: edge.Limits{SearchRules: 64}}})
	s.origin.OnFunc("*", func(r edgetest.Seen) edgetest.Answer {
		return edgetest.Text(200, r.Target, fresh, `No-Vary-Search: params`)
	})
	const paths = 500
	for i := range paths {
		s.miss(fmt.Sprintf("/%d?a", i), fmt.Sprintf("/%d?a", i))
	}
	hits := 0
	for n := range paths {
		i := paths - 1 - n // the latest first
		r := s.Get(fmt.Sprintf("/%d?b", i))
		if isHit(r) {
			hits++
		}
		if r.Body != fmt.Sprintf("/%d?a", i) && r.Body != fmt.Sprintf("/%d?b", i) {
			t.Errorf("path %d: %s", i, show(r))
		}
	}
	if hits == 0 || hits > 64 {
		t.Errorf("%d of %d paths are remembered, want 1 to 64", hits, paths)
	}
}

// TestNoVarySearchModel changes rules, asks and purges in any order, also over a
// restart. Nothing with a rule is served that is older than a purge of any url of
// its path, nothing without one that is older than a purge of its url, and nothing
// for a query that differs in what counts by the rule it came with.
func TestNoVarySearchModel(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			newSearchWorld(t, seed).run(250)
		})
	}
}

type searchWorld struct {
	*site
	random  *rand.Rand
	rule    string
	version int
	floor   int            // of what has a rule: no version before it may be served
	floors  map[string]int // of what has none, by url
}

func newSearchWorld(t *testing.T, seed uint64) *searchWorld {
	w := &searchWorld{floors: map[string]int{}, random: rand.New(rand.NewPCG(seed, 4))}
	c := edgetest.Config{Rules: searching, Edge: edge.Config{Limits: edge.Limits{SearchRules: 64}}}
	if seed%2 == 1 {
		c.Disk = t.TempDir()
	}
	w.site = open(t, c)
	w.origin.OnFunc("/x", func(r edgetest.Seen) edgetest.Answer {
		return edgetest.Text(200, fmt.Sprintf("%d %s", w.version, r.Target), "Cache-Control: max-age=50", "No-Vary-Search: "+w.rule, fmt.Sprintf("Etag: \"%d\"", w.version))
	})
	return w
}

func (w *searchWorld) query() string {
	return []string{"", "?", "?a=1", "?a=2", "?b=1&a=1", "?a=1&b=1", "?a=1&b=2", "?b=2", "?a=1&a=2", "?a=2&a=1"}[w.random.IntN(10)]
}

func (w *searchWorld) run(steps int) {
	rules := []string{``, `params`, `params=("a")`, `params=("b")`, `key-order`, `key-order, params=("b")`, `params, except=("a")`, `bad (`}
	for range steps {
		switch n := w.random.IntN(30); {
		case n < 3:
			w.rule = rules[w.random.IntN(len(rules))]
		case n < 6:
			w.version++
		case n < 7:
			w.advance(w.random.IntN(80))
		case n < 9:
			scope, url := purge.Hard, "/x"+w.query()
			if w.random.IntN(3) == 0 {
				scope = purge.Revalidate
			}
			w.purgeKeyed(scope, url)
			w.floor, w.floors[url] = w.version, w.version
		case n < 10:
			url := "/x" + w.query()
			w.Do("POST", url, "")
			w.floor, w.floors[url] = w.version, w.version
		case n == 10 && w.Disk != nil && w.random.IntN(4) == 0:
			w.reshelve()
		default:
			w.ask("/x" + w.query())
		}
	}
}

// purgeKeyed purges a url as the API does.
func (w *searchWorld) purgeKeyed(s purge.Strength, target string) {
	w.t.Helper()
	u, err := policy.ParseURL("http://disk.test" + target)
	if err != nil {
		w.t.Fatal(err)
	}
	if w.Disk == nil {
		u.Host = []byte(w.Addr)
	}
	if _, err := purge.NewAPI(w.Purges, w.Engine.Keyed).PurgeURL(w.t.Context(), u, s); err != nil {
		w.t.Fatal(err)
	}
}

func (w *searchWorld) ask(target string) {
	w.t.Helper()
	r := w.Get(target)
	var version int
	var got string
	rule := policy.ReadSearchRule(r.Header["No-Vary-Search"])
	floor := w.floors[target]
	if rule != nil { // it stands for all queries of the path
		floor = w.floor
	}
	if _, err := fmt.Sscanf(r.Body, "%d %s", &version, &got); err != nil || r.Status != 200 || version < floor {
		w.t.Errorf("%s: version %d, want %d at least: %s", target, version, floor, show(r))
		return
	}
	if got != target && (rule == nil || string(rule.AppendKey(nil, queryOf(got))) != string(rule.AppendKey(nil, queryOf(target)))) {
		w.t.Errorf("%s is answered with what %s got, under %q", target, got, r.Header.Get("No-Vary-Search"))
	}
}

func queryOf(target string) []byte {
	if len(target) < len("/x?") {
		return nil
	}
	return []byte(target[len("/x?"):])
}
