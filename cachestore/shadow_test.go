package cachestore_test

import (
	"math"
	"runtime"
	"testing"
	"time"

	"edgecache/cachestore"
)

func openShadow(t testing.TB, c cachestore.ShadowConfig) *cachestore.Shadow {
	t.Helper()
	s, err := cachestore.NewShadow(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// TestShadowTakesAsMuchAsItSays: what a shadow counts of the process's memory is what the
// heap has, within a half.
func TestShadowTakesAsMuchAsItSays(t *testing.T) {
	if cachestore.RaceEnabled {
		t.Skip("the race detector's heap is another one")
	}
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	for _, c := range []struct {
		name         string
		memory, disk int64
		share        float64
	}{
		{"memory", 1 << 30, 0, 1. / 32},
		{"memory and disk", 256 << 20, 2 << 30, 1. / 16},
		{"all objects", 16 << 20, 0, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := heap()
			s := openShadow(t, cachestore.ShadowConfig{
				VirtualConfig: cachestore.VirtualConfig{Memory: c.memory, Disk: c.disk, Admission: cachestore.AdmitSZ2},
				Queue:         c.memory / 16, Share: c.share,
			})
			z := newZipf(200_000, 0.8, 3)
			own := int64(cap(z.sums)) * 8
			for i := range 100_000 {
				s.Request(cachestore.VirtualRequest{ID: uint64(z.next()), Size: 8 << 10, Now: int64(i)})
			}
			took := heap() - before - own
			said := s.Bytes()
			memory, disk := s.Objects()
			t.Logf("%d objects in memory, %d on disk: %d KiB counted, %d KiB taken", memory, disk, said>>10, took>>10)
			if memory == 0 || c.disk > 0 && disk == 0 || said < took*2/3 || said > took*3/2 {
				t.Errorf("%d bytes counted, %d taken", said, took)
			}
			runtime.KeepAlive(z)
		})
	}
}

// TestEmptyShadow: an empty shadow of everything takes what an empty memory tier takes.
func TestEmptyShadow(t *testing.T) {
	for _, size := range []int64{8 << 20, 100 << 20, 1 << 30} {
		m, err := cachestore.NewMemory(cachestore.MemoryConfig{Size: size})
		if err != nil {
			t.Fatal(err)
		}
		s := openShadow(t, cachestore.ShadowConfig{VirtualConfig: cachestore.VirtualConfig{Memory: size}, Share: 1})
		if got, want := s.Bytes(), m.Stats().Fixed; got != want {
			t.Errorf("memory of %d: %d bytes, want %d", size, got, want)
		}
		m.Close()
	}
}

// TestShadowIsLikeTheWhole: a sample of the objects asked of a shadow gives the hit ratio
// that all of them give of a whole, by what its hits are more or fewer at another size.
func TestShadowIsLikeTheWhole(t *testing.T) {
	if cachestore.RaceEnabled {
		t.Skip("slow, and one goroutine: nothing to race")
	}
	const objects, requests, size = 40_000, 200_000, 4096
	ask := func(c cachestore.VirtualConfig, shift uint) (hits float64) {
		s := openShadow(t, cachestore.ShadowConfig{VirtualConfig: c, Share: 1 / float64(uint(1)<<shift)})
		z := newZipf(objects, 0.8, 1)
		for i := range requests {
			id := uint64(z.next()) * 0x9e3779b97f4a7c15
			if id>>(64-shift) == 0 && s.Request(cachestore.VirtualRequest{ID: id, Size: size, Now: int64(i) * 1e6}) != cachestore.ServedOrigin {
				hits++
			}
		}
		return hits * float64(uint(1)<<shift) / requests
	}
	for _, c := range []struct {
		name        string
		small, more cachestore.VirtualConfig
	}{
		{"memory", cachestore.VirtualConfig{Memory: 16 << 20}, cachestore.VirtualConfig{Memory: 32 << 20}},
		{"disk", cachestore.VirtualConfig{Memory: 8 << 20, Disk: 32 << 20, Admission: cachestore.AdmitSZ2},
			cachestore.VirtualConfig{Memory: 8 << 20, Disk: 64 << 20, Admission: cachestore.AdmitSZ2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			whole := ask(c.more, 0) - ask(c.small, 0)
			sample := ask(c.more, 2) - ask(c.small, 2)
			t.Logf("the larger has %.4f more hits, by a quarter of the objects %.4f", whole, sample)
			if whole < 0.04 || math.Abs(sample-whole) > 0.015 {
				t.Errorf("gain %.4f, by a sample %.4f", whole, sample)
			}
		})
	}
}

// TestShadowForgets: what a purge covers is in neither tier afterwards, and nothing else is
// gone; what was never there can be forgotten, too.
func TestShadowForgets(t *testing.T) {
	for _, disk := range []int64{0, 64 << 20} {
		s := openShadow(t, cachestore.ShadowConfig{VirtualConfig: cachestore.VirtualConfig{Memory: 16 << 20, Disk: disk}, Share: 1})
		ask := func(id uint64) cachestore.Served {
			return s.Request(cachestore.VirtualRequest{ID: id, Size: 1000, Now: 1e9, Fresh: time.Hour})
		}
		for id := range uint64(100) {
			if got := ask(id); got != cachestore.ServedOrigin {
				t.Fatalf("object %d: served from %d before it was there", id, got)
			}
		}
		for id := uint64(0); id < 200; id += 2 {
			s.Forget(id)
		}
		memory, onDisk := s.Objects()
		if want := 50; memory != want || disk > 0 && onDisk != want {
			t.Errorf("disk %d: %d objects in memory, %d on disk, want %d", disk, memory, onDisk, want)
		}
		for id := range uint64(100) {
			if got := ask(id); (got == cachestore.ServedOrigin) != (id%2 == 0) {
				t.Errorf("disk %d: object %d served from %d", disk, id, got)
			}
		}
	}
}
