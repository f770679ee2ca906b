package cachestore

import (
	"math/bits"

	"edgecache/policy"
)

// choice says what one shard of the disk tier takes. It is not safe for concurrent use; the
// shard's mutex guards it.
type choice struct {
	always    bool // everything that comes
	open      bool // everything for now
	returners bool // the third rule: what its like does counts
	ghosts    ghosts
	fills     meanSize
	odds      [sizeBuckets]odds
}

func chooser(a Admission, noReturners bool) choice {
	return choice{always: a == AdmitAlways, returners: !noReturners}
}

// The parameters of what is taken (admission sz2).
const (
	smallShare  = 0.38   // of the mean of fills: smaller ones are taken
	returnShare = 0.135  // of its like came back: taken, times its size over the mean
	goneShare   = 0.02   // of its like came back: not even taken with hits in memory
	ghostShare  = 0.91   // of the bytes of memory and disk
	meanSpan    = 20_000 // fills, after which those before count half
	roomyShare  = 4      // of a shard is full: from then on not all is taken
	regretShare = 0.2    // of what comes, times its size over the mean, was refused before: no accident
	regretMost  = 16     // fills over that share, from which on a shard is eager
	priorSeen   = 10     // objects that every bucket has seen from the start
	priorBack   = 1      // of them came back
	sizeBuckets = 24     // by powers of 4
)

// meanSize is the running mean of sizes.
type meanSize struct {
	sum   float64
	count float64
}

func (m *meanSize) add(size int64) {
	if m.count >= meanSpan {
		m.sum /= 2
		m.count /= 2
	}
	m.sum += float64(size)
	m.count++
}

func (m *meanSize) mean() float64 { return m.sum / max(m.count, 1) }

// odds are those of an object to be asked for again.
type odds struct {
	seen, back float64
	regret     float64 // of what was refused while there was room
	eager      bool    // too much of it came back: all is taken while there is room
}

func (o *odds) share() float64 { return (o.back + priorBack) / (o.seen + priorSeen) }

func bucketOf(size int64) int { return min(bits.Len64(uint64(size))/2, sizeBuckets-1) }

// fill says whether an object that comes from the origin is taken, and how often it is known
// to have been asked for. quota and used are the shard's: all is taken that fits into its
// first quarter, or has room at all when much comes back of what was refused, for a disk that
// is not in use yet has nothing to lose.
func (c *choice) fill(h policy.Hash, size, quota, used int64) (uses uint32, taken bool) {
	bucket := &c.odds[bucketOf(size)]
	g, known := c.ghosts.take(h)
	fits := size <= quota-used
	if fits && !bucket.eager {
		bucket.regrets(known, max(1, float64(size)/c.fills.mean()))
	}
	if known {
		bucket.back++
		c.fills.add(size)
		return g.uses + 1, true
	}
	bucket.seen++
	c.fills.add(size)
	roomy := size <= quota/roomyShare-used || fits && bucket.eager
	taken = c.always || c.open || roomy || c.worthy(size, bucket)
	if !taken {
		c.ghosts.put(h, size, 1)
	}
	return 1, taken
}

// regrets adds up by how much returned exceeds its share (Page's CUSUM, 1954).
func (o *odds) regrets(returned bool, price float64) {
	if returned {
		o.regret++
	}
	o.regret = max(o.regret-regretShare*price, 0)
	o.eager = o.regret >= regretMost
}

// worthy is the rule for what was not seen before.
func (c *choice) worthy(size int64, like *odds) bool {
	mean := c.fills.mean()
	if float64(size) <= smallShare*mean {
		return true
	}
	return c.returners && like.share() >= returnShare*max(1, float64(size)/mean)
}

// leaves says whether an object is taken that leaves memory after so many hits there.
func (c *choice) leaves(h policy.Hash, size int64, hits uint32) (uses uint32, taken bool) {
	if hits == 0 {
		return 0, false
	}
	if c.returners && !c.always && c.odds[bucketOf(size)].share() < goneShare {
		c.ghosts.add(h, hits)
		return 0, false
	}
	g, _ := c.ghosts.take(h)
	return max(g.uses, 1) + hits, true
}

// size says what the ghosts of a shard may be: nearly as many bytes as a shard's part
// of memory and disk.
func (c *choice) size(memory, disk int64, shards int) {
	c.ghosts.most = int64(ghostShare * float64(memory+disk) / float64(shards))
	c.ghosts.limit = ghostLimit(memory, shards)
}

// evicted remembers an object that had to leave the disk.
func (c *choice) evicted(h policy.Hash, size int64, uses uint32) { c.ghosts.put(h, size, uses) }
