package cachestore_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"edgecache/cachestore"
	"edgecache/cachestore/storetest"
)

// openSized makes a store whose queue to the disk is never full when paced.
func openSized(t *testing.T, dir string, memory, disk int64, change func(*cachestore.DiskConfig)) *cachestore.Tiers {
	t.Helper()
	mem, err := cachestore.NewMemory(cachestore.MemoryConfig{Size: memory})
	if err != nil {
		t.Fatal(err)
	}
	c := cachestore.DiskConfig{
		Dir: dir, Size: disk, Queue: memory / 4, Seed: 1,
		PurgeSeq: func() uint64 { return 1 }, LastPurge: func() uint64 { return 0 },
	}
	if change != nil {
		change(&c)
	}
	d, err := cachestore.OpenDisk(c)
	if err != nil {
		t.Fatal(err)
	}
	s, err := cachestore.NewTiers(mem, d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil && !errors.Is(err, cachestore.ErrClosed) {
			t.Error(err)
		}
	})
	if err := d.Loaded(ctx); err != nil {
		t.Fatal(err)
	}
	return s
}

// pacer stores objects no faster than the disk takes them, and holds the store
// to its bounds.
type pacer struct {
	t       *testing.T
	s       *cachestore.Tiers
	waiting int64 // bytes since the last Sync
	written int64 // bytes of all bodies
	checks  int
}

// put stores a body; before the queue of any shard could be full, it waits.
func (p *pacer) put(key, seed, size int) {
	p.t.Helper()
	st := p.s.Stats().Disk
	if p.waiting += int64(size) + 1<<10; p.waiting > st.QueueLimit/int64(len(st.Shards)) {
		p.checkpoint()
		p.waiting = int64(size) + 1<<10
	}
	v := storetest.Variant("")
	if key%10 != 0 { // the tenth ones are expired from the start
		v.Validators.ETag = []byte(`"1"`)
	}
	if err := storetest.Put(p.s, storetest.Key(key), v, storetest.Content(seed, size)); err != nil {
		p.t.Fatalf("%d bytes: %v", size, err)
	}
	p.written += int64(size)
	p.bounds()
}

// checkpoint waits until everything is on disk.
func (p *pacer) checkpoint() {
	p.t.Helper()
	p.bounds()
	if err := p.s.Disk().Sync(ctx); err != nil {
		p.t.Fatal(err)
	}
	p.bounds()
	p.checks++
}

func (p *pacer) bounds() {
	p.t.Helper()
	st := p.s.Stats()
	d := st.Disk
	if most := d.Limit + d.Limit/4 + 32<<20; d.File > most {
		p.t.Fatalf("the files have %d bytes, the most is %d", d.File, most)
	}
	if d.Live > d.Limit {
		p.t.Fatalf("%d live bytes, the quota is %d", d.Live, d.Limit)
	}
	if st.Bytes > st.Limit+st.Limit/20 {
		p.t.Fatalf("%d bytes of memory, the limit is %d", st.Bytes, st.Limit)
	}
}

// mixedSize is mostly small and at times up to 512 KiB: 10 KiB on average.
func mixedSize(random *rand.Rand) int {
	switch n := random.IntN(1000); {
	case n < 12:
		return 128<<10 + random.IntN(384<<10)
	case n < 60:
		return random.IntN(128 << 10)
	}
	return random.IntN(8 << 10)
}

// TestDiskQuota writes four times the quota, looks things up, replaces and
// deletes some: what is stored, the files and memory stay within their bounds.
func TestDiskQuota(t *testing.T) {
	objects, quota := 100_000, int64(256<<20)
	if cachestore.RaceEnabled {
		objects, quota = 8_000, 20<<20
	}
	random := rand.New(rand.NewPCG(3, 1))
	s := openSized(t, t.TempDir(), quota/2, quota, func(c *cachestore.DiskConfig) { c.NoSync = true })
	p := &pacer{t: t, s: s}
	seeds, sizes := map[int]int{}, map[int]int{}
	hits, gone := 0, 0
	for i := range objects {
		key := i
		switch random.IntN(20) {
		case 0, 1:
			key = random.IntN(i + 1) // a replacement, mostly of what was evicted
		case 2:
			key = max(i-random.IntN(500), 0)
		case 3:
			old := max(i-random.IntN(2000), 0)
			s.Delete(storetest.Key(old))
			delete(seeds, old)
		}
		seeds[key], sizes[key] = i, mixedSize(random)
		p.put(key, i, sizes[key])
		if i%4 != 0 {
			continue
		}
		asked := max(i-random.IntN(objects/5), 0)
		got, err := lookUp(s, asked)
		switch seed, stored := seeds[asked]; {
		case err != nil:
			gone++
		case !stored || !bytes.Equal(got, storetest.Content(seed, sizes[asked])):
			t.Fatalf("key %d: %d bytes, stored %v, want %d", asked, len(got), stored, sizes[asked])
		default:
			hits++
		}
	}
	p.checkpoint()
	d := s.Stats().Disk
	t.Logf("%d bytes written in all, quota %d: %d objects, live %d, files %d; %d hits, %d not there; evicted %v, dropped %v, %d checkpoints",
		p.written, quota, d.Objects, d.Live, d.File, hits, gone, d.Evicted, d.Dropped, p.checks)
	if p.written < 4*quota*9/10 || hits < objects/40 || d.Live < quota*3/4 {
		t.Errorf("the run did not exercise what it is about")
	}
	if d.Dropped != [cachestore.DiskDrops]uint64{} {
		t.Errorf("dropped %v, want nothing", d.Dropped)
	}
	if r, err := s.Disk().Check(ctx); err != nil || r.Broken > 0 || r.Orphans > 0 || r.Objects != d.Objects {
		t.Errorf("check: %+v, error %v, want %d objects", r, err, d.Objects)
	}
}

// TestDiskKeepsWhatIsUsed: an object that is read now and then stays while four
// times the quota passes by, where bytes are what counts also one that is too large for
// memory.
func TestDiskKeepsWhatIsUsed(t *testing.T) {
	const quota, small, large = 32 << 20, 40_000, 3 << 20
	s := openSized(t, t.TempDir(), 8<<20, quota, func(c *cachestore.DiskConfig) { c.NoSync, c.Shards, c.Objective = true, 1, cachestore.ObjectiveBytes })
	p := &pacer{t: t, s: s}
	p.put(1, 1, small)
	p.put(2, 2, large)
	p.put(3, 3, large) // nobody asks for this one
	for i := 11; p.written < 4*quota; i++ {
		p.put(i, i, 64<<10)
		if i%64 != 0 {
			continue
		}
		p.checkpoint()
		for key, size := range map[int]int{1: small, 2: large} {
			if got, err := lookUp(s, key); err != nil || !bytes.Equal(got, storetest.Content(key, size)) {
				t.Fatalf("after %d MiB object %d is %d bytes, error %v", p.written>>20, key, len(got), err)
			}
		}
	}
	p.checkpoint()
	if _, err := lookUp(s, 3); !errors.Is(err, cachestore.ErrAbsent) && !errors.Is(err, cachestore.ErrChunkGone) {
		t.Errorf("what nobody asked for: error %v, want that it is gone", err)
	}
}

// lookUp is a hit, if there is something.
func lookUp(s *cachestore.Tiers, key int) ([]byte, error) {
	r, err := s.Load(ctx, storetest.Key(key))
	if err != nil {
		return nil, err
	}
	s.Hit(r, r.Variants[0])
	return wholeBody(s, r, r.Variants[0])
}

// TestDiskWriteAmplification: a shard that is full for long writes at most 1.6
// bytes for each byte of a body of 64 KiB. Without sync bbolt makes the same
// writes, so what the process writes is counted, not what the device gets.
func TestDiskWriteAmplification(t *testing.T) {
	const quota = 128 << 20
	if cachestore.RaceEnabled {
		t.Skip("so slow that batches are small, and each has its own overhead")
	}
	for _, used := range []int{0, 4} {
		t.Run(fmt.Sprintf("every %dth used", used), func(t *testing.T) {
			s := openSized(t, t.TempDir(), 64<<20, quota, func(c *cachestore.DiskConfig) { c.NoSync = true })
			p := &pacer{t: t, s: s}
			n := int(quota / (64 << 10))
			for i := range n { // fills it; what follows is what counts
				p.put(i, i, 64<<10)
			}
			p.checkpoint()
			before, from := writtenByUs(t), p.written
			for i := n; i < 4*n; i++ {
				p.put(i, i, 64<<10)
				if used > 0 && i%used == 0 {
					if _, err := lookUp(s, i-n/2); err != nil && !errors.Is(err, cachestore.ErrAbsent) {
						t.Fatal(err)
					}
				}
			}
			p.checkpoint()
			amplification := float64(writtenByUs(t)-before) / float64(p.written-from)
			t.Logf("%.3f bytes written a byte stored", amplification)
			if amplification > 1.6 {
				t.Errorf("%.3f bytes are written for each byte that is stored, want at most 1.6", amplification)
			}
		})
	}
}

// writtenByUs is how many bytes the process has handed to write calls.
func writtenByUs(t *testing.T) int64 {
	t.Helper()
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		t.Skipf("the system does not tell what a process writes: %v", err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "wchar: "); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Skip("the system does not tell what a process writes")
	return 0
}
