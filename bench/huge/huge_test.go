package main

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// TestHuge is the whole course, small: 300 MiB through an edge with 64 MiB of
// memory, and 30 MiB on a disk whose largest object has 32.
func TestHuge(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds edge and moves 500 MiB")
	}
	ctx, stop := context.WithTimeout(context.Background(), 2*time.Minute)
	defer stop()
	var said bytes.Buffer
	r, err := show(ctx, options{dir: t.TempDir(), giant: 300, fits: 30, memory: 64, disk: 256, most: 320, slow: time.Second}, &said)
	if err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	if len(r.faults) > 0 {
		t.Errorf("%s", r.text())
	}
	for _, want := range []string{
		"whole: 314572800 bytes, each looked at", "afterwards bytes=-500: 500 bytes", "fast client: 31457280 bytes", "hit: true",
	} {
		if !strings.Contains(r.text(), want) {
			t.Errorf("no %q in\n%s", want, r.text())
		}
	}
}

func TestBodiesTellTheirPlace(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		p, at := make([]byte, 1+random.IntN(300)), random.Int64N(1<<40)
		fillBody(p, at)
		if err := checkBody(p, at); err != nil {
			t.Fatalf("%d bytes at %d: %v", len(p), at, err)
		}
		for i := range p {
			if p[i] != byteAt(at+int64(i)) {
				t.Fatalf("byte %d of %d at %d differs from byteAt", i, len(p), at)
			}
		}
		i := random.IntN(len(p))
		p[i] ^= 1
		if checkBody(p, at) == nil {
			t.Fatalf("a wrong byte %d of %d at %d is not seen", i, len(p), at)
		}
	}
	p := make([]byte, 64)
	fillBody(p, 800)
	if checkBody(p, 808) == nil {
		t.Error("a body that is shifted is not seen")
	}
}

func TestOneRange(t *testing.T) {
	for _, c := range []struct {
		text     string
		from, to int64
		ok       bool
	}{
		{"bytes=0-99", 0, 100, true},
		{"bytes=900-", 900, 1000, true},
		{"bytes=-10", 990, 1000, true},
		{"bytes=5-5000", 5, 1000, true},
		{"bytes=1000-", 1000, 1000, false},
		{"bytes=0-1,3-4", 0, 0, false},
	} {
		if from, to, ok := oneRange(c.text, 1000); ok != c.ok || ok && (from != c.from || to != c.to) {
			t.Errorf("%s: %d to %d, %v; want %d to %d, %v", c.text, from, to, ok, c.from, c.to, c.ok)
		}
	}
}

func TestUsage(t *testing.T) {
	var out bytes.Buffer
	for _, args := range [][]string{{"more"}, {"-giant", "1"}, {"-nothing"}} {
		if code := run(context.Background(), args, &out, &out); code != 2 {
			t.Errorf("%v: exit code %d, want 2", args, code)
		}
	}
	r := &report{log: &out}
	r.fault(true, "%v", errors.New("one thing"))
	if !strings.Contains(r.text(), "FAILED: one thing") {
		t.Errorf("faults do not show: %s", r.text())
	}
}
