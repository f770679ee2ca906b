package cachestore

// Eviction is the reason why something stored had to go.
type Eviction uint8

// Reasons for an eviction.
const (
	EvictedRefused   Eviction = iota // the admission policy would not take it from the window
	EvictedVictim                    // the admission policy preferred another
	EvictedHand                      // bytes were over the limit: the hand over the table took it
	EvictedVariants                  // more variants than the limit, it was the oldest
	EvictedCollision                 // another key with the same hash was stored

	evictions
)

// Evictions is the number of reasons for an eviction.
const Evictions = int(evictions)

// String gives the reason as metrics print it.
func (e Eviction) String() string {
	return [...]string{"refused", "victim", "hand", "variants", "collision"}[e]
}

// Drop is the reason why something was not stored, or a reader given up.
type Drop uint8

// Reasons for a drop.
const (
	DropTooLarge   Drop = iota // the body is over the largest that is stored
	DropNoRoom                 // fills in flight held all that they may hold
	DropAborted                // the fill ended before its commit
	DropSlowReader             // a reader fell behind a body that streams by
	DropSet                    // the admission policy's buffer was full; the object stays, unranked
	DropQueue                  // the queue of its verdicts was full; a sweep finds them

	drops
)

// Drops is the number of reasons for a drop.
const Drops = int(drops)

// String gives the reason as metrics print it.
func (d Drop) String() string {
	return [...]string{"too_large", "no_room", "aborted", "slow_reader", "set_buffer", "verdict_queue"}[d]
}

// Stats is a snapshot of a store's counters. Bytes are accounted bytes: with
// Go's size classes, heads, keys, index, counters, and fills in flight.
type Stats struct {
	Limit     int64 // configured bytes
	Bytes     int64 // accounted now
	Fixed     int64 // of Bytes: what the empty store needs
	FillBytes int64 // of Bytes: bodies in flight
	Window    int64 // of Bytes: not yet offered to the admission policy
	Resources int64
	Variants  int64
	Evicted   [Evictions]uint64
	Dropped   [Drops]uint64
	Disk      DiskStats
}
