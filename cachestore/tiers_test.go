package cachestore_test

import (
	"testing"

	"edgecache/cachestore"
	"edgecache/cachestore/storetest"
)

// openTiers makes an empty store of memory over a disk in dir.
func openTiers(t *testing.T, dir string, change func(*cachestore.DiskConfig)) *cachestore.Tiers {
	t.Helper()
	mem, err := cachestore.NewMemory(cachestore.MemoryConfig{Size: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	c := cachestore.DiskConfig{
		Dir: dir, Size: 64 << 20, Queue: 2 << 20, Shards: 2, Seed: 1,
		PurgeSeq: func() uint64 { return 1 }, LastPurge: func() uint64 { return 0 },
	}
	if change != nil {
		change(&c)
	}
	disk, err := cachestore.OpenDisk(c)
	if err != nil {
		t.Fatal(err)
	}
	s, err := cachestore.NewTiers(mem, disk)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := disk.Loaded(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTiersKeepTheContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) cachestore.Store { return openTiers(t, t.TempDir(), nil) })
}
