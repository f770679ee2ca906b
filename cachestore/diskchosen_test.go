package cachestore_test

import (
	"errors"
	"testing"

	"edgecache/cachestore"
	"edgecache/cachestore/storetest"
)

// TestLargeBodyIsChosenWhenItComesAgain: a body that is too large for memory goes to disk as it
// comes, if it is chosen. The first time it is a stranger beside smaller ones, and is refused
// before a byte was written; the second time it is not.
func TestLargeBodyIsChosenWhenItComesAgain(t *testing.T) {
	s := openSized(t, t.TempDir(), 64<<20, 64<<20, func(c *cachestore.DiskConfig) {
		c.Shards, c.Admission = 1, cachestore.AdmitSZ2
	})
	put := func(key, size int) error {
		v := storetest.Variant("")
		v.Validators.ETag = []byte(`"1"`)
		return storetest.Put(s, storetest.Key(key), v, storetest.Content(key, size))
	}
	for i := range 20 { // over a quarter of the shard
		if err := put(i, 1<<20); err != nil {
			t.Fatal(err)
		}
		if err := s.Disk().Sync(ctx); err != nil {
			t.Fatal(err)
		}
	}
	const large = 9 << 20
	stored := s.Stats().Disk.Stored
	if err := put(100, large); !errors.Is(err, cachestore.ErrTooLarge) {
		t.Fatalf("the first time: %v, want it to be too large for memory alone", err)
	}
	if st := s.Stats().Disk; st.Stored != stored || st.Dropped[cachestore.DiskDropChoice] == 0 {
		t.Errorf("%d objects stored, %d before; dropped %v", st.Stored, stored, st.Dropped)
	}
	if err := put(100, large); err != nil {
		t.Fatalf("the second time: %v", err)
	}
	if err := s.Disk().Sync(ctx); err != nil {
		t.Fatal(err)
	}
	r, err := s.Load(ctx, storetest.Key(100))
	if err != nil || r.Variants[0].Body.Size != large {
		t.Errorf("loaded %v, error %v", r, err)
	}
}
