package cachestore

import (
	"math"
	"sync"
	"sync/atomic"

	"edgecache/policy"
)

// duel finds out where recency does better than frequency, as no one order of eviction is
// good for all traffic: beside the tier it keeps two contenders, which hold a sample of what is
// asked for as LRU and as GreedyDual-Size-Frequency would, by their sizes alone. When LRU hits
// more of the sample than the tier itself, the tier goes by recency; when LRU then hits less
// than the other contender, it goes by frequency again.
//
// The sample is spatial (SHARDS: Waldspurger and others, FAST 2015): an object belongs to it
// if its hash is below a limit, and the contenders' capacity is that share of the tier's.
type duel struct {
	recent atomic.Bool   // what it has come to
	open   atomic.Bool   // both sides do much better: the tier takes too little in
	below  atomic.Uint64 // hashes below it are in the sample

	mu        sync.Mutex
	capacity  int64 // of the tier
	byBytes   bool  // bytes hit count, not objects
	recency   contender
	frequency contender

	asked    float64 // the weight of the sample
	lru      lead    // of recency before the tier
	gdsf     lead    // of frequency before the tier
	between  lead    // of recency before frequency
	notes    int     // since the counts were halved
	margin   float64
	patience int // checks that all is taken for at least, once it is
	opened   int // checks that are left of them
	verdicts uint64
}

// lead is by how much one of two sides hits more of the sample than the other.
type lead struct {
	weight float64
	square float64 // the sum of the squares of all on which they did not agree
}

func (l *lead) add(one, other bool, weight float64) {
	if one == other {
		return
	}
	l.square += weight * weight
	if one {
		l.weight += weight
	} else {
		l.weight -= weight
	}
}

func (l *lead) halve() { l.weight, l.square = l.weight/2, l.square/4 }

// clear says whether it is more than chance, and more than need.
func (l *lead) clear(need float64) bool {
	return l.weight > max(need, clearBy*math.Sqrt(l.square))
}

// Bounds of a duel.
const (
	contenderMost  = 2048   // objects of a contender; when there are more, the sample gets smaller
	duelSpan       = 1024   // requests of the sample after which counts are halved
	checkSpan      = 128    // requests of the sample between two looks at what is clear
	clearBy        = 3      // standard deviations
	patienceMost   = 512    // checks
	duelMargin     = 0.01   // of the sample by which the other side must be better
	openMargin     = 0.05   // by which both sides must be better for all to be taken in
	openAgain      = 3      // so many times smaller once that was so
	closeMargin    = 0.0025 // by which they may be better when that ends
	marginMost     = 0.08   // what that grows to by a change of mind
	contenderBytes = 48 + 40
	duelBytes      = 2 * contenderMost * contenderBytes
	sampleShrink   = 0.75
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
	lru, gdsf := d.recency.request(h, size, room), d.frequency.request(h, size, room)
	d.lru.add(lru, hit, weight)
	d.gdsf.add(gdsf, hit, weight)
	d.between.add(lru, gdsf, weight)
	for len(d.recency.slots) > contenderMost || len(d.frequency.slots) > contenderMost {
		below := uint64(float64(d.below.Load()) * sampleShrink)
		d.below.Store(below)
		d.recency.forget(below)
		d.frequency.forget(below)
	}
	if d.notes++; d.notes%checkSpan == 0 {
		d.judge(d.notes == duelSpan)
	}
}

// better says whether a lead is enough: at the end of a span when it is over what is needed,
// in bytes also over one standard deviation, as a few large objects make much of it; before
// the end when it is clear.
func (d *duel) better(l *lead, need float64, end bool) bool {
	return l.clear(need) || end && l.weight > need && (!d.byBytes || l.weight > math.Sqrt(l.square))
}

// judge compares; at the end of a span the past counts half afterwards.
func (d *duel) judge(end bool) {
	need := d.margin * d.asked
	back := lead{-d.between.weight, d.between.square}
	switch recent := d.recent.Load(); {
	case !recent && d.better(&d.lru, need, end) && (d.better(&d.between, need/2, end) || d.reopened() && d.between.weight >= 0):
		d.recent.Store(true)
		d.verdicts++
	case recent && d.better(&back, need, end):
		d.recent.Store(false)
		d.margin = min(2*d.margin, marginMost)
		d.lru, d.gdsf = d.between, lead{} // it has not had its chance yet
		d.verdicts++
	}
	d.opens(end)
	if end {
		d.notes = 0
		d.asked /= 2
		d.lru.halve()
		d.gdsf.halve()
		d.between.halve()
	}
}

// reopened says that all had to be taken in more than once: then recency need not be better
// than frequency, but no worse, as it takes all in anyhow.
func (d *duel) reopened() bool { return d.patience > duelSpan/checkSpan }

// opens decides whether all is to be taken in. Each time that this comes again it stays so
// for twice as long, as nothing shows meanwhile what it is good for.
func (d *duel) opens(end bool) {
	d.opened = max(d.opened-1, 0)
	need := openMargin * d.asked
	if d.patience > 0 {
		need /= openAgain // it has had to before
	}
	switch open := d.open.Load(); {
	case !open && d.better(&d.lru, need, end) && d.better(&d.gdsf, need, end):
		d.open.Store(true)
		d.patience = min(max(2*d.patience, duelSpan/checkSpan), patienceMost)
		d.opened = d.patience
	case open && d.opened == 0 && end && min(d.lru.weight, d.gdsf.weight) < closeMargin*d.asked:
		d.open.Store(false)
	}
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
