package main

import (
	"math"
	"runtime"
	"strings"
	"testing"
)

// TestChurn measures each way once, too short for the figures to mean anything.
func TestChurn(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("it measures on Linux alone")
	}
	text, err := measure(t.Context(), options{parts: "churn", dir: t.TempDir(), rounds: 1, bytes: 3 << 20})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	for _, want := range []string{"8 MiB in one shard", "in order", "asked for", "sz2 chooses", "compactions"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// TestMixedSizes: as many objects in each octave, and as many bytes on average as the
// part reckons with.
func TestMixedSizes(t *testing.T) {
	const objects = 80_000
	for _, octaves := range []int{0, 4, 8} {
		w := turnover{octaves: octaves}
		counts, sum := map[int]int{}, 0.0
		for i := range objects {
			size := w.size(i)
			counts[int(math.Log2(float64(size)))-10]++
			sum += float64(size)
		}
		for octave := range octaves {
			if n, want := counts[octave], objects/octaves; n < want*9/10 || n > want*11/10 {
				t.Errorf("%d octaves: %d objects in number %d, want about %d", octaves, n, octave, want)
			}
		}
		if mean := sum / objects; math.Abs(mean/w.mean()-1) > 0.02 {
			t.Errorf("%d octaves: the mean is %.0f bytes, want %.0f", octaves, mean, w.mean())
		}
	}
}
