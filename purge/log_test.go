package purge

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for end := time.After(20 * time.Second); !cond(); {
		select {
		case <-look.C:
		case <-end:
			t.Fatal("never: ", what)
		}
	}
}

func TestAPurgeOutlivesTheLog(t *testing.T) {
	l := openLog(t, Config{})
	before, end := l.Index().Begin()
	defer end.End()
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
