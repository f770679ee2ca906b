package purge

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"edgecache/policy"
)

// keyOf is the key of an absolute url.
func keyOf(t testing.TB, raw string) policy.Key {
	t.Helper()
	u, err := policy.ParseURL(raw)
	if err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	k, _ := policy.NewKey(nil, 1, u, nil)
	return k
}

// entryOf parses a selector, "" beside it.
func entryOf(t testing.TB, scope Scope, selector, host string, s Strength) Entry {
	t.Helper()
	e, err := ParseEntry(scope, selector, host, s)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// at is a clock that stands.
func at(ns int64) func() int64 { return func() int64 { return ns } }

func TestEachScopeCoversWhatItNames(t *testing.T) {
	const g = "group g of http://h"
	for _, c := range []struct {
		scope          Scope
		selector, host string
		covered        string // urls, each maybe followed by +tag
		spared         string
	}{
		{ScopeURL, "http://h/x", "", "http://h/x https://h/x", "http://h/x? http://h/x?a http://h/x/ http://g/x http://h:8080/x http://h/"},
		{ScopeURL, "/x?a", "", "http://h/x?a https://g:1/x?a", "http://h/x http://h/x? http://h/x?A"},
		{ScopeURL, "http://h:8080/x", "", "http://h:8080/x https://h:8080/x", "http://h/x"},
		{ScopeURL, "/x", "h:443", "https://h/x http://h/x http://h:443/x", "http://g/x"},
		{ScopePrefix, "/a", "", "http://h/a http://h/a/ http://g/a/b https://h/a/b/c?q http://h/a?x", "http://h/ab http://h/ http://h/b/a http://h/A"},
		{ScopePrefix, "http://h/a/", "", "http://h/a https://h/a/ http://h/a/b", "http://g/a http://h/ab"},
		{ScopePrefix, "/a/b", "", "http://h/a/b http://h/a/b/ http://h/a/b/c/d/e", "http://h/a http://h/a/ http://h/a/bc http://h/a//b"},
		{ScopePrefix, "/a//", "", "http://h/a//b http://h/a/ http://h/a//", "http://h/a http://h/a/b"},
		{ScopePrefix, "/", "", "http://h/ http://g/a?b", ""},
		{ScopePrefix, "/", "h", "http://h/ https://h/a/b", "http://g/"},
		{ScopePrefix, "/%7Ea", "", "http://h/~a/b", ""},
		{ScopeHost, "h", "", "http://h/ https://h/x?y", "http://g/ http://h:8080/ http://hh/"},
		{ScopeHost, "h:8080", "", "http://h:8080/", "http://h/"},
		{ScopeHost, "h:80", "", "http://h/ https://h:80/", "http://h:81/"},
		{ScopeTag, "t", "", "http://h/x+t https://g/y+t", "http://h/x http://h/x+T http://h/x+u"},
		{ScopeTag, "t", "h", "http://h/x+t https://h/y+t", "http://g/x+t http://h/x"},
		{ScopeGroup, "g", "http://h", "http://h/x+" + g, "http://h/x+g https://h/x+group"},
		{ScopeGroup, "g", "h", "http://h/x+" + g, "http://h/x+g"},
		{ScopeGroup, "g", "https://h", "", "http://h/x+" + g},
		{ScopeAll, "", "", "http://h/ https://g/x?y+t", ""},
	} {
		t.Run(c.scope.String()+" "+c.selector+" "+c.host, func(t *testing.T) {
			var x Index
			x.apply([]Entry{entryOf(t, c.scope, c.selector, c.host, Hard)}, at(5))
			check := func(urls string, want Strength) {
				for u := range strings.FieldsSeq(strings.ReplaceAll(urls, g, "@")) {
					raw, tag, tagged := strings.Cut(u, "+")
					var tags []uint64
					switch {
					case tag == "@":
						tags = []uint64{1, policy.HashGroup("http", "h", "g")}
					case tagged:
						tags = []uint64{1, policy.HashTag(tag)}
					}
					if got := x.Covers(keyOf(t, raw), tags, 0).Strength; got != want {
						t.Errorf("%s is %s, want %s", u, got, want)
					}
				}
			}
			check(c.covered, Hard)
			check(c.spared, None)
		})
	}
}

func TestVeryDeepPathsAreCoveredByTheirPrefixes(t *testing.T) {
	var x Index
	deep := strings.Repeat("/a", MaxPrefixSegments)
	x.apply([]Entry{entryOf(t, ScopePrefix, deep, "", Hard)}, at(1))
	for path, want := range map[string]Strength{
		deep: Hard, deep + "/b": Hard, deep + strings.Repeat("/b", 1000): Hard, deep + "b/c": None, deep[2:]: None,
	} {
		if got := x.CoversKnown(keyOf(t, "http://h"+path), 0).Strength; got != want {
			t.Errorf("%d segments: %s, want %s", strings.Count(path, "/"), got, want)
		}
	}
}

func TestStrongestWinsAmongTheLaterOnes(t *testing.T) {
	type step struct {
		s  Strength
		at int64
	}
	for _, c := range []struct {
		name  string
		steps []step
		want  map[uint64]Cover // by since
	}{
		{"hard then soft", []step{{Hard, 10}, {Soft, 20}}, map[uint64]Cover{
			0: {Hard, 0, 2}, 1: {Soft, 20, 2}, 2: {}}},
		{"soft then hard", []step{{Soft, 10}, {Hard, 20}}, map[uint64]Cover{
			0: {Hard, 0, 2}, 1: {Hard, 0, 2}, 2: {}}},
		{"revalidate between", []step{{Hard, 1}, {Revalidate, 2}, {Soft, 3}}, map[uint64]Cover{
			0: {Hard, 0, 3}, 1: {Revalidate, 0, 3}, 2: {Soft, 3, 3}, 3: {}}},
		{"soft twice keeps the older time", []step{{Soft, 10}, {Soft, 20}}, map[uint64]Cover{
			0: {Soft, 10, 2}, 1: {Soft, 10, 2}, 2: {}}},
		{"soft, hard, soft starts a new time", []step{{Soft, 10}, {Hard, 20}, {Soft, 30}}, map[uint64]Cover{
			0: {Hard, 0, 3}, 1: {Hard, 0, 3}, 2: {Soft, 30, 3}, 3: {}}},
		{"soft, revalidate, hard, revalidate", []step{{Soft, 1}, {Revalidate, 2}, {Hard, 3}, {Revalidate, 4}}, map[uint64]Cover{
			0: {Hard, 0, 4}, 2: {Hard, 0, 4}, 3: {Revalidate, 0, 4}, 4: {}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var x Index
			for _, s := range c.steps {
				x.apply([]Entry{entryOf(t, ScopeURL, "http://h/x", "", s.s)}, at(s.at))
			}
			for since, want := range c.want {
				if got := x.CoversKnown(keyOf(t, "http://h/x"), since); got != want {
					t.Errorf("since %d: %+v, want %+v", since, got, want)
				}
			}
		})
	}
}

func TestSoftTimesOfSeveralScopesAreTheOldest(t *testing.T) {
	var x Index
	x.apply([]Entry{entryOf(t, ScopeTag, "t", "", Soft)}, at(10))
	x.apply([]Entry{entryOf(t, ScopeAll, "", "", Soft)}, at(20))
	x.apply([]Entry{entryOf(t, ScopeHost, "h", "", Soft)}, at(30))
	k, tags := keyOf(t, "http://h/x"), []uint64{policy.HashTag("t")}
	if got, want := x.Covers(k, tags, 0), (Cover{Soft, 10, 3}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got, want := x.Covers(k, tags, 1), (Cover{Soft, 20, 3}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestADropForgetsAndSaysSo(t *testing.T) {
	var x Index
	soft := []Entry{entryOf(t, ScopeTag, "t", "", Soft)}
	x.apply(soft, at(10))
	x.apply([]Entry{entryOf(t, ScopePrefix, "/a/b/c", "", Hard)}, at(20))
	x.apply(soft, at(30))
	x.drop(2, 20)
	k, tags := keyOf(t, "http://h/a/b/c"), []uint64{policy.HashTag("t")}
	if got, want := x.Covers(k, tags, 2), (Cover{Soft, 20, 3}); got != want {
		t.Errorf("what was looked at: %+v, want %+v", got, want)
	}
	if got := x.Covers(k, tags, 1); got.Strength != Hard {
		t.Errorf("what the drop cannot have looked at: %+v, want hard", got)
	}
	if n, depth := x.places.Load(), x.deepest.Load(); n != 1 || depth != 0 {
		t.Errorf("%d places, depth %d are left, want 1, 0", n, depth)
	}
}

func TestADropDoesNotTrustAClockThatWentBack(t *testing.T) {
	var x Index
	soft := []Entry{entryOf(t, ScopeTag, "t", "", Soft)}
	x.apply(soft, at(100))
	x.apply(soft, at(50))
	x.drop(1, 100)
	got := x.Covers(keyOf(t, "http://h/"), []uint64{policy.HashTag("t")}, 1)
	if got.Strength != Soft || got.SoftAt > 50 {
		t.Errorf("%+v, want soft since 50 at the latest", got)
	}
}

func TestANumberThatWasNeverGivenOutIsNotTrusted(t *testing.T) {
	var x Index
	x.apply([]Entry{entryOf(t, ScopeTag, "t", "", Soft)}, at(10))
	if got := x.CoversKnown(keyOf(t, "http://h/"), 2); got.Strength != Hard {
		t.Errorf("%+v, want hard", got)
	}
}

// A claim is that no purge of a url has a number in (since, upTo].
type claim struct {
	url         int
	since, upTo uint64
}

// Whoever loads the number, looks and finds nothing may note the number: no
// purge up to it was missed, whatever runs beside it: purges, growth, drops.
func TestWhatIsFoundUncoveredIsUncovered(t *testing.T) {
	const urls, writers, readers = 200, 2, 2
	keys := make([]policy.Key, urls)
	for i := range keys {
		keys[i] = keyOf(t, fmt.Sprintf("http://h/p/%d", i))
	}
	var x Index
	var stop atomic.Bool
	var claimed atomic.Int64
	var writing, reading sync.WaitGroup
	var numbers [writers][urls][]uint64
	for w := range writers {
		writing.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(w)))
			for n := 0; n < 6000 || claimed.Load() < 1000 && n < 1_000_000; n++ {
				i := r.IntN(urls)
				es := []Entry{
					{Scope: ScopeTag, Value: fmt.Sprint(r.Uint32()), Strength: Soft},
					{Scope: ScopeURL, Value: fmt.Sprintf("/p/%d", i), Strength: Hard},
					{Scope: ScopeTag, Value: fmt.Sprint(r.Uint32()), Strength: Soft},
				}
				x.apply(es, at(1))
				numbers[w][i] = append(numbers[w][i], es[1].Seq)
			}
		})
	}
	var claims [readers][]claim
	for w := range readers {
		reading.Go(func() {
			for i, checked := 0, [urls]uint64{}; !stop.Load(); i = (i + 1) % urls {
				now := x.Now()
				switch c := x.CoversKnown(keys[i], checked[i]); {
				case c == Cover{} && now > checked[i]:
					claims[w] = append(claims[w], claim{i, checked[i], now})
					checked[i] = now
					claimed.Add(1)
				case c != Cover{}:
					checked[i] = now
				}
			}
		})
	}
	reading.Go(func() {
		for !stop.Load() {
			x.drop(x.active.oldest(&x))
		}
	})
	writing.Wait()
	stop.Store(true)
	reading.Wait()
	for _, c := range slices.Concat(claims[:]...) {
		for w := range writers {
			if i, _ := slices.BinarySearch(numbers[w][c.url], c.since+1); i < len(numbers[w][c.url]) && numbers[w][c.url][i] <= c.upTo {
				t.Fatalf("url %d: found uncovered in (%d, %d], but purge %d is there", c.url, c.since, c.upTo, numbers[w][c.url][i])
			}
		}
	}
	if claimed.Load() < 1000 {
		t.Errorf("only %d times something was found uncovered", claimed.Load())
	}
}

// What is not covered must not be called covered, either: with running
// fetches registered, drops never reach what they need.
func TestADropSparesRunningFetches(t *testing.T) {
	var x Index
	k := keyOf(t, "http://h/x")
	x.apply([]Entry{entryOf(t, ScopeAll, "", "", Hard)}, at(1))
	first, endFirst := x.Begin()
	x.apply([]Entry{entryOf(t, ScopeURL, "http://h/y", "", Hard)}, at(2))
	second, endSecond := x.Begin()
	x.drop(x.active.oldest(&x))
	for _, since := range []uint64{first, second} {
		if got := x.CoversKnown(k, since); got != (Cover{}) {
			t.Errorf("fetch %d is covered by %+v", since, got)
		}
	}
	if got := x.CoversKnown(keyOf(t, "http://h/y"), first); got.Strength != Hard {
		t.Errorf("the purge that the first fetch needs is gone: %+v", got)
	}
	endFirst.End()
	endFirst.End() // twice does nothing
	if n, _ := x.active.oldest(&x); n != second {
		t.Errorf("oldest is %d, want %d", n, second)
	}
	endSecond.End()
	if n, _ := x.active.oldest(&x); n != x.Now() || len(x.active.running)+len(x.active.at) != 0 {
		t.Errorf("oldest is %d, want %d; %d left", n, x.Now(), len(x.active.running))
	}
}

func TestCoversAllocatesNothing(t *testing.T) {
	x, keys, tags := filledIndex(t, 10_000)
	i := 0
	if n := testing.AllocsPerRun(1000, func() {
		x.Covers(keys[i%len(keys)], tags, x.Now()-1)
		x.Covers(keys[i%len(keys)], tags, x.Now()/2)
		x.CoversKnown(keys[i%len(keys)], 0)
		i++
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestAPlaceTakesAboutFortyBytes(t *testing.T) {
	const n = 200_000
	var x Index
	for i := range n {
		x.apply([]Entry{{Scope: ScopeTag, Value: fmt.Sprint(i), Strength: Strength(i%3 + 1)}}, at(1))
	}
	bytes := 0
	for i := range x.shards {
		bytes += 24 * len(x.shards[i].now.Load().slots)
	}
	if per := float64(bytes) / n; per > 45 {
		t.Errorf("%.1f bytes a purge", per)
	}
}

// filledIndex has n purges of all scopes, and keys at depth 4 that most miss.
func filledIndex(tb testing.TB, n int) (x *Index, keys []policy.Key, tags []uint64) {
	x = new(Index)
	for i := range n {
		var e Entry
		switch i % 5 {
		case 0:
			e = Entry{Scope: ScopeURL, Value: fmt.Sprintf("/a/b/c/%d", i), Host: "h"}
		case 1:
			e = Entry{Scope: ScopeTag, Value: fmt.Sprint(i)}
		case 2:
			e = Entry{Scope: ScopePrefix, Value: fmt.Sprintf("/a/b/%d/d", i), Host: "h"}
		case 3:
			e = Entry{Scope: ScopePrefix, Value: fmt.Sprintf("/x/%d", i)}
		default:
			e = Entry{Scope: ScopeTag, Value: fmt.Sprint(i), Host: "h"}
		}
		e.Strength = Strength(i%3 + 1)
		x.apply([]Entry{e}, at(1))
	}
	for i := range 256 {
		keys = append(keys, keyOf(tb, fmt.Sprintf("http://h/a/b/%d/%d?q=1", i, i)))
	}
	return x, keys, []uint64{policy.HashTag("t1"), policy.HashTag("t2"), policy.HashTag("t3"), policy.HashTag("t4"), policy.HashTag("t5")}
}
