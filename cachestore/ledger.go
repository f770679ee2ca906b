package cachestore

import "sync/atomic"

// ledger is the tier's own count of bytes, which has the last word on who may
// stay. used is everything, fills is the part of it that is in flight.
type ledger struct {
	fixed int64 // the empty tier
	ease  int64 // over it the hand evicts; below it the policy has its time
	most  int64 // used is never more: the configured size and 5 % of it
	size  int64 // as configured

	others atomic.Int64 // of used: what the tier below has in memory
	used   atomic.Int64
	fills  atomic.Int64
}

func (l *ledger) init(size, fixed int64) {
	l.fixed, l.ease, l.most, l.size = fixed, size+size/40, size+size/20, size
	l.used.Store(fixed)
}

// take counts n bytes if used stays within most.
func (l *ledger) take(n int64) (ok bool) {
	for {
		used := l.used.Load()
		if used+n > l.most {
			return false
		}
		if l.used.CompareAndSwap(used, used+n) {
			return true
		}
	}
}

// forObjects is what there is for objects and fills, at least an eighth of the size.
func (l *ledger) forObjects() int64 {
	return max(l.size-l.fixed-l.others.Load(), l.size/8)
}

// takeFill counts n bytes of a fill against the share of fills, which are never more
// unless forced. Were it a share of all, fills could leave nothing to evict, and what
// must be stored would have no room.
func (l *ledger) takeFill(n int64) (ok bool) {
	if l.fills.Add(n) > l.forObjects()/fillShare {
		l.fills.Add(-n)
		return false
	}
	return true
}

// burden counts n bytes, or takes them back, that the tier below needs of this
// one. What is left for objects is shared anew, so that the policy goes on
// deciding who stays, and not the hand.
func (m *Memory) burden(n int64) {
	m.bytes.others.Add(n)
	m.bytes.used.Add(n)
	m.own.resize(m.objectBytes())
	m.rebalance(true)
	if m.bytes.used.Load() > m.bytes.ease {
		m.wake()
	}
}

// objectBytes is what there is for objects.
func (m *Memory) objectBytes() int64 { return m.bytes.forObjects() }

// mainBytes is the part of it that is not the window's.
func (m *Memory) mainBytes() int64 { return m.objectBytes() - m.windowBytes() }

func (m *Memory) windowBytes() int64 {
	share := windowShare
	if m.own.recent.Load() {
		share = recentShare
	}
	return int64(share * float64(m.objectBytes()))
}

// reserve counts n bytes, after making room where it must.
func (m *Memory) reserve(n int64) (ok bool) {
	for range 8 {
		if m.bytes.take(n) {
			if m.bytes.used.Load() > m.bytes.ease {
				m.wake()
			}
			return true
		}
		if !m.makeRoom(m.bytes.ease - n) {
			break
		}
	}
	return m.bytes.take(n)
}

// force counts n bytes in any case; room for them is made as far as there is
// something to evict.
func (m *Memory) force(n int64) {
	if !m.reserve(n) {
		m.bytes.used.Add(n)
	}
}

// Reserve counts n bytes of a body in flight, if fills have room.
func (m *Memory) Reserve(n int64) (ok bool) {
	if !m.bytes.takeFill(n) {
		return false
	}
	if !m.reserve(n) {
		m.bytes.fills.Add(-n)
		return false
	}
	return true
}

// Force counts n bytes of a body in flight in any case.
func (m *Memory) Force(n int64) {
	m.bytes.fills.Add(n)
	m.force(n)
}

// Release gives n bytes of a body in flight back.
func (m *Memory) Release(n int64) {
	m.bytes.fills.Add(-n)
	m.bytes.used.Add(-n)
}

// Dropped counts a body or a reader that was given up.
func (m *Memory) Dropped(why Drop) { m.dropped[why].Add(1) }

// Account counts bodies that stream by.
func (m *Memory) Account() Account { return m }

var _ Account = (*Memory)(nil)
