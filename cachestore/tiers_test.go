package cachestore_test

import (
	"bytes"
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

// TestTiersChunkStaysWhole: what Chunk returned is not overwritten by the next one.
func TestTiersChunkStaysWhole(t *testing.T) {
	dir := t.TempDir()
	content := storetest.Content(1, 3*cachestore.ChunkSize)
	t.Run("store", func(t *testing.T) {
		if err := storetest.Put(openTiers(t, dir, nil), storetest.Key(1), storetest.Variant(""), content); err != nil {
			t.Fatal(err)
		}
	})
	s := openTiers(t, dir, nil)
	r, err := s.Load(ctx, storetest.Key(1))
	if err != nil {
		t.Fatal(err)
	}
	var chunks [3][]byte
	for i := range chunks {
		if chunks[i], err = s.Chunk(ctx, r.Variants[0].Body, i); err != nil {
			t.Fatal(err)
		}
	}
	for i, c := range chunks {
		if !bytes.Equal(c, content[i*cachestore.ChunkSize:(i+1)*cachestore.ChunkSize]) {
			t.Errorf("chunk %d was overwritten", i)
		}
	}
}
