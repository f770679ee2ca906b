package purge

import (
	"fmt"
	"testing"
)

// What a lookup pays, once for each object after each purge.
func BenchmarkCovers(b *testing.B) {
	b.Run("nothing later", func(b *testing.B) {
		x, keys, tags := filledIndex(b, 1000)
		benchmarkCovers(b, x, func(i int) Cover { return x.Covers(keys[i%len(keys)], tags, x.Now()) })
	})
	b.Run("1 later", func(b *testing.B) {
		x, keys, tags := filledIndex(b, 100_000)
		benchmarkCovers(b, x, func(i int) Cover { return x.Covers(keys[i%len(keys)], tags, x.Now()-1) })
	})
	b.Run("100000 later", func(b *testing.B) {
		x, keys, tags := filledIndex(b, 100_000)
		benchmarkCovers(b, x, func(i int) Cover { return x.Covers(keys[i%len(keys)], tags, 0) })
	})
}

func benchmarkCovers(b *testing.B, x *Index, covers func(i int) Cover) {
	b.ReportAllocs()
	b.ReportMetric(float64(x.places.Load()), "places")
	for i := 0; b.Loop(); i++ {
		covers(i)
	}
}

func BenchmarkBegin(b *testing.B) {
	var x Index
	b.ReportAllocs()
	for b.Loop() {
		_, end := x.Begin()
		end.End()
	}
}

func BenchmarkApply(b *testing.B) {
	var x Index
	es := make([]Entry, 1)
	for i := 0; b.Loop(); i++ {
		es[0] = Entry{Scope: ScopeTag, Value: fmt.Sprint(i % 1_000_000), Strength: Hard}
		x.apply(es, func() int64 { return 1 })
	}
}

// A purge is answered when it is on disk; many at once share a sync.
func BenchmarkPurge(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("%d callers", callers), func(b *testing.B) {
			l := openLog(b, Config{Limit: 1 << 30})
			b.SetParallelism(max(1, callers/2))
			b.ReportAllocs()
			if callers == 1 {
				for i := 0; b.Loop(); i++ {
					mustPurge(b, l, Entry{Scope: ScopeURL, Value: fmt.Sprint("/", i), Strength: Hard})
				}
				return
			}
			before := l.Stats()
			b.RunParallel(func(p *testing.PB) {
				for i := 0; p.Next(); i++ {
					mustPurge(b, l, Entry{Scope: ScopeURL, Value: fmt.Sprint("/", i), Strength: Hard})
				}
			})
			after := l.Stats()
			b.ReportMetric(float64(after.Applied[ScopeURL][Hard]-before.Applied[ScopeURL][Hard])/float64(after.Commits-before.Commits), "purges/commit")
		})
	}
}

func BenchmarkInvalidate(b *testing.B) {
	l := openLog(b, Config{})
	es := make([]Entry, 1)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		es[0] = Entry{Scope: ScopeURL, Value: fmt.Sprint("/", i%10_000), Strength: Revalidate}
		l.Invalidate(es)
	}
}
