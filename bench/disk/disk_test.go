package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
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
