package cachestore

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const tenYears = 10 * 365 * 24 * 3600 * 1_000_000_000

// TestClockSteps: a clock that jumps hangs nothing and takes nothing away while
// there is room.
func TestClockSteps(t *testing.T) {
	for _, c := range []struct {
		name string
		step int64
	}{{"forward", tenYears}, {"back", -tenYears}} {
		t.Run(c.name, func(t *testing.T) {
			g := filled(t)
			g.now.Add(c.step)
			for i := range 10 {
				if err := errors.Join(g.put(50+i, 70_000), g.sync()); err != nil {
					t.Fatal(err)
				}
			}
			if n := g.hits(60, 70_000); n != 30 {
				t.Errorf("%d hits after the step, want 30", n)
			}
			if st := g.disk.Stats(); st.Evicted != [DiskEvictions]uint64{} {
				t.Errorf("evicted %v although there is room", st.Evicted)
			}
			g.now.Add(-c.step)
			if err := errors.Join(g.put(70, 70_000), g.sync()); err != nil || g.hits(71, 70_000) != 31 {
				t.Errorf("back again: error %v", err)
			}
		})
	}
}

// TestClockStepsWhileItRests: a rest that was to end in ten years ends in its own
// span.
func TestClockStepsWhileItRests(t *testing.T) {
	g := filled(t)
	s := g.disk.shards[0].Load()
	for _, step := range []int64{tenYears, -tenYears} {
		s.mu.Lock()
		s.rest, s.trouble = resting{until: g.now.Load() + int64(20*time.Millisecond), span: 20 * time.Millisecond}, errDamaged
		s.mu.Unlock()
		g.now.Add(step)
		n := 500
		g.wait("it stores again", func() bool {
			n++
			return g.put(n, 1000) == nil && g.sync() == nil && g.below(n, 1000)
		})
	}
}

// TestExpiredGoesFirst, and only when room is needed.
func TestExpiredGoesFirst(t *testing.T) {
	g := openRig(t, rigDir(t), nil)
	for i := range 100 { // 7 of 16 MiB
		if err := g.put(i, 70_000); err != nil {
			t.Fatal(err)
		}
		if i%20 == 0 && g.sync() != nil {
			t.Fatal("not synced")
		}
	}
	g.now.Add(2 * int64(time.Minute)) // those are of no use any more
	for i := range 200 {
		if err := g.put(200+i, 70_000); err != nil {
			t.Fatal(err)
		}
		if i%20 == 0 && g.sync() != nil {
			t.Fatal("not synced")
		}
	}
	if err := g.sync(); err != nil {
		t.Fatal(err)
	}
	st := g.disk.Stats()
	if st.Evicted[DiskEvictedExpired] == 0 || st.Evicted[DiskEvictedLeast] > 0 {
		t.Errorf("evicted %v, want the expired ones alone", st.Evicted)
	}
	if st.Live > st.Limit {
		t.Errorf("%d bytes live of %d", st.Live, st.Limit)
	}
}

// TestAFullQueue: what finds no room is counted and stays in memory, and nobody
// waits.
func TestAFullQueue(t *testing.T) {
	g := openRig(t, rigDir(t), nil)
	s := g.disk.shards[0].Load()
	began, end := make(chan struct{}), make(chan struct{})
	s.queue.offer(&change{kind: changeMark, done: func(error) { close(began); <-end }}) // the writer is held
	<-began
	for i := range 60 { // 3.6 of 2 MiB
		if err := g.put(i, 60_000); err != nil || !g.served(i, 60_000) {
			t.Fatalf("key %d: %v", i, err)
		}
	}
	st := g.disk.Stats()
	if n := st.Dropped[DiskDropQueue]; n < 20 || st.Queued > st.QueueLimit {
		t.Errorf("%d dropped, %d of %d bytes queued", n, st.Queued, st.QueueLimit)
	}
	close(end)
	g.storesAgain(100)
	if n := g.hits(60, 60_000); n < 30 || n > 40 {
		t.Errorf("%d hits, want what the queue took", n)
	}
}

// TestAnObjectOverTheLargest is kept in memory if that takes it.
func TestAnObjectOverTheLargest(t *testing.T) {
	g := openRig(t, rigDir(t), func(c *DiskConfig) { c.Size = 4 << 20 })
	if err := g.put(1, 4<<20+1); err != nil && !errors.Is(err, ErrTooLarge) {
		t.Fatal(err)
	}
	if err := errors.Join(g.put(2, 1<<20), g.sync()); err != nil {
		t.Fatal(err)
	}
	if g.below(1, 4<<20+1) || !g.below(2, 1<<20) {
		t.Error("want the second on disk and not the first")
	}
	w := g.Begin(insideKey(3), Meta{Length: -1}) // it turns out to be too large when it has spilled
	defer w.(Spiller).Release()
	body, failed := rigBody(3, 65*ChunkSize), error(nil)
	for n := 0; n < 65 && failed == nil; n++ {
		failed = w.Chunk(body[n*ChunkSize:][:ChunkSize])
	}
	w.Abort()
	if !errors.Is(failed, ErrTooLarge) && !errors.Is(failed, ErrNoRoom) {
		t.Errorf("error %v, want that it is too large", failed)
	}
	g.storesAgain(10)
}

// TestManyReadersAtOnce: more than may read at once wait for each other, and go
// when their time is over.
func TestManyReadersAtOnce(t *testing.T) {
	dir := rigDir(t)
	g := openRig(t, dir, func(c *DiskConfig) { c.Reads = 2 })
	if err := errors.Join(g.put(1, 300_000), g.sync()); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	var hits atomic.Int64
	for range 40 {
		all.Go(func() {
			if g.below(1, 300_000) {
				hits.Add(1)
			}
		})
	}
	all.Wait()
	if n := hits.Load(); n != 40 {
		t.Errorf("%d hits, want 40", n)
	}
	s := g.disk.shards[0].Load()
	for range 2 { // two readers that never end
		if err := s.enter(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	var waiting sync.WaitGroup
	waiting.Go(func() {
		if g.below(1, 300_000) {
			t.Error("it read although nobody may")
		}
	})
	g.disk.retire(s, errors.New("test")) // ends the waiting
	waiting.Wait()
}

// TestLeasesAtTheirBounds: a deletion waits for who reads, so many bytes and so
// long; then the reader is cut off, and counted.
func TestLeasesAtTheirBounds(t *testing.T) {
	for _, c := range []struct {
		name    string
		delete  int // of 20 bodies that are being read
		later   time.Duration
		revoked uint64
	}{
		{"some bytes wait", 10, time.Minute, 0},
		{"too many bytes", 20, 0, 3}, // 20 · 120 kB are over 2 MiB by 3
		{"too long", 2, 11 * time.Minute, 2},
		{"a clock that goes back", 2, -tenYears, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := openRig(t, rigDir(t), nil)
			loans := make([]*Loan, 20)
			for i := range loans {
				if err := errors.Join(g.put(i, 120_000), g.sync()); err != nil {
					t.Fatal(err)
				}
				k := insideKey(i)
				r, _, err := g.disk.shards[0].Load().load(t.Context(), k)
				if err != nil {
					t.Fatal(err)
				}
				loans[i] = g.open(r.Variants[0])
			}
			for i := range c.delete {
				g.Delete(insideKey(i))
				g.now.Add(1)
			}
			if n := g.disk.Stats().Deferred; n != int64(c.delete) {
				t.Errorf("%d deletions wait, want %d", n, c.delete)
			}
			g.now.Add(int64(c.later))
			if err := errors.Join(g.put(100, 1000), g.sync()); err != nil {
				t.Fatal(err)
			}
			st := g.disk.Stats()
			if n := st.Dropped[DiskDropLease]; n != c.revoked || st.Deferred != int64(c.delete)-int64(n) {
				t.Errorf("%d leases were revoked, %d deletions wait; want %d revoked", n, st.Deferred, c.revoked)
			}
			whole := 0
			for i, l := range loans {
				if g.right(t.Context(), l, i, 120_000) {
					whole++
				}
			}
			if whole != 20-int(c.revoked) {
				t.Errorf("%d bodies were read, want all but the revoked", whole)
			}
			if err := errors.Join(g.put(101, 1000), g.sync()); err != nil {
				t.Fatal(err)
			}
			if st := g.disk.Stats(); st.Deferred != 0 || st.Leases != 0 || st.DeferredBytes != 0 {
				t.Errorf("left: %+v", st)
			}
		})
	}
}

// TestAnIndexThatIsFull: what it refuses is not stored, and counted.
func TestAnIndexThatIsFull(t *testing.T) {
	g := filled(t)
	s := g.disk.shards[0].Load()
	s.mu.Lock()
	s.index.slots.most = 25 // 20 of them are taken
	s.mu.Unlock()
	for i := range 10 {
		if err := g.put(100+i, 1000); err != nil || !g.served(100+i, 1000) {
			t.Errorf("key %d: %v", i, err)
		}
	}
	if err := g.sync(); err != nil {
		t.Fatal(err)
	}
	st := g.disk.Stats()
	if st.Objects != 25 || st.Dropped[DiskDropQueue] != 5 {
		t.Errorf("%d objects, dropped %v, want 25 and 5", st.Objects, st.Dropped)
	}
	size := int64(3 << 20) // one that goes to disk as it comes
	w := g.Begin(insideKey(500), Meta{Length: size})
	defer w.(Spiller).Release()
	for n := int64(0); n < size; n += ChunkSize {
		if err := w.Chunk(make([]byte, min(ChunkSize, size-n))); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(rigVariant(g.now.Load())); err == nil {
		t.Error("a body that has no place in the index is stored")
	}
	w.Abort()
	if r, err := g.Load(t.Context(), insideKey(500)); err == nil {
		t.Errorf("it is found: %d variants", len(r.Variants))
	}
}
