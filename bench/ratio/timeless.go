package ratio

import (
	"edgecache/bench"
	"edgecache/bench/policies"
)

// timeless is a workload for policies that know no lifetimes: when one has
// ended, what is asked for is another object. What no cache may keep is left out,
// and counted in lost.
func timeless(w *bench.Workload) (t policies.Trace, lost policies.Tally) {
	if w.Fresh == nil {
		return policies.Trace{Requests: w.Requests, Sizes: w.Sizes}, lost
	}
	known := make([]struct {
		id    uint32
		until int64 // Unix nanoseconds; 0 is for ever
		is    bool
	}, len(w.Sizes))
	for i, object := range w.Requests {
		if w.Fresh[i] < 0 {
			lost.Add(w.Sizes[object])
			continue
		}
		k := &known[object]
		if !k.is || k.until != 0 && w.At[i] >= k.until {
			k.id, k.is, k.until = uint32(len(t.Sizes)), true, 0
			t.Sizes = append(t.Sizes, w.Sizes[object])
			if w.Fresh[i] > 0 {
				k.until = w.At[i] + int64(w.Fresh[i])*1e9
			}
		}
		t.Requests = append(t.Requests, k.id)
	}
	return t, lost
}
