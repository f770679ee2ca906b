package cachestore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"edgecache/policy"
)

// TestDiskFitsOnceThereIsRoom: a file that cannot be made to fit, because the
// new one finds no room, stays and serves; later it is tried again.
func TestDiskFitsOnceThereIsRoom(t *testing.T) {
	dir, full, clock := t.TempDir(), atomic.Bool{}, atomic.Int64{}
	clock.Store(time.Now().UnixNano())
	c := DiskConfig{
		Dir: dir, Size: 96 << 20, Shards: 1, Seed: 1, NoSync: true, Now: clock.Load,
		PurgeSeq: func() uint64 { return 1 }, LastPurge: func() uint64 { return 0 },
		open: func(name string, flag int, mode os.FileMode) (*os.File, error) {
			if full.Load() && strings.HasSuffix(name, newSuffix) {
				name = "/dev/full"
			}
			return os.OpenFile(name, flag, mode)
		},
	}
	const objects = 900
	s := openTiersOf(t, c)
	for i := range objects {
		if i%20 == 0 {
			syncDisk(t, s)
		}
		putOne(t, s, i)
	}
	syncDisk(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	full.Store(true)
	c.Size = 8 << 20
	s = openTiersOf(t, c)
	shard := s.disk.shards[0].Load()
	over := func() (over, fitting bool) {
		syncDisk(t, s)
		shard.mu.RLock()
		defer shard.mu.RUnlock()
		return shard.file.over(), shard.fitting
	}
	for i := 0; ; i++ { // each Sync is a batch of the writer's
		if _, fitting := over(); !fitting {
			break
		}
		if i > 10_000 {
			t.Fatal("it does not come to an end")
		}
	}
	if is, _ := over(); !is {
		t.Fatalf("the file has %d bytes though there was no room for a smaller one", shard.file.size())
	}
	if _, err := s.disk.Compact(context.Background()); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("compact: %v, want ENOSPC", err)
	}
	if st := s.disk.Stats(); st.Live > st.Limit || st.Objects == 0 || st.Quarantined > 0 || len(s.disk.Trouble()) > 0 {
		t.Errorf("after the failure: %+v", st)
	}
	stored := readAll(t, s, objects)

	full.Store(false)
	shard.fit()
	if is, fitting := over(); !is || fitting {
		t.Error("it is tried again at once")
	}
	clock.Add(int64(fitAgain))
	shard.fit()
	for is, _ := over(); is; is, _ = over() {
	}
	if again := readAll(t, s, objects); again != stored || stored == 0 {
		t.Errorf("%d objects were there before, %d are now", stored, again)
	}
}

func openTiersOf(t *testing.T, c DiskConfig) *Tiers {
	t.Helper()
	mem, err := NewMemory(MemoryConfig{Size: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	c.Queue = 4 << 20
	d, err := OpenDisk(c)
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewTiers(mem, d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil && !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	})
	if err := d.Loaded(context.Background()); err != nil {
		t.Fatal(err)
	}
	return s
}

func syncDisk(t *testing.T, s *Tiers) {
	t.Helper()
	if err := s.disk.Sync(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func numberedKey(i int) policy.Key {
	k, _ := policy.NewKey(nil, 1, policy.URL{Scheme: "http", Host: []byte("h"), Path: fmt.Appendf(nil, "/%d", i)}, nil)
	return k
}

// putOne stores a chunk that begins with its number.
func putOne(t *testing.T, s *Tiers, i int) {
	t.Helper()
	p := make([]byte, ChunkSize)
	copy(p, fmt.Sprintf("object %d.", i))
	w := s.Begin(numberedKey(i), Meta{Length: ChunkSize})
	if err := w.Chunk(p); err != nil {
		t.Fatal(err)
	}
	v := &Variant{Head: NewHead(200, nil, nil), Validators: policy.Validators{ETag: []byte(`"1"`)}}
	if err := w.Commit(v); err != nil {
		t.Fatal(err)
	}
}

// readAll says how many objects can be read; each must be the right one.
func readAll(t *testing.T, s *Tiers, objects int) (n int) {
	t.Helper()
	for i := range objects {
		r, err := s.Load(context.Background(), numberedKey(i))
		if err != nil {
			continue
		}
		c, err := s.Chunk(context.Background(), r.Variants[0].Body, 0)
		if err != nil {
			continue
		}
		if want := fmt.Sprintf("object %d.", i); !strings.HasPrefix(string(c), want) {
			t.Fatalf("object %d is %.20q", i, c)
		}
		n++
	}
	return n
}
