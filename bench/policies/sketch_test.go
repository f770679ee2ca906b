package policies

import (
	"math/rand/v2"
	"testing"
)

func (s *sketch) addTimes(id uint32, times int) {
	for range times {
		s.add(id)
	}
}

func TestSketchCountsUpToSixteen(t *testing.T) {
	s := newSketch()
	s.fit(1024)
	for times, want := range map[int]int{0: 0, 1: 1, 2: 2, 15: 15, 16: 16, 40: 16} {
		id := uint32(1000 + times)
		s.addTimes(id, times)
		if got := s.estimate(id); got != want {
			t.Errorf("after %d requests it says %d, want %d", times, got, want)
		}
	}
}

// What comes once costs the doorkeeper's bits only.
func TestSketchKeepsOneTimersOut(t *testing.T) {
	s := newSketch()
	s.fit(1024)
	for id := range uint32(100) {
		s.add(id)
	}
	for _, row := range s.rows {
		for _, word := range row {
			if word != 0 {
				t.Fatalf("a counter has %x", word)
			}
		}
	}
}

func TestSketchNeverSaysTooLittle(t *testing.T) {
	s := newSketch() // much too small, so that counters are shared
	rng := rand.New(rand.NewPCG(1, 2))
	counts := make(map[uint32]int)
	for range sketchSample*s.entries - 1 {
		id := rng.Uint32N(300)
		s.add(id)
		counts[id]++
	}
	for id, n := range counts {
		if got := s.estimate(id); got < min(n, 16) {
			t.Errorf("object %d has %d requests, it says %d", id, n, got)
		}
	}
}

// At the end of a sample counters are halved, and who came once is forgotten.
func TestSketchAges(t *testing.T) {
	s := newSketch()
	s.fit(1024)
	s.addTimes(1, 9)
	s.add(3)
	s.addTimes(2, sketchSample*1024-11)
	if one, three := s.estimate(1), s.estimate(3); one != 9 || three != 1 {
		t.Errorf("before the end it says %d and %d, want 9 and 1", one, three)
	}
	s.add(2)
	if one, two, three := s.estimate(1), s.estimate(2), s.estimate(3); one != 4 || two != 7 || three != 0 {
		t.Errorf("after it it says %d, %d and %d, want 4, 7 and 0", one, two, three)
	}
}

func TestSketchGrowsWithWhatItKnows(t *testing.T) {
	s := newSketch()
	s.addTimes(1, 5)
	s.addTimes(2, 12)
	s.fit(5000)
	if one, two := s.estimate(1), s.estimate(2); one != 5 || two != 12 || s.entries != 8192 {
		t.Errorf("for %d entries it says %d and %d, want 5 and 12 for 8192", s.entries, one, two)
	}
}

func TestClimberTurnsWhenHitsFall(t *testing.T) {
	c := newClimber(1600)
	for i, sample := range []struct {
		hits int
		want int64
	}{
		{50, -100}, // the first step is taken as a success
		{10, 100},
		{10, 100},
		{10, 98}, // steps shrink
		{12, 96},
		{11, -94},
		{20, -92},
		{40, -100}, // a leap makes them whole again
	} {
		var got int64
		for request := range 100 {
			if got != 0 {
				t.Fatalf("a step after %d requests of a sample", request)
			}
			got = c.note(request < sample.hits, 100)
		}
		if got != sample.want {
			t.Errorf("step %d is %d, want %d", i, got, sample.want)
		}
	}
}
