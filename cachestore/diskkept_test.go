package cachestore

import (
	"errors"
	"testing"

	"edgecache/policy"
)

// What the disk passed over as it came, and is given as it leaves memory.

const (
	keptSize  = 700_000 // several times the mean of what is there
	othersAre = 100_000
	othersAt  = 1000 // their first key
)

// chosen has a disk choose, with a queue so short that what has keptSize bytes is
// to be spilled, and the disk is asked before it is whole.
func chosen(c *DiskConfig) { c.Admission, c.Queue = AdmitSZ2, 1<<20 }

// openChosen opens a store whose disk chooses: a quarter of it is full.
func openChosen(t *testing.T) *rig {
	t.Helper()
	g := openRigOf(t, rigDir(t), 64<<20, chosen) // nothing leaves it unless it is told to
	for i := othersAt; g.disk.Stats().Dropped[DiskDropChoice] == 0; i++ {
		if err := g.put(i, othersAre); err != nil {
			t.Fatal(err)
		}
		if i%8 == 0 { // the queue has room for ten
			if err := g.sync(); err != nil {
				t.Fatal(err)
			}
		}
		if i > othersAt+1000 {
			t.Fatalf("it takes everything: %+v", g.disk.Stats())
		}
	}
	return g
}

// passOver stores the body of a key, which the disk must not take as it comes, and
// has it asked for so many times. It returns what is stored.
func (g *rig) passOver(i int, hits int) *Resource {
	g.t.Helper()
	before := g.disk.Stats().Dropped[DiskDropChoice]
	if err := errors.Join(g.put(i, keptSize), g.sync()); err != nil {
		g.t.Fatal(err)
	}
	r, _ := g.Peek(insideKey(i))
	if r == nil || !r.Variants[0].Body.passed || g.disk.Stats().Dropped[DiskDropChoice] != before+1 || g.below(i, keptSize) {
		g.t.Fatalf("the disk did not pass over key %d: %v, dropped %v", i, r, g.disk.Stats().Dropped)
	}
	for range hits {
		g.Hit(r, r.Variants[0])
	}
	return r
}

// leave lets what is stored go from memory, as the policy does.
func (g *rig) leave(r *Resource) {
	g.t.Helper()
	if !g.mem.evict(r.Variants[0].place.Load()) || g.mem.table.get(r.Key) != nil {
		g.t.Fatal("it is still in memory")
	}
}

// TestKeptIsReadBackWhole: before it is written, after that, and after a restart.
// What had no hits is gone.
func TestKeptIsReadBackWhole(t *testing.T) {
	g := openChosen(t)
	g.leave(g.passOver(1, 0))
	if _, p := g.Peek(insideKey(1)); p != Absent || g.disk.Stats().Kept != 0 {
		t.Errorf("nobody asked for it, and it is %v, %d kept", p, g.disk.Stats().Kept)
	}
	r := g.passOver(2, 3)
	goOn := holdWriter(g.disk.shards[0].Load())
	g.leave(r)
	if _, p := g.Peek(r.Key); p != OnDisk || g.disk.Stats().Kept != 1 {
		t.Errorf("it is %v, %d kept, want it below", p, g.disk.Stats().Kept)
	}
	if !g.below(2, keptSize) {
		t.Error("it cannot be had while it waits to be written")
	}
	goOn()
	if err := g.sync(); err != nil {
		t.Fatal(err)
	}
	if !g.below(2, keptSize) || !g.served(2, keptSize) {
		t.Error("it cannot be had after it was written")
	}
	g = g.restart(chosen)
	if _, p := g.Peek(insideKey(1)); p != Absent {
		t.Errorf("after a restart what nobody asked for is %v", p)
	}
	if _, p := g.Peek(insideKey(2)); p != OnDisk || !g.below(2, keptSize) || !g.served(2, keptSize) {
		t.Errorf("after a restart it is %v", p)
	}
}

// TestKeptOfUnknownLength: the disk is asked when the body turns out to be large,
// and what had come until then is kept with the rest.
func TestKeptOfUnknownLength(t *testing.T) {
	g := openChosen(t)
	w := g.Begin(insideKey(1), Meta{Length: -1})
	body := rigBody(1, keptSize)
	for p := body; len(p) > 0; {
		n := min(len(p), ChunkSize)
		if err := w.Chunk(p[:n:n]); err != nil {
			t.Fatal(err)
		}
		p = p[n:]
	}
	v := rigVariant(g.now.Load())
	if err := w.Commit(v); err != nil {
		t.Fatal(err)
	}
	if !v.Body.passed || g.below(1, keptSize) {
		t.Fatalf("the disk was not asked, or took it: %+v", g.disk.Stats())
	}
	r, _ := g.Peek(insideKey(1))
	g.Hit(r, v)
	g.leave(r)
	if err := g.sync(); err != nil {
		t.Fatal(err)
	}
	if !g.below(1, keptSize) || !g.served(1, keptSize) {
		t.Error("it cannot be had")
	}
}

// TestPurgeReachesWhatIsBeingKept, wherever it comes between the verdict on an object
// in memory and its being on disk: afterwards it is nowhere, nor after a restart.
func TestPurgeReachesWhatIsBeingKept(t *testing.T) {
	sweep := func(g *rig, k policy.Key) {
		if err := g.Sweep(g.t.Context(), 5, func(r *Resource) *Resource {
			if r.Key.Equal(k) {
				return nil
			}
			return r
		}); err != nil {
			g.t.Error(err)
		}
	}
	for name, course := range map[string]func(g *rig, r *Resource){
		"before it is offered": func(g *rig, r *Resource) {
			e := r.Variants[0].place.Load()
			g.Replace(r.Key, r, nil)
			if g.mem.keptBelow(e, r, 0) != nil || g.disk.Stats().Kept != 0 {
				g.t.Error("what was purged is kept")
			}
		},
		"after it was taken, before it has left memory": func(g *rig, r *Resource) {
			if g.mem.keptBelow(r.Variants[0].place.Load(), r, 0) == nil {
				g.t.Fatal("not kept")
			}
			if !g.Replace(r.Key, r, nil) {
				g.t.Error("not purged")
			}
		},
		"while it waits to be written": func(g *rig, r *Resource) {
			goOn := holdWriter(g.disk.shards[0].Load())
			defer goOn()
			g.leave(r)
			g.Delete(r.Key)
		},
		"by a sweep, while it waits to be written": func(g *rig, r *Resource) {
			shard := g.disk.shards[0].Load()
			goOn := holdWriter(shard)
			g.leave(r)
			swept := make(chan struct{})
			go func() {
				defer close(swept)
				sweep(g, r.Key)
			}()
			g.wait("the sweep waits for the writer", func() bool { n, _, _ := shard.queue.state(); return n > 1 })
			goOn()
			<-swept
		},
		"by a sweep, after it was written": func(g *rig, r *Resource) {
			g.leave(r)
			if err := g.sync(); err != nil || !g.below(1, keptSize) {
				g.t.Fatalf("not written: %v", err)
			}
			sweep(g, r.Key)
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := openChosen(t)
			course(g, g.passOver(1, 3))
			for _, when := range []string{"at once", "after a restart"} {
				if err := g.sync(); err != nil {
					t.Fatal(err)
				}
				if _, p := g.Peek(insideKey(1)); p != Absent || g.below(1, keptSize) {
					t.Errorf("%s it is %v", when, p)
				}
				if !g.below(othersAt, othersAre) {
					t.Errorf("%s another one is gone", when)
				}
				g = g.restart(chosen)
			}
		})
	}
}

// TestWhatCannotBeKeptIsCounted apart from what came and could not be stored.
func TestWhatCannotBeKeptIsCounted(t *testing.T) {
	for name, hinder := range map[string]func(s *diskShard, r *Resource){
		"the queue is full": func(s *diskShard, r *Resource) { s.queue.limit = r.Variants[0].Body.Size },
		"the shard rests": func(s *diskShard, _ *Resource) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.restLocked(errors.New("test"))
		},
		"it is over the largest": func(s *diskShard, r *Resource) { s.most = r.Variants[0].Body.Size - 1 },
	} {
		t.Run(name, func(t *testing.T) {
			g := openChosen(t)
			idle, r := g.passOver(1, 0), g.passOver(2, 1)
			before := g.disk.Stats()
			hinder(g.disk.shards[0].Load(), r)
			g.leave(idle) // nobody wants it kept
			g.leave(r)
			want := before.Dropped
			want[DiskDropLeaving]++
			st := g.disk.Stats()
			if st.Dropped != want || st.Kept != 0 {
				t.Errorf("dropped %v, before that %v; %d kept", st.Dropped, before.Dropped, st.Kept)
			}
			if _, p := g.Peek(r.Key); p != Absent {
				t.Errorf("it is %v", p)
			}
		})
	}
}
