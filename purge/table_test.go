package purge

import (
	"math/rand/v2"
	"testing"
)

// A shard against a plain list: random puts and drops, found as in the list.
// Small tables make keys meet and chains run over a table's end.
func TestShardAgainstAList(t *testing.T) {
	for n := range 400 {
		r := rand.New(rand.NewPCG(3, uint64(n)))
		keys := make([]uint64, 1+r.IntN(1+n))
		for i := range keys {
			if keys[i] = max(1, r.Uint64()); r.IntN(3) == 0 {
				keys[i] |= 0xffff_0000 // placed at the end
			}
		}
		compareShard(t, r, keys, 100+n)
	}
}

func compareShard(t *testing.T, r *rand.Rand, keys []uint64, steps int) {
	t.Helper()
	var s shard
	var all []purged
	var dropped uint64
	for n := uint64(1); n <= uint64(steps); n++ {
		p := purged{key: keys[r.IntN(len(keys))], number: n, strength: Strength(1 + r.IntN(3)), softAt: int64(n)}
		s.put(p)
		all = append(all, p)
		if r.IntN(20) == 0 {
			dropped = max(dropped, n-r.Uint64N(min(n, 40)))
			s.drop(dropped, int64(dropped))
		}
		key, since := keys[r.IntN(len(keys))], dropped+r.Uint64N(n-dropped+1)
		var got, want Cover
		s.find(key, since, &got)
		for _, p := range all {
			if p.key == key && p.number > since {
				want.add(p.strength, p.number, p.softAt)
			}
		}
		if got.Strength != want.Strength || got.Seq != want.Seq || got.SoftAt > want.SoftAt {
			t.Fatalf("%d keys, key %x since %d: %+v, want %+v", len(keys), key, since, got, want)
		}
	}
}
