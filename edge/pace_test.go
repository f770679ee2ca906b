package edge

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestPace: waiting uses the credit up, bytes give it back, and never more than the grace.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := Pace{BytesPerSecond: 100, Grace: 30 * time.Second}
		p.Reset()
		for _, step := range []struct {
			wait time.Duration
			n    int
			want time.Duration
		}{
			{10 * time.Second, 0, 20 * time.Second},
			{5 * time.Second, 300, 18 * time.Second},
			{0, 1_000_000, 30 * time.Second},
			{29 * time.Second, 100, 2 * time.Second},
			{2 * time.Second, 0, 0},
			{time.Second, 50, -500 * time.Millisecond},
		} {
			start := time.Now()
			time.Sleep(step.wait)
			if p.Waited(start, step.n); p.Left() != step.want {
				t.Errorf("%v more and %d bytes: %v left, want %v", step.wait, step.n, p.Left(), step.want)
			}
		}
	})
}
