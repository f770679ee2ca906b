package ratio

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"edgecache/bench"
	"edgecache/bench/policies"
	"edgecache/cachestore"
)

// made is an input of a Zipf workload over objects of several sizes.
func made(requests int) *Input {
	random := rand.New(rand.NewPCG(1, 2))
	zipf := rand.NewZipf(random, 1.1, 10, 20_000)
	w := &bench.Workload{Seconds: 86400}
	known := map[uint64]uint32{}
	for range requests {
		id := zipf.Uint64()
		object, ok := known[id]
		if !ok {
			object = uint32(len(w.Sizes))
			known[id] = object
			w.Sizes = append(w.Sizes, int64(1000+id*7919%60_000))
		}
		w.Requests = append(w.Requests, object)
	}
	return &Input{Workload: w, Name: "made", Rate: 1, Asked: int64(requests)}
}

func run(t *testing.T, in *Input, c Config) []Row {
	t.Helper()
	if raced {
		t.Skip("one goroutine, and it takes minutes")
	}
	if c.Memory == nil {
		c.Memory, c.Disk = []Size{{Percent: 1}}, []Size{{Percent: 10}}
	}
	rows, err := Run(context.Background(), in, c)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestRunCountsEachRequestOnce(t *testing.T) {
	in := made(50_000)
	steps := 0
	c := Config{
		Memory: []Size{{Percent: 1}, {Bytes: 4 << 20}}, Disk: []Size{{}, {Percent: 10}},
		Admission: cachestore.AdmitSZ2, Policies: []string{"sieve"}, Runs: 2, Step: func() { steps++ },
	}
	rows := run(t, in, c)
	if len(rows) != 4 || steps != c.Steps() {
		t.Fatalf("%d rows after %d steps, want 4 and %d", len(rows), steps, c.Steps())
	}
	for _, r := range rows {
		for name, n := range map[string]policies.Counts{"edge": r.Edge, "lru": r.LRU, "optimum": r.Optimum, "sieve": r.Others["sieve"]} {
			if sum := n.MemoryHits.Objects + n.DiskHits.Objects + n.Misses.Objects; sum != 50_000 || n.Requests.Objects != sum {
				t.Errorf("%s: %d counted of %d", name, sum, n.Requests.Objects)
			}
			if n.MemoryHits.Bytes+n.DiskHits.Bytes+n.Misses.Bytes != in.Bytes() {
				t.Errorf("%s: bytes are lost", name)
			}
		}
		if r.Disk == 0 && r.Edge.DiskHits.Objects+r.Edge.DiskWritten > 0 {
			t.Errorf("without a disk %d hits of it", r.Edge.DiskHits.Objects)
		}
		if r.Edge.Misses.Objects > r.LRU.Misses.Objects || r.Optimum.Misses.Objects > r.Edge.Misses.Objects {
			t.Errorf("edge misses %d, LRU %d, the optimum %d", r.Edge.Misses.Objects, r.LRU.Misses.Objects, r.Optimum.Misses.Objects)
		}
		if r.Spread[0] > r.Edge.ObjectMissRatio() || r.Spread[1] < r.Edge.ObjectMissRatio() {
			t.Errorf("the median %v is not within %v", r.Edge.ObjectMissRatio(), r.Spread)
		}
	}
}

// What overhead costs is seen, and what a larger cache brings.
func TestSizesAndOverheadMatter(t *testing.T) {
	in := made(50_000)
	bare := run(t, in, Config{Admission: cachestore.AdmitSZ2})[0]
	counted := run(t, in, Config{Memory: []Size{{Bytes: 8 << 20}}, Disk: []Size{{Bytes: 8 << 20}}, Admission: cachestore.AdmitSZ2, Overhead: true})[0]
	same := run(t, in, Config{Memory: []Size{{Bytes: 8 << 20}}, Disk: []Size{{Bytes: 8 << 20}}, Admission: cachestore.AdmitSZ2})[0]
	if counted.Edge.Misses.Objects <= same.Edge.Misses.Objects {
		t.Errorf("overhead costs nothing: %d misses, %d without", counted.Edge.Misses.Objects, same.Edge.Misses.Objects)
	}
	if bare.OverheadMemory < 500 || bare.OverheadDisk < 400 {
		t.Errorf("overhead of %d and %d bytes", bare.OverheadMemory, bare.OverheadDisk)
	}
	always := run(t, in, Config{Admission: cachestore.AdmitAlways})[0]
	if always.Edge.DiskWritten <= bare.Edge.DiskWritten {
		t.Errorf("always writes %d, sz2 %d", always.Edge.DiskWritten, bare.Edge.DiskWritten)
	}
}

func TestRunStopsWhenTold(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	stop()
	_, err := Run(ctx, made(10_000), Config{Memory: []Size{{Percent: 1}}, Disk: []Size{{Percent: 10}}})
	if err != context.Canceled {
		t.Errorf("error %v", err)
	}
}

func TestGap(t *testing.T) {
	n := func(misses int64) (c policies.Counts) {
		c.Requests.Objects, c.Misses.Objects = 1000, misses
		return c
	}
	r := Row{Edge: n(400), LRU: n(500), Optimum: n(300)}
	if closed, ok := r.Gap(); !ok || math.Abs(closed-0.5) > 1e-9 {
		t.Errorf("gap %v %v, want a half", closed, ok)
	}
	r.Optimum = n(500)
	if _, ok := r.Gap(); ok {
		t.Error("there is no gap")
	}
}

// Lifetimes: after its end an object is another one, and what may not be kept is lost.
func TestTimeless(t *testing.T) {
	second := int64(1e9)
	w := &bench.Workload{
		Sizes: []int64{10, 20, 30}, Requests: []uint32{0, 1, 0, 2, 0, 0, 1},
		At:    []int64{0, 1 * second, 2 * second, 3 * second, 5 * second, 6 * second, 99 * second},
		Fresh: []int32{5, 0, 3, bench.Unstorable, 10, 9, 0},
	}
	trace, lost := timeless(w)
	if fmt.Sprint(trace.Requests, trace.Sizes) != "[0 1 0 2 2 1] [10 20 10]" || lost.Objects != 1 || lost.Bytes != 30 {
		t.Errorf("%v of %v, lost %v", trace.Requests, trace.Sizes, lost)
	}
	in := &Input{Workload: w, Name: "x", Rate: 1, Asked: 7}
	r := run(t, in, Config{Memory: []Size{{Bytes: 1 << 20}}, Disk: []Size{{}}})[0]
	if r.Edge.Misses.Objects != 4 || r.LRU.Misses.Objects != 4 || r.Optimum.Misses.Objects != 4 {
		t.Errorf("edge misses %d, LRU %d, the optimum %d, want 4 each", r.Edge.Misses.Objects, r.LRU.Misses.Objects, r.Optimum.Misses.Objects)
	}
}

func TestJSONLines(t *testing.T) {
	in := made(20_000)
	rows := run(t, in, Config{Memory: []Size{{Percent: 1}, {Percent: 2}}, Disk: []Size{{Percent: 10}}, Admission: cachestore.AdmitSZ2})
	var out bytes.Buffer
	if err := WriteJSON(&out, in, rows); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines for two sizes", len(lines))
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(lines[1]), &got); err != nil {
		t.Fatal(err)
	}
	for _, name := range strings.Fields(`file requests objects unique_bytes memory disk memory_hit_ratio object_miss_ratio
		byte_miss_ratio disk_written_per_requested lru_object_miss_ratio lru_byte_miss_ratio optimal_object_miss_ratio`) {
		if _, ok := got[name]; !ok {
			t.Errorf("no %s in %s", name, lines[1])
		}
	}
	if got["requests"] != 20_000.0 || got["object_miss_ratio"] != rows[1].Edge.ObjectMissRatio() || got["memory"] != float64(rows[1].Memory) {
		t.Errorf("wrong: %s", lines[1])
	}
	out.Reset()
	if err := WriteText(&out, in, rows); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"made: 20000 requests", "edge ", "lru ", "optimum", "a day", "beside its body"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

// A log over the limits is sampled: the ratio is about that of all of it.
func TestLongLogsAreSampled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "long.tr")
	in := made(100_000)
	var text bytes.Buffer
	for i, object := range in.Requests {
		fmt.Fprintf(&text, "%d o%d %d\n", i, object, in.Sizes[object])
	}
	if err := os.WriteFile(path, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	whole, err := Load(path, bench.Limits{})
	if err != nil || whole.Rate != 1 || whole.Asked != 100_000 {
		t.Fatalf("%v, rate %v", err, whole.Rate)
	}
	s := policies.NewSampler(4000, 50_000)
	sampled, err := sampleFile(path, bench.Limits{Lines: 10}, s)
	if err != nil {
		t.Fatal(err)
	}
	if sampled.Rate >= 1 || sampled.Asked != 100_000 || len(sampled.Requests) > 50_000 || len(sampled.Sizes) > 4000 {
		t.Fatalf("rate %v, %d requests of %d, %d objects", sampled.Rate, len(sampled.Requests), sampled.Asked, len(sampled.Sizes))
	}
	a, b := run(t, whole, Config{Admission: cachestore.AdmitSZ2})[0], run(t, sampled, Config{Admission: cachestore.AdmitSZ2})[0]
	if off := a.LRU.ObjectMissRatio() - b.LRU.ObjectMissRatio(); off > 0.03 || off < -0.03 {
		t.Errorf("LRU misses %.3f, by the sample %.3f", a.LRU.ObjectMissRatio(), b.LRU.ObjectMissRatio())
	}
	if _, err := Load(path, bench.Limits{Lines: 10}); err != nil {
		t.Errorf("a log over the limit: %v", err)
	}
}

func TestReportHasACurveARow(t *testing.T) {
	in := made(60_000)
	c := Config{Memory: []Size{{Percent: 5}}, Disk: []Size{{Percent: 20}}, Admission: cachestore.AdmitSZ2}
	rows := run(t, in, c)
	steps := 0
	c.Step = func() { steps++ }
	sections, err := Curves(context.Background(), in, rows, c)
	if err != nil || len(sections) != 1 || len(sections[0].Curves) != 3 || len(sections[0].Curves[0].Points) < 4 {
		t.Fatalf("%d sections, error %v", len(sections), err)
	}
	if steps != c.CurveSteps(1) {
		t.Errorf("%d steps, %d were announced", steps, c.CurveSteps(1))
	}
	edge := sections[0].Curves[0].Points
	if first, last := edge[0], edge[len(edge)-1]; last.ObjectMiss >= first.ObjectMiss || last.Bytes <= first.Bytes {
		t.Errorf("from %+v to %+v", first, last)
	}
	var out bytes.Buffer
	if err := WriteReport(&out, sections); err != nil || !strings.Contains(out.String(), "<svg") {
		t.Errorf("error %v, %d bytes", err, out.Len())
	}
}
