package policies_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"edgecache/bench/policies"
)

// skewed is a trace with a popular few and sizes that differ.
func skewed(objects, requests int) policies.Trace {
	rng := rand.New(rand.NewPCG(3, 4))
	zipf := rand.NewZipf(rng, 1.1, 10, uint64(objects-1))
	t := policies.Trace{Sizes: make([]int64, objects)}
	for id := range t.Sizes {
		t.Sizes[id] = 1 + int64(1000*rng.ExpFloat64())
	}
	for range requests {
		t.Requests = append(t.Requests, uint32(zipf.Uint64()))
	}
	return t
}

func sample(t policies.Trace, objects, requests int) policies.Sample {
	s := policies.NewSampler(objects, requests)
	for _, id := range t.Requests {
		s.Add(strconv.AppendUint(nil, uint64(id), 10), t.Sizes[id])
	}
	return s.Sample()
}

func TestSamplerKeepsAllThatFits(t *testing.T) {
	s := policies.NewSampler(2, 4)
	for _, asked := range []struct {
		id   string
		size int64
	}{{"a", 5}, {"b", 7}, {"a", 9}, {"a", 2}} {
		s.Add([]byte(asked.id), asked.size)
	}
	got := s.Sample()
	if got.Rate != 1 || got.Asked != 4 || !slices.Equal(got.Requests, []uint32{0, 1, 0, 0}) || !slices.Equal(got.Sizes, []int64{9, 7}) {
		t.Errorf("got %+v", got)
	}
}

// However long the log, the bounds hold, the rate says how many objects there
// were, and whoever is in the sample is there with all its requests.
func TestSamplerKeepsItsBounds(t *testing.T) {
	trace := skewed(20000, 200000)
	asked := make(map[int64]int) // by size, which few objects share
	for _, id := range trace.Requests {
		asked[trace.Sizes[id]]++
	}
	for _, c := range []struct{ objects, requests int }{{1000, 1 << 30}, {1 << 30, 5000}, {1, 1}} {
		got := sample(trace, c.objects, c.requests)
		if len(got.Sizes) > c.objects || len(got.Requests) > c.requests || got.Asked != 200000 {
			t.Errorf("%+v: %d objects, %d requests of %d", c, len(got.Sizes), len(got.Requests), got.Asked)
		}
		for _, id := range got.Requests {
			if int(id) >= len(got.Sizes) {
				t.Fatalf("%+v: request for object %d of %d", c, id, len(got.Sizes))
			}
		}
		counted := make([]int, len(got.Sizes))
		for _, id := range got.Requests {
			counted[id]++
		}
		for id, n := range counted {
			if n == 0 || n > asked[got.Sizes[id]] {
				t.Errorf("%+v: object %d has %d requests of at most %d", c, id, n, asked[got.Sizes[id]])
			}
		}
	}
	whole, part := sample(trace, 1<<30, 1<<30), sample(trace, 1000, 1<<30)
	if estimate := float64(len(part.Sizes)) / part.Rate; math.Abs(estimate/float64(len(whole.Sizes))-1) > 0.15 {
		t.Errorf("%d objects at rate %v, of %d", len(part.Sizes), part.Rate, len(whole.Sizes))
	}
}
