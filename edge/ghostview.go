package edge

import "math"

// GhostsView is what the ghosts say. Ratios are from 0 to 1, and of the requests for what
// can be stored.
type GhostsView struct {
	Rate     float64 `json:"sample_rate"` // of the objects
	Requests uint64  `json:"requests"`    // since the start
	Sampled  uint64  `json:"sampled"`
	Dropped  uint64  `json:"dropped"`
	Waiting  uint64  `json:"waiting"`  // of the sample, to be asked of the ghosts
	Restarts uint64  `json:"restarts"` // with half the sample
	Bytes    int64   `json:"bytes"`    // of memory that they take
	Limit    int64   `json:"limit_bytes"`

	Samples      float64 `json:"samples"` // that count now, after fading
	Seconds      float64 `json:"seconds"` // in which they came
	PerSecond    float64 `json:"requests_per_second"`
	HitRatio     float64 `json:"hit_ratio"` // of the store, measured
	ByteHitRatio float64 `json:"byte_hit_ratio"`
	Bias         float64 `json:"bias"` // hit ratio of the ghost of the store as it is, less the store's own

	Ghosts []GhostView `json:"ghosts"` // none before the first request of the sample
}

// GhostView is what one ghost says. An error is two standard deviations of what the
// choice of the sample does to the gain beside it.
type GhostView struct {
	Memory          float64 `json:"memory"` // times what the store has
	Disk            float64 `json:"disk"`
	Objective       string  `json:"objective"`
	HitRatio        float64 `json:"hit_ratio"`
	Gain            float64 `json:"gain"` // of hit ratio, over the store as it is
	Error           float64 `json:"error"`
	ByteHitRatio    float64 `json:"byte_hit_ratio"`
	ByteGain        float64 `json:"byte_gain"`
	ByteError       float64 `json:"byte_error"`
	SparedPerSecond float64 `json:"origin_requests_spared_per_second"`
}

// Ghosts tells what the ghosts say; nil when there are none.
func (e *Engine) Ghosts() *GhostsView {
	if e.ghosts == nil {
		return nil
	}
	return e.ghosts.view()
}

func (g *ghosts) view() *GhostsView {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.set == nil {
		return nil
	}
	g.lookLocked()
	v := &GhostsView{
		Requests: g.counted.asked(), Sampled: g.sampled, Dropped: g.counted.dropped,
		Restarts: g.restarts, Bytes: g.set.bytes(), Limit: g.config.Bytes, Ghosts: []GhostView{},
	}
	for _, stripe := range g.stripes.all {
		v.Waiting += stripe.everQueued()
	}
	v.Waiting -= g.taken // of which none came before it was queued
	g.set.tell(v)
	return v
}

// tell fills in what the set knows.
func (g *ghostSet) tell(v *GhostsView) {
	s := &g.sums
	v.Rate, v.Samples, v.Seconds = g.share(), s.samples, s.seconds
	v.PerSecond = ratio(s.requests, s.seconds)
	v.HitRatio, v.ByteHitRatio = ratio(s.hits, s.requests), ratio(s.hitBytes, s.bytes)
	requests, bytes := g.expected()
	if s.samples < 1 || requests < 1 || bytes <= 0 {
		return
	}
	base := &g.all[0].hits
	v.Bias, _ = g.more(&base.requests, &g.own.requests, requests)
	for i := range g.all {
		one := &g.all[i]
		w := GhostView{Memory: one.memory, Disk: one.disk, Objective: one.objective.String()}
		w.Gain, w.Error = g.more(&one.hits.requests, &base.requests, requests)
		w.ByteGain, w.ByteError = g.more(&one.hits.bytes, &base.bytes, bytes)
		w.HitRatio, w.ByteHitRatio = within(v.HitRatio+w.Gain), within(v.ByteHitRatio+w.ByteGain)
		w.SparedPerSecond = w.Gain * v.PerSecond
		v.Ghosts = append(v.Ghosts, w)
	}
}

// share is that of the objects which are in the sample.
func (g *ghostSet) share() float64 { return 1 / float64(uint64(1)<<g.shift) }

// expected is how many requests, and bytes of them, a sample has that is neither lucky nor
// unlucky in its objects: by it hits are divided, and not by what the sample has, in
// which one object more or less that everybody asks for weighs too much (SHARDS, 3.4).
func (g *ghostSet) expected() (requests, bytes float64) {
	requests = g.sums.requests*g.share() - g.sums.dropped
	return requests, g.sums.bytes * ratio(requests, g.sums.requests)
}

// more is by how much one's hits are more than another's, in parts of all that was
// expected, and the sampling error of that. The objects are in groups by chance, so that
// the groups' differences tell how much chance there is.
func (g *ghostSet) more(one, other *[ghostGroups]float64, of float64) (gain, err float64) {
	sum, squares := 0.0, 0.0
	for i := range one {
		d := one[i] - other[i]
		sum += d
		squares += d * d
	}
	spread := max(squares-sum*sum/ghostGroups, 0) / (ghostGroups - 1)
	return sum / of, 2 * math.Sqrt(ghostGroups*spread*(1-g.share())) / of
}

// fading is what is left of a count after so many requests.
func fading(requests, span float64) float64 { return math.Exp2(-requests / span) }

func ratio(part, of float64) float64 {
	if of <= 0 {
		return 0
	}
	return part / of
}

func within(r float64) float64 { return min(max(r, 0), 1) }
