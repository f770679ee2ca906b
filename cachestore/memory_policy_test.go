package cachestore

import (
	"testing"

	"github.com/dgraph-io/ristretto/v2"
)

// withMetrics gives the class of objects of 10,000 bytes a Ristretto that counts its calls.
func withMetrics(t *testing.T, m *Memory) *ristretto.Metrics {
	t.Helper()
	main := &m.main[classOf(10_000)]
	main.cache.Close()
	c, err := ristretto.NewCache(&ristretto.Config[uint64, *entry]{
		NumCounters: 10_000, MaxCost: 6 << 20, BufferItems: 64, IgnoreInternalCost: true, Metrics: true,
		OnExit: func(e *entry) { m.leaves(e, EvictedVictim) },
	})
	if err != nil {
		t.Fatal(err)
	}
	main.cache = c
	return c.Metrics
}

// Design: a miss is counted when its size is known, a hit where Ristretto holds
// the object, and a hit in the window not at all.
func TestMemoryTellsRistrettoOfMissesAndHits(t *testing.T) {
	m := openInside(t, 8<<20)
	metrics := withMetrics(t, m)
	gets := func() uint64 { return metrics.Hits() + metrics.Misses() }
	first := putInside(t, m, insideKey(0), 10_000)
	if got := gets(); got != 1 {
		t.Errorf("a miss: %d Gets, want 1", got)
	}
	r, _ := m.Peek(insideKey(0))
	m.Hit(r, first)
	if got := gets(); got != 1 || first.Hits() != 1 {
		t.Errorf("a hit in the window: %d Gets in all, %d hits, want 1 and 1", got, first.Hits())
	}
	n := uint64(1)
	for i := 1; first.place.Load().at() != placeMain; i++ {
		putInside(t, m, insideKey(i), 10_000)
		n++
		if i > 1000 {
			t.Fatal("it never left the window")
		}
	}
	m.settle()
	m.Hit(r, first)
	if got := gets(); got != n+1 || metrics.Hits() != 1 {
		t.Errorf("a hit: %d Gets in all, %d found, want %d and 1", got, metrics.Hits(), n+1)
	}
}

func TestMemoryTakesBackWhatLeftBeforeItsSet(t *testing.T) {
	m := openInside(t, 8<<20)
	e := &entry{id: 1, size: 1000}
	e.place.Store(uint32(placeGone))
	if !m.main[0].offer(e) {
		t.Fatal("not taken")
	}
	m.settle()
	if left := ranked(m); left != 0 {
		t.Errorf("Ristretto holds %d bytes of an object that is gone", left)
	}
}

// Verdicts are carried out by the worker, without waiting for pressure.
func TestMemoryCarriesVerdictsOut(t *testing.T) {
	m := openInside(t, 8<<20)
	v := putInside(t, m, insideKey(0), 10_000)
	e := v.place.Load()
	m.window.mu.Lock()
	e.move(placeWindow, placeMain)
	m.window.ring.remove(e)
	m.window.mu.Unlock()
	m.leaves(nil, EvictedVictim)
	m.leaves(e, EvictedRefused)
	m.leaves(e, EvictedVictim)
	until(t, "it is gone", func() bool { return m.Stats().Resources == 0 })
	st := m.Stats()
	if st.Evicted[EvictedRefused] != 1 || st.Evicted[EvictedVictim] != 0 || st.Bytes != st.Fixed {
		t.Errorf("stats %+v, want one eviction, by its first verdict", st)
	}
}

// A verdict on an object does not touch its successor.
func TestMemoryVerdictSparesTheSuccessor(t *testing.T) {
	m := openInside(t, 8<<20)
	old := putInside(t, m, insideKey(0), 10_000).place.Load()
	v := putInside(t, m, insideKey(0), 10_000)
	if m.evict(old) {
		t.Errorf("evicted by the entry of its predecessor")
	}
	if r, _ := m.Peek(insideKey(0)); r == nil || r.Variants[0] != v {
		t.Errorf("the successor is gone")
	}
}
