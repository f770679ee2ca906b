package cachestore

import (
	"math"
	"testing"

	"edgecache/policy"
)

func hashOf(n uint64) policy.Hash { return policy.Hash{Lo: n} }

// newChoice may have ghosts of a million bytes.
func newChoice() choice { return choice{returners: true, ghosts: ghosts{most: 1_000_000, limit: 1000}} }

// TestChoiceRules tells each rule by a case that no other rule decides. The mean of fills
// is 1000 from the start, and what is asked about counts in it: after n of 1000 and one of
// s it is (1000n + s) / (n + 1).
func TestChoiceRules(t *testing.T) {
	full := int64(-1)
	for _, c := range []struct {
		name string
		made func(c *choice)
		size int64
		room int64
		want bool
		uses uint32
	}{
		{"small: 377 is under 0.38 of 993.8", nil, 377, full, true, 1},
		{"not small: 378, of whose like 1 in 11 came back", nil, 378, full, false, 1},
		{"not small: 400, of whose like 1 in 21 came back", unlikely, 400, full, false, 1},
		{"room in a shard in use for less than a quarter", unlikely, 400, 400, true, 1},
		{"less room than its size", unlikely, 400, 399, false, 1},
		{"a ghost with 4 uses", func(c *choice) { unlikely(c); c.ghosts.put(hashOf(1), 400, 4) }, 400, full, true, 5},
		{"always", func(c *choice) { unlikely(c); c.always = true }, 400, full, true, 1},
		{"its like came back: 2 in 12 is over 0.135", func(c *choice) { c.odds[bucketOf(400)] = odds{seen: 1, back: 1} }, 400, full, true, 1},
		{"returners are off", func(c *choice) { c.odds[bucketOf(400)] = odds{seen: 1, back: 1}; c.returners = false }, 400, full, false, 1},
		{"larger than the mean: 5 in 15 is under 0.135 times 3.88", func(c *choice) { c.odds[bucketOf(4000)] = odds{seen: 4, back: 4} }, 4000, full, false, 1},
		{"larger than the mean: 9 in 19 is over 0.135 times 2.94", func(c *choice) { c.odds[bucketOf(3000)] = odds{seen: 8, back: 8} }, 3000, full, true, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			ch := newChoice()
			ch.fills = meanSize{100_000, 100}
			if c.made != nil {
				c.made(&ch)
			}
			uses, taken := ch.fill(hashOf(1), c.size, 8000, 2000-c.room) // of a quarter of 8000 room is left
			if taken != c.want || uses != c.uses {
				t.Errorf("taken %v with %d uses, want %v with %d", taken, uses, c.want, c.uses)
			}
			if g, known := ch.ghosts.take(hashOf(1)); known == c.want || known && g.uses != 1 {
				t.Errorf("a ghost %v with %d uses, want one of what was not taken alone", known, g.uses)
			}
		})
	}
}

// unlikely makes the odds of what has 400 bytes 1 in 20, and 1 in 21 with the next.
func unlikely(c *choice) { c.odds[bucketOf(400)] = odds{seen: 10} }

func TestChoiceOfWhatLeavesMemory(t *testing.T) {
	ch := newChoice()
	if _, taken := ch.leaves(hashOf(1), 400, 0); taken {
		t.Error("taken without hits")
	}
	if uses, taken := ch.leaves(hashOf(1), 400, 3); !taken || uses != 4 {
		t.Errorf("taken %v, %d uses, want its fill and 3 hits", taken, uses)
	}
	ch.evicted(hashOf(1), 400, 7)
	if uses, taken := ch.leaves(hashOf(1), 400, 3); !taken || uses != 10 || ch.ghosts.bytes != 0 {
		t.Errorf("taken %v, %d uses, want those of its ghost, 7, and 3 hits", taken, uses)
	}
	ch.odds[bucketOf(400)] = odds{seen: 40} // 1 in 50 is 0.02
	if _, taken := ch.leaves(hashOf(1), 400, 3); !taken {
		t.Error("1 in 50 of its like came back: not taken")
	}
	ch.odds[bucketOf(400)] = odds{seen: 41}
	ch.evicted(hashOf(1), 400, 7)
	if _, taken := ch.leaves(hashOf(1), 400, 3); taken {
		t.Error("1 in 51 of its like came back: taken")
	}
	if g, _ := ch.ghosts.take(hashOf(1)); g.uses != 10 {
		t.Errorf("its ghost has %d uses, want 10", g.uses)
	}
	ch.always = true
	if _, taken := ch.leaves(hashOf(1), 400, 3); !taken {
		t.Error("always: not taken")
	}
	ch.always, ch.returners = false, false
	if _, taken := ch.leaves(hashOf(1), 400, 3); !taken {
		t.Error("returners are off: not taken")
	}
}

// What comes back counts for its like, whatever was decided of it.
func TestChoiceCountsReturns(t *testing.T) {
	ch := newChoice()
	ch.fill(hashOf(1), 400, 0, 0) // the mean is 400: not small, 1 in 11 of its like
	if b := ch.odds[bucketOf(400)]; b != (odds{seen: 1}) {
		t.Errorf("after a fill %v, want one seen", b)
	}
	ch.fill(hashOf(1), 400, 0, 0)
	if b := ch.odds[bucketOf(400)]; b != (odds{seen: 1, back: 1}) {
		t.Errorf("after its return %v, want one seen, one back", b)
	}
	if lo, hi := bucketOf(255), bucketOf(256); hi != 4 || lo != 4 {
		t.Errorf("buckets of 255 and 256: %d, %d, want 4: of 9 and of 8 bits", lo, hi)
	}
	if b := bucketOf(math.MaxInt64); b != sizeBuckets-1 {
		t.Errorf("the last bucket is %d, want %d", b, sizeBuckets-1)
	}
}

func TestMeanForgetsByHalf(t *testing.T) {
	var m meanSize
	if m.mean() != 0 {
		t.Errorf("the mean of none is %v", m.mean())
	}
	for range meanSpan {
		m.add(100)
	}
	m.add(10_200)
	if want := (meanSpan/2*100 + 10_200.0) / (meanSpan/2 + 1); m.mean() != want {
		t.Errorf("mean %v, want %v: those before count half", m.mean(), want)
	}
}

// While there is room, all is taken of what came back too often after it was refused: one in
// five, or as many more as it is larger than the mean.
func TestChoiceIsEagerWhileThereIsRoom(t *testing.T) {
	const quota, used = 1 << 20, 1 << 19
	run := func(size int64, share, fills int) choice {
		ch := newChoice()
		for i := range fills {
			ch.fills = meanSize{100_000, 100} // of 1000
			if i%share == 0 {
				ch.ghosts.put(hashOf(uint64(i)), size, 1)
			}
			ch.odds[bucketOf(size)].seen, ch.odds[bucketOf(size)].back = 100, 0 // not by the third rule
			ch.fill(hashOf(uint64(i)), size, quota, used)
		}
		return ch
	}
	for _, c := range []struct {
		name         string
		size         int64
		share, fills int
		eager        bool
	}{
		{"one in three for long", 900, 3, 200, true},
		{"one in three, not for long", 900, 3, 60, false},
		{"one in six", 900, 6, 2000, false},
		{"one in three of what is twice as large", 2000, 3, 2000, false},
		{"all of what is twice as large", 2000, 1, 60, true},
	} {
		ch := run(c.size, c.share, c.fills)
		for _, room := range []struct {
			used  int64
			taken bool
		}{{quota - c.size, c.eager}, {quota - c.size + 1, false}} {
			if _, taken := ch.fill(hashOf(1<<40), c.size, quota, room.used); taken != room.taken {
				t.Errorf("%s, %d bytes left: taken %v, want %v", c.name, quota-room.used, taken, room.taken)
			}
			ch.ghosts.take(hashOf(1 << 40))
		}
	}
}
