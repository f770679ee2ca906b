package edge

import (
	"cmp"
	"hash/maphash"
	"slices"
	"sync"
	"time"
)

// hottest finds the uris that are asked for most, in bounded memory and over
// the last 10 to 20 seconds. It is the space-saving sketch (Metwally et al.,
// 2005) once a processor, so a count is at most too high by what its place
// held before.
type hottest struct {
	seed    maphash.Seed
	stripes *striped[heat]
}

const (
	hotPlaces    = 64
	hotNameBytes = 256
	hotSpan      = 10 * time.Second
)

func newHottest() hottest {
	return hottest{seed: maphash.MakeSeed(), stripes: newStriped[heat]()}
}

// heat is one processor's sketch: what is counted now, and the span before.
type heat struct {
	mu     sync.Mutex
	now    hotTable
	before hotTable
	_      [64]byte // keeps neighbours off each other's cache line
}

// hotTable counts from a moment on.
type hotTable struct {
	since int64 // Unix nanoseconds; 0: empty
	used  int
	hash  [hotPlaces]uint64
	count [hotPlaces]uint64
	spot  [hotPlaces]hotSpot
}

type hotSpot struct {
	scheme string
	n      int
	name   [hotNameBytes]byte // host and uri
}

// add counts a client's request.
func (h *hottest) add(r *Record) {
	if r.Kind != KindClient {
		return
	}
	var hash maphash.Hash
	hash.SetSeed(h.seed)
	hash.WriteString(r.Scheme)
	hash.Write(r.Host)
	hash.WriteByte(0)
	hash.Write(r.Path)
	if r.HasQuery {
		hash.WriteByte('?')
		hash.Write(r.Query)
	}
	s := h.stripes.borrow()
	defer h.stripes.giveBack(s)
	if !s.mu.TryLock() {
		return // a sample is enough
	}
	defer s.mu.Unlock()
	if r.Time-s.now.since > int64(hotSpan) {
		s.before = s.now
		s.now = hotTable{since: r.Time}
	}
	s.now.add(hash.Sum64(), r)
}

func (t *hotTable) add(hash uint64, r *Record) {
	least := 0
	for i := range t.used {
		if t.hash[i] == hash {
			t.count[i]++
			return
		}
		if t.count[i] < t.count[least] {
			least = i
		}
	}
	if t.used < hotPlaces {
		least = t.used
		t.used++
	}
	t.hash[least] = hash
	t.count[least]++
	t.spot[least].call(r)
}

// call keeps what the uri is called, as much as fits.
func (p *hotSpot) call(r *Record) {
	p.scheme = r.Scheme
	p.n = copy(p.name[:], r.Host)
	p.n += copy(p.name[p.n:], r.Path)
	if r.HasQuery {
		p.n += copy(p.name[p.n:], "?")
		p.n += copy(p.name[p.n:], r.Query)
	}
}

// HotURI is one of the uris that are asked for most.
type HotURI struct {
	URI      string  `json:"uri"`
	Requests uint64  `json:"requests"`
	Rate     float64 `json:"rate"` // a second
}

// list gives the hottest uris of the last 10 to 20 seconds.
func (h *hottest) list(most int, now int64) []HotURI {
	type sum struct {
		name string
		n    uint64
	}
	sums := map[uint64]sum{}
	since := now
	for _, s := range h.stripes.all {
		s.mu.Lock()
		for _, t := range []*hotTable{&s.before, &s.now} {
			if t.since == 0 || now-t.since > 2*int64(hotSpan) {
				continue
			}
			since = min(since, t.since)
			for i := range t.used {
				p := &t.spot[i]
				sums[t.hash[i]] = sum{p.scheme + "://" + string(p.name[:p.n]), sums[t.hash[i]].n + t.count[i]}
			}
		}
		s.mu.Unlock()
	}
	span := max(float64(now-since)/float64(time.Second), 1)
	all := make([]HotURI, 0, len(sums))
	for _, one := range sums {
		all = append(all, HotURI{URI: one.name, Requests: one.n, Rate: float64(one.n) / span})
	}
	slices.SortFunc(all, func(a, b HotURI) int {
		return cmp.Or(cmp.Compare(b.Requests, a.Requests), cmp.Compare(a.URI, b.URI))
	})
	return all[:min(len(all), most)]
}
