package cachestore

import (
	"bytes"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// What the tier makes of Ristretto's callbacks, whenever they come: each hands over
// an entry, and no more.

// idleMemory is a tier whose worker does nothing: the test carries out.
func idleMemory(t *testing.T, size int64) *Memory {
	t.Helper()
	m, err := NewMemory(MemoryConfig{Size: size, virtual: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func (m *Memory) carryOut() {
	m.eviction.Lock()
	defer m.eviction.Unlock()
	m.carryOutLocked()
}

// toMain lets all that is in the window leave it for Ristretto.
func toMain(m *Memory) {
	for _, e := range m.window.shrink(0, nil) {
		m.main[e.class].offer(e)
	}
	m.settle()
}

// putContent stores a body that is known by its seed.
func putContent(t *testing.T, m *Memory, i, size int) *Variant {
	t.Helper()
	w := m.Begin(insideKey(i), Meta{Length: int64(size)})
	for p := rigBody(i, size); len(p) > 0; {
		n := min(len(p), ChunkSize)
		if err := w.Chunk(bytes.Clone(p[:n])); err != nil {
			t.Fatal(err)
		}
		p = p[n:]
	}
	v := &Variant{Head: NewHead(200, nil, nil)}
	if err := w.Commit(v); err != nil {
		t.Fatal(err)
	}
	return v
}

// TestMemoryEvictsUnderItsReaders: what leaves by a verdict stays whole for those who
// have it, whatever is stored after it: no memory is used again from a callback.
func TestMemoryEvictsUnderItsReaders(t *testing.T) {
	const objects, size = 600, 70_000 // two chunks each; several times the tier
	m := openInside(t, 8<<20)
	var held []*Variant
	var readers sync.WaitGroup
	done := make(chan struct{})
	for i := range objects {
		v := putContent(t, m, i, size)
		held = append(held, v)
		if i%300 != 0 {
			continue
		}
		want := rigBody(i, size)
		readers.Go(func() { // all the time; the race detector sees who writes
			for {
				if !bytes.Equal(v.Body.At(0), want[:ChunkSize]) {
					t.Errorf("object %d has changed under its reader", i)
					return
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	m.settle()
	close(done)
	readers.Wait()
	m.makeRoom(m.bytes.ease)
	st := m.Stats()
	if st.Evicted[EvictedRefused]+st.Evicted[EvictedVictim] < objects/2 {
		t.Fatalf("evicted %v of %d, want most by Ristretto's verdict", st.Evicted, objects)
	}
	for i, v := range held {
		want := rigBody(i, size)
		if !v.Body.InMemory() || !bytes.Equal(v.Body.At(0), want[:ChunkSize]) || !bytes.Equal(v.Body.At(ChunkSize), want[ChunkSize:]) {
			t.Errorf("object %d is not what was stored: in memory %t, at %d", i, v.Body.InMemory(), v.place.Load().at())
		}
	}
}

// TestMemoryCallbacksWaitForNobody: with the worker stuck, the queue of verdicts full,
// and all that a callback might want locked, Ristretto goes on.
func TestMemoryCallbacksWaitForNobody(t *testing.T) {
	m := openInside(t, 8<<20)
	main := &m.main[0]
	main.setBudget(100)
	all := make([]*entry, 2*leavingQueue)
	stuck := []sync.Locker{&m.eviction, &m.window.mu, &m.shares.mu}
	for i := range m.table.shards {
		stuck = append(stuck, &m.table.shards[i].mu)
	}
	for _, l := range stuck {
		l.Lock()
	}
	for i := range all {
		all[i] = &entry{key: insideKey(i), id: uint64(i) + 1, size: 200} // larger than all: refused
		all[i].place.Store(uint32(placeMain))
		main.offer(all[i])
	}
	decided := make(chan struct{})
	go func() {
		m.settle()
		close(decided)
	}()
	select {
	case <-decided:
	case <-time.After(30 * time.Second):
		t.Error("a callback waits for somebody")
	}
	for _, l := range stuck {
		l.Unlock()
	}
	<-decided
	for i, e := range all {
		if at := e.at(); at != placeLeaving {
			t.Fatalf("entry %d is at %d, want it to wait to be taken out", i, at)
		}
	}
	st := m.Stats()
	if st.Evicted[EvictedRefused] != uint64(len(all)) || st.Dropped[DropQueue] < uint64(len(all)-leavingQueue-1) {
		t.Errorf("evicted %v, dropped %v, want all refused and what the queue had no room for", st.Evicted, st.Dropped)
	}
}

// TestMemoryLateVerdictSparesTheSuccessor: a verdict on an entry that comes, or is
// carried out, after another one took its key and its id takes nothing with it.
func TestMemoryLateVerdictSparesTheSuccessor(t *testing.T) {
	for name, order := range map[string]func(m *Memory, old *entry, replace func()){
		"replaced, then the verdict": func(m *Memory, old *entry, replace func()) {
			replace()
			m.leaves(old, EvictedVictim)
			m.carryOut()
		},
		"the verdict, replaced, then carried out": func(m *Memory, old *entry, replace func()) {
			m.leaves(old, EvictedVictim)
			replace()
			m.carryOut()
		},
		"the verdict, replaced, then found by the sweep": func(m *Memory, old *entry, replace func()) {
			old.move(placeMain, placeLeaving)
			m.overflow.Store(true)
			replace()
			m.carryOut()
		},
		"carried out again": func(m *Memory, old *entry, replace func()) {
			m.leaves(old, EvictedVictim)
			m.carryOut()
			replace()
			m.leaves(old, EvictedVictim)
			m.leaving <- old // as if it had come twice
			m.carryOut()
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := idleMemory(t, 8<<20)
			old := putInside(t, m, insideKey(0), 10_000).place.Load()
			toMain(m)
			if old.at() != placeMain {
				t.Fatalf("it is at %d, want Ristretto to hold it", old.at())
			}
			var v *Variant
			order(m, old, func() {
				v = putInside(t, m, insideKey(0), 10_000)
				toMain(m)
			})
			e := v.place.Load()
			if e.id != old.id || e.at() != placeMain || old.at() != placeGone {
				t.Errorf("the successor is at %d, its predecessor at %d, ids %x and %x", e.at(), old.at(), e.id, old.id)
			}
			if r, _ := m.Peek(insideKey(0)); r == nil || r.Variants[0] != v {
				t.Error("the successor is gone")
			}
			if got, ok := m.main[e.class].cache.Get(e.id); !ok || got != e || ranked(m) != e.size {
				t.Errorf("Ristretto has %p, %d bytes, want %p alone, %d bytes", got, ranked(m), e, e.size)
			}
		})
	}
}

// TestMemoryKeepsWhatIsStale: freshness is not the tier's matter. What is stale can be
// revalidated, or served while it is.
func TestMemoryKeepsWhatIsStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := openInside(t, 8<<20)
		v := putInside(t, m, insideKey(0), 10_000)
		w := m.Begin(insideKey(1), Meta{Length: 1000})
		if err := w.Chunk(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		brief := &Variant{Head: NewHead(200, nil, nil)}
		brief.Life.Born, brief.Life.Fresh = time.Now().UnixNano(), time.Second
		if err := w.Commit(brief); err != nil {
			t.Fatal(err)
		}
		toMain(m)
		time.Sleep(72 * time.Hour) // Ristretto cleans up once a day
		synctest.Wait()
		for i, v := range []*Variant{v, brief} {
			e := v.place.Load()
			if r, _ := m.Peek(insideKey(i)); r == nil || r.Variants[0] != v || e.at() != placeMain {
				t.Errorf("object %d is gone; its entry is at %d", i, e.at())
			}
			if ttl, ok := m.main[e.class].cache.GetTTL(e.id); !ok || ttl != 0 {
				t.Errorf("object %d: in Ristretto %t, with %v to live, want no end", i, ok, ttl)
			}
		}
	})
}
