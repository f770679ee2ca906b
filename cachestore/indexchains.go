package cachestore

import (
	"math/bits"

	"edgecache/policy"
)

// chains is the hash table of an index: a chain of slots for each bucket. It grows and
// shrinks by linear hashing, a bucket or two at a time, each new one taking its part of
// the chain of one that was there, so that no add or remove waits for the whole table.
type chains struct {
	heads numbers // the first slot of each bucket's chain
	count int     // slots in all chains
}

// At two buckets an object most look-ups of what is absent touch no slot.
const bucketsAnObject = 2

// bucketBits are the bits that choose a bucket. Both halves of the hash are in each, so
// that it does not matter if bits of one half have chosen the shard.
func bucketBits(h policy.Hash) uint64 { return h.Hi ^ bits.RotateLeft64(h.Lo, 32) }

// half is the highest power of two that is not above n: from there on buckets are the
// upper parts of those that lie half below them.
func half(n int) int { return 1 << (bits.Len(uint(n)) - 1) }

// head is the bucket of a hash; there must be buckets.
func (c *chains) head(h policy.Hash) *uint32 {
	low := half(c.heads.len)
	b := int(bucketBits(h) & uint64(2*low-1))
	if b >= c.heads.len {
		b -= low
	}
	return c.heads.at(b)
}

// first is where the chain begins that has all slots of the hash, and others.
func (c *chains) first(h policy.Hash) uint32 {
	if c.heads.len == 0 {
		return 0
	}
	return *c.head(h)
}

func (c *chains) insert(a *slots, n uint32) {
	c.count++
	for c.heads.len < c.count*bucketsAnObject {
		c.split(a)
	}
	s := a.at(n)
	head := c.head(s.hash)
	s.next = *head
	*head = n
}

// remove takes out a slot that is in a chain. The table shrinks only when it is twice
// as large as it would have grown: objects that come and go do not split and merge.
func (c *chains) remove(a *slots, n uint32) {
	s := a.at(n)
	link := c.head(s.hash)
	for *link != n {
		link = &a.at(*link).next
	}
	*link = s.next
	c.count--
	for c.heads.len > 2*bucketsAnObject*c.count {
		c.merge(a)
	}
}

// split makes one more bucket.
func (c *chains) split(a *slots) {
	b := c.heads.len
	c.heads.push(0)
	if b == 0 {
		return
	}
	low := half(b)
	lower, upper := c.heads.at(b-low), c.heads.at(b)
	n := *lower
	*lower = 0
	for n != 0 {
		s := a.at(n)
		next, to := s.next, lower
		if bucketBits(s.hash)&uint64(low) != 0 {
			to = upper
		}
		s.next = *to
		*to = n
		n = next
	}
}

// merge gives up the last bucket.
func (c *chains) merge(a *slots) {
	n := c.heads.pop()
	if n == 0 {
		return
	}
	b := c.heads.len
	lower := c.heads.at(b - half(b))
	tail := a.at(n)
	for tail.next != 0 {
		tail = a.at(tail.next)
	}
	tail.next = *lower
	*lower = n
}
