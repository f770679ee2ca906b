package cachestore

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"go.etcd.io/bbolt"
)

// trusted says whether the disk's objects under keys below n may be served, by
// their shard, and how many there are.
func trusted(g *rig, n int) (may, must map[int]int) {
	may, must = map[int]int{}, map[int]int{}
	for i := range n {
		k := insideKey(i)
		s := g.disk.shard(k.Hash)
		if s == nil {
			continue
		}
		r, _, err := s.load(g.t.Context(), k)
		if err != nil {
			continue
		}
		if r.Variants[0].Life.NoCache && r.Variants[0].Life.Fresh == 0 {
			must[s.n]++
			continue
		}
		may[s.n]++
	}
	return may, must
}

// TestAnotherPurgeLogDistrustsTheDisk: what was stored before is not served
// unvalidated, and is covered by what is purged from then on.
func TestAnotherPurgeLogDistrustsTheDisk(t *testing.T) {
	last := uint64(7)
	with := func(epoch byte, now uint64) func(*DiskConfig) {
		return func(c *DiskConfig) {
			c.PurgeEpoch[0] = epoch
			c.PurgeSeq, c.LastPurge = func() uint64 { return now }, func() uint64 { return last }
		}
	}
	g := openRig(t, rigDir(t), with(1, 10))
	if err := errors.Join(g.put(1, 3000), g.sync()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name         string
		epoch        byte
		now, last    uint64
		may, must    int
		purgedBefore uint64 // the object's number: every purge after it covers
	}{
		{"the same log", 1, 20, 7, 1, 0, 1},
		{"one that knows more", 1, 30, 9, 1, 0, 1},
		{"an older copy of it", 1, 40, 8, 0, 1, 40},
		{"the same one again", 1, 50, 8, 0, 1, 40},
		{"another log, whose numbers begin low", 2, 3, 0, 0, 1, 3},
		{"and that one again", 2, 5, 0, 0, 1, 3},
	} {
		last = c.last
		g = g.restart(with(c.epoch, c.now))
		may, must := trusted(g, 2)
		if may[0] != c.may || must[0] != c.must {
			t.Errorf("%s: %d trusted, %d not, want %d and %d", c.name, may[0], must[0], c.may, c.must)
			continue
		}
		r, err := g.Load(t.Context(), insideKey(1))
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Variants[0].PurgeSeq; got != c.purgedBefore {
			t.Errorf("%s: the object has purge number %d, want %d", c.name, got, c.purgedBefore)
		}
	}
	if err := errors.Join(g.put(2, 3000), g.sync()); err != nil {
		t.Fatal(err)
	}
	if may, must := trusted(g, 3); may[0] != 1 || must[0] != 1 {
		t.Errorf("%d trusted, %d not, want the new one trusted", may[0], must[0])
	}
}

// keep is a sweep's judge that finds nothing purged.
func keep(r *Resource) *Resource { return r }

// away makes the file of shard 1 one that cannot be had.
func away(c *DiskConfig) {
	c.Shards = 2
	open := c.open
	c.open = func(name string, flag int, mode os.FileMode) (*os.File, error) {
		if strings.HasSuffix(name, "shard-1.db") {
			return nil, &os.PathError{Op: "open", Path: name, Err: syscall.EACCES}
		}
		return open(name, flag, mode)
	}
}

func both(c *DiskConfig) { c.Shards = 2 }

// TestAShardThatMissedASweepIsNotTrusted: the log has forgotten what it does not
// know of, in the same run and in the next.
func TestAShardThatMissedASweepIsNotTrusted(t *testing.T) {
	dir := rigDir(t)
	g := openRig(t, dir, both)
	for i := range 20 {
		if err := g.put(i, 500); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(g.sync(), g.Sweep(t.Context(), 30, keep)); err != nil {
		t.Fatal(err)
	}
	for n, c := range []struct {
		name string
		back func(g *rig) *rig
	}{
		{"in the same run", func(g *rig) *rig {
			g.disk.config.open = nil
			g.disk.install(1)
			return g
		}},
		{"in the next run", func(g *rig) *rig { return g.restart(both) }},
	} {
		g = g.restart(both)
		before, _ := trusted(g, 20)
		g = g.restart(away)
		if err := g.Sweep(t.Context(), uint64(40+10*n), keep); err != nil {
			t.Fatalf("%s: sweep of what is there: %v", c.name, err)
		}
		g = c.back(g)
		if err := g.disk.Loaded(t.Context()); err != nil {
			t.Fatal(err)
		}
		may, must := trusted(g, 20)
		if may[0] != before[0] || must[0] != 0 || may[1] != 0 || must[1] == 0 {
			t.Errorf("%s: trusted %v, not trusted %v, want shard 1 not to be", c.name, may, must)
		}
		if err := g.Close(); err != nil {
			t.Fatal(err)
		}
		_ = os.Remove(shardPath(dir, 1)) // begin anew
		g = openRig(t, dir, both)
		for i := range 20 {
			g.Delete(insideKey(i))
			if err := g.put(i, 500); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(g.sync(), g.Sweep(t.Context(), uint64(45+10*n), keep)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestASweepThatCannotBeNotedFails: the log must not forget then.
func TestASweepThatCannotBeNotedFails(t *testing.T) {
	g := openRig(t, rigDir(t), nil)
	if err := errors.Join(g.put(1, 500), g.put(2, 500), g.sync()); err != nil {
		t.Fatal(err)
	}
	s := g.disk.shards[0].Load()
	judged := 0
	err := g.Sweep(t.Context(), 10, func(r *Resource) *Resource {
		if judged++; judged == 1 {
			g.disk.retire(s, errors.New("it broke in between"))
		}
		return r
	})
	if err == nil {
		t.Error("a shard was retired during a sweep, and it says that all is noted")
	}
	g.quarantined(1)
	if err := g.Sweep(t.Context(), 11, keep); err != nil {
		t.Errorf("the next sweep: %v", err)
	}
	g.disk.mu.Lock()
	g.disk.lastLife = maxLives // none replaces it
	g.disk.mu.Unlock()
	g.disk.retire(g.disk.shards[0].Load(), errors.New("it broke for good"))
	if err := g.Sweep(t.Context(), 12, keep); err == nil {
		t.Error("no shard could note the sweep, and it says that it was noted")
	}
}

// TestSyncEndsWhenAShardIsRetired, although its writer never comes to it.
func TestSyncEndsWhenAShardIsRetired(t *testing.T) {
	g := openRig(t, rigDir(t), nil)
	s := g.disk.shards[0].Load()
	began, end := make(chan struct{}), make(chan struct{})
	defer close(end)
	s.queue.offer(&change{kind: changeMark, done: func(error) { close(began); <-end }}) // the writer is held
	<-began
	failed := make(chan error, 1)
	go func() { failed <- g.sync() }()
	g.wait("the mark waits", func() bool { n, _, _ := s.queue.state(); return n > 0 })
	g.disk.retire(s, errors.New("test"))
	if err := <-failed; !errors.Is(err, errRetired) {
		t.Errorf("sync: %v, want that the shard was retired", err)
	}
}

// TestAKeyThatIsNoneEndsTheShard: a sweep that stops there in silence would leave
// purged objects behind it.
func TestAKeyThatIsNoneEndsTheShard(t *testing.T) {
	g := openRig(t, rigDir(t), nil)
	for i := range 10 {
		if err := errors.Join(g.put(i, 500), g.sync()); err != nil {
			t.Fatal(err)
		}
	}
	s := g.disk.shards[0].Load()
	if err := s.file.update(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucketObjects).Put(append(idKey(nil, 3), 'x'), []byte("?"))
	}); err != nil {
		t.Fatal(err)
	}
	if err := g.Sweep(t.Context(), 10, keep); err == nil {
		t.Error("the sweep passed over what it cannot read")
	}
	g.quarantined(1)
}
