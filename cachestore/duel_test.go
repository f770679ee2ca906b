package cachestore

import (
	"math"
	"math/rand/v2"
	"testing"

	"edgecache/policy"
)

func duelHash(i uint64) policy.Hash { return policy.Hash{Hi: mix(i), Lo: mix(^i)} }

// A contender of recency is LRU, one of frequency GDSF: worked by hand.
func TestContendersByHand(t *testing.T) {
	var lru contender
	gdsf := contender{frequency: true}
	for _, c := range []struct {
		id        uint64
		size      int64
		lru, gdsf bool // hits
	}{
		{1, 40, false, false},
		{2, 40, false, false},
		{1, 40, true, true},
		{3, 40, false, false}, // 2 goes from both
		{1, 40, true, true},
		{4, 60, false, false}, // of LRU 3 goes; of GDSF 3, too: 1 was used
		{1, 40, true, true},
		{5, 60, false, false}, // 4 goes
		{6, 60, false, false}, // LRU: 1 and 5 go; GDSF: 5
		{1, 40, false, true},
		{7, 200, false, false}, // over all there is: taken by neither
	} {
		if got := lru.request(duelHash(c.id), c.size, 100); got != c.lru {
			t.Errorf("LRU, %d: %v, want %v", c.id, got, c.lru)
		}
		if got := gdsf.request(duelHash(c.id), c.size, 100); got != c.gdsf {
			t.Errorf("GDSF, %d: %v, want %v", c.id, got, c.gdsf)
		}
	}
}

// Random requests: the heap is one, the bytes are those of the slots and within the room.
func TestContenderModel(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, frequency := range []bool{false, true} {
		s := contender{frequency: frequency}
		for i := range 50_000 {
			room := int64(20_000)
			h := duelHash(uint64(random.IntN(500)))
			_, there := s.at[h.Hi]
			if hit := s.request(h, int64(random.IntN(300)+1), room); hit != there {
				t.Fatalf("hit %v, was there %v", hit, there)
			}
			if i%5_000 == 4_999 {
				s.forget(math.MaxUint64 / 4 * 3)
			}
			if i%500 != 0 {
				continue
			}
			sum := int64(0)
			for n, slot := range s.slots {
				sum += slot.size
				if s.at[slot.hash] != int32(n) || n > 0 && slot.worth < s.slots[(n-1)/2].worth {
					t.Fatalf("slot %d is out of place", n)
				}
			}
			if sum != s.bytes || sum > room || len(s.at) != len(s.slots) {
				t.Fatalf("%d bytes of %d, %d by the slots; %d in the map, %d slots", s.bytes, room, sum, len(s.at), len(s.slots))
			}
		}
	}
}

// The sample gets smaller instead of the contenders larger.
func TestDuelBoundsItsContenders(t *testing.T) {
	d := newDuel(1<<40, false)
	for i := range uint64(100_000) {
		if h := duelHash(i); d.samples(h) {
			d.note(h, 10, false)
		}
	}
	if len(d.recency.slots) > contenderMost || len(d.frequency.slots) > contenderMost {
		t.Errorf("%d and %d objects, the most are %d", len(d.recency.slots), len(d.frequency.slots), contenderMost)
	}
	if rate := float64(d.below.Load()) / math.MaxUint64; rate > 0.03 || rate < 0.01 {
		t.Errorf("the sample has %.3f of the objects, want some 0.02", rate)
	}
}

// A verdict needs one side to be better by the margin, and a change of mind makes the
// margin larger. All is taken in when both sides are much better, sooner the second time, and
// for as long as they still are.
func TestDuelVerdicts(t *testing.T) {
	d := newDuel(1000, false)
	for i, c := range []struct {
		tier, lru, gdsf float64 // of 1000
		recent, open    bool
	}{
		{500, 509, 400, false, false}, // not by the margin
		{500, 511, 508, false, false}, // frequency does as well
		{500, 540, 540, false, false}, // not by enough to take all in
		{500, 560, 560, false, true},  // the tier takes too little
		{500, 503, 503, false, true},  // taking all does not make up for it yet
		{500, 500, 500, false, false},
		{500, 520, 520, false, true}, // known by now
		{500, 500, 500, false, true}, // it stays so for longer
		{500, 500, 500, false, false},
		{500, 511, 400, true, false},
		{500, 511, 515, true, false}, // frequency may be better by the margin
		{500, 511, 530, false, false},
		{500, 515, 400, false, false}, // the margin is 0.02 by now
		{500, 530, 400, true, false},
	} {
		d.asked = 1000
		d.lru, d.gdsf, d.between = lead{weight: c.lru - c.tier}, lead{weight: c.gdsf - c.tier}, lead{weight: c.lru - c.gdsf}
		d.opened = max(d.opened-duelSpan/checkSpan+1, 0) // a span has gone by
		d.judge(true)
		if d.recent.Load() != c.recent || d.open.Load() != c.open {
			t.Fatalf("verdict %d: recent %v open %v, want %v %v", i, d.recent.Load(), d.open.Load(), c.recent, c.open)
		}
	}
}

// Before the end of a span it takes more than the margin: what is no accident.
func TestDuelIsQuickWhenItIsClear(t *testing.T) {
	for _, c := range []struct {
		lead   lead
		recent bool
	}{
		{lead{}, false},
		{lead{weight: 29, square: 100}, false},
		{lead{weight: 31, square: 100}, true},  // over three times ten
		{lead{weight: 31, square: 121}, false}, // not over three times eleven
		{lead{weight: 9, square: 1}, false},    // under the margin
	} {
		d := newDuel(1000, false)
		d.asked, d.lru, d.between = 1000, c.lead, c.lead
		d.judge(false)
		if d.recent.Load() != c.recent {
			t.Errorf("%+v of 1000: recent %v", c.lead, d.recent.Load())
		}
	}
}

// At the end of a span the margin is enough for objects, but not for a lead in bytes that
// one large object may have made.
func TestDuelOfBytesAsksForMore(t *testing.T) {
	for _, c := range []struct {
		bytes  bool
		square float64
		recent bool
	}{{false, 1e6, true}, {true, 15 * 15, true}, {true, 25 * 25, false}} {
		d := newDuel(1000, c.bytes)
		d.asked, d.lru = 1000, lead{20, c.square}
		d.between = d.lru
		d.judge(true)
		if d.recent.Load() != c.recent {
			t.Errorf("bytes %v, 20 of 1000 with squares of %v: recent %v", c.bytes, c.square, d.recent.Load())
		}
	}
}

// Where all had to be taken in more than once recency is chosen when it is no worse than
// frequency.
func TestDuelThatOpenedAgain(t *testing.T) {
	for _, c := range []struct {
		patience int
		between  float64
		recent   bool
	}{
		{0, 0, false}, {duelSpan / checkSpan, 0, false},
		{2 * duelSpan / checkSpan, 0, true}, {2 * duelSpan / checkSpan, -1, false},
	} {
		d := newDuel(1000, false)
		d.asked, d.patience, d.lru, d.between = 1000, c.patience, lead{weight: 20}, lead{weight: c.between}
		d.judge(true)
		if d.recent.Load() != c.recent {
			t.Errorf("patience %d, %v ahead of frequency: recent %v", c.patience, c.between, d.recent.Load())
		}
	}
}

// A lead adds up what the sides do not agree on; the past counts half.
func TestLead(t *testing.T) {
	var l lead
	l.add(true, true, 5)
	l.add(false, false, 5)
	l.add(true, false, 3)
	l.add(true, false, 3)
	l.add(false, true, 2)
	if l != (lead{weight: 4, square: 22}) {
		t.Errorf("%+v, want 4 and 22", l)
	}
	l.halve()
	if l != (lead{weight: 2, square: 5.5}) {
		t.Errorf("%+v, want 2 and 5.5", l)
	}
}

// Bursts that frequency is bad at are served as LRU would, steady popularity is not: the whole
// store, with bodies that are lengths.
func TestDuelFollowsTheTraffic(t *testing.T) {
	if RaceEnabled {
		t.Skip("one goroutine, and Ristretto forgets what it is told")
	}
	run := func(next func(i int) uint64) (v *Virtual, misses int) {
		v, err := NewVirtual(VirtualConfig{Memory: 2 << 20, Disk: 20 << 20, Admission: AdmitSZ2})
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		for i := range 200_000 {
			if v.Request(VirtualRequest{ID: next(i), Size: 10_000}) == ServedOrigin {
				misses++
			}
		}
		return v, misses
	}
	// Every object is asked for twice, the second time while LRU still has it.
	v, misses := run(func(i int) uint64 {
		if i%2 == 0 {
			return uint64(i)
		}
		return uint64(max(i-1-2*700, 0))
	})
	if _, all, _ := v.Recent(); !all || misses > 115_000 {
		t.Errorf("recent %v, %d misses of 200,000; LRU has some 100,700", all, misses)
	}
	random := rand.New(rand.NewPCG(3, 4))
	zipf := rand.NewZipf(random, 1.1, 50, 100_000)
	v, _ = run(func(int) uint64 { return zipf.Uint64() })
	if memory, all, changes := v.Recent(); memory || all || changes > 2 {
		t.Errorf("by popularity: memory recent %v, all %v, after %d changes", memory, all, changes)
	}
}
