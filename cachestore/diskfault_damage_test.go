package cachestore

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// pristine is the files of two shards that hold bodies of the sizes of damageSize
// under damageKeys keys, by name.
func pristine(t *testing.T) map[string][]byte {
	t.Helper()
	g := openRig(t, rigDir(t), both)
	for i := range damageKeys {
		if err := g.put(i, damageSize(i)); err != nil {
			t.Fatal(err)
		}
		if i%4 == 0 && g.sync() != nil {
			t.Fatal("not synced")
		}
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for n := range 2 {
		p, err := os.ReadFile(shardPath(g.dir, n))
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Base(shardPath(g.dir, n))] = p
	}
	return files
}

const damageKeys = 24

func damageSize(i int) int { return []int{0, 10, 700, 5_000, 66_000, 140_000}[i%6] }

// survives opens a directory, reads all that may be there, stores something new
// and reads again. It returns the hits.
func survives(t *testing.T, dir string, change func(*DiskConfig)) (hits int, st DiskStats) {
	t.Helper()
	g := openRig(t, dir, change)
	for i := range damageKeys {
		if g.below(i, damageSize(i)) {
			hits++
		}
	}
	for i := range 12 {
		g.now.Add(1e9)
		if err := g.put(100+i, 9_000); err != nil {
			t.Errorf("put: %v", err)
		}
		if i%3 == 0 {
			g.Delete(insideKey(i))
		}
		if i%6 == 5 {
			_ = g.sync()
		}
	}
	for i := range damageKeys {
		if i%3 != 0 || i >= 12 {
			g.below(i, damageSize(i))
		}
	}
	for i := range 12 {
		g.below(100+i, 9_000)
		if !g.served(100+i, 9_000) {
			t.Errorf("key %d is not even in memory", 100+i)
		}
	}
	st = g.disk.Stats()
	if err := g.Close(); err != nil {
		t.Logf("close: %v", err)
	}
	return hits, st
}

// lay writes files into a new directory.
func lay(t *testing.T, files map[string][]byte) string {
	t.Helper()
	dir := rigDir(t)
	for name, p := range files {
		if err := os.WriteFile(filepath.Join(dir, name), p, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestFlippedBits: whatever bits are wrong, what is served is right. Half of the
// flips hit the pages that are no values.
func TestFlippedBits(t *testing.T) {
	files := pristine(t)
	rounds := 300
	if RaceEnabled {
		rounds = 40
	}
	inChild(t, func(t *testing.T, _ string) {
		hits, quarantined, broken := 0, uint64(0), uint64(0)
		for round := range rounds {
			random := rand.New(rand.NewPCG(uint64(round), 7))
			damaged := map[string][]byte{}
			for name, p := range files {
				p = bytes.Clone(p)
				for range 1 + random.IntN(6) {
					at := random.IntN(len(p))
					if random.IntN(2) == 0 {
						at = random.IntN(len(p)/4096)*4096 + random.IntN(64)
					}
					p[at] ^= 1 << random.IntN(8)
				}
				damaged[name] = p
			}
			dir := lay(t, damaged)
			n, st := survives(t, dir, both)
			_ = os.RemoveAll(dir)
			hits, quarantined, broken = hits+n, quarantined+st.Quarantined, broken+st.Evicted[DiskEvictedBroken]
			if t.Failed() {
				t.Fatalf("in round %d", round)
			}
		}
		if hits < rounds*damageKeys/4 || quarantined < uint64(rounds/20) || broken == 0 {
			t.Errorf("%d hits, %d shards set aside, %d objects broken: the flips did not do what they are for", hits, quarantined, broken)
		}
	})
}

// TestZeroedPages, one or some at a time.
func TestZeroedPages(t *testing.T) {
	files := pristine(t)
	inChild(t, func(t *testing.T, _ string) {
		for round := range 40 {
			random := rand.New(rand.NewPCG(uint64(round), 8))
			damaged := map[string][]byte{}
			for name, p := range files {
				p = bytes.Clone(p)
				for range 1 + round%4 {
					clear(p[random.IntN(len(p)/4096)*4096:][:4096])
				}
				damaged[name] = p
			}
			dir := lay(t, damaged)
			survives(t, dir, both)
			_ = os.RemoveAll(dir)
		}
	})
}

// TestOtherFilesInAShardsPlace: cut ones, garbage, what was never a shard.
func TestOtherFilesInAShardsPlace(t *testing.T) {
	files := pristine(t)
	whole := files["shard-0.db"]
	garbage := func(size int) []byte { return rigBody(size, size) }
	for _, c := range []struct {
		name    string
		content []byte
		aside   bool // it is broken and set aside
	}{
		{"empty", nil, false},
		{"a byte", whole[:1], true},
		{"less than a page", whole[:3000], true},
		{"a page", whole[:4096], true},
		{"two pages", whole[:2*4096], true},
		{"a half", whole[:len(whole)/8192*4096], true},
		{"half a page", whole[:len(whole)/2+100], true},
		{"all but a byte", whole[:len(whole)-1], false},
		{"garbage of a byte", garbage(1), true},
		{"garbage of a page", garbage(4096), true},
		{"garbage of many pages", garbage(300_000), true},
		{"garbage behind two good pages", append(bytes.Clone(whole[:8192]), garbage(400_000)...), true},
		{"text", bytes.Repeat([]byte("this is no shard\n"), 5000), true},
		{"zeros", make([]byte, 1<<20), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := lay(t, map[string][]byte{"shard-0.db": c.content, "shard-1.db": files["shard-1.db"]})
			hits, st := survives(t, dir, both)
			if hits == 0 {
				t.Error("the other shard gives no hit")
			}
			if _, err := os.Stat(filepath.Join(dir, "shard-0.db.bad")); c.aside != (err == nil) || c.aside != (st.Quarantined == 1) {
				t.Errorf("%d set aside, %v, want it to be: %v", st.Quarantined, err, c.aside)
			}
			if again, st := survives(t, dir, both); again == 0 || st.Quarantined > 0 {
				t.Errorf("the next run: %d hits, %d set aside", again, st.Quarantined)
			}
		})
	}
}

// TestShardsInTheWrongPlace: what is not of here is not served from here.
func TestShardsInTheWrongPlace(t *testing.T) {
	files := pristine(t)
	zero, one := files["shard-0.db"], files["shard-1.db"]
	for _, c := range []struct {
		name    string
		files   map[string][]byte
		change  func(*DiskConfig)
		some    bool   // hits
		trouble uint64 // shards set aside
	}{
		{"as they were", files, both, true, 0},
		{"one is missing", map[string][]byte{"shard-1.db": one}, both, true, 0},
		{"all are missing", nil, both, false, 0},
		{"swapped", map[string][]byte{"shard-0.db": one, "shard-1.db": zero}, both, false, 2},
		{"one twice", map[string][]byte{"shard-0.db": one, "shard-1.db": one}, both, true, 1},
		{"fewer shards", files, nil, false, 1},
		{"more shards", files, func(c *DiskConfig) { c.Shards = 3 }, false, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			hits, st := survives(t, lay(t, c.files), c.change)
			if c.some != (hits > 0) || st.Quarantined != c.trouble {
				t.Errorf("%d hits, %d set aside, want %d", hits, st.Quarantined, c.trouble)
			}
		})
	}
	t.Run("another seed", func(t *testing.T) {
		g := openRig(t, lay(t, files), func(c *DiskConfig) { c.Shards, c.Seed = 2, 2 })
		if st := g.disk.Stats(); st.Quarantined != 2 || st.Objects != 0 {
			t.Errorf("%+v, want both shards set aside", st)
		}
	})
	t.Run("a directory", func(t *testing.T) {
		dir := lay(t, map[string][]byte{"shard-1.db": one})
		if err := os.MkdirAll(filepath.Join(dir, "shard-0.db", "x"), 0o700); err != nil {
			t.Fatal(err)
		}
		g := openRig(t, dir, both)
		if lines := g.disk.Trouble(); len(lines) != 1 {
			t.Errorf("trouble %q, want that of shard 0", lines)
		}
		for i := range 8 {
			if err := g.put(200+i, 1000); err != nil || !g.served(200+i, 1000) {
				t.Errorf("not served: %v", err)
			}
		}
		if err := os.RemoveAll(filepath.Join(dir, "shard-0.db")); err != nil {
			t.Fatal(err)
		}
		g.disk.install(0)
		if lines := g.disk.Trouble(); len(lines) != 0 {
			t.Errorf("trouble %q when it is gone", lines)
		}
	})
}

// TestABadFileThatCannotBeSetAside is not opened again, and is set aside later.
func TestABadFileThatCannotBeSetAside(t *testing.T) {
	dir := lay(t, map[string][]byte{"shard-0.db": []byte("broken")})
	bad := filepath.Join(dir, "shard-0.db.bad")
	if err := errors.Join(os.MkdirAll(filepath.Join(bad, "x"), 0o700)); err != nil {
		t.Fatal(err)
	}
	g := openRig(t, dir, nil)
	for range 3 {
		g.disk.install(0)
	}
	if st := g.disk.Stats(); st.Quarantined != 1 || st.Shards[0].Trouble == "" {
		t.Errorf("%+v, want one set aside, and its trouble", st)
	}
	if err := g.put(1, 1000); err != nil || !g.served(1, 1000) {
		t.Errorf("not served from memory: %v", err)
	}
	if err := os.RemoveAll(bad); err != nil {
		t.Fatal(err)
	}
	g.disk.install(0)
	g.storesAgain(10)
	if lines := g.lost.lines.Load(); lines > 3 {
		t.Error(fmt.Sprint(lines, " lines were logged"))
	}
}
