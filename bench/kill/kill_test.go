package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"edgecache/bench"
	"edgecache/bench/child"
)

// TestKill kills the real binary a few times, over files with and without sync.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	binary, err := child.Build(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "kept.txt")
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"-edge", binary, "-dir", dir, "-out", out, "-rounds", "4", "-lives", "2",
		"-bytes", "40000000", "-shortest", "1200ms", "-longest", "1500ms", "-connections", "4", "-disk", "1GiB"}, &stdout, &stderr)
	if code != 0 {
		t.Errorf("code %d\n%s\n%s", code, &stdout, &stderr)
	}
	kept, _ := os.ReadFile(out)
	if !strings.HasSuffix(string(kept), stdout.String()) {
		t.Errorf("kept:\n%s\nprinted:\n%s", kept, &stdout)
	}
	t.Logf("\n%s%s", &stderr, &stdout)
}

// TestManyObjects measures a start over a few objects.
func TestManyObjects(t *testing.T) {
	dir := t.TempDir()
	binary, err := child.Build(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"-edge", binary, "-dir", dir, "-objects", "3000", "-disk", "1GiB"}, &stdout, &stderr)
	if code != 0 || !strings.Contains(stdout.String(), "files cached      5 starts") {
		t.Errorf("code %d\n%s\n%s", code, &stdout, &stderr)
	}
}

// TestReportJudges: each thing that can be wrong fails the run.
func TestReportJudges(t *testing.T) {
	good := report{kept: 1000, hits: 900, gone: 95, gentleKept: 500, gentleHits: 490, gentleGone: 9, older: 100, olderHits: 100, purges: 1}
	for _, c := range []struct {
		name   string
		change func(*report)
		want   string
	}{
		{"a good run", func(*report) {}, ""},
		{"a wrong answer", func(r *report) { r.wrong = 1 }, "1 wrong"},
		{"too much is gone", func(r *report) { r.gone = 85 }, "15 of 1000"},
		{"too much is gone of a gentle round", func(r *report) { r.gentleHits = 481 }, "10 of 500"},
		{"too much of old rounds is gone", func(r *report) { r.olderHits = 98 }, "2 of 100"},
		{"nothing was kept", func(r *report) { r.kept, r.hits, r.gone = 0, 0, 0 }, "nothing was kept"},
		{"nothing was purged", func(r *report) { r.purges = 0 }, "nothing was purged"},
		{"something is broken", func(r *report) { r.checks.Broken = 1 }, "1 objects on disk are broken"},
		{"chunks are left over", func(r *report) { r.checks.Orphans = 3 }, "3 chunks"},
		{"a start brings nothing back", func(r *report) { r.noHit = 1 }, "1 starts without a hit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := good
			c.change(&r)
			faults := strings.Join(r.faults(), "; ")
			if (c.want == "") != (faults == "") || !strings.Contains(faults, c.want) {
				t.Errorf("faults %q, want %q", faults, c.want)
			}
		})
	}
}

// TestKeptIsOnlyWhatNoPurgeTouched: an answer counts as kept if it is of the
// version of now and no purge was under way since it was asked for.
func TestKeptIsOnlyWhatNoPurgeTouched(t *testing.T) {
	o := &newWorld().objects[0]
	is := func(want bool) {
		t.Helper()
		if got := o.keptBefore(time.Now().Add(time.Hour), 1); got != want {
			t.Errorf("kept %v, want %v", got, want)
		}
	}
	o.answered(1, o.begin(), 1, false)
	is(true)
	since := o.begin()
	first, second := o.change(), o.change()
	o.answered(second, since, 1, false)
	is(false)
	o.purged(second, true)
	o.answered(second, o.begin(), 1, false) // the first purge is still under way
	is(false)
	o.purged(first, true)
	if floor := o.floor.Load(); floor != second {
		t.Errorf("floor %d, want %d", floor, second)
	}
	o.answered(second, o.begin(), 1, true)
	is(true)
}

func TestSizesSpread(t *testing.T) {
	least, most, sum := int64(mostSize), int64(0), int64(0)
	for o := range uint32(10_000) {
		n := size(o)
		least, most, sum = min(least, n), max(most, n), sum+n
	}
	if least < leastSize || least > 2*leastSize || most > mostSize || most < mostSize/2 || sum < 10_000*200<<10 {
		t.Errorf("sizes from %d to %d, together %d", least, most, sum)
	}
}

func TestReadBodySeesEveryFault(t *testing.T) {
	const o, version = 7, 3
	whole := make([]byte, size(o))
	bench.FillBody(whole, o, version, 0)
	flipped := bytes.Clone(whole)
	flipped[len(flipped)-1] ^= 1
	for _, c := range []struct {
		name  string
		body  []byte
		wrong bool
	}{
		{"right", whole, false},
		{"flipped", flipped, true},
		{"short", whole[:len(whole)-1], true},
		{"long", append(bytes.Clone(whole), 0), true},
		{"empty", nil, true},
	} {
		_, wrong, err := readBody(bytes.NewReader(c.body), o, version, make([]byte, 64<<10))
		if err != nil || (wrong != nil) != c.wrong {
			t.Errorf("%s: wrong %v, error %v", c.name, wrong, err)
		}
	}
}
