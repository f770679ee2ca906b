package cachestore_test

import (
	"fmt"
	"testing"

	"edgecache/cachestore"
	"edgecache/cachestore/storetest"
	"edgecache/policy"
)

// stocked is a tier with n resources of four variants each.
func stocked(t testing.TB, n int) (*cachestore.Memory, []policy.Key) {
	m := openMemory(t, 64<<20)
	var keys []policy.Key
	for i := range n {
		k := storetest.Key(i)
		keys = append(keys, k)
		for x := range 4 {
			if err := storetest.Put(m, k, storetest.Variant(fmt.Sprint(x)), storetest.Content(i, 1024)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return m, keys
}

func hit(m *cachestore.Memory, k policy.Key, a *policy.Ask, scratch []byte) (int, []byte) {
	r, _ := m.Peek(k)
	v, scratch := r.Select(a, scratch)
	m.Hit(r, v)
	return len(v.Body.At(0)), scratch
}

func TestHitAllocatesNothing(t *testing.T) {
	if cachestore.RaceEnabled {
		t.Skip("the race detector makes sync.Pool allocate")
	}
	m, keys := stocked(t, 5000)
	a := asking("2")
	scratch := make([]byte, 0, 64)
	i := 0
	if n := testing.AllocsPerRun(10_000, func() {
		i++
		var got int
		if got, scratch = hit(m, keys[i%len(keys)], a, scratch); got != 1024 {
			t.Fatalf("%d bytes", got)
		}
	}); n != 0 {
		t.Errorf("%v allocations a hit, want none", n)
	}
}

func BenchmarkHit(b *testing.B) {
	m, keys := stocked(b, 5000)
	a := asking("2")
	b.Run("memory/1KiB", func(b *testing.B) {
		b.ReportAllocs()
		scratch := make([]byte, 0, 64)
		i := 0
		for b.Loop() {
			i += 7
			_, scratch = hit(m, keys[i%len(keys)], a, scratch)
		}
	})
	b.Run("memory/1KiB/parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(p *testing.PB) {
			scratch := make([]byte, 0, 64)
			i := 0
			for p.Next() {
				i += 7
				_, scratch = hit(m, keys[i%len(keys)], a, scratch)
			}
		})
	})
}

func BenchmarkStore(b *testing.B) {
	m := openMemory(b, 64<<20)
	keys := make([]policy.Key, 20_000)
	for i := range keys {
		keys[i] = storetest.Key(i)
	}
	content := storetest.Content(1, 4096)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		w := m.Begin(keys[i%len(keys)], cachestore.Meta{Length: 4096})
		if err := w.Chunk(content); err != nil {
			b.Fatal(err)
		}
		if err := w.Commit(storetest.Variant("")); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFill(b *testing.B) {
	for _, size := range []int{4 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			content := storetest.Content(1, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				f := cachestore.NewFill(cachestore.FillConfig{Length: int64(size)})
				r, _ := f.Join()
				if f.Write(ctx, content) != nil {
					b.Fatal("write")
				}
				if _, err := f.Finish(nil); err != nil {
					b.Fatal(err)
				}
				for n := 0; n < size; {
					p, _ := r.Next(ctx)
					n += len(p)
				}
				r.Close()
			}
		})
	}
}
