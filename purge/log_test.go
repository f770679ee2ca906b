package purge

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"edgecache/policy"
)

func TestMain(m *testing.M) {
	if path := os.Getenv("PURGE_TEST_CRASH"); path != "" {
		purgeUntilKilled(path)
	}
	goleak.VerifyTestMain(m)
}

// openLog opens a log that ends with the test, with bounds that tests reach.
func openLog(t testing.TB, c Config) *Log {
	t.Helper()
	if c.Path == "" {
		c.Path = filepath.Join(t.TempDir(), "purge.db")
	}
	l, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// reopen closes a log and opens it again.
func reopen(t *testing.T, l *Log) *Log {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return openLog(t, l.conf)
}

func mustPurge(t testing.TB, l *Log, es ...Entry) Result {
	t.Helper()
	r, err := l.Purge(t.Context(), es)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// eventually waits until the writer or the sweeper has done something.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never: ", what)
		}
	}
}

func TestAPurgeOutlivesTheLog(t *testing.T) {
	l := openLog(t, Config{})
	before, end := l.Index().Begin()
	defer end()
	var want []Result
	for i, scope := range []Scope{ScopeURL, ScopePrefix, ScopeTag, ScopeHost, ScopeGroup, ScopeAll} {
		selector := []string{"/u", "/p", "t", "h", "g", ""}[i]
		host := []string{"h", "h", "h", "", "http://h", ""}[i]
		r := mustPurge(t, l, entryOf(t, scope, selector, host, Strength(i%3+1)))
		if !r.Applied || r.Seq <= before || r.Seq != l.Index().Now() {
			t.Errorf("%s: %+v, number now %d", scope, r, l.Index().Now())
		}
		want = append(want, r)
	}
	epoch, list := l.Epoch(), l.List(100)
	l = reopen(t, l)
	if l.Epoch() != epoch || l.Lost() || l.Trouble() != nil {
		t.Errorf("epoch %x, was %x; lost %v: %v", l.Epoch(), epoch, l.Lost(), l.Trouble())
	}
	if now := l.Index().Now(); now <= want[5].Seq {
		t.Errorf("starts at number %d, but %d was given out", now, want[5].Seq)
	}
	if got := l.List(100); fmt.Sprint(got) != fmt.Sprint(list) || len(got) != 6 {
		t.Errorf("history\n%v, was\n%v", got, list)
	}
	tags := []uint64{policy.HashTag("t"), policy.HashGroup("http", "h", "g")}
	for i, c := range []struct {
		url  string
		tags []uint64
	}{
		{"http://h/u", nil}, {"http://h/p/x", nil}, {"http://h/", tags[:1]}, {"http://h/", nil}, {"http://h/", tags[1:]}, {"http://g/", nil},
	} {
		// Just before and just after each: the numbers came back exactly.
		k := keyOf(t, c.url)
		if got := l.Index().Covers(k, c.tags, want[i].Seq-1); got.Strength < Strength(i%3+1) {
			t.Errorf("%s: %+v", Scope(i), got)
		}
	}
	if got := l.Index().CoversKnown(keyOf(t, "http://g/"), want[5].Seq); got != (Cover{}) {
		t.Errorf("after the last purge: %+v", got)
	}
}

func TestANewLogRevalidatesWhatItDoesNotKnow(t *testing.T) {
	l := openLog(t, Config{})
	if got := l.Index().CoversKnown(keyOf(t, "http://h/"), 0); got.Strength != Revalidate {
		t.Errorf("%+v, want revalidate", got)
	}
	if l.Lost() || l.Trouble() != nil || l.Epoch() == (Epoch{}) {
		t.Errorf("lost %v: %v, epoch %x", l.Lost(), l.Trouble(), l.Epoch())
	}
}

func TestABrokenLogIsSetAsideAndEverythingRevalidated(t *testing.T) {
	flip := func(at int) func([]byte) []byte {
		return func(b []byte) []byte {
			for i := at; i < len(b); i++ {
				b[i] ^= 0x55
			}
			return b
		}
	}
	for name, harm := range map[string]func([]byte) []byte{
		"not a database":       func([]byte) []byte { return []byte(strings.Repeat("no database\n", 2000)) },
		"cut to half":          func(b []byte) []byte { return b[:len(b)/2] },
		"cut within the head":  func(b []byte) []byte { return b[:100] },
		"both metas broken":    func(b []byte) []byte { copy(b, make([]byte, 8192)); return b },
		"all but metas broken": flip(8192),
		"a value broken": func(b []byte) []byte {
			s := strings.Replace(string(b), "the-tag-7", "the-tag-8", 1)
			return []byte(strings.Replace(s, "the-tag-7", "the-tag-8", -1))
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := openLog(t, Config{})
			for i := range 200 {
				mustPurge(t, l, entryOf(t, ScopeTag, fmt.Sprintf("the-tag-%d", i), "", Hard))
			}
			epoch := l.Epoch()
			l.Close()
			b, err := os.ReadFile(l.conf.Path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(l.conf.Path, harm(b), 0o600); err != nil {
				t.Fatal(err)
			}
			l = openLog(t, l.conf)
			if !l.Lost() || l.Trouble() == nil || l.Epoch() == epoch {
				t.Errorf("lost %v: %v; epoch %x was %x", l.Lost(), l.Trouble(), l.Epoch(), epoch)
			}
			if got := l.Index().CoversKnown(keyOf(t, "http://h/"), 0); got.Strength != Revalidate {
				t.Errorf("%+v, want revalidate", got)
			}
			if _, err := os.Stat(l.conf.Path + ".bad"); err != nil {
				t.Error(err)
			}
			mustPurge(t, l, entryOf(t, ScopeURL, "/x", "", Hard))
			if l = reopen(t, l); l.Lost() {
				t.Error("the new log is lost, too")
			}
		})
	}
}

func TestAMissingLogHasANewEpoch(t *testing.T) {
	l := openLog(t, Config{})
	mustPurge(t, l, entryOf(t, ScopeURL, "/x", "", Hard))
	epoch := l.Epoch()
	l.Close()
	if err := os.Remove(l.conf.Path); err != nil {
		t.Fatal(err)
	}
	if l = openLog(t, l.conf); l.Epoch() == epoch {
		t.Error("the epoch is the old one")
	}
}

func TestALogIsHeldByOne(t *testing.T) {
	l := openLog(t, Config{})
	_, err := Open(l.conf)
	if !errors.Is(err, ErrHeld) || !strings.Contains(err.Error(), l.conf.Path) {
		t.Errorf("%v, want %v", err, ErrHeld)
	}
	mustPurge(t, l, entryOf(t, ScopeURL, "/x", "", Hard))
	if _, err := os.Stat(l.conf.Path + ".bad"); err == nil {
		t.Error("it was set aside")
	}
}

func TestALogThatCannotBeMadeIsAnError(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(file, "purge.db"), dir} {
		if l, err := Open(Config{Path: path}); err == nil {
			l.Close()
			t.Errorf("%s: no error", path)
		}
	}
}

func TestNumbersAreNeverUsedAgain(t *testing.T) {
	l := openLog(t, Config{})
	last := l.Index().Now()
	for range 4 {
		for range 3 {
			last = mustPurge(t, l, entryOf(t, ScopeURL, "/x", "", Hard)).Seq
		}
		last = max(last, l.Invalidate([]Entry{entryOf(t, ScopeURL, "/y", "", Revalidate)}))
		l = reopen(t, l)
		if now := l.Index().Now(); now <= last {
			t.Fatalf("starts at %d, but %d was given out", now, last)
		}
	}
}

func TestTheCeilingIsRaisedBeforeItIsReached(t *testing.T) {
	l := openLog(t, Config{Queue: 10, Limit: 100})
	first := l.book.head.ceiling
	// Invalidations take numbers without the writer; it must keep ahead.
	es := make([]Entry, 4096)
	for i := range es {
		es[i] = Entry{Scope: ScopeURL, Value: "/x", Strength: Revalidate}
	}
	for l.Index().Now() < first-ceilingNear+1 {
		l.Invalidate(es)
	}
	mustPurge(t, l, entryOf(t, ScopeURL, "/x", "", Hard))
	now := l.Index().Now()
	l.Close()
	if c := l.book.head.ceiling; c <= first || c < now+ceilingNear {
		t.Errorf("ceiling %d at number %d, was %d", c, now, first)
	}
}

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

// stall holds the file's write lock, so that commits wait until release.
func stall(l *Log) (release func()) {
	tx, err := l.book.db.Begin(true)
	if err != nil {
		panic(err)
	}
	return func() { _ = tx.Rollback() }
}

func TestAPurgeThatIsNotWaitedForIsStillApplied(t *testing.T) {
	l := openLog(t, Config{})
	release := stall(l)
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() {
		_, err := l.Purge(ctx, []Entry{entryOf(t, ScopeURL, "/x", "", Hard)})
		gone <- err
	}()
	eventually(t, "it waits", func() bool { return l.Stats().Waiting == 1 })
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want canceled", err)
	}
	release()
	eventually(t, "it is applied", func() bool { return l.Stats().Applied[ScopeURL][Hard] == 1 })
}

func TestAClosedLogRefuses(t *testing.T) {
	l := openLog(t, Config{})
	l.Close()
	if _, err := l.Purge(t.Context(), []Entry{entryOf(t, ScopeURL, "/x", "", Hard)}); !errors.Is(err, ErrClosed) {
		t.Errorf("%v, want %v", err, ErrClosed)
	}
	if err := l.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
	if _, err := l.Purge(t.Context(), nil); err == nil {
		t.Error("a purge of nothing is taken")
	}
}

// When numbers are taken while a commit runs, its entries get other ones than
// were written; a later commit puts that right, and until then the file calls
// them unsure, which is as good as the newest.
func TestNumbersTakenDuringACommitAreWrittenRight(t *testing.T) {
	l := openLog(t, Config{FlushEvery: time.Hour})
	release := stall(l)
	var r Result
	var all sync.WaitGroup
	all.Go(func() {
		r = mustPurge(t, l, entryOf(t, ScopeURL, "/x", "", Hard), entryOf(t, ScopeURL, "/y", "", Hard))
	})
	eventually(t, "it is taken", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.calls) == 0 && l.waiting == 2
	})
	// It may or may not have read the number yet: go on until it has not.
	var seq uint64
	for range 1000 {
		seq = l.Invalidate([]Entry{entryOf(t, ScopeURL, "/z", "", Revalidate)})
	}
	release()
	all.Wait()
	if r.Seq != seq+2 {
		t.Fatalf("number %d after %d", r.Seq, seq)
	}
	if got := l.Index().CoversKnown(keyOf(t, "http://h/x"), seq); got.Strength != Hard {
		t.Errorf("/x since %d: %+v", seq, got)
	}
	l = reopen(t, l)
	for path, since := range map[string]uint64{"/x": seq, "/y": seq + 1, "/z": seq - 1} {
		if got := l.Index().CoversKnown(keyOf(t, "http://h"+path), since); got.Strength < Revalidate {
			t.Errorf("%s since %d: %+v", path, since, got)
		}
		if got := l.Index().CoversKnown(keyOf(t, "http://h"+path), since+1); got != (Cover{}) {
			t.Errorf("%s since %d: %+v", path, since+1, got)
		}
	}
	if got, _ := l.Get(r.ID); got.Seq != r.Seq {
		t.Errorf("remembered as %d, was %d", got.Seq, r.Seq)
	}
}

func TestAnInvalidationIsAppliedAtOnceAndDurableLater(t *testing.T) {
	l := openLog(t, Config{FlushEvery: time.Millisecond})
	release := stall(l)
	since := l.Index().Now()
	seq := l.Invalidate([]Entry{entryOf(t, ScopeURL, "/x", "", Revalidate), entryOf(t, ScopeTag, "t", "h", Hard)})
	if got := l.Index().CoversKnown(keyOf(t, "http://h/x"), since); got.Strength != Revalidate || l.Index().Now() != seq {
		t.Errorf("%+v; number %d, want %d", got, l.Index().Now(), seq)
	}
	release()
	eventually(t, "it is written", func() bool { return l.Stats().Invalidations == 3 }) // and the first revalidate-all
	l = reopen(t, l)
	if got := l.Index().Covers(keyOf(t, "http://h/x"), []uint64{policy.HashTag("t")}, since); got.Strength != Hard {
		t.Errorf("after a restart: %+v", got)
	}
	if got := l.Invalidate(nil); got != l.Index().Now() || len(l.List(10)) != 0 {
		t.Errorf("number %d, history %v", got, l.List(10))
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

// A file that breaks while it is in use: what was answered stays answered, new
// purges are refused, and the next start knows that invalidations are missing.
func TestALogThatBreaksKeepsServing(t *testing.T) {
	l := openLog(t, Config{FlushEvery: time.Hour})
	k := keyOf(t, "http://h/x")
	since := l.Index().Now()
	mustPurge(t, l, entryOf(t, ScopeURL, "/x", "", Hard))
	l.book.db.Close()
	l.book.db = nil // every use of it panics
	for range 2 {
		if _, err := l.Purge(t.Context(), []Entry{entryOf(t, ScopeURL, "/y", "", Hard)}); !errors.Is(err, ErrStorage) {
			t.Fatalf("%v, want %v", err, ErrStorage)
		}
	}
	if got := l.Index().CoversKnown(k, since); got.Strength != Hard || l.Trouble() == nil {
		t.Errorf("%+v, trouble %v", got, l.Trouble())
	}
	since = l.Index().Now()
	l.Invalidate([]Entry{entryOf(t, ScopeURL, "/z", "", Revalidate)})
	if got := l.Index().CoversKnown(keyOf(t, "http://h/z"), since); got.Strength != Revalidate {
		t.Errorf("%+v, want revalidate", got)
	}
	epoch := l.Epoch()
	if err := l.Close(); !errors.Is(err, ErrStorage) {
		t.Errorf("close: %v", err)
	}
	if l = openLog(t, l.conf); !l.Lost() || l.Epoch() == epoch {
		t.Error("the next start trusts the file")
	}
	if l = reopen(t, l); l.Lost() {
		t.Error("and so does not the one after it")
	}
}

func TestACommitThatFailsIsRefusedAndTheNextOneTried(t *testing.T) {
	l := openLog(t, Config{FlushEvery: time.Hour})
	path := l.book.db.Path()
	l.book.db.Close() // an ordinary error: database not open
	since := l.Index().Now()
	l.Invalidate([]Entry{entryOf(t, ScopeURL, "/z", "", Revalidate)})
	if _, err := l.Purge(t.Context(), []Entry{entryOf(t, ScopeURL, "/x", "", Hard)}); !errors.Is(err, ErrStorage) {
		t.Errorf("%v, want %v", err, ErrStorage)
	}
	if got := l.Index().CoversKnown(keyOf(t, "http://h/x"), since); got != (Cover{}) {
		t.Errorf("a refused purge is applied: %+v", got)
	}
	b, err := openBook(path)
	if err != nil {
		t.Fatal(err)
	}
	l.book.db = b.db
	mustPurge(t, l, entryOf(t, ScopeURL, "/x", "", Hard))
	if l.Trouble() != nil {
		t.Error(l.Trouble())
	}
	l = reopen(t, l)
	for _, path := range []string{"/x", "/z"} {
		if got := l.Index().CoversKnown(keyOf(t, "http://h"+path), since); got.Strength < Revalidate {
			t.Errorf("%s: %+v", path, got)
		}
	}
}
