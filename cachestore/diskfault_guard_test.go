package cachestore

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

// TestAPanicInATransactionRetiresTheShard: of a reader, and of the writer.
func TestAPanicInATransactionRetiresTheShard(t *testing.T) {
	oops := func(*bbolt.Tx) error { panic("bbolt met a bug") }
	for name, meet := range map[string]func(*diskShard) error{
		"reader": func(s *diskShard) error {
			return s.file.view(oops)
		},
		"writer": func(s *diskShard) error { return s.file.update(oops) },
	} {
		t.Run(name, func(t *testing.T) {
			inChild(t, func(t *testing.T, dir string) {
				g := openRig(t, dir, nil)
				if err := errors.Join(g.put(1, 100_000), g.sync()); err != nil || !g.below(1, 100_000) {
					t.Fatalf("nothing is stored: %v", err)
				}
				s := g.disk.shards[0].Load()
				err := meet(s)
				if !errors.Is(err, errBroken) || !strings.Contains(err.Error(), "bbolt met a bug") {
					t.Fatalf("error %v, want a broken shard that tells the panic", err)
				}
				_ = s.failed(0, err)
				g.quarantined(1)
				if g.below(1, 100_000) {
					t.Error("the abandoned shard still serves")
				}
				if !g.served(1, 100_000) {
					t.Error("what was in memory as well is gone")
				}
				g.storesAgain(10)
				if err := g.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestACutFileIsReplaced: a file that is cut while it is open is a signal to who
// touches its mapping, and an end of file to who reads it. Neither ends more than
// the shard.
func TestACutFileIsReplaced(t *testing.T) {
	for name, cut := range map[string]func(size int64) int64{
		"to nothing": func(int64) int64 { return 0 },
		"to a page":  func(int64) int64 { return 4096 },
		"to a half":  func(size int64) int64 { return size / 2 },
	} {
		t.Run(name, func(t *testing.T) {
			inChild(t, func(t *testing.T, dir string) {
				g := openRig(t, dir, nil)
				for i := range 40 {
					if err := g.put(i, 90_000); err != nil {
						t.Fatal(err)
					}
					if err := g.sync(); err != nil {
						t.Fatal(err)
					}
				}
				over := load(g, 40)
				info, err := os.Stat(shardPath(dir, 0))
				if err != nil {
					t.Fatal(err)
				}
				if err := os.Truncate(shardPath(dir, 0), cut(info.Size())); err != nil {
					t.Fatal(err)
				}
				g.quarantined(1)
				g.storesAgain(1000)
				over()
				began := time.Now()
				if err := g.Close(); err != nil {
					t.Errorf("close: %v after %v", err, time.Since(began))
				}
			})
		})
	}
}

// load reads and writes keys below n until the function that it returns is called.
func load(g *rig, n int) (over func()) {
	var all sync.WaitGroup
	var end atomic.Bool
	for r := range 8 {
		all.Go(func() {
			for i := r; !end.Load(); i++ {
				g.below(i%n, 90_000)
			}
		})
	}
	all.Go(func() {
		for i := 0; !end.Load(); i++ {
			g.now.Add(1e9) // whatever rests does not rest for long
			if err := g.put(i%n, 90_000); err != nil && !errors.Is(err, ErrNoRoom) {
				g.t.Errorf("put: %v", err)
			}
			_ = g.sync()
		}
	})
	return func() {
		end.Store(true)
		all.Wait()
	}
}

// TestNobodyWaitsForLocksThatAFaultTook: who faults in the beginning of a
// transaction keeps bbolt's locks for ever. Reads need none of them, and the
// writer finds out that the file was cut before it asks for them.
func TestNobodyWaitsForLocksThatAFaultTook(t *testing.T) {
	inChild(t, func(t *testing.T, dir string) {
		g := openRig(t, dir, nil)
		if err := errors.Join(g.put(1, 100_000), g.sync()); err != nil {
			t.Fatal(err)
		}
		s := g.disk.shards[0].Load()
		if err := os.Truncate(shardPath(dir, 0), 0); err != nil {
			t.Fatal(err)
		}
		fault := Guard(func() error { return s.file.open.Load().View(func(*bbolt.Tx) error { return nil }) })
		if fault == nil {
			t.Fatal("the cut mapping gave no fault")
		}
		ended := make(chan string, 3)
		go func() {
			_ = g.put(2, 100_000)
			ended <- fmt.Sprint("a sync fails: ", g.sync() != nil)
		}()
		go func() {
			ended <- fmt.Sprint("a read of a hit: ", g.below(1, 100_000))
		}()
		for range 2 {
			select {
			case said := <-ended:
				t.Log(said)
			case <-time.After(20 * time.Second):
				t.Fatal("somebody waits for the locks of the abandoned file")
			}
		}
		g.quarantined(1)
		g.storesAgain(10)
		began := time.Now()
		if err := g.Close(); err != nil || time.Since(began) > closeWait/2 {
			t.Errorf("close: %v after %v", err, time.Since(began))
		}
	})
}

// TestGarbageUnderTheWriter: the writer reads pages through the mapping.
func TestGarbageUnderTheWriter(t *testing.T) {
	inChild(t, func(t *testing.T, dir string) {
		g := openRig(t, dir, nil)
		for i := range 20 {
			if err := errors.Join(g.put(i, 70_000), g.sync()); err != nil {
				t.Fatal(err)
			}
		}
		f, err := os.OpenFile(shardPath(dir, 0), os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteAt(make([]byte, 1<<20), 2*4096); err != nil { // all but the meta pages
			t.Fatal(err)
		}
		g.wait("the shard is given up", func() bool {
			g.now.Add(1e9)
			g.Delete(insideKey(3))
			_ = g.put(30, 1000)
			return g.sync() != nil || g.disk.Stats().Quarantined > 0
		})
		g.quarantined(1)
		g.storesAgain(100)
	})
}

// TestAShardThatBreaksForEverEndsOutOfService: there are only so many openings,
// and opening what is not there takes none.
func TestAShardThatBreaksForEverEndsOutOfService(t *testing.T) {
	inChild(t, func(t *testing.T, dir string) {
		g := openRig(t, dir, func(c *DiskConfig) { c.Shards = 2 })
		for n := uint64(0); g.disk.livesLeft() > 0; n++ {
			s := g.disk.shards[0].Load()
			g.disk.retire(s, errors.New("it is broken again"))
			g.wait("it is replaced, or will not be", func() bool {
				return g.disk.shards[0].Load() != nil || g.disk.Stats().Quarantined > n && g.disk.livesLeft() == 0
			})
		}
		g.disk.retire(g.disk.shards[0].Load(), errors.New("it is broken again"))
		g.wait("its end is told", func() bool { return strings.Contains(fmt.Sprint(g.disk.Trouble()), "broke too often") })
		if lines := g.disk.Trouble(); len(lines) != 1 || !strings.HasPrefix(lines[0], "shard-0.db: ") {
			t.Errorf("trouble %q, want one line of shard 0", lines)
		}
		for i := range 40 {
			if err := g.put(i, 1000); err != nil || !g.served(i, 1000) {
				t.Errorf("key %d is not served: %v", i, err)
			}
		}
		if err := g.sync(); err != nil {
			t.Error(err)
		}
		if n := g.disk.Stats().Objects; n == 0 || n == 40 {
			t.Errorf("%d objects on disk, want those of the other shard", n)
		}
	})
}
