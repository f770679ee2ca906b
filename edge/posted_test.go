package edge

import (
	"slices"
	"sync"
	"testing"

	"edgecache/policy"
	"edgecache/purge"
)

// TestOvertakeMissesNoPurge: an answer that may be kept is newer than its own
// invalidation, and no purge of its place came between its request and that.
func TestOvertakeMissesNoPurge(t *testing.T) {
	e := newTestEngine(t)
	u := policy.URL{Scheme: "http", Host: []byte("a.test"), Path: []byte("/x")}
	key, _ := policy.NewKey(nil, e.finder.seed, u, nil)
	own := []purge.Entry{purge.URLEntry(u, purge.Revalidate)}
	var others []uint64
	stop := make(chan struct{})
	var purging sync.WaitGroup
	purging.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				others = append(others, e.cfg.Purges.Invalidate(own))
			}
		}
	})
	type kept struct{ seq, own uint64 }
	var all []kept
	const rounds = 50_000
	for range rounds {
		seq, end := e.index.Begin()
		if n, valid := e.overtake(key, nil, seq, own); valid {
			all = append(all, kept{seq, n})
			if e.index.Covers(key, nil, n).Seq == n {
				t.Fatalf("the answer of %d is covered by its own invalidation", n)
			}
		}
		end.End()
	}
	close(stop)
	purging.Wait()
	if len(all) == 0 || len(all) == rounds {
		t.Errorf("%d of %d kept: nothing was raced for", len(all), rounds)
	}
	for _, k := range all {
		i, _ := slices.BinarySearch(others, k.seq+1)
		if i < len(others) && others[i] < k.own {
			t.Fatalf("kept with %d since %d, and %d was purged between", k.own, k.seq, others[i])
		}
	}
}
