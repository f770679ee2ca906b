package cachestore

import (
	"bytes"
	"slices"
	"sync"

	"edgecache/policy"
)

// MaxMarkers is how many hit-for-miss markers are remembered unless configured
// otherwise.
const MaxMarkers = 64 << 10

// Marker says that answers of a kind were not storable lately, so that requests
// for them need not wait for one another.
type Marker struct {
	Vary     []string // what the answer's Vary named: lower-case, sorted, unique
	Selector []byte   // what its request had for these names
	Until    int64    // Unix nanoseconds
	PurgeSeq uint64   // read before its request was sent: a later purge covers it
}

// Markers remembers markers by key, at most Limit of them: beyond that the
// oldest one is forgotten. It never hides what is stored: look there first. The
// zero value is ready.
type Markers struct {
	Limit int // 0 = MaxMarkers

	mu      sync.RWMutex
	byKey   map[policy.Hash][]Marker
	order   []policy.Hash // of each Put, oldest first; a key with nothing left is skipped
	count   int
	dropped uint64
}

// markersPerKey bounds the selectors of one key; beyond it the oldest goes.
const markersPerKey = 32

// Put remembers mk for k, in the place of the one with the same request values.
// The marker's slices must not be changed any more.
func (m *Markers) Put(k policy.Key, mk Marker) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.removeLocked(k.Hash, func(o Marker) bool {
		return bytes.Equal(o.Selector, mk.Selector) && slices.Equal(o.Vary, mk.Vary)
	})
	if list := m.byKey[k.Hash]; len(list) >= markersPerKey {
		m.dropped++
		m.popLocked(k.Hash)
	}
	limit := m.Limit
	if limit <= 0 {
		limit = MaxMarkers
	}
	for m.count >= limit {
		m.dropped++
		m.popLocked(m.oldestLocked())
	}
	if m.byKey == nil {
		m.byKey = make(map[policy.Hash][]Marker)
	}
	m.byKey[k.Hash] = append(m.byKey[k.Hash], mk)
	m.order = append(m.order, k.Hash)
	m.count++
	m.compactLocked(limit)
}

// Has returns the marker that holds for a request at now, in Unix nanoseconds.
// scratch is returned, maybe grown.
func (m *Markers) Has(k policy.Key, a *policy.Ask, now int64, scratch []byte) (mk Marker, ok bool, buf []byte) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	list := m.byKey[k.Hash]
	for i, o := range list {
		if i == 0 || !slices.Equal(o.Vary, list[i-1].Vary) {
			scratch = policy.AppendSelector(scratch[:0], o.Vary, a)
		}
		if now >= o.Until {
			continue
		}
		if bytes.Equal(scratch, o.Selector) {
			return o, true, scratch
		}
	}
	return Marker{}, false, scratch
}

// Remove forgets all markers of k: one of its answers was storable, or a purge
// covers them.
func (m *Markers) Remove(k policy.Key) {
	m.mu.RLock()
	none := len(m.byKey[k.Hash]) == 0
	m.mu.RUnlock()
	if none {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.removeLocked(k.Hash, func(Marker) bool { return true })
}

// Len is how many markers are remembered.
func (m *Markers) Len() int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.count
}

// Dropped is how many were forgotten because there were too many.
func (m *Markers) Dropped() uint64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.dropped
}

// removeLocked forgets those markers of h that match.
func (m *Markers) removeLocked(h policy.Hash, match func(Marker) bool) {
	list := m.byKey[h]
	rest := make([]Marker, 0, len(list))
	for _, o := range list {
		if !match(o) {
			rest = append(rest, o)
		}
	}
	m.count -= len(list) - len(rest)
	m.setLocked(h, rest)
}

// popLocked forgets the oldest marker of h.
func (m *Markers) popLocked(h policy.Hash) {
	list := m.byKey[h]
	if len(list) == 0 {
		return
	}
	m.count--
	m.setLocked(h, slices.Clone(list[1:]))
}

func (m *Markers) setLocked(h policy.Hash, list []Marker) {
	if len(list) == 0 {
		delete(m.byKey, h)
		return
	}
	m.byKey[h] = list
}

// oldestLocked takes the key of the oldest Put from the order.
func (m *Markers) oldestLocked() policy.Hash {
	h := m.order[0]
	m.order = m.order[1:]
	return h
}

// compactLocked keeps the order from growing by keys that were removed and put
// again: it is rebuilt from what is there when it is twice the limit.
func (m *Markers) compactLocked(limit int) {
	if len(m.order) < 2*limit+markersPerKey {
		return
	}
	left := make(map[policy.Hash]int, len(m.byKey))
	for h, list := range m.byKey {
		left[h] = len(list)
	}
	var order []policy.Hash
	for _, h := range slices.Backward(m.order) { // the youngest Puts are the ones still there
		if left[h] > 0 {
			left[h]--
			order = append(order, h)
		}
	}
	slices.Reverse(order)
	m.order = order
}
