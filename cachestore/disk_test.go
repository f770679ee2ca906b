package cachestore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"edgecache/cachestore"
	"edgecache/cachestore/storetest"
	"edgecache/policy"
)

// wholeBody reads a stored body through a loan.
func wholeBody(s cachestore.Store, r *cachestore.Resource, v *cachestore.Variant) ([]byte, error) {
	l := s.Open(r, v)
	defer l.Close()
	var all []byte
	for i := range v.Body.Chunks() {
		c, err := l.Chunk(ctx, i)
		if err != nil {
			return all, err
		}
		all = append(all, c...)
	}
	return all, nil
}

// mustHave checks that content is stored under k, wherever.
func mustHave(t *testing.T, s cachestore.Store, k policy.Key, content []byte) {
	t.Helper()
	r, err := s.Load(ctx, k)
	if err != nil {
		t.Fatalf("%s: %v", k.URL().Path, err)
	}
	got, err := wholeBody(s, r, r.Variants[0])
	if err != nil || !bytes.Equal(got, content) {
		t.Fatalf("%s: %d bytes, error %v, want %d bytes; equal: %v", k.URL().Path, len(got), err, len(content), bytes.Equal(got, content))
	}
}

func TestDiskKeepsOverARestart(t *testing.T) {
	dir := t.TempDir()
	sizes := []int{0, 1, 500, 70_000, 300_000, 3 << 20}
	t.Run("store", func(t *testing.T) {
		s := openTiers(t, dir, nil)
		for i, size := range sizes {
			for _, selector := range []string{"", "a", "b"} {
				v := storetest.Variant(selector)
				v.PurgeSeq, v.Tags = 1, []uint64{7, uint64(i)}
				if err := storetest.Put(s, storetest.Key(i), v, storetest.Content(i, size)); err != nil {
					t.Fatalf("%d bytes: %v", size, err)
				}
			}
		}
		if err := s.Disk().Sync(ctx); err != nil {
			t.Fatal(err)
		}
	})
	s := openTiers(t, dir, nil)
	for i, size := range sizes {
		k := storetest.Key(i)
		if _, p := s.Peek(k); p != cachestore.OnDisk {
			t.Fatalf("%d bytes: presence %d, want on disk", size, p)
		}
		mustHave(t, s, k, storetest.Content(i, size))
		r, _ := s.Load(ctx, k)
		if n := len(r.Variants); n != 3 {
			t.Errorf("%d variants, want 3", n)
		}
		for _, v := range r.Variants {
			if v.PurgeSeq != 1 || len(v.Tags) != 2 || v.Tags[1] != uint64(i) || string(v.Head.Get("Etag")) != `"1"` {
				t.Errorf("variant came back as %+v", v)
			}
		}
	}
	if st := s.Stats().Disk; st.Reads == 0 || st.Promoted == 0 {
		t.Errorf("stats %+v, want reads and promotions", st)
	}
}

// TestTiersModel does random things to a store that is far too small for them,
// restarts it at times, and holds what it serves against what was stored.
func TestTiersModel(t *testing.T) {
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(1, 9))
	current := map[int]int{} // key → seed of the last content
	sizes := map[int]int{}   // seed → bytes
	seed, hits := 0, 0
	for round := range 4 {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			s := openTiers(t, dir, func(c *cachestore.DiskConfig) { c.Size = 6 << 20; c.Queue = 1 << 20 })
			for range 3000 {
				n := min(random.IntN(400), random.IntN(400))
				k := storetest.Key(n)
				switch random.IntN(10) {
				case 0:
					s.Delete(k)
					delete(current, n)
				case 1, 2, 3:
					seed++
					sizes[seed] = random.IntN(30_000)
					if random.IntN(20) == 0 {
						sizes[seed] = random.IntN(900_000)
					}
					err := storetest.Put(s, k, storetest.Variant(""), storetest.Content(seed, sizes[seed]))
					if err == nil {
						current[n] = seed
					} else if !errors.Is(err, cachestore.ErrNoRoom) && !errors.Is(err, cachestore.ErrTooLarge) {
						t.Fatalf("put: %v", err)
					}
				case 4:
					if r, err := s.Load(ctx, k); err == nil {
						v := r.Variants[0]
						s.Replace(k, r, r.With(v.With(cachestore.Renewal{Head: v.Head, StoredAt: int64(seed)})))
					}
				default:
					r, err := s.Load(ctx, k)
					if errors.Is(err, cachestore.ErrAbsent) {
						continue
					}
					if err != nil {
						t.Fatal(err)
					}
					s.Hit(r, r.Variants[0])
					got, err := wholeBody(s, r, r.Variants[0])
					if errors.Is(err, cachestore.ErrChunkGone) {
						continue
					}
					want, stored := current[n]
					if err != nil || !stored || !bytes.Equal(got, storetest.Content(want, sizes[want])) {
						t.Fatalf("key %d: %d bytes, error %v, stored %v, want seed %d of %d bytes", n, len(got), err, stored, want, sizes[want])
					}
					hits++
				}
			}
			st := s.Stats()
			if st.Bytes > st.Limit+st.Limit/20 || st.Disk.Live > st.Disk.Limit || st.Disk.File > st.Disk.Most {
				t.Errorf("over a limit: %+v", st)
			}
			report, err := s.Disk().Check(context.Background())
			if err != nil || report.Broken > 0 || report.Orphans > 0 {
				t.Errorf("check: %+v, error %v", report, err)
			}
			t.Logf("round %d: %d hits, disk %+v", round, hits, st.Disk)
		})
	}
	if hits < 2000 {
		t.Errorf("%d hits: the run did not exercise what it is about", hits)
	}
}

// TestDiskTellsOfItsCommits: of each transaction once, and how long it took.
func TestDiskTellsOfItsCommits(t *testing.T) {
	var mu sync.Mutex
	var told uint64
	var longest time.Duration
	s := openTiers(t, t.TempDir(), func(c *cachestore.DiskConfig) {
		c.Committed = func(took time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			told++
			longest = max(longest, took)
		}
	})
	for i := range 20 {
		if err := storetest.Put(s, storetest.Key(i), storetest.Variant(""), storetest.Content(i, 50_000)); err != nil {
			t.Fatal(err)
		}
		if err := s.Disk().Sync(ctx); err != nil {
			t.Fatal(err)
		}
	}
	st := s.Stats().Disk
	mu.Lock()
	defer mu.Unlock()
	if told < 20 || told != st.Commits || int64(longest) != st.LongestCommit {
		t.Errorf("told of %d commits, the longest of %v; want %d and %d ns", told, longest, st.Commits, st.LongestCommit)
	}
}
