package purge

import (
	"hash/maphash"
	"sync"
	"sync/atomic"

	"edgecache/policy"
)

// An Index answers whether a stored object is covered by a purge. Its cost is
// by scope, never by object: a purge writes one place, whatever it matches.
//
// Every application takes the next number under one mutex, writes the index
// and then publishes the number. A reader loads the number first and looks
// then, so whoever read a number before a purge is covered by it. Reading
// takes no lock. The zero value is empty and ready.
type Index struct {
	number  atomic.Uint64        // of the last purge that is fully in the index
	at      atomic.Int64         // when it was applied; never after the next one
	swept   atomic.Uint64        // up to here purges may have been dropped
	last    [kinds]atomic.Uint64 // the number of the last purge of each kind
	shards  [indexShards]shard
	deepest atomic.Uint32 // how many segments the deepest prefix has
	places  atomic.Int64  // slots in use

	mu     sync.Mutex // orders applications and drops
	back   uint64     // the last number that was applied earlier than the one before, by a clock that went back
	active fetches
}

// indexShards bounds how much one growth or drop copies at a time.
const (
	indexShards   = 64
	shardBitsDown = 64 - 6
)

// A Cover says how the purges later than an object's number reach it. The zero
// value means that none does.
type Cover struct {
	Strength Strength // the strongest
	SoftAt   int64    // for Soft: when the oldest unswept one was applied, Unix nanoseconds
	Seq      uint64   // the number of the latest
}

// add takes one more purge into account.
func (c *Cover) add(s Strength, number uint64, softAt int64) {
	c.Seq = max(c.Seq, number)
	switch {
	case s > c.Strength:
		c.Strength, c.SoftAt = s, 0
		if s == Soft {
			c.SoftAt = softAt
		}
	case s == Soft && c.Strength == Soft:
		c.SoftAt = min(c.SoftAt, softAt)
	}
}

// Now is the number of the last applied purge. An object carries the Now that
// was read before its upstream request was sent.
func (x *Index) Now() uint64 { return x.number.Load() }

// Begin registers a fetch and returns its number: no sweep drops a purge that
// its object may still need before its end, when the object has been stored or given
// up.
func (x *Index) Begin() (seq uint64, end Ending) { return x.active.begin(x) }

// Covers reports how an object is covered that was fetched under number since,
// is kept under k and has these tags (policy.HashTag, policy.HashGroup). It
// allocates nothing and takes no lock.
//
// A since that the index cannot judge, because it is older than what was
// dropped or was never given out, is covered by a hard purge: too much is
// allowed, too little never.
func (x *Index) Covers(k policy.Key, tags []uint64, since uint64) Cover {
	now := x.number.Load()
	if since == now {
		return Cover{}
	}
	l := look{index: x, since: since}
	u := k.URL()
	host := maphash.Bytes(seed, u.Host)
	l.known(u, host)
	for _, tag := range tags {
		l.both(kindTagHost, kindTag, tag, host)
	}
	return l.done(now)
}

// CoversKnown is Covers before the answer's head, when no tag is known yet.
func (x *Index) CoversKnown(k policy.Key, since uint64) Cover {
	return x.Covers(k, nil, since)
}

// A look is one question to the index.
type look struct {
	index *Index
	since uint64
	cover Cover
}

// at looks at one place, unless nothing of its kind is later than since.
func (l *look) at(p place) {
	if l.index.last[p.kind].Load() <= l.since {
		return
	}
	key := p.key()
	l.index.shards[key>>shardBitsDown].find(key, l.since, &l.cover)
}

// both looks at a place of one host and of all hosts.
func (l *look) both(one, any kind, h, host uint64) {
	l.at(place{any, h})
	l.at(place{one, fold(h, host)})
}

// known looks at every scope that the request alone decides.
func (l *look) known(u policy.URL, host uint64) {
	l.at(place{kindAll, 0})
	l.at(place{kindHost, fold(0, host)})
	if l.index.last[kindURL].Load() > l.since || l.index.last[kindURLAny].Load() > l.since {
		l.both(kindURL, kindURLAny, hashURL(u), host)
	}
	var h uint64
	deepest := kind(l.index.deepest.Load())
	for depth, rest := kind(0), u.Path; ; depth++ {
		l.both(kindPrefix+depth, kindPrefixAny+depth, h, host)
		if depth == deepest || len(rest) == 0 {
			return
		}
		h, rest = nextSegment(h, rest)
	}
}

// done is the answer. The dropped number is looked at last: a drop publishes
// it before it takes anything away.
func (l *look) done(now uint64) Cover {
	if swept := l.index.swept.Load(); l.since < swept || l.since > now {
		return Cover{Strength: Hard, Seq: max(now, swept)}
	}
	return l.cover
}

// apply gives the entries the next numbers, writes them into the index and
// then publishes the last number.
func (x *Index) apply(es []Entry, clock func() int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	at := clock()
	n := x.number.Load()
	for i := range es {
		n++
		es[i].Seq, es[i].At = n, at
		x.writeLocked(&es[i])
	}
	if at < x.at.Load() {
		x.back = n
	}
	x.at.Store(at)
	x.number.Store(n)
}

// restore writes an entry that already has its number and publishes nothing:
// for the start, before anybody reads.
func (x *Index) restore(e *Entry) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.writeLocked(e)
}

// start publishes the number that this run begins at.
func (x *Index) start(number uint64, at int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.at.Store(at)
	x.number.Store(number)
}

// writeLocked puts one entry into all its places.
func (x *Index) writeLocked(e *Entry) {
	for _, p := range e.places() {
		key := p.key()
		if x.shards[key>>shardBitsDown].put(purged{key, e.Seq, e.Strength, e.At}) {
			x.places.Add(1)
		}
		x.last[p.kind].Store(max(e.Seq, x.last[p.kind].Load()))
		if p.kind >= kindPrefix {
			depth := uint32(p.kind-kindPrefix) % (MaxPrefixSegments + 1)
			x.deepest.Store(max(depth, x.deepest.Load()))
		}
	}
}

// drop forgets what no object needs any more: every purge up to number. What
// stays was applied at the time at, or later.
func (x *Index) drop(number uint64, at int64) {
	x.mu.Lock()
	if x.back > number {
		at = 0
	}
	x.swept.Store(max(number, x.swept.Load()))
	x.deepest.Store(x.deepestLocked(number))
	x.mu.Unlock()
	for i := range x.shards {
		x.dropShard(&x.shards[i], number, at)
	}
}

// dropShard holds the mutex for one shard only.
func (x *Index) dropShard(s *shard, number uint64, at int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.places.Add(-int64(s.drop(number, at)))
}

// deepestLocked is the deepest prefix that was purged later than number.
func (x *Index) deepestLocked(number uint64) uint32 {
	for depth := kind(MaxPrefixSegments); depth > 0; depth-- {
		if max(x.last[kindPrefix+depth].Load(), x.last[kindPrefixAny+depth].Load()) > number {
			return uint32(depth)
		}
	}
	return 0
}
