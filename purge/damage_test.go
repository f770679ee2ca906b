package purge

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

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
	l := openLog(t, Config{FlushEvery: time.Hour, Queue: 1})
	path := l.book.db.Path()
	l.book.db.Close() // an ordinary error: database not open
	since := l.Index().Now()
	// The second one has no room; the file is to say that something is lost.
	l.Invalidate([]Entry{entryOf(t, ScopeURL, "/z", "", Revalidate), entryOf(t, ScopeURL, "/no%20room", "", Revalidate)})
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
	for _, path := range []string{"/x", "/z", "/no%20room"} {
		if got := l.Index().CoversKnown(keyOf(t, "http://h"+path), since); got.Strength < Revalidate {
			t.Errorf("%s: %+v", path, got)
		}
	}
}

// Calls that wait behind a commit that fails get their answers, too.
func TestNobodyWaitsForeverBehindAFailedCommit(t *testing.T) {
	l := openLog(t, Config{FlushEvery: time.Hour})
	l.book.db.Close()
	calls := make([]*call, 3*batchLimit/1000)
	l.mu.Lock()
	for i := range calls {
		calls[i] = &call{entries: make([]Entry, 1000), done: make(chan struct{})}
		for j := range calls[i].entries {
			calls[i].entries[j] = Entry{Scope: ScopeAll, Strength: Hard}
		}
		l.waiting += 1000
	}
	l.calls = append(l.calls, calls...)
	l.mu.Unlock()
	l.poke()
	for _, c := range calls {
		<-c.done
		if !errors.Is(c.err, ErrStorage) {
			t.Errorf("%v, want %v", c.err, ErrStorage)
		}
	}
	if n := l.Stats().Waiting; n != 0 {
		t.Errorf("%d wait", n)
	}
}

// What was invalidated while a commit ran is kept when it fails, and so is
// what it was to write; of the same thing the later one.
func TestAFailedCommitLosesNoInvalidation(t *testing.T) {
	l := openLog(t, Config{FlushEvery: time.Hour})
	note := func(value string, number uint64) (invalidated, stored) {
		e := Entry{Scope: ScopeURL, Value: value, Strength: Revalidate, Seq: number}
		return invalidated{e.Scope, e.Strength, e.Value, e.Host}, stored{Entry: e, volatile: true}
	}
	taken := map[invalidated]stored{}
	for value, number := range map[string]uint64{"/old": 1, "/both": 2} {
		k, s := note(value, number)
		taken[k] = s
	}
	l.mu.Lock()
	for value, number := range map[string]uint64{"/new": 3, "/both": 4} {
		k, s := note(value, number)
		l.late[k] = s
	}
	l.mu.Unlock()
	(&writer{log: l}).fail(&work{late: taken}, errors.New("disk full"))
	l.mu.Lock()
	defer l.mu.Unlock()
	for value, want := range map[string]uint64{"/old": 1, "/new": 3, "/both": 4} {
		k, _ := note(value, 0)
		if got := l.late[k].Seq; got != want {
			t.Errorf("%s: number %d, want %d", value, got, want)
		}
	}
	if len(l.late) != 3 {
		t.Errorf("%d are kept", len(l.late))
	}
}
