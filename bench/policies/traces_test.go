package policies_test

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	"edgecache/bench"
	"edgecache/bench/policies"
)

// traces are those that were read, by name: no test here runs beside another.
var traces = make(map[string]policies.Trace)

// sharedTrace reads one of the traces that lie beside the project, if they do.
func sharedTrace(t *testing.T, name string) policies.Trace {
	t.Helper()
	if trace, known := traces[name]; known {
		return trace
	}
	shared := os.Getenv("EDGE_SHARED")
	if shared == "" {
		shared = filepath.Join("..", "..", "..", "shared")
	}
	path := filepath.Join(shared, "traces", name+".tr.gz")
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no shared traces: %v", err)
	}
	w, err := bench.LoadFile(path, bench.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	traces[name] = policies.Trace{Requests: w.Requests, Sizes: w.Sizes}
	return traces[name]
}

func run(t *testing.T, trace policies.Trace, memory, disk string) policies.Counts {
	tiers := policies.Tiers{Memory: newPolicy(t, memory, trace.UniqueBytes()/100, len(trace.Sizes))}
	if disk != "" {
		tiers.Disk = newPolicy(t, disk, trace.UniqueBytes()/10, len(trace.Sizes))
	}
	return tiers.Run(trace)
}

// The object miss ratios of an earlier study, made with other code: memory of
// 1 % of the unique bytes, disk of 10 %. Its optimum kept the distances of the
// time at which an object came in, which misses a little more; of its W-TinyLFU
// it is only known that it adapts and minds sizes, so that is wide.
func TestTheStudysFigures(t *testing.T) {
	const near, wide = 0.0025, 0.02
	for _, c := range []struct {
		trace, memory, disk string
		want, within        float64
	}{
		{"adaptsize-web", "lru", "", .754, near},
		{"adaptsize-web", "s3-fifo", "", .731, near},
		{"adaptsize-web", "gdsf", "", .674, near},
		{"adaptsize-web", "w-tinylfu-av", "", .686, wide},
		{"adaptsize-web", "lru", "lru", .656, near},
		{"cache2k-web07", "lru", "", .609, near},
		{"cache2k-web07", "s3-fifo", "", .568, near},
		{"cache2k-web07", "gdsf", "", .570, near},
		{"cache2k-web07", "w-tinylfu-av", "", .565, wide},
		{"cache2k-web07", "lru", "lru", .443, near},
	} {
		t.Run(c.trace+" "+c.memory+" "+c.disk, func(t *testing.T) {
			if got := run(t, sharedTrace(t, c.trace), c.memory, c.disk).ObjectMissRatio(); math.Abs(got-c.want) > c.within {
				t.Errorf("object miss ratio %.4f, want %.3f within %v", got, c.want, c.within)
			}
		})
	}
	for _, c := range []struct {
		trace     string
		hundreths int64
		want      float64
	}{
		{"adaptsize-web", 1, .590}, {"adaptsize-web", 11, .550}, {"cache2k-web07", 1, .468}, {"cache2k-web07", 11, .314},
	} {
		trace := sharedTrace(t, c.trace)
		if got := policies.Optimum(trace, trace.UniqueBytes()*c.hundreths/100).ObjectMissRatio(); math.Abs(got-c.want) > near {
			t.Errorf("%s: the optimum of %d %% is %.4f, want %.3f within %v", c.trace, c.hundreths, got, c.want, near)
		}
	}
}

// Nobody who does not know the future misses less than who does.
func TestOptimumIsBelowAll(t *testing.T) {
	for _, name := range []string{"adaptsize-web", "cache2k-web07"} {
		trace := sharedTrace(t, name)
		optimum := policies.Optimum(trace, trace.UniqueBytes()/100)
		optimumBytes := policies.OptimumBytes(trace, trace.UniqueBytes()/100)
		for _, policy := range policies.Names() {
			got := run(t, trace, policy, "")
			if got.Misses.Objects < optimum.Misses.Objects || got.Misses.Bytes < optimumBytes.Misses.Bytes {
				t.Errorf("%s: %s misses %+v, the optimum %+v, of bytes %+v", name, policy, got.Misses, optimum.Misses, optimumBytes.Misses)
			}
		}
	}
}

// A sample of 16,384 objects tells what the whole trace does.
func TestSamplerAgrees(t *testing.T) {
	for _, name := range []string{"adaptsize-web", "synth-z08"} {
		trace := sharedTrace(t, name)
		s := sample(trace, 16384, 1<<30)
		for _, percent := range []int64{1, 5, 20} {
			capacity := trace.UniqueBytes() * percent / 100
			whole := policies.Tiers{Memory: policies.NewLRU(capacity, len(trace.Sizes))}
			part := policies.Tiers{Memory: policies.NewLRU(s.Scale(capacity), len(s.Sizes))}
			want, got := whole.Run(trace).ObjectMissRatio(), s.ObjectMissRatio(part.Run(s.Trace))
			t.Logf("%s %d %%: rate %.3f, %.4f for %.4f", name, percent, s.Rate, got, want)
			if math.Abs(got-want) > 0.02 {
				t.Errorf("%s, %d %%: the sample of rate %v says %.4f, the trace %.4f", name, percent, s.Rate, got, want)
			}
		}
	}
}
