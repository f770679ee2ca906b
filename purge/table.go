package purge

import "sync/atomic"

// A table is an open-addressing hash table from a 64-bit place to the purges
// of it, read without a lock while one writer (who holds Index.mu) adds to it.
// Slots are only ever filled or raised in place; anything else, growth and the
// sweep, builds a new table and publishes it.
//
// A place may hold several slots, one a strength: a hard purge followed by a
// soft one must still be hard to what is older than both.
type table struct {
	slots []slot
	used  int // by the writer only
}

// A slot is 24 bytes. The key is written last, so a reader that finds it finds
// the rest.
type slot struct {
	key    atomic.Uint64 // the place; 0 is empty
	latest atomic.Uint64 // number<<2 | strength
	softAt atomic.Int64  // for Soft: when the oldest unswept one was applied
}

// Slots are at most 7/10 full, and a table grows by a quarter: 34 to 43 bytes
// a place.
const (
	fullTenths   = 7
	smallestSize = 8
)

// slotFor is where the search for a key begins.
func (t *table) slotFor(key uint64) int {
	return int(uint64(uint32(key)) * uint64(len(t.slots)) >> 32)
}

// find adds to c every purge of the place that is later than since.
func (t *table) find(key, since uint64, c *Cover) {
	for i := t.slotFor(key); ; {
		s := &t.slots[i]
		switch s.key.Load() {
		case 0:
			return
		case key:
			v := s.latest.Load()
			if n := v >> 2; n > since {
				c.add(Strength(v&3), n, s.softAt.Load())
			}
		}
		if i++; i == len(t.slots) {
			i = 0
		}
	}
}

// A purged is what one slot says.
type purged struct {
	key      uint64
	number   uint64
	strength Strength
	softAt   int64
}

// latest is slot.latest.
func (p purged) latest() uint64 { return p.number<<2 | uint64(p.strength) }

// put records a purge, and reports whether a slot was filled by it. A restart
// reads purges in the order in which they were written, which is not that of
// their numbers, so any order will do. The caller has made room.
func (t *table) put(p purged) (filled bool) {
	s := t.slotToTake(p)
	if s.key.Load() == 0 {
		t.fill(s, p)
		return true
	}
	// softAt is the oldest of this strength; a strength other than Soft has no
	// use for it.
	if p.softAt < s.softAt.Load() {
		s.softAt.Store(p.softAt)
	}
	s.latest.Store(max(s.latest.Load(), p.latest()))
	return false
}

// slotToTake is the slot of p's key and strength, else one of a weaker and no
// later purge (which p makes void), else an empty one.
func (t *table) slotToTake(p purged) *slot {
	var void *slot
	for i := t.slotFor(p.key); ; {
		s := &t.slots[i]
		switch s.key.Load() {
		case 0:
			if void != nil {
				return void
			}
			return s
		case p.key:
			v := s.latest.Load()
			have := Strength(v & 3)
			if have == p.strength {
				return s
			}
			if have < p.strength && v>>2 <= p.number {
				void = s
			}
		}
		if i++; i == len(t.slots) {
			i = 0
		}
	}
}

// A shard is one table and its successor, if any.
type shard struct{ now atomic.Pointer[table] }

// find is table.find on the current table.
func (s *shard) find(key, since uint64, c *Cover) {
	if t := s.now.Load(); t != nil {
		t.find(key, since, c)
	}
}

// put makes room and records p.
func (s *shard) put(p purged) (filled bool) {
	t := s.now.Load()
	if t == nil || (t.used+1)*10 > len(t.slots)*fullTenths {
		t = t.rebuilt(0, 0)
		s.now.Store(t)
	}
	return t.put(p)
}

// drop forgets purges up to number and returns how many slots that freed. What
// stays was applied at softAt or later.
func (s *shard) drop(number uint64, softAt int64) (freed int) {
	t := s.now.Load()
	if t == nil {
		return 0
	}
	next := t.rebuilt(number, softAt)
	if next.used == 0 {
		s.now.Store(nil)
		return t.used
	}
	s.now.Store(next)
	return t.used - next.used
}

// rebuilt is a table of what t holds later than number, with room for a
// quarter more.
func (t *table) rebuilt(number uint64, softAt int64) *table {
	var keep []purged
	if t != nil {
		keep = t.later(number, softAt)
	}
	next := &table{slots: make([]slot, max(smallestSize, len(keep)*10/fullTenths*5/4+2))}
	for _, p := range keep {
		next.add(p)
	}
	return next
}

// add puts p into the first empty slot from its place on. Slots of one key are
// of different strengths and come in any order here, so none replaces another.
func (t *table) add(p purged) {
	i := t.slotFor(p.key)
	for t.slots[i].key.Load() != 0 {
		if i++; i == len(t.slots) {
			i = 0
		}
	}
	t.fill(&t.slots[i], p)
}

// fill takes an empty slot into use.
func (t *table) fill(s *slot, p purged) {
	s.softAt.Store(p.softAt)
	s.latest.Store(p.latest())
	s.key.Store(p.key)
	t.used++
}

// later lists what t holds later than number.
func (t *table) later(number uint64, softAt int64) []purged {
	keep := make([]purged, 0, t.used)
	for i := range t.slots {
		s := &t.slots[i]
		v := s.latest.Load()
		if s.key.Load() == 0 || v>>2 <= number {
			continue
		}
		keep = append(keep, purged{s.key.Load(), v >> 2, Strength(v & 3), max(s.softAt.Load(), softAt)})
	}
	return keep
}
