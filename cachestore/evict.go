package cachestore

import (
	"slices"

	"edgecache/policy"
)

// work carries out Ristretto's verdicts, and makes room when bytes are well over
// the configured size. It is the tier's only goroutine.
func (m *Memory) work() {
	for {
		select {
		case e := <-m.leaving:
			m.evict(e)
		case <-m.kick:
			m.makeRoom(m.bytes.ease)
		case <-m.done:
			return
		}
	}
}

// wake makes the worker look at the bytes; it never blocks.
func (m *Memory) wake() {
	select {
	case m.kick <- struct{}{}:
	default:
	}
}

// makeRoom brings the accounted bytes down to limit, if what is stored allows
// it: first what Ristretto has said, then what it says when asked to decide,
// then the hand.
func (m *Memory) makeRoom(limit int64) (enough bool) {
	m.eviction.Lock()
	defer m.eviction.Unlock()
	m.carryOutLocked()
	if m.bytes.used.Load() <= limit {
		return true
	}
	m.settle()
	m.carryOutLocked()
	return m.handLocked(limit)
}

// carryOutLocked evicts what Ristretto let go, as far as it is known by now.
func (m *Memory) carryOutLocked() {
	for range leavingQueue {
		select {
		case e := <-m.leaving:
			m.evict(e)
			continue
		default:
		}
		break
	}
	if !m.overflow.Swap(false) {
		return
	}
	m.table.each(func(r *Resource) bool {
		for _, v := range r.Variants {
			if e := v.place.Load(); e != nil && e.at() == placeLeaving {
				m.evict(e)
			}
		}
		return true
	})
}

// settle waits until every Ristretto has decided on all that was offered.
func (m *Memory) settle() {
	for i := range m.main {
		m.main[i].settle()
	}
}

// handLocked evicts until the bytes are within limit: from the class that holds
// most over what it may, in the order in which its entries came, what was not
// used since it came by last; and from the window when the classes have nothing
// to give. After a round of a class that freed nothing it has nothing.
func (m *Memory) handLocked(limit int64) (enough bool) {
	var empty [classes]bool
	idle := 0
	for m.bytes.used.Load() > limit {
		c := m.mostOver(&empty)
		if c == nil {
			return m.handOverWindowLocked(limit)
		}
		e := c.candidate(handReach)
		switch {
		case e != nil && m.evict(e):
			m.evicted[EvictedHand].Add(1)
			idle = 0
		case e == nil || idle > c.length():
			empty[c.number] = true
			idle = 0
		default:
			idle++
		}
	}
	return true
}

const handReach = 64 // used entries that the hand spares before it spares nobody

// handOverWindowLocked is the last resort: what is new goes, too.
func (m *Memory) handOverWindowLocked(limit int64) (enough bool) {
	for range m.window.length() {
		if m.bytes.used.Load() <= limit {
			return true
		}
		if e := m.window.oldest(); e != nil && m.evict(e) {
			m.evicted[EvictedHand].Add(1)
		}
	}
	return m.bytes.used.Load() <= limit
}

// evict takes the variant of an entry out of memory. It finds it by pointer: a
// successor under the same key stays. What the tier below holds is still stored
// after that; anything else is gone.
func (m *Memory) evict(e *entry) (evicted bool) {
	for {
		r := m.table.get(e.key)
		if r == nil {
			return false
		}
		i := slices.IndexFunc(r.Variants, func(v *Variant) bool { return v.place.Load() == e })
		if i < 0 {
			return false
		}
		rest, how := r.Without(r.Variants[i]), swapping{}
		if low := m.keptBelow(e, r, i); low != nil {
			if rest = m.lowered(r, i, low); rest == r {
				return false
			}
			how.quiet = true
		}
		if m.swap(e.key, r, rest, how) {
			return true
		}
	}
}

// keptBelow is variant i of r as the tier below has it, or takes it now; nil when
// it does not.
func (m *Memory) keptBelow(e *entry, r *Resource, i int) (low *Variant) {
	switch v := r.Variants[i]; {
	case m.below == nil:
		return nil
	case m.below.holds(v.Body):
		return v
	}
	m.table.during(e.key, r, func() { low = m.below.keep(e.key, r, i, e.hits.Load()) })
	return low
}

// lowered is r once variant i is only below, where it is low: with a hollow one in
// its place as long as another one's body is here, so that whoever finds r here
// finds all of it. It is r itself when nothing can be let go.
func (m *Memory) lowered(r *Resource, i int, low *Variant) *Resource {
	solid := func(v *Variant) bool { return v.Body.InMemory() && v.Body.Size > 0 }
	others := false
	for j, v := range r.Variants {
		others = others || j != i && (solid(v) || !m.below.holds(v.Body))
	}
	switch {
	case !others:
		return &Resource{Key: r.Key}
	case !solid(r.Variants[i]):
		return r
	}
	n := &Resource{Key: r.Key, Variants: slices.Clone(r.Variants)}
	n.Variants[i] = low.hollow()
	return n
}

// drop ends an entry whose variant has left the table.
func (m *Memory) drop(e *entry) {
	switch place(e.place.Swap(uint32(placeGone))) {
	case placeWindow:
		m.window.remove(e)
	case placeMain:
		m.main[e.class].remove(e, true)
	case placeLoose, placeLeaving:
		m.main[e.class].remove(e, false)
	}
}

// Delete removes what is stored under k.
func (m *Memory) Delete(k policy.Key) {
	for {
		r := m.current(k)
		if r == nil || m.swap(k, r, nil, swapping{}) {
			return
		}
	}
}

// Replace puts new in the place of old, if old is what is stored.
func (m *Memory) Replace(k policy.Key, old, new *Resource) bool {
	return m.swap(k, old, new, swapping{})
}

// current is what is stored under k, in memory or below.
func (m *Memory) current(k policy.Key) *Resource {
	if r := m.table.get(k); r != nil || m.below == nil {
		return r
	}
	return m.below.raise(k)
}

// swapping says how a swap differs from Replace. The zero value does not.
type swapping struct {
	credit int64       // bytes of new that are accounted already
	quiet  bool        // what is stored does not change, only what of it is in memory
	still  func() bool // asked under the table's lock: false gives up; nil is true
}

// swap is Replace, as how says.
func (m *Memory) swap(k policy.Key, old, new *Resource, how swapping) bool {
	if new != nil && len(new.Variants) == 0 {
		new = nil
	}
	new = m.cut(new)
	grown := new.Size() - old.Size() - how.credit
	if grown > 0 {
		m.force(grown)
	}
	var room [1]*entry
	fresh := room[:0]
	displaced, swapped := m.table.swap(k, old, new, func() bool {
		if how.still != nil && !how.still() {
			return false
		}
		fresh = adopt(fresh, old, new)
		if m.below != nil && !how.quiet {
			m.below.follow(k, old, new)
		}
		m.name(new)
		return true
	})
	if !swapped {
		if grown > 0 {
			m.bytes.used.Add(-grown)
		}
		return false
	}
	if grown < 0 {
		m.bytes.used.Add(grown)
	}
	m.leave(old, new)
	if displaced != nil {
		m.bytes.used.Add(-displaced.Size())
		m.evicted[EvictedCollision].Add(uint64(len(displaced.Variants)))
		m.leave(displaced, nil)
	}
	m.enter(old, new, fresh)
	return true
}

// name gives an ID to each body that the tier below has not named.
func (m *Memory) name(r *Resource) {
	if r == nil {
		return
	}
	for _, v := range r.Variants {
		if v.Body != nil && v.Body.ID == 0 {
			v.Body.ID = BodyID(m.ids.Add(1))
		}
	}
}

// cut drops the oldest variants over the limit.
func (m *Memory) cut(r *Resource) *Resource {
	if r == nil || len(r.Variants) <= m.config.MaxVariants {
		return r
	}
	m.evicted[EvictedVariants].Add(uint64(len(r.Variants) - m.config.MaxVariants))
	return &Resource{Key: r.Key, Variants: append([]*Variant(nil), r.Variants[:m.config.MaxVariants]...)}
}

// adopt gives an entry to each variant of new that does not continue one of
// old's with as many bytes, and appends these entries to fresh. Each is new to the tier:
// what has grown or shrunk is of another cost, or class, and begins again with
// the hits that it had.
func adopt(fresh []*entry, old, new *Resource) []*entry {
	if new == nil {
		return fresh
	}
	for _, v := range new.Variants {
		if old.hasVariant(v) {
			continue
		}
		e, was := newEntry(new.Key, v), v.place.Load()
		if was != nil && old.has(was) {
			if was.size == e.size {
				continue
			}
			hits := was.hits.Load()
			e.hits.Store(hits)
			e.seen = hits
		}
		v.place.Store(e)
		fresh = append(fresh, e)
	}
	return fresh
}

// has says whether one of the variants has this entry.
func (r *Resource) has(e *entry) bool {
	if r == nil {
		return false
	}
	for _, v := range r.Variants {
		if v.place.Load() == e {
			return true
		}
	}
	return false
}

// leave ends the entries of old that new does not continue.
func (m *Memory) leave(old, new *Resource) {
	if old == nil {
		return
	}
	m.resources.Add(-1)
	m.variants.Add(-int64(len(old.Variants)))
	for _, v := range old.Variants {
		if e := v.place.Load(); e != nil && !new.has(e) {
			m.drop(e)
		}
	}
}

// enter brings fresh entries into the window, and offers to Ristretto what
// leaves it for them.
func (m *Memory) enter(old, new *Resource, fresh []*entry) {
	if new == nil {
		return
	}
	m.resources.Add(1)
	m.variants.Add(int64(len(new.Variants)))
	for _, e := range fresh {
		m.main[e.class].count(e.id)
		m.window.push(e)
	}
	if len(fresh) == 0 {
		return
	}
	for _, e := range m.window.shrink(m.windowLimit(), nil) {
		if !m.main[e.class].offer(e) {
			m.dropped[DropSet].Add(1)
		}
	}
	m.rebalance(false)
	if m.bytes.used.Load() > m.bytes.ease {
		m.wake()
	}
}

// windowLimit is the window's part of the tier; fills in flight may take half of that.
func (m *Memory) windowLimit() int64 {
	whole := m.windowBytes()
	return whole - min(whole/2, m.bytes.fills.Load())
}
