package cachestore

import (
	"math"
	"math/rand/v2"
	"testing"

	"edgecache/policy"
)

func duelHash(i uint64) policy.Hash { return policy.Hash{Hi: mix(i), Lo: mix(^i)} }

// A shadow of recency is LRU, one of frequency GDSF: worked by hand.
func TestShadowsByHand(t *testing.T) {
	var lru shadow
	gdsf := shadow{frequency: true}
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
func TestShadowModel(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, frequency := range []bool{false, true} {
		s := shadow{frequency: frequency}
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

// The sample gets smaller instead of the shadows larger.
func TestDuelBoundsItsShadows(t *testing.T) {
	d := newDuel(1<<40, false)
	for i := range uint64(100_000) {
		if h := duelHash(i); d.samples(h) {
			d.note(h, 10, false)
		}
	}
	if len(d.recency.slots) > shadowMost || len(d.frequency.slots) > shadowMost {
		t.Errorf("%d and %d objects, the most are %d", len(d.recency.slots), len(d.frequency.slots), shadowMost)
	}
	if rate := float64(d.below.Load()) / math.MaxUint64; rate > 0.03 || rate < 0.01 {
		t.Errorf("the sample has %.3f of the objects, want some 0.02", rate)
	}
}

// A verdict needs one side to be better by the margin, and a change of mind makes the
// margin larger.
func TestDuelVerdicts(t *testing.T) {
	d := newDuel(1000, false)
	judge := func(tier, lru, gdsf float64) bool {
		d.asked, d.tier, d.lru, d.gdsf = 1000, tier, lru, gdsf
		d.judge()
		return d.recent.Load()
	}
	for i, c := range []struct {
		tier, lru, gdsf float64
		recent, open    bool
	}{
		{500, 509, 400, false, false}, // not by the margin
		{500, 511, 508, false, false}, // frequency does as well
		{500, 560, 560, false, true},  // both do: the tier takes too little
		{500, 505, 505, false, false},
		{500, 511, 400, true, false},
		{300, 511, 515, true, false}, // it may be better by the margin
		{300, 511, 530, false, false},
		{500, 515, 400, false, false}, // the margin is 0.02 by now
		{500, 530, 400, true, false},
	} {
		if got := judge(c.tier, c.lru, c.gdsf); got != c.recent {
			t.Fatalf("verdict %d: recent %v, want %v", i, got, c.recent)
		}
		if c.tier != 300 && d.open.Load() != c.open {
			t.Errorf("verdict %d: open %v, want %v", i, d.open.Load(), c.open)
		}
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
