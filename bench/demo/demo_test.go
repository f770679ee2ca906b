package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"edgecache/bench"
)

// TestDemoJudges: the demo passes a cache that does right and fails one that
// does not; without the second half it would show nothing.
func TestDemoJudges(t *testing.T) {
	for _, c := range []struct {
		manner manner
		faults string // a part of what is found; empty: nothing
		wrong  bool
	}{
		{honest, "", false},
		{thorough, "", false},
		{passThrough, "nothing came from the cache", false},
		{deaf, "wrong answers", true},
		{hasty, "wrong answers", true},
		{flipping, "wrong answers", true},
		{cutting, "wrong answers", true},
		{refusing, "purges were not acknowledged", false},
		{failing, "failed requests", false},
	} {
		t.Run(string(c.manner), func(t *testing.T) {
			t.Parallel()
			r := driven(t, c.manner)
			faults := strings.Join(r.faults(), "; ")
			if (c.faults == "") != (faults == "") || !strings.Contains(faults, c.faults) {
				t.Errorf("faults %q, want %q\n%s", faults, c.faults, r.text())
			}
			if got := r.wrongAnswers(); (got > 0) != c.wrong {
				t.Errorf("%d wrong answers, want some: %v\n%s", got, c.wrong, r.text())
			}
			p := r.Purges
			if c.manner == honest && (p.Refetched != 0 || p.Others == 0 || p.Reread == 0 || p.Purges[byTag] == 0 ||
				p.Purges[byPrefix] == 0 || p.Purges[midFill] == 0) {
				t.Errorf("an honest cache gives\n%s", r.text())
			}
			if c.manner == thorough && p.Refetched == 0 {
				t.Errorf("a cache that forgets everything refetches nothing\n%s", r.text())
			}
		})
	}
}

// TestDemoCommand runs the whole command, with this binary as its edge.
func TestDemoCommand(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	trace := filepath.Join(t.TempDir(), "some.tr")
	if err := os.WriteFile(trace, []byte(strings.Repeat("0 a 900\n0 b 20\n0 c 3\n", 60)), 0o600); err != nil {
		t.Fatal(err)
	}
	quick := []string{"-edge", self, "-rate", "2000", "-purges", "200"}
	for _, c := range []struct {
		name   string
		manner manner
		args   []string
		code   int
		stdout string
		stderr string
	}{
		{"all is well", honest, []string{"-requests", "300"}, 0, "nothing was wrong", ""},
		{"a trace", honest, []string{"-trace", trace, "-restart=false"}, 0, "180 in ", ""},
		{"a wrong answer", deaf, []string{"-requests", "300"}, 1, "FAILED: ", ""},
		{"a restart", lasting, []string{"-requests", "500"}, 0, "restart           by SIGTERM", ""},
		{"a kill", lasting, []string{"-requests", "500", "-kill"}, 0, "restart           by SIGKILL", ""},
		{"no restart, no disk", honest, []string{"-requests", "300", "-restart=false", "-disk", "off"}, 0, "nothing was wrong", ""},
		{"purges that a restart undoes", amnesiac, []string{"-requests", "500"}, 1, "wrong answers", ""},
		{"edge ends badly", lingering, []string{"-requests", "300"}, 1, "", "exit status 3"},
		{"edge does not start", stillborn, nil, 1, "", "this edge does not start"},
		{"no such trace", honest, []string{"-trace", "nowhere"}, 1, "", "nowhere"},
		{"no such flag", honest, []string{"-nonsense"}, 2, "", "nonsense"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("DEMO_STAND_IN", string(c.manner))
			out := filepath.Join(t.TempDir(), "kept.txt")
			var stdout, stderr bytes.Buffer
			args := append(append([]string{"-out", out}, quick...), c.args...)
			code := run(t.Context(), args, &stdout, &stderr)
			if code != c.code || !strings.Contains(stdout.String(), c.stdout) || !strings.Contains(stderr.String(), c.stderr) {
				t.Errorf("code %d, want %d\nstdout:\n%s\nstderr:\n%s", code, c.code, &stdout, &stderr)
			}
			kept, _ := os.ReadFile(out)
			if !strings.HasSuffix(string(kept), stdout.String()) {
				t.Errorf("kept:\n%s\nprinted:\n%s", kept, &stdout)
			}
		})
	}
}

func manyObjects(n int) *bench.Workload {
	return &bench.Workload{IDs: make([]string, n), Sizes: make([]int64, n), Requests: []uint32{0}}
}

func TestPathsAndTagsNameObjects(t *testing.T) {
	w := newWorld(manyObjects(100))
	for o := range uint32(100) {
		if got, ok := w.at(w.path(o)); !ok || got != o {
			t.Errorf("%s is object %d, %v; want %d", w.path(o), got, ok, o)
		}
		if got, version, ok := bench.VersionOf(bench.ETag(o, 12)); !ok || got != o || version != 12 {
			t.Errorf("%s is version %d of %d, %v", bench.ETag(o, 12), version, got, ok)
		}
	}
	for _, path := range []string{"", "/", "/p0/o/", "/p0/o/x", "/p0/o/100", "/p1/o/3", "/p0/o/03", "/p0/o/3/"} {
		if o, ok := w.at(path); ok {
			t.Errorf("%q is object %d, want none", path, o)
		}
	}
}

func TestTiersAreReadFromMetrics(t *testing.T) {
	got, err := parseTiers(strings.NewReader(`# HELP edge_cache_hits_total Answers that a tier gave.
edge_cache_hits_total{tier="disk"} 7
edge_cache_hits_total{tier="memory"} 1.5e+06
edge_cache_hit_bytes_total{tier="disk"} 900
edge_cache_bytes{tier="disk"} 40
edge_cache_limit_bytes{tier="disk"} 50
edge_cache_evictions_total{reason="oldest",tier="disk"} 3
`))
	if err != nil || got["disk"] != (tier{7, 900, 40, 50}) || got["memory"].Hits != 1.5e6 || len(got) != 2 {
		t.Errorf("%+v, error %v", got, err)
	}
	if sum := got.plus(tiers{"disk": {3, 100, 99, 99}}); sum["disk"] != (tier{10, 1000, 40, 50}) {
		t.Errorf("with an earlier life %+v", sum)
	}
}

func TestCourseTellsBeforeFromAfter(t *testing.T) {
	c := course{restart: -1}
	if _, _, _, window := c.ratios(); window != 0 || c.since() != 0 {
		t.Errorf("without a restart the window is %d, since it %d", window, c.since())
	}
	for range 100 {
		c.note(true)
	}
	c.cut()
	for i := range 200 {
		c.note(i >= 50 && i%2 == 0)
	}
	before, after, end, window := c.ratios()
	if before != 1 || after != 0.25 || end != 0.5 || window != 100 || c.since() != 200 {
		t.Errorf("%v, %v, %v over %d, %d since; want 1, 0.25, 0.5 over 100, 200", before, after, end, window, c.since())
	}
}

func TestOutageExcusesOnlyWhatMetIt(t *testing.T) {
	var o outage
	before := time.Now()
	if o.covers(before) || o.lasted() != 0 {
		t.Error("it covers before it was")
	}
	o.begin()
	if !o.covers(before) || !o.covers(time.Now()) {
		t.Error("it does not cover while it is")
	}
	o.end()
	if !o.covers(before) || o.covers(time.Now()) {
		t.Error("it covers what was sent behind it, or not what was sent before")
	}
}
