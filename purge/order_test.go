package purge

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A restart reads purges in the order in which they were written, which is not
// that of their numbers. All orders of four purges of one place, of all
// strengths, cover as the rising one does.
func TestAPlaceTakesPurgesInAnyOrder(t *testing.T) {
	const n, combinations = 4, 3 * 3 * 3 * 3
	for c := range combinations {
		var purges []purged
		for i, rest := 0, c; i < n; i, rest = i+1, rest/3 {
			purges = append(purges, purged{key: 7, number: uint64(i + 1), strength: Strength(rest%3 + 1), softAt: int64(i + 1)})
		}
		eachOrder(purges, 0, func(order []purged) { compareOrder(t, order) })
	}
}

// eachOrder hands out every permutation of ps[from:] behind ps[:from].
func eachOrder(ps []purged, from int, visit func([]purged)) {
	if from == len(ps) {
		visit(ps)
		return
	}
	for i := from; i < len(ps); i++ {
		next := slices.Clone(ps)
		next[from], next[i] = next[i], next[from]
		eachOrder(next, from+1, visit)
	}
}

func compareOrder(t *testing.T, order []purged) {
	t.Helper()
	var s shard
	for _, p := range order {
		s.put(p)
	}
	for since := range uint64(len(order) + 1) {
		var got, want Cover
		s.find(7, since, &got)
		for _, p := range order {
			if p.number > since {
				want.add(p.strength, p.number, p.softAt)
			}
		}
		if got.Strength != want.Strength || got.Seq != want.Seq || got.SoftAt > want.SoftAt {
			t.Fatalf("%v, since %d: %+v, want %+v", order, since, got, want)
		}
	}
}

// An invalidation that comes while a purge of the same thing is being written
// has the earlier number and stands behind it in the file.
func TestAPurgeOutlivesAnInvalidationDuringItsCommit(t *testing.T) {
	for _, strength := range []Strength{Soft, Revalidate, Hard} {
		l := openLog(t, Config{FlushEvery: time.Hour})
		x := func(s Strength) Entry { return entryOf(t, ScopeURL, "http://h/x", "", s) }
		release := stall(l)
		var r Result
		var all sync.WaitGroup
		all.Go(func() { r = mustPurge(t, l, x(strength)) })
		eventually(t, "it is taken", func() bool {
			l.mu.Lock()
			defer l.mu.Unlock()
			return len(l.calls) == 0 && l.waiting == 1
		})
		between := l.Invalidate([]Entry{x(Revalidate)})
		release()
		all.Wait()
		if r.Seq != between+1 {
			t.Fatalf("number %d after %d", r.Seq, between)
		}
		l = reopen(t, l)
		if got := l.Index().CoversKnown(keyOf(t, "http://h/x"), between); got.Strength != strength {
			t.Errorf("after a restart: %+v, want %s", got, strength)
		}
	}
}

// What stands after a start for the invalidations that could not be written
// does not stand in the place of a later purge of everything.
func TestAPurgeOutlivesInvalidationsThatWereNotWritten(t *testing.T) {
	for _, strength := range []Strength{Soft, Revalidate, Hard} {
		l := openLog(t, Config{Queue: 1, FlushEvery: time.Hour})
		for i := range 3 {
			l.Invalidate([]Entry{entryOf(t, ScopeURL, fmt.Sprintf("http://h/%d", i), "", Revalidate)})
		}
		if l.Stats().Undurable == 0 {
			t.Fatal("all were kept")
		}
		r := mustPurge(t, l, entryOf(t, ScopeAll, "", "", strength))
		l = reopen(t, l)
		if got := l.Index().CoversKnown(keyOf(t, "http://h/x"), r.Seq-1); got.Strength != strength {
			t.Errorf("after a restart: %+v, want %s", got, strength)
		}
	}
}

// Invalidations are written in no order at all.
func TestInvalidationsOutliveTheLogInAnyOrder(t *testing.T) {
	const n = 50
	l := openLog(t, Config{FlushEvery: time.Hour})
	about := func(i int, s Strength) Entry { return entryOf(t, ScopeURL, fmt.Sprintf("http://h/%d", i), "", s) }
	var between [n]uint64
	for i := range n {
		between[i] = l.Invalidate([]Entry{about(i, Hard)})
		l.Invalidate([]Entry{about(i, Soft)})
	}
	l = reopen(t, l)
	for i := range n {
		k := keyOf(t, fmt.Sprintf("http://h/%d", i))
		if got := l.Index().CoversKnown(k, between[i]); got.Strength != Soft {
			t.Errorf("/%d since %d: %+v, want soft", i, between[i], got)
		}
		if got := l.Index().CoversKnown(k, between[i]-1); got.Strength != Hard {
			t.Errorf("/%d since %d: %+v, want hard", i, between[i]-1, got)
		}
	}
}

// Two requests may invalidate the same thing at once: the one with the earlier
// number may be noted for the writer last.
func TestALaterInvalidationOutlivesAnEarlierOneNotedAfterIt(t *testing.T) {
	l := openLog(t, Config{FlushEvery: time.Hour})
	e := entryOf(t, ScopeURL, "http://h/x", "", Revalidate)
	first, second := l.Invalidate([]Entry{e}), l.Invalidate([]Entry{e})
	e.Seq = first
	l.mu.Lock()
	l.keepLocked(e)
	l.mu.Unlock()
	l = reopen(t, l)
	if got := l.Index().CoversKnown(keyOf(t, "http://h/x"), first); got.Strength != Revalidate || got.Seq != second {
		t.Errorf("after a restart: %+v, want revalidate by %d", got, second)
	}
}

func TestASoftWindowIsNoLongerAfterARestart(t *testing.T) {
	var clock atomic.Int64
	l := openLog(t, Config{FlushEvery: time.Hour, Clock: clock.Load})
	since := l.Index().Now()
	for at := range int64(3) {
		clock.Store(at + 1)
		l.Invalidate([]Entry{entryOf(t, ScopeURL, "http://h/x", "", Soft)})
	}
	k := keyOf(t, "http://h/x")
	want := Cover{Soft, 1, l.Index().Now()}
	if got := l.Index().CoversKnown(k, since); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	l = reopen(t, l)
	if got := l.Index().CoversKnown(k, since); got != want {
		t.Errorf("after a restart: %+v, want %+v", got, want)
	}
}
