package purge

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// purgeUntilKilled is the child of the crash test: it purges from several
// goroutines and says on stdout which purges were acknowledged, and under
// which number.
func purgeUntilKilled(path string) {
	l, err := Open(Config{Path: path})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	var out sync.Mutex
	for w := range 4 {
		go func() {
			for i := 0; ; i++ {
				l.Invalidate([]Entry{{Scope: ScopeURL, Value: fmt.Sprintf("/late/%d", i), Strength: Revalidate}})
				name := fmt.Sprintf("%d-%d-%d", os.Getpid(), w, i)
				r, err := l.Purge(context.Background(), []Entry{{Scope: ScopeTag, Value: name, Strength: Hard}})
				if err != nil {
					fmt.Println("error", err)
					os.Exit(1)
				}
				out.Lock()
				fmt.Println(name, r.Seq, r.ID)
				out.Unlock()
			}
		}()
	}
	select {}
}

// Every purge that was acknowledged before a kill -9 is there afterwards, with
// a number that covers all that was fetched before it, and no number comes
// back.
func TestAcknowledgedPurgesSurviveAKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "purge.db")
	acknowledged := map[string]uint64{} // tag → number
	var highest uint64
	for round := range 5 {
		for name, seq := range runUntilKilled(t, path, 40+100*round) {
			if acknowledged[name] = seq; seq <= highest {
				t.Fatalf("round %d: number %d comes after %d", round, seq, highest)
			}
		}
		for _, seq := range acknowledged {
			highest = max(highest, seq)
		}
		l := openLog(t, Config{Path: path})
		if l.Lost() {
			t.Fatal(l.Trouble())
		}
		if now := l.Index().Now(); now <= highest {
			t.Fatalf("round %d: starts at %d after %d", round, now, highest)
		}
		highest = l.Index().Now()
		k := keyOf(t, "http://h/")
		for name, seq := range acknowledged {
			e := Entry{Scope: ScopeTag, Value: name}
			if got := l.Index().Covers(k, []uint64{e.places()[0].hash}, seq-1); got.Strength != Hard {
				t.Fatalf("round %d: purge %d of %s is gone: %+v", round, seq, name, got)
			}
		}
		l.Close()
	}
}

// runUntilKilled runs the child until it has acknowledged n purges, kills it,
// and returns all that it acknowledged.
func runUntilKilled(t *testing.T, path string, n int) map[string]uint64 {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), "PURGE_TEST_CRASH="+path)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	got := map[string]uint64{}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		f := strings.Fields(lines.Text())
		if len(f) != 3 || f[0] == "error" {
			t.Errorf("the child says %q", lines.Text())
			break
		}
		seq, err := strconv.ParseUint(f[1], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if got[f[0]] = seq; len(got) == n {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = child.Process.Kill()
	_ = child.Wait() // killed, as it should be
	return got
}
