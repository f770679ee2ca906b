package cachestore

import (
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"edgecache/policy"
)

// benchObjects are known in advance, so that only the index is timed.
func benchObjects(from, n int) []indexed {
	all := make([]indexed, n)
	for i := range all {
		all[i] = indexObject(from + i)
	}
	return all
}

func BenchmarkIndex(b *testing.B) {
	const objects = 1 << 20
	known, absent := benchObjects(0, objects), benchObjects(objects, objects)
	x := new(index)
	refs := make([]ref, objects)
	for i, o := range known {
		refs[i] = x.add(o)
		x.rank(refs[i])
	}
	random := rand.New(rand.NewPCG(1, 2))
	random.Shuffle(objects, func(i, j int) {
		known[i], known[j] = known[j], known[i]
		refs[i], refs[j] = refs[j], refs[i]
	})
	bench := func(name string, f func(i int)) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				f(i % objects)
			}
		})
	}

	var found []ref
	bench("of", func(i int) { found = x.of(known[i].Hash, found[:0]) })
	bench("has/absent", func(i int) { x.has(absent[i].Hash) })
	bench("get", func(i int) { x.get(refs[i]) })
	bench("uses", func(i int) { x.uses(refs[i]).Add(1) })
	bench("rank", func(i int) { x.rank(refs[i]) })
	bench("least", func(i int) { // what is worth least is placed anew, after a use
		r, _ := x.least(1)
		x.uses(r).Add(1)
		x.least(1)
	})
	bench("replace", func(i int) { // an old object goes, a new one comes
		x.remove(refs[i])
		refs[i] = x.add(absent[i])
		x.rank(refs[i])
	})
	bench("expire", func(i int) { // the first to expire goes, one that expires last comes
		r, _ := x.expired(never - 1)
		x.remove(r)
		o := known[i]
		o.Expires += 1_000_000
		x.add(o)
	})
}

// BenchmarkIndexAdd fills empty indexes with a million objects each.
func BenchmarkIndexAdd(b *testing.B) {
	const objects = 1 << 20
	known := benchObjects(0, objects)
	b.ReportAllocs()
	x := new(index)
	for i := 0; b.Loop(); i++ {
		if i%objects == 0 {
			x = new(index)
		}
		x.rank(x.add(known[i%objects]))
	}
	b.ReportMetric(float64(x.memory())/float64(x.len()), "bytes/object")
}

// BenchmarkIndexGrowth adds ten million objects and reports the slowest adds: of all of
// them, and of those that asked for memory. The collector is off, the machine is not.
func BenchmarkIndexGrowth(b *testing.B) {
	const objects = 10_000_000
	for b.Loop() {
		b.StopTimer()
		runtime.GC()
		gc := debug.SetGCPercent(-1)
		x := new(index)
		took, grew := make([]uint32, 0, objects), make([]uint32, 0, objects/1_000)
		b.StartTimer()
		for i := range objects {
			o := indexObject(i)
			before := len(x.slots.blocks) + len(x.chains.heads.blocks) + len(x.due.heap.blocks) + len(x.order.heap.heap.blocks)
			start := time.Now()
			x.rank(x.add(o))
			ns := uint32(time.Since(start))
			took = append(took, ns)
			if len(x.slots.blocks)+len(x.chains.heads.blocks)+len(x.due.heap.blocks)+len(x.order.heap.heap.blocks) > before {
				grew = append(grew, ns)
			}
		}
		b.StopTimer()
		debug.SetGCPercent(gc)
		slices.Sort(took)
		slices.Sort(grew)
		b.ReportMetric(float64(took[objects/2]), "ns-median")
		b.ReportMetric(float64(took[objects-objects/1_000_000]), "ns-p99.9999")
		b.ReportMetric(float64(took[objects-1]), "ns-longest")
		b.ReportMetric(float64(grew[len(grew)/2]), "ns-growth-median")
		b.ReportMetric(float64(grew[len(grew)-len(grew)/100]), "ns-growth-p99")
		b.ReportMetric(float64(grew[len(grew)-1]), "ns-growth-longest")
		b.ReportMetric(float64(len(grew)), "growths")
		b.ReportMetric(float64(x.memory())/objects, "bytes/object")
		b.StartTimer()
	}
}

// BenchmarkIndexGC is a collection of a heap with nothing, with five million objects,
// and, to compare, with half a million of them in a map with pointers.
func BenchmarkIndexGC(b *testing.B) {
	b.Run("empty", collect)
	x := filledIndex(5_000_000)
	b.Run("5M", collect)
	runtime.KeepAlive(x)
	x = nil
	pointers := make(map[policy.Hash]*indexed)
	for i := range 500_000 {
		o := indexObject(i)
		pointers[o.Hash] = &o
	}
	b.Run("500k-in-a-map", collect)
	runtime.KeepAlive(pointers)
}

func collect(b *testing.B) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for b.Loop() {
		runtime.GC()
	}
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.PauseTotalNs-before.PauseTotalNs)/float64(b.N), "ns-pause/op")
}
