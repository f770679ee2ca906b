package cachestore_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"edgecache/cachestore"
	"edgecache/cachestore/storetest"
)

// eventually waits until ok says so; what never comes fails.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	deadline, stop := context.WithTimeout(ctx, 30*time.Second)
	defer stop()
	for !ok() {
		select {
		case <-look.C:
		case <-deadline.Done():
			t.Fatalf("%s: not within 30 s", what)
		}
	}
}

// fill stores objects of a size, the number of each the seed of its content.
func fill(t *testing.T, s *cachestore.Tiers, n, size int) {
	t.Helper()
	p := &pacer{t: t, s: s}
	for i := range n {
		p.put(i, i, size)
	}
	p.checkpoint()
}

// countStored reads everything and says how many of n objects are there.
func countStored(t *testing.T, s *cachestore.Tiers, n, size int) (there int) {
	t.Helper()
	for i := range n {
		got, err := lookUp(s, i)
		if err != nil {
			continue
		}
		if !bytes.Equal(got, storetest.Content(i, size)) {
			t.Fatalf("object %d is another", i)
		}
		there++
	}
	return there
}

// TestDiskShrinksAtARestart: under a smaller quota the files get below their
// bound by themselves, whether they were full to the last page or had room.
func TestDiskShrinksAtARestart(t *testing.T) {
	for _, c := range []struct {
		name    string
		objects int
	}{
		{"files that were never full", 1400},
		{"files that were full for long", 5000},
	} {
		t.Run(c.name, func(t *testing.T) {
			const size, large, small = 64 << 10, int64(160 << 20), int64(16 << 20)
			dir := t.TempDir()
			noSync := func(c *cachestore.DiskConfig) { c.NoSync = true }
			s := openSized(t, dir, 64<<20, large, noSync)
			fill(t, s, c.objects, size)
			file := s.Stats().Disk.File
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = openSized(t, dir, 64<<20, small, noSync)
			if most := s.Stats().Disk.Most; file <= most {
				t.Fatalf("the files had %d bytes, which is no more than %d", file, most)
			}
			eventually(t, "the files fit", func() bool {
				st := s.Stats().Disk
				return st.File <= st.Most && st.Live <= st.Limit
			})
			(&pacer{t: t, s: s}).checkpoint()
			st := s.Stats().Disk
			there := countStored(t, s, c.objects, size)
			t.Logf("files %d, then %d of at most %d; live %d, %d objects, %d read", file, st.File, st.Most, st.Live, st.Objects, there)
			if int64(there) != st.Objects || st.Live < small/2 {
				t.Errorf("%d objects can be read of %d, live are %d bytes", there, st.Objects, st.Live)
			}
			fill(t, s, 1000, size) // it still stores
			if r, err := s.Disk().Check(ctx); err != nil || r.Broken > 0 || r.Orphans > 0 {
				t.Errorf("check: %+v, error %v", r, err)
			}
		})
	}
}

// TestDiskCompactsUnderTraffic: reads and writes go on while files are compacted.
func TestDiskCompactsUnderTraffic(t *testing.T) {
	const objects, size = 400, 40_000
	s := openSized(t, t.TempDir(), 16<<20, 64<<20, nil)
	fill(t, s, objects, size)
	for i := 0; i < objects; i += 2 {
		s.Delete(storetest.Key(i))
	}
	if err := s.Disk().Sync(ctx); err != nil {
		t.Fatal(err)
	}
	before := s.Stats().Disk.File
	stop := make(chan struct{})
	var traffic sync.WaitGroup
	for g := range 3 {
		traffic.Go(func() {
			for i := g; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				key := i%(objects/2)*2 + 1
				if got, err := lookUp(s, key); err != nil || !bytes.Equal(got, storetest.Content(key, size)) {
					t.Errorf("object %d: %d bytes, error %v", key, len(got), err)
					return
				}
				if g == 0 && i%8 == 0 {
					if err := storetest.Put(s, storetest.Key(objects+i%16), storetest.Variant(""), storetest.Content(i, 1000)); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	for range 3 {
		r, err := s.Disk().Compact(ctx)
		if err != nil || r.After > r.Before {
			t.Errorf("compact: %+v, error %v", r, err)
		}
	}
	close(stop)
	traffic.Wait()
	if after := s.Stats().Disk.File; after > before*3/4 {
		t.Errorf("%d bytes after, %d before, half of it was deleted", after, before)
	}
	for i := 1; i < objects; i += 2 {
		mustHave(t, s, storetest.Key(i), storetest.Content(i, size))
	}
}

// TestDiskCompactionThatFails leaves everything as it was: where the new file
// belongs there is a directory.
func TestDiskCompactionThatFails(t *testing.T) {
	const objects, size = 60, 20_000
	dir := t.TempDir()
	s := openSized(t, dir, 16<<20, 32<<20, nil)
	fill(t, s, objects, size)
	before := s.Stats().Disk
	for _, shard := range before.Shards {
		in := shard.File + ".new"
		if err := os.MkdirAll(filepath.Join(in, "in the way"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if r, err := s.Disk().Compact(ctx); err == nil {
		t.Fatalf("it did not fail: %+v", r)
	}
	after := s.Stats().Disk
	if after.File != before.File || after.Objects != objects || after.Quarantined != 0 || len(s.Disk().Trouble()) > 0 {
		t.Errorf("stats are %+v, were %+v", after, before)
	}
	if there := countStored(t, s, objects, size); there != objects {
		t.Errorf("%d objects are there, want %d", there, objects)
	}
	fill(t, s, objects, size)
	for _, shard := range before.Shards {
		if err := os.RemoveAll(shard.File + ".new"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Disk().Compact(ctx); err != nil {
		t.Errorf("once there is nothing in the way: %v", err)
	}
	if there := countStored(t, s, objects, size); there != objects {
		t.Errorf("%d objects are there in the end, want %d", there, objects)
	}
}
