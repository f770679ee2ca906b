package cachestore_test

import (
	"container/list"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"edgecache/cachestore"
	"edgecache/cachestore/storetest"
)

// zipf draws object numbers below n with popularity rank^-alpha.
type zipf struct {
	sums   []float64
	random *rand.Rand
}

func newZipf(n int, alpha float64, seed uint64) *zipf {
	z := &zipf{sums: make([]float64, n), random: rand.New(rand.NewPCG(seed, 5))}
	sum := 0.0
	for i := range z.sums {
		sum += math.Pow(float64(i+1), -alpha)
		z.sums[i] = sum
	}
	return z
}

func (z *zipf) next() int {
	i, _ := slices.BinarySearch(z.sums, z.random.Float64()*z.sums[len(z.sums)-1])
	return i
}

// lru is the plainest of caches, to compare with: how many of the bytes' worth
// of objects it holds is all that it knows.
type lru struct {
	room  int
	order *list.List
	at    map[int]*list.Element
}

func (c *lru) hit(i int) bool {
	if e, ok := c.at[i]; ok {
		c.order.MoveToFront(e)
		return true
	}
	c.at[i] = c.order.PushFront(i)
	if c.order.Len() > c.room {
		delete(c.at, c.order.Remove(c.order.Back()).(int))
	}
	return false
}

// TestMemoryKeepsWhatIsAskedFor replays a skewed workload over objects of one
// size. The policy has to decide: were it the hand, or chance, the tier would be
// no better than LRU.
func TestMemoryKeepsWhatIsAskedFor(t *testing.T) {
	if cachestore.RaceEnabled {
		t.Skip("slow, and one goroutine: nothing to race")
	}
	const objects, requests, size = 50_000, 300_000, 4096
	m := openMemory(t, 8<<20)
	z := newZipf(objects, 0.8, 1)
	old := &lru{order: list.New(), at: map[int]*list.Element{}}
	st := m.Stats()
	old.room = int((st.Limit - st.Fixed) / (size + 800))
	content := storetest.Content(1, size)
	var hits, lruHits int
	for range requests {
		i := z.next()
		if old.hit(i) {
			lruHits++
		}
		if r, _ := m.Peek(storetest.Key(i)); r != nil {
			m.Hit(r, r.Variants[0])
			hits++
			continue
		}
		w := m.Begin(storetest.Key(i), cachestore.Meta{Length: size})
		if w.Chunk(content) != nil || w.Commit(storetest.Variant("")) != nil {
			t.Fatal("refused")
		}
	}
	st = m.Stats()
	t.Logf("hit ratio %.3f, of LRU %.3f, %+v", float64(hits)/requests, float64(lruHits)/requests, st)
	if hits < lruHits*11/10 {
		t.Errorf("%d hits, LRU has %d: want a tenth more", hits, lruHits)
	}
	byPolicy := st.Evicted[cachestore.EvictedRefused] + st.Evicted[cachestore.EvictedVictim]
	if byHand := st.Evicted[cachestore.EvictedHand]; byHand*20 > byPolicy {
		t.Errorf("%d evictions by the hand, %d by the policy: want the policy to decide", byHand, byPolicy)
	}
}
