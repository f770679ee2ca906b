package edge

import (
	"time"

	"edgecache/cachestore"
)

// ghostSet is the ghosts of one sample: one object in 2^shift. The first is of the store
// as it is; what the others would bring is what they have more than that one.
type ghostSet struct {
	shift uint
	all   []ghost
	own   ghostHits // what the store itself had of the sample
	sums  ghostSums
	now   int64 // Unix ns; it does not go back
	steps int   // requests since the sums were faded last
	span  float64
}

// ghost is one of them.
type ghost struct {
	ghostKind
	shadow *cachestore.Shadow
	hits   ghostHits
}

// ghostKind is what a ghost has in place of what the store has.
type ghostKind struct {
	memory, disk float64 // times what the store has
	objective    cachestore.Objective
}

const (
	ghostShifts = 20   // the smallest sample is one object in a million
	ghostGroups = 16   // by hash, whose difference tells the sampling error
	ghostFade   = 1024 // requests between two times that what was counted fades
)

// ghostHits are hits and their bytes, by group. They fade.
type ghostHits struct{ requests, bytes [ghostGroups]float64 }

func (h *ghostHits) add(group int, size int64) {
	h.requests[group]++
	h.bytes[group] += float64(size)
}

func (h *ghostHits) fade(by float64) {
	for i := range h.requests {
		h.requests[i] *= by
		h.bytes[i] *= by
	}
}

// ghostKinds are the store as it is, and one change at a time.
func ghostKinds(c *GhostConfig) []ghostKind {
	own := ghostKind{1, 1, c.Store.Objective}
	kinds := []ghostKind{own}
	for _, times := range []float64{0.5, 2, 4} {
		kinds = append(kinds, ghostKind{times, 1, own.objective})
	}
	if c.Store.Disk == 0 {
		return kinds
	}
	for _, times := range []float64{0.5, 2, 4} {
		kinds = append(kinds, ghostKind{1, times, own.objective})
	}
	for _, o := range []cachestore.Objective{cachestore.ObjectiveObjects, cachestore.ObjectiveBalanced, cachestore.ObjectiveBytes} {
		if o != own.objective {
			kinds = append(kinds, ghostKind{1, 1, o})
		}
	}
	return kinds
}

// config is that of the ghost's shadow, for one object in 2^shift.
func (k *ghostKind) config(c *GhostConfig, shift uint) cachestore.ShadowConfig {
	s := cachestore.ShadowConfig{VirtualConfig: c.Store, Queue: c.Queue, Share: 1 / float64(uint64(1)<<shift)}
	s.Memory = int64(k.memory * float64(c.Store.Memory))
	s.Disk = int64(k.disk * float64(c.Store.Disk))
	s.Objective = k.objective
	return s
}

// firstShift is that of the largest sample whose ghosts will take no more memory than they
// may, if objects have their usual sizes.
func firstShift(c *GhostConfig) uint {
	for shift := range uint(ghostShifts) {
		n := int64(0)
		for _, k := range ghostKinds(c) {
			s := k.config(c, shift)
			n += s.Bytes()
		}
		if n <= c.Bytes {
			return shift
		}
	}
	return ghostShifts
}

func newGhostSet(c *GhostConfig, shift uint) (*ghostSet, error) {
	g := &ghostSet{shift: shift, span: float64(c.Span)}
	for _, k := range ghostKinds(c) {
		shadow, err := cachestore.NewShadow(k.config(c, shift))
		if err != nil {
			g.close()
			return nil, err
		}
		g.all = append(g.all, ghost{ghostKind: k, shadow: shadow})
	}
	return g, nil
}

// request asks every ghost.
func (g *ghostSet) request(q *ghostRequest) {
	g.now = max(g.now, q.now)
	group := int(q.id >> 60)
	if q.hit {
		g.own.add(group, q.size)
	}
	for i := range g.all {
		one := &g.all[i]
		if q.purged {
			one.shadow.Forget(q.id)
		}
		if one.shadow.Request(cachestore.VirtualRequest{ID: q.id, Size: q.size, Now: g.now, Fresh: q.fresh}) != cachestore.ServedOrigin {
			one.hits.add(group, q.size)
		}
	}
	g.sums.samples++
	if g.steps++; g.steps == ghostFade {
		g.steps = 0
		g.fade()
	}
}

// fade lets what was counted so far count less.
func (g *ghostSet) fade() {
	by := fading(ghostFade, g.span)
	g.sums.fade(by)
	g.own.fade(by)
	for i := range g.all {
		g.all[i].hits.fade(by)
	}
}

// bytes is what the ghosts take of the process's memory.
func (g *ghostSet) bytes() (n int64) {
	for i := range g.all {
		n += g.all[i].shadow.Bytes()
	}
	return n
}

func (g *ghostSet) close() {
	for i := range g.all {
		_ = g.all[i].shadow.Close() // it is open
	}
}

// ghostSums are counts of requests, those of the sample and those beside it, and over how
// long they were counted. They fade.
type ghostSums struct {
	requests, bytes  float64
	hits, hitBytes   float64 // of the store itself
	samples, dropped float64
	seconds          float64
}

// add takes in what was counted between two looks.
func (s *ghostSums) add(now, before *ghostCounts, nanos int64) {
	s.requests += float64(now.asked() - before.asked())
	s.bytes += float64(now.bytes[0] + now.bytes[1] - before.bytes[0] - before.bytes[1])
	s.hits += float64(now.requests[1] - before.requests[1])
	s.hitBytes += float64(now.bytes[1] - before.bytes[1])
	s.dropped += float64(now.dropped - before.dropped)
	s.seconds += time.Duration(max(nanos, 0)).Seconds()
}

func (s *ghostSums) fade(by float64) {
	for _, n := range []*float64{&s.requests, &s.bytes, &s.hits, &s.hitBytes, &s.samples, &s.dropped, &s.seconds} {
		*n *= by
	}
}
