package bench

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestHistogramQuantiles(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 5))
	var whole Histogram
	var parts [3]Histogram
	var all []time.Duration
	for i := range 30_000 {
		d := time.Duration(math.Exp(rnd.Float64() * 20))
		all = append(all, d)
		parts[i%3].Add(d)
	}
	for i := range parts {
		whole.Merge(&parts[i])
	}
	slices.Sort(all)
	for _, q := range []float64{0.001, 0.25, 0.5, 0.9, 0.99, 0.999, 1} {
		want := all[max(int(q*float64(len(all))+0.5)-1, 0)]
		got := whole.Quantile(q)
		if got < want || float64(got) > float64(want)*1.016+1 {
			t.Errorf("quantile %v is %d, want %d and at most 1.6 %% over", q, got, want)
		}
	}
	if whole.Min() != all[0] || whole.Max() != all[len(all)-1] {
		t.Errorf("range %d to %d, want %d to %d", whole.Min(), whole.Max(), all[0], all[len(all)-1])
	}
}

func TestHistogramEdges(t *testing.T) {
	var h Histogram
	if got := h.Quantile(0.5); got != 0 {
		t.Errorf("quantile of nothing is %d, want 0", got)
	}
	h.Add(-5)
	h.Add(math.MaxInt64)
	if h.Min() != 0 || h.Max() != math.MaxInt64 || h.Quantile(1) != math.MaxInt64 {
		t.Errorf("range %d to %d, top %d", h.Min(), h.Max(), h.Quantile(1))
	}
	for i := 1; i < len(h.buckets); i++ {
		if top := uint64(bucketTop(i - 1)); top < math.MaxInt64 && (bucketOf(top) != i-1 || bucketOf(top+1) != i) {
			t.Fatalf("%d is in bucket %d and the next value in %d, want %d and %d",
				top, bucketOf(top), bucketOf(top+1), i-1, i)
		}
	}
}
