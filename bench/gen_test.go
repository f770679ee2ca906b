package bench

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func generated(t *testing.T, c GenConfig) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := Gen(&buf, c); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestGenIsAFunctionOfItsSeed(t *testing.T) {
	c := GenConfig{Requests: 5000, Seed: 7}
	first := generated(t, c)
	if !bytes.Equal(first, generated(t, c)) {
		t.Error("the same seed gave two workloads")
	}
	c.Seed = 8
	if bytes.Equal(first, generated(t, c)) {
		t.Error("two seeds gave one workload")
	}
}

func TestGenHoldsItsShape(t *testing.T) {
	c := GenConfig{Requests: 80_000, Seed: 1}
	w, err := Load(bytes.NewReader(generated(t, c)), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if len(w.Requests) != c.Requests {
		t.Fatalf("%d requests, want %d", len(w.Requests), c.Requests)
	}
	sizes := slices.Clone(w.Sizes)
	slices.Sort(sizes)
	within(t, "median size", float64(sizes[len(sizes)/2]), 14<<10, 0.10)
	// Pareto's share lies over 1 MiB, and 0.36 % of the lognormal's does.
	over, _ := slices.BinarySearch(sizes, 1<<20)
	within(t, "share over 1 MiB", float64(len(sizes)-over)/float64(len(sizes)), 0.0236, 0.15)

	counts := make([]int, len(w.IDs))
	for _, o := range w.Requests {
		counts[o]++
	}
	once := 0
	for _, n := range counts {
		if n == 1 {
			once++
		}
	}
	if got := float64(once) / float64(len(w.Requests)); got < 0.10 || got > 0.20 {
		t.Errorf("%.3f of the requests are for one-timers, want a little over 0.10", got)
	}
}

func TestGenChurns(t *testing.T) {
	// How much of the last tenth was already known in the first tenth.
	overlap := func(churn float64) float64 {
		w, err := Load(bytes.NewReader(generated(t, GenConfig{Requests: 50_000, Churn: churn, Seed: 3})), Limits{})
		if err != nil {
			t.Fatal(err)
		}
		early := make(map[uint32]bool)
		for _, o := range w.Requests[:5000] {
			early[o] = true
		}
		known := 0
		for _, o := range w.Requests[45_000:] {
			if early[o] {
				known++
			}
		}
		return float64(known) / 5000
	}
	still, moving := overlap(-1), overlap(0.2)
	if moving > 0.7*still {
		t.Errorf("with churn %.2f of the end is known from the start, without %.2f", moving, still)
	}
}

func TestGenRefuses(t *testing.T) {
	for _, c := range []GenConfig{
		{Requests: -1}, {Zipf: -0.1}, {Zipf: math.NaN()}, {OneTimers: 1.1}, {MaxSize: -1}, {Objects: -2},
	} {
		if err := Gen(&bytes.Buffer{}, c); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
}

func TestZipfDrawsItsWeights(t *testing.T) {
	const draws = 50_000
	for _, exponent := range []float64{0.3, 0.8, 1, 1.3} {
		for _, n := range []int{1, 2, 1000} {
			z := NewZipf(n, exponent)
			rnd := rand.New(rand.NewPCG(1, 2))
			counts := make([]float64, n)
			for range draws {
				counts[z.Draw(rnd)]++
			}
			var sum float64
			for k := range n {
				sum += math.Pow(float64(k+1), -exponent)
			}
			for _, k := range []int{0, 1, 9, 99} {
				if k >= n {
					continue
				}
				p := math.Pow(float64(k+1), -exponent) / sum
				// Five standard deviations; the seed is fixed, so it holds always or never.
				slack := 5 * math.Sqrt(p*(1-p)/draws)
				if got := counts[k] / draws; math.Abs(got-p) > slack {
					t.Errorf("exponent %v of %d: rank %d drawn %.5f, want %.5f", exponent, n, k, got, p)
				}
			}
		}
	}
}

func within(t *testing.T, what string, got, want, share float64) {
	t.Helper()
	if math.Abs(got-want) > share*want {
		t.Errorf("%s is %v, want %v within %v %%", what, got, want, 100*share)
	}
}

// TestGenDefaultIsKnown pins the bytes of a small default workload: results
// that were kept are comparable only while it stays the same.
func TestGenDefaultIsKnown(t *testing.T) {
	sum := sha256.Sum256(generated(t, GenConfig{Requests: 1000, Seed: 1}))
	const want = "afc82b3380382efb"
	if got := hex.EncodeToString(sum[:8]); got != want {
		t.Errorf("the default workload's hash is %s, want %s", got, want)
	}
}
