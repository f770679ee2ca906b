package policies_test

import (
	"math/rand/v2"
	"testing"

	"edgecache/bench/policies"
)

func TestOptimum(t *testing.T) {
	large := map[byte]int64{'S': 4}
	for _, c := range []struct {
		name          string
		run           func(policies.Trace, int64) policies.Counts
		capacity      int64
		asked         string
		sizes         map[byte]int64
		misses, bytes int64
	}{
		{"what is not asked for again never enters", policies.Optimum, 2, "abcab", nil, 3, 3},
		{"the farthest goes", policies.Optimum, 2, "abcbac", nil, 4, 4},
		{"the newcomer may be the farthest", policies.Optimum, 1, "abbca", nil, 4, 4},
		{"a place is free after the last use", policies.Optimum, 1, "aabb", nil, 2, 2},
		{"a large one goes for two small ones", policies.Optimum, 4, "SabSab", large, 4, 10},
		{"which misses more bytes than keeping it", policies.OptimumBytes, 4, "SabSab", large, 5, 8},
		{"what is larger than the cache stays out", policies.Optimum, 3, "SaSa", large, 3, 9},
		{"no room at all", policies.Optimum, 0, "aa", nil, 2, 2},
		{"nothing asked for", policies.Optimum, 1, "", nil, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := c.run(traceOf(c.asked, c.sizes), c.capacity)
			if want := (policies.Tally{Objects: c.misses, Bytes: c.bytes}); got.Misses != want {
				t.Errorf("%s misses %+v, want %+v", c.asked, got.Misses, want)
			}
			if got.Requests.Objects != got.Misses.Objects+got.MemoryHits.Objects {
				t.Errorf("counts do not add up: %+v", got)
			}
		})
	}
}

// fewest tries every way to run the requests from now on with these objects in
// the cache and returns the fewest misses.
type fewest struct {
	trace    policies.Trace
	capacity int64
	known    map[[2]int]int64
}

func (f *fewest) from(now, kept int) int64 {
	if now == len(f.trace.Requests) {
		return 0
	}
	state := [2]int{now, kept}
	if best, ok := f.known[state]; ok {
		return best
	}
	bit := 1 << f.trace.Requests[now]
	missed := int64(1)
	if kept&bit != 0 {
		missed = 0
	}
	best := int64(len(f.trace.Requests)) + 1
	for next := range 1 << len(f.trace.Sizes) {
		if next&^(kept|bit) == 0 && f.fits(next) {
			best = min(best, missed+f.from(now+1, next))
		}
	}
	f.known[state] = best
	return best
}

func (f *fewest) fits(kept int) bool {
	var bytes int64
	for id, size := range f.trace.Sizes {
		if kept>>id&1 == 1 {
			bytes += size
		}
	}
	return bytes <= f.capacity
}

// With equal sizes nothing misses less; with sizes nothing can miss less than
// the true optimum, which the rule comes near to.
func TestOptimumAgainstEveryWay(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var rule, truth int64
	for round := range 300 {
		sized := round%2 == 1
		trace := policies.Trace{Sizes: make([]int64, 3+rng.IntN(4))}
		for id := range trace.Sizes {
			trace.Sizes[id] = 1
			if sized {
				trace.Sizes[id] += rng.Int64N(5)
			}
		}
		for range 5 + rng.IntN(15) {
			trace.Requests = append(trace.Requests, rng.Uint32N(uint32(len(trace.Sizes))))
		}
		capacity := rng.Int64N(trace.UniqueBytes() + 1)
		f := &fewest{trace, capacity, make(map[[2]int]int64)}
		got, want := policies.Optimum(trace, capacity).Misses.Objects, f.from(0, 0)
		if got < want || !sized && got != want {
			t.Fatalf("%+v in %d: %d misses, the fewest are %d", trace, capacity, got, want)
		}
		if sized {
			rule, truth = rule+got, truth+want
		}
	}
	if float64(rule) > 1.05*float64(truth) {
		t.Errorf("with sizes the rule misses %d, the fewest are %d", rule, truth)
	}
	t.Logf("with sizes: %d misses, the fewest are %d", rule, truth)
}
