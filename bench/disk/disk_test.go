package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestDisk measures everything once, too short for the figures to mean anything.
func TestDisk(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("it measures on Linux alone")
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	dir := t.TempDir()
	result := filepath.Join(dir, "result.txt")
	var out, bad bytes.Buffer
	code := run(context.Background(), []string{
		"-dir", dir, "-out", result, "-rounds", "1", "-span", "20ms", "-bytes", "67108864", "-rate", "500",
	}, &out, &bad)
	if code != 0 {
		t.Fatalf("exit code %d: %s\n%s", code, bad.String(), out.String())
	}
	kept, err := os.ReadFile(result)
	if err != nil || !bytes.HasSuffix(kept, out.Bytes()) {
		t.Errorf("the result was not kept as it was printed: %v", err)
	}
	for _, want := range []string{
		"64 KiB, 2 at once", "(at least 0.4)", "full tier", "(at most 1.6)", "with the disk tier", "with a plain file", "GOMAXPROCS 2",
	} {
		if !strings.Contains(string(kept), want) {
			t.Errorf("no %q in\n%s", want, kept)
		}
	}
	if code := run(context.Background(), []string{"-parts", "nothing", "-dir", dir}, &out, &bad); code != 1 {
		t.Errorf("a part that there is not: exit code %d, want 1", code)
	}
	if code := run(context.Background(), []string{"-rounds", "0"}, &out, &bad); code != 2 {
		t.Errorf("no round: exit code %d, want 2", code)
	}
}

// TestExpiry measures a small wave: what has expired leaves the disk first, the
// origin is asked for the rest of it, and confirms what has a validator.
func TestExpiry(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("it measures on Linux alone")
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, c := range []struct {
		name, stale    string
		want, wantsNot []string
	}{
		{"without a stale window", "0", []string{"miss (expired)", "miss (revalidated)", "waits for the origin"}, []string{"stale ("}},
		{"with one", "60s", []string{"stale (", "in the background: ", "stale-while-revalidate=60"}, []string{"miss (expired)"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out, bad bytes.Buffer
			code := run(context.Background(), []string{
				"-parts", "expiry", "-dir", t.TempDir(), "-rounds", "1", "-span", "100ms", "-rate", "1000",
				"-objects", "10000", "-stale", c.stale,
			}, &out, &bad)
			if code != 0 {
				t.Fatalf("exit code %d: %s\n%s", code, bad.String(), out.String())
			}
			_, expired, found := strings.Cut(out.String(), "busy, all expired")
			if !found {
				t.Fatalf("no such phase in\n%s", out.String())
			}
			for _, want := range c.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("no %q in\n%s", want, out.String())
				}
			}
			for _, not := range c.wantsNot {
				if strings.Contains(out.String(), not) {
					t.Errorf("%q is in\n%s", not, out.String())
				}
			}
			gone := regexp.MustCompile(`[1-9][0-9]* as expired, 0 as worth least`).MatchString(expired)
			if gone != (c.stale == "0") { // what may be served stale is of use
				t.Errorf("only what has expired left the disk: %t\n%s", gone, expired)
			}
		})
	}
	var out, bad bytes.Buffer
	if code := run(context.Background(), []string{"-parts", "expiry", "-objects", "1000"}, &out, &bad); code != 2 {
		t.Errorf("too few objects: exit code %d, want 2", code)
	}
}

// What has been jumped to does not come again, and time goes on from there.
func TestClockJumpsOnlyAhead(t *testing.T) {
	var c clock
	to := time.Now().Add(time.Hour)
	c.jump(to)
	if c.now().Before(to) {
		t.Errorf("it is %s, want %s at least", c.now(), to)
	}
	c.jump(to.Add(-time.Minute))
	if c.now().Before(to) {
		t.Errorf("it was set back to %s", c.now())
	}
}
