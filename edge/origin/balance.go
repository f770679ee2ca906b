package origin

import (
	"hash/fnv"
	"sync"
)

// balancer chooses one of the peers that may be asked; there is at least one.
type balancer interface {
	choose(hash uint64, from []*Peer) *Peer
}

// roundRobin is the smooth kind: a peer gains one each time it could have been
// chosen and pays for all when it is. So the share of a peer that is out is
// spread over the others instead of falling to its neighbour.
type roundRobin struct {
	mu     sync.Mutex
	credit []int // by Peer.index
}

func (b *roundRobin) choose(_ uint64, from []*Peer) *Peer {
	b.mu.Lock()
	defer b.mu.Unlock()
	best := from[0]
	for _, p := range from {
		b.credit[p.index]++
		if b.credit[p.index] > b.credit[best.index] {
			best = p
		}
	}
	b.credit[best.index] -= len(from)
	return best
}

// leastConn takes the peer with the fewest requests in flight; equals take
// turns.
type leastConn struct{ turns roundRobin }

func (b *leastConn) choose(hash uint64, from []*Peer) *Peer {
	least := from[0].InFlight()
	for _, p := range from[1:] {
		least = min(least, p.InFlight())
	}
	equals := make([]*Peer, 0, len(from))
	for _, p := range from {
		if p.InFlight() <= least {
			equals = append(equals, p)
		}
	}
	if len(equals) == 0 { // they all became busier in between
		equals = from
	}
	return b.turns.choose(hash, equals)
}

// rendezvous sends a hash to the peer whose own hash goes best with it. When a
// peer is out, only what it had moves, spread evenly over the others.
type rendezvous struct{}

func (rendezvous) choose(hash uint64, from []*Peer) *Peer {
	best, top := from[0], mix(hash^from[0].seed)
	for _, p := range from[1:] {
		if score := mix(hash ^ p.seed); score > top {
			best, top = p, score
		}
	}
	return best
}

// mix is the finalizer of SplitMix64: every bit of x changes every bit of the
// result.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func seedOf(name string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(name))
	return mix(h.Sum64())
}
