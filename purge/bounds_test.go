package purge

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"
)

func TestManyPurgesShareACommit(t *testing.T) {
	const n = 400
	l := openLog(t, Config{})
	before := l.Stats().Commits
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { mustPurge(t, l, entryOf(t, ScopeURL, fmt.Sprintf("/%d", i), "", Hard)) })
	}
	all.Wait()
	s := l.Stats()
	if s.Commits-before >= n/2 {
		t.Errorf("%d commits for %d purges", s.Commits-before, n)
	}
	if s.Purges != n || s.Applied[ScopeURL][Hard] != n || s.Waiting != 0 {
		t.Errorf("%+v", s)
	}
	seen := map[string]bool{}
	for _, r := range l.List(n) {
		seen[r.ID] = true
		if got, found := l.Get(r.ID); !found || fmt.Sprint(got) != fmt.Sprint(r) {
			t.Errorf("%s: %+v, %v", r.ID, got, found)
		}
	}
	if len(seen) != n {
		t.Errorf("%d different ids", len(seen))
	}
}

func TestAtTheLimitNothingIsTakenAndNothingLost(t *testing.T) {
	l := openLog(t, Config{Limit: 10})
	url := func(i int) Entry { return entryOf(t, ScopeURL, fmt.Sprintf("/%d", i), "", Hard) }
	for i := range 8 {
		mustPurge(t, l, url(i))
	}
	if _, err := l.Purge(t.Context(), []Entry{url(8), url(9), url(10)}); !errors.Is(err, ErrTooMany) {
		t.Errorf("three more than fit: %v", err)
	}
	mustPurge(t, l, url(8), url(9))
	if _, err := l.Purge(t.Context(), []Entry{url(10)}); !errors.Is(err, ErrTooMany) {
		t.Errorf("one more than fits: %v", err)
	}
	if s := l.Stats(); s.TooMany != 2 || s.Purges != 10 {
		t.Errorf("%+v", s)
	}
	for i, want := range map[int]Strength{0: Hard, 9: Hard, 10: None} {
		if got := l.Index().CoversKnown(keyOf(t, fmt.Sprintf("http://h/%d", i)), 1).Strength; got != want {
			t.Errorf("/%d: %s, want %s", i, got, want)
		}
	}
	l.forgetTo(l.Index().Now(), 0)
	eventually(t, "the file forgets", func() bool { return l.Stats().Purges == 0 })
	mustPurge(t, l, url(10))
}

func TestAFullQueueRefuses(t *testing.T) {
	l := openLog(t, Config{Queue: 4})
	blocked := stall(l)
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() { mustPurge(t, l, entryOf(t, ScopeURL, fmt.Sprintf("/%d", i), "", Hard)) })
	}
	eventually(t, "four wait", func() bool { return l.Stats().Waiting == 4 })
	if _, err := l.Purge(t.Context(), []Entry{entryOf(t, ScopeURL, "/x", "", Hard)}); !errors.Is(err, ErrBusy) {
		t.Errorf("%v, want %v", err, ErrBusy)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Purge(ctx, []Entry{entryOf(t, ScopeURL, "/x", "", Hard)}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want canceled", err)
	}
	blocked()
	all.Wait()
	if s := l.Stats(); s.Busy != 1 || s.Waiting != 0 || s.Purges != 4 {
		t.Errorf("%+v", s)
	}
}

func TestInvalidationsBeyondTheirBoundsRevalidateEverything(t *testing.T) {
	l := openLog(t, Config{Limit: 20, Queue: 5, FlushEvery: time.Hour})
	k := keyOf(t, "http://h/another")
	var last uint64
	for i := range 8 {
		last = l.Invalidate([]Entry{entryOf(t, ScopeURL, fmt.Sprintf("/%d", i), "", Revalidate)})
	}
	if s := l.Stats(); s.Undurable != 3 || s.Late != 5 {
		t.Errorf("%+v", s)
	}
	if got := l.Index().CoversKnown(k, last-8); got != (Cover{}) {
		t.Errorf("what was not named is covered now: %+v", got)
	}
	l = reopen(t, l)
	if got := l.Index().CoversKnown(k, last-1); got.Strength != Revalidate {
		t.Errorf("after a restart, before the last that was not written: %+v", got)
	}
	if got := l.Index().CoversKnown(k, last); got != (Cover{}) {
		t.Errorf("after a restart, since then: %+v", got)
	}
	// The index itself is full: everything is revalidated at once.
	since := l.Index().Now()
	for i := range 60 {
		l.Invalidate([]Entry{entryOf(t, ScopeURL, fmt.Sprintf("/more/%d", i), "", Revalidate)})
	}
	if s := l.Stats(); s.Coarsened == 0 || s.Places > 2*20+1 {
		t.Errorf("%+v", s)
	}
	if got := l.Index().CoversKnown(k, since); got.Strength != Revalidate {
		t.Errorf("%+v, want revalidate", got)
	}
	l.forgetTo(l.Index().Now(), 0)
	eventually(t, "the file forgets", func() bool { return l.Stats().Invalidations == 0 })
	l = reopen(t, l)
	if got := l.Index().CoversKnown(k, l.Index().Now()-1); got != (Cover{}) {
		t.Errorf("what was lost is not forgotten by a sweep: %+v", got)
	}
}

func TestForgettingManyTakesSeveralCommits(t *testing.T) {
	const n = 2*forgetLimit + 10
	l := openLog(t, Config{})
	for i := 0; i < n; i += 1000 {
		es := make([]Entry, min(1000, n-i))
		for j := range es {
			es[j] = Entry{Scope: ScopeURL, Value: fmt.Sprintf("/%d", i+j), Strength: Hard}
		}
		mustPurge(t, l, es...)
	}
	bound := l.Index().Now()
	late := mustPurge(t, l, entryOf(t, ScopeURL, "/late", "", Hard))
	l.forgetTo(bound, 0)
	eventually(t, "the file forgets", func() bool { return l.Stats().Purges == 1 })
	l = reopen(t, l)
	if s := l.Stats(); s.Purges != 1 || s.Places != 1 {
		t.Errorf("%+v", s)
	}
	if got := l.Index().CoversKnown(keyOf(t, "http://h/late"), late.Seq-1); got.Strength != Hard {
		t.Errorf("%+v", got)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	l := openLog(t, Config{})
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() {
			for i := range HistoryLimit/4 + 5 {
				_, err := l.Purge(t.Context(), []Entry{{Scope: ScopeTag, Value: fmt.Sprint(w, i), Strength: Soft}})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	// Many callers at once, for the sake of speed.
	all.Wait()
	first := l.List(1)[0]
	check := func() {
		t.Helper()
		list := l.List(2 * HistoryLimit)
		if len(list) != HistoryLimit || list[0].ID != first.ID {
			t.Errorf("%d remembered, the last %s, want %s", len(list), list[0].ID, first.ID)
		}
		for _, r := range []Record{list[0], list[HistoryLimit/2], list[HistoryLimit-1]} {
			if got, found := l.Get(r.ID); !found || got.ID != r.ID {
				t.Errorf("%s is not found", r.ID)
			}
		}
	}
	check()
	l = reopen(t, l)
	check()
	for _, id := range []string{"", "-", "x-1", first.ID + "0", l.history.name(1)} {
		if r, found := l.Get(id); found {
			t.Errorf("%q is found: %+v", id, r)
		}
	}
}
