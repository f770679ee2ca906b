package cachestore

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// listedGhost is a ghost of the plainest of ghosts: a list, the oldest first.
type listedGhost struct {
	hash uint64
	size int64
	uses uint32
}

// TestGhostsModel compares ghosts with a list, under each limit.
func TestGhostsModel(t *testing.T) {
	for _, c := range []struct {
		name  string
		most  int64
		limit int
	}{{"bytes", 20_000, 10_000}, {"count", 1 << 40, 60}, {"both", 30_000, 100}} {
		t.Run(c.name, func(t *testing.T) {
			g, random := ghosts{most: c.most, limit: c.limit}, rand.New(rand.NewPCG(4, 4))
			var list []listedGhost
			full := 0
			at := func(h uint64) int {
				return slices.IndexFunc(list, func(o listedGhost) bool { return o.hash == h })
			}
			for range 50_000 {
				h := uint64(random.IntN(400))
				i := at(h)
				switch random.IntN(8) {
				case 0:
					known, ok := g.take(hashOf(h))
					if ok != (i >= 0) || ok && (known.size != list[i].size || known.uses != list[i].uses) {
						t.Fatalf("take %d: %v %v, want place %d of %v", h, known, ok, i, list)
					}
					if ok {
						list = slices.Delete(list, i, i+1)
					}
				case 1:
					g.add(hashOf(h), 3)
					if i >= 0 {
						list[i].uses += 3
					}
				default:
					size, uses := random.Int64N(600), random.Uint32N(9)
					g.put(hashOf(h), size, uses)
					if i >= 0 {
						list = slices.Delete(list, i, i+1)
					}
					list = append(list, listedGhost{h, size, uses})
					for ; bytesOf(list) > c.most || len(list) > c.limit; full++ {
						list = list[1:]
					}
				}
				if g.bytes != bytesOf(list) || g.line.len > 2*c.limit || g.memory() > int64(c.limit)*ghostBytes {
					t.Fatalf("%d bytes, a line of %d, %d bytes of memory, want %d, at most %d, %d", g.bytes, g.line.len, g.memory(), bytesOf(list), 2*c.limit, c.limit*ghostBytes)
				}
				if len(g.known) != len(list) {
					t.Fatalf("%d ghosts, want %d", len(g.known), len(list))
				}
			}
			if full == 0 {
				t.Error("the limit was never met")
			}
		})
	}
}

func bytesOf(list []listedGhost) (bytes int64) {
	for _, o := range list {
		bytes += o.size
	}
	return bytes
}

// A few that come again and again make a long line of void places: it stays bounded, and
// costs at most the oldest of those that are known.
func TestGhostsLineIsBounded(t *testing.T) {
	g := ghosts{most: 1000, limit: 100}
	for i := range 10_000 {
		g.put(hashOf(uint64(i%3)), 10, 1)
		if g.line.len > 200 || g.memory() > 100*ghostBytes {
			t.Fatalf("a line of %d, %d bytes", g.line.len, g.memory())
		}
	}
	if len(g.known) != 3 || g.bytes != 30 || len(g.line.blocks) > 2 {
		t.Errorf("%d ghosts of %d bytes in %d blocks, want 3 of 30 in 2 at most", len(g.known), g.bytes, len(g.line.blocks))
	}
}

func TestGhostsLeaveOutWhatIsLargerThanAll(t *testing.T) {
	g := ghosts{most: 100, limit: 10}
	g.put(hashOf(1), 60, 1)
	g.put(hashOf(2), 101, 1)
	if _, known := g.take(hashOf(2)); known {
		t.Error("a ghost that is larger than all may be")
	}
	if known, ok := g.take(hashOf(1)); !ok || known.uses != 1 {
		t.Error("it has pushed another one out")
	}
	none := ghosts{most: 100}
	if none.put(hashOf(1), 1, 1); none.line.len != 0 || none.memory() != 0 {
		t.Error("a ghost where there may be none")
	}
}
