package cachestore

import (
	"math"
	"sync"
	"sync/atomic"

	"edgecache/policy"
)

// duel finds out where recency does better than frequency, as no one order of eviction is
// good for all traffic: beside the tier it keeps two shadows, which hold a sample of what is
// asked for as LRU and as GreedyDual-Size-Frequency would, by their sizes alone. When LRU hits
// more of the sample than the tier itself, the tier goes by recency; when LRU then hits less
// than the other shadow, it goes by frequency again.
//
// The sample is spatial (SHARDS: Waldspurger and others, FAST 2015): an object belongs to it
// if its hash is below a limit, and the shadows' capacity is that share of the tier's.
type duel struct {
	recent atomic.Bool   // what it has come to
	open   atomic.Bool   // both sides do much better: the tier takes too little in
	below  atomic.Uint64 // hashes below it are in the sample

	mu        sync.Mutex
	capacity  int64 // of the tier
	byBytes   bool  // bytes hit count, not objects
	recency   shadow
	frequency shadow

	asked, tier, lru, gdsf float64 // weights: of the sample, and of what was hit of it
	notes                  int     // since the last verdict
	margin                 float64
	verdicts               uint64
}

// Bounds of a duel.
const (
	shadowMost   = 2048 // objects of a shadow; when there are more, the sample gets smaller
	duelSpan     = 1024 // requests of the sample between two verdicts; before them counts are halved
	duelMargin   = 0.01 // of the sample by which the other side must be better
	openMargin   = 0.05 // by which both sides must be better for all to be taken in
	marginMost   = 0.08 // what that grows to by a change of mind
	shadowBytes  = 48 + 40
	duelBytes    = 2 * shadowMost * shadowBytes
	sampleShrink = 0.75
)

func newDuel(capacity int64, byBytes bool) *duel {
	d := &duel{capacity: capacity, byBytes: byBytes, margin: duelMargin}
	d.frequency.frequency = true
	d.below.Store(math.MaxUint64)
	return d
}

// samples says whether an object belongs to the sample. It costs one load.
func (d *duel) samples(h policy.Hash) bool { return h.Hi < d.below.Load() }

// note is told of a request for an object of the sample, and whether the tier had it. When
// somebody else is at it the request is left out.
func (d *duel) note(h policy.Hash, size int64, hit bool) {
	if !d.mu.TryLock() {
		return
	}
	defer d.mu.Unlock()
	weight := 1.0
	if d.byBytes {
		weight = float64(size)
	}
	room := int64(float64(d.capacity) * float64(d.below.Load()) / math.MaxUint64)
	d.asked += weight
	if hit {
		d.tier += weight
	}
	if d.recency.request(h, size, room) {
		d.lru += weight
	}
	if d.frequency.request(h, size, room) {
		d.gdsf += weight
	}
	for len(d.recency.slots) > shadowMost || len(d.frequency.slots) > shadowMost {
		below := uint64(float64(d.below.Load()) * sampleShrink)
		d.below.Store(below)
		d.recency.forget(below)
		d.frequency.forget(below)
	}
	if d.notes++; d.notes >= duelSpan {
		d.judge()
	}
}

// judge compares, and lets the past count half.
func (d *duel) judge() {
	d.notes = 0
	need := d.margin * d.asked
	switch recent := d.recent.Load(); {
	case !recent && d.lru-d.tier > need && d.lru-d.gdsf > need/2:
		d.recent.Store(true)
		d.verdicts++
	case recent && d.gdsf-d.lru > need:
		d.recent.Store(false)
		d.margin = min(2*d.margin, marginMost)
		d.tier = d.gdsf // it has not had its chance yet
		d.verdicts++
	}
	switch behind := min(d.lru, d.gdsf) - d.tier; {
	case behind > openMargin*d.asked:
		d.open.Store(true)
	case behind < need:
		d.open.Store(false)
	}
	d.asked, d.tier, d.lru, d.gdsf = d.asked/2, d.tier/2, d.lru/2, d.gdsf/2
}

// steer has a shard's choice and order do what it has come to.
func (d *duel) steer(c *choice, x *index) {
	recent := d.recent.Load()
	c.open = recent || d.open.Load()
	x.turn(recent)
}

// resize is for a tier that has another size now.
func (d *duel) resize(capacity int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.capacity = capacity
}

// shadow is a cache of lengths: a heap of objects by what they are worth.
type shadow struct {
	frequency bool // GreedyDual-Size-Frequency; else the last time of use counts alone
	clock     float64
	bytes     int64
	slots     []shadowSlot // a heap: the least worth on top
	at        map[uint64]int32
}

type shadowSlot struct {
	hash  uint64
	size  int64
	worth float64
	uses  uint32
}

// request asks for an object, which is taken in when it is not there.
func (s *shadow) request(h policy.Hash, size, room int64) (hit bool) {
	if i, ok := s.at[h.Hi]; ok {
		slot := &s.slots[i]
		slot.uses++
		s.value(slot)
		s.settle(int(i))
		return true
	}
	if size > room {
		return false
	}
	for s.bytes+size > room {
		if s.frequency {
			s.clock = s.slots[0].worth
		}
		s.drop(0)
	}
	if s.at == nil {
		s.at = make(map[uint64]int32)
	}
	slot := shadowSlot{hash: h.Hi, size: size, uses: 1}
	s.value(&slot)
	s.take(slot)
	return false
}

func (s *shadow) value(slot *shadowSlot) {
	if s.frequency {
		slot.worth = s.clock + float64(slot.uses)/float64(max(slot.size, 1))
		return
	}
	s.clock++
	slot.worth = s.clock
}

// drop takes the object at a place out.
func (s *shadow) drop(i int) {
	last := len(s.slots) - 1
	delete(s.at, s.slots[i].hash)
	s.bytes -= s.slots[i].size
	if i != last {
		s.slots[i] = s.slots[last]
		s.at[s.slots[i].hash] = int32(i)
	}
	s.slots = s.slots[:last]
	if i < last {
		s.settle(i)
	}
}

// forget drops what does not belong to the sample any more.
func (s *shadow) forget(below uint64) {
	all := s.slots
	s.slots, s.bytes = nil, 0
	clear(s.at)
	for _, slot := range all {
		if slot.hash < below {
			s.take(slot)
		}
	}
}

// take puts an object into the heap.
func (s *shadow) take(slot shadowSlot) {
	s.slots = append(s.slots, slot)
	s.bytes += slot.size
	s.at[slot.hash] = int32(len(s.slots) - 1)
	s.settle(len(s.slots) - 1)
}

// settle brings the object at a place up or down to where it belongs.
func (s *shadow) settle(i int) {
	for i > 0 && s.slots[i].worth < s.slots[(i-1)/2].worth {
		s.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
	for {
		least := i
		for _, child := range [2]int{2*i + 1, 2*i + 2} {
			if child < len(s.slots) && s.slots[child].worth < s.slots[least].worth {
				least = child
			}
		}
		if least == i {
			return
		}
		s.swap(i, least)
		i = least
	}
}

func (s *shadow) swap(i, j int) {
	s.slots[i], s.slots[j] = s.slots[j], s.slots[i]
	s.at[s.slots[i].hash], s.at[s.slots[j].hash] = int32(i), int32(j)
}
