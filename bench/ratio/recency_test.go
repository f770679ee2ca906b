package ratio

import (
	"math/rand/v2"
	"testing"

	"edgecache/bench/policies"
	"edgecache/cachestore"
)

// TestBesideLRUWhereItIsBest: traffic for which LRU is nearly as good as can be, where an
// object that is not taken in at once is missed once more. Once the tiers have found out what
// it is, they miss at most half a percent of the requests more.
func TestBesideLRUWhereItIsBest(t *testing.T) {
	if raced {
		t.Skip("one goroutine, and Ristretto forgets what it is told")
	}
	const requests, size = 200_000, 16 << 10
	for _, c := range []struct {
		name string
		next func(r *rand.Rand, i int, past []uint32) uint32
	}{
		{"a set that drifts", func(r *rand.Rand, i int, _ []uint32) uint32 { return uint32(i/8 + r.IntN(2500)) }},
		{"phases", func(r *rand.Rand, i int, _ []uint32) uint32 { return uint32(i/12_500*2500 + r.IntN(2500)) }},
		{"short distances", func(r *rand.Rand, i int, past []uint32) uint32 {
			if d := int(r.ExpFloat64() * 1500); r.Float64() > 0.3 && d < i {
				return past[i-1-d]
			}
			return uint32(i)
		}},
		{"news", func(r *rand.Rand, i int, _ []uint32) uint32 { return uint32(max(0, i/5-int(r.ExpFloat64()*1000))) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(5, 6))
			trace := policies.Trace{Sizes: make([]int64, requests)}
			seen := map[uint32]bool{}
			for i := range requests {
				trace.Sizes[i] = size
				o := c.next(r, i, trace.Requests)
				trace.Requests = append(trace.Requests, o)
				seen[o] = true
			}
			unique := int64(len(seen)) * size
			ours, lru := secondHalves(t, trace, unique/100, unique/10)
			t.Logf("edge misses %.4f, LRU %.4f", ours, lru)
			if ours > lru+0.005 {
				t.Errorf("of the second half edge misses %.4f, LRU %.4f", ours, lru)
			}
		})
	}
}

// secondHalves are the object miss ratios of edge and of LRU over LRU in the second half.
func secondHalves(t *testing.T, trace policies.Trace, memory, disk int64) (ours, lru float64) {
	v, err := cachestore.NewVirtual(cachestore.VirtualConfig{Memory: memory, Disk: disk, Admission: cachestore.AdmitSZ2})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	var rival policies.Tiers
	if rival.Memory, err = policies.New("lru", memory, len(trace.Sizes)); err != nil {
		t.Fatal(err)
	}
	if rival.Disk, err = policies.New("lru", disk, len(trace.Sizes)); err != nil {
		t.Fatal(err)
	}
	half := len(trace.Requests) / 2
	misses := 0
	for i, o := range trace.Requests {
		if v.Request(cachestore.VirtualRequest{ID: uint64(o), Size: trace.Sizes[o]}) == cachestore.ServedOrigin && i >= half {
			misses++
		}
	}
	rival.Run(policies.Trace{Requests: trace.Requests[:half], Sizes: trace.Sizes})
	before := rival.Counts.Misses.Objects
	rival.Run(policies.Trace{Requests: trace.Requests[half:], Sizes: trace.Sizes})
	return float64(misses) / float64(half), float64(rival.Counts.Misses.Objects-before) / float64(half)
}
