package edge

import (
	"log/slog"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"edgecache/cachestore"
	"edgecache/policy"
)

var smallGhosts = GhostConfig{Store: cachestore.VirtualConfig{Memory: 8 << 20}}

// haunt gives an engine ghosts that were not there when it was made.
func haunt(t testing.TB, e *Engine, c GhostConfig) *ghosts {
	t.Helper()
	g, err := newGhosts(c, e.clock, e.log)
	if err != nil {
		t.Fatal(err)
	}
	e.ghosts = g
	e.tasks.Go(func() { g.run(e.ctx) })
	return g
}

// hitter asks an engine for the object that put has stored.
func hitter(t testing.TB, e *Engine) func() {
	put(t, e)
	l := &nowhere{}
	s := e.NewSession(l)
	fields := policy.Fields{{Name: []byte("Accept-Encoding"), Value: []byte("gzip")}}
	return func() {
		if !l.ask(e, s, "GET", fields) {
			t.Fatal("no hit")
		}
	}
}

// TestGhostsDropAtAFullQueue: with the ghosts held up requests go on, and what the queue
// has no room for is counted. Told of the rest, the ghosts are where they should be.
func TestGhostsDropAtAFullQueue(t *testing.T) {
	e := newTestEngine(t)
	hit := hitter(t, e)
	g := haunt(t, e, smallGhosts)
	g.mu.Lock()
	const over = 100
	most := (len(g.stripes.all)+1)*ghostQueue + over // one queue may have been taken already
	for range most {
		hit()
	}
	var counts ghostCounts
	for _, s := range g.stripes.all {
		counts.add(s)
	}
	g.mu.Unlock()
	if counts.dropped < over || counts.asked() != uint64(most) {
		t.Errorf("%d of %d requests dropped, want at least %d", counts.dropped, counts.asked(), over)
	}
	v := settled(g)
	if v.Sampled+v.Dropped != uint64(most) || v.Dropped < over || v.Requests != uint64(most) {
		t.Errorf("%+v, want %d in all", v, most)
	}
	if math.Abs(v.Ghosts[0].HitRatio-1) > 1e-9 || math.Abs(v.Bias+1/float64(v.Sampled)) > 1e-9 {
		t.Errorf("hit ratio %v and bias %v, want 1, and the first request a miss of the ghost", v.Ghosts[0].HitRatio, v.Bias)
	}
}

// settled waits until the ghosts were asked for all that waited.
func settled(g *ghosts) *GhostsView {
	for {
		if v := g.view(); v == nil || v.Waiting == 0 {
			return v
		}
		time.Sleep(time.Millisecond) // outside a bubble: nothing depends on how long
	}
}

// TestGhostsAllocateNothing: neither outside the sample, nor in it, nor at a full queue.
func TestGhostsAllocateNothing(t *testing.T) {
	e := newTestEngine(t)
	hit := hitter(t, e)
	g := haunt(t, e, smallGhosts)
	g.mu.Lock() // the ghosts themselves may allocate
	defer g.mu.Unlock()
	for range 300 {
		hit()
	}
	if n := testing.AllocsPerRun(500, hit); n > 0 {
		t.Errorf("%v allocations a hit of the sample", n)
	}
	for range 3 * ghostQueue {
		hit()
	}
	if n := testing.AllocsPerRun(500, hit); n > 0 {
		t.Errorf("%v allocations a hit that is dropped", n)
	}
	g.most.Store(0)
	if n := testing.AllocsPerRun(500, hit); n > 0 {
		t.Errorf("%v allocations a hit outside the sample", n)
	}
}

// TestNoGhosts: the zero configuration starts nothing.
func TestNoGhosts(t *testing.T) {
	g, err := newGhosts(GhostConfig{}, time.Now, slog.New(slog.DiscardHandler))
	if g != nil || err != nil {
		t.Errorf("%v, %v", g, err)
	}
	e := newTestEngine(t)
	if e.ghosts != nil || e.Ghosts() != nil || e.Top(1).Ghosts != nil {
		t.Error("an engine has ghosts that nobody wanted")
	}
}

// TestGhostsLeaveNothing: whatever they are at, their goroutines, Ristretto's among them,
// end with the engine, and what is told then does no harm.
func TestGhostsLeaveNothing(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Run("an engine", func(t *testing.T) {
		e := newTestEngine(t)
		hit := hitter(t, e)
		g := haunt(t, e, smallGhosts)
		for range 500 {
			hit()
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		hit()
		if v := g.view(); v != nil || e.Ghosts() != nil {
			t.Errorf("closed ghosts say %+v", v)
		}
	})
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
}

// TestGhostsAtOnce: requests, readers, a sample that gets smaller and the end, all at
// the same time, for the race detector; all that was told is accounted for.
func TestGhostsAtOnce(t *testing.T) {
	e := newTestEngine(t)
	put(t, e)
	c := smallGhosts
	c.Samples = 20
	g := haunt(t, e, c)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			l := &nowhere{}
			s := e.NewSession(l)
			fields := policy.Fields{{Name: []byte("Accept-Encoding"), Value: []byte("gzip")}}
			for range 2000 {
				l.ask(e, s, "GET", fields)
			}
		})
	}
	all.Go(func() {
		for range 200 {
			e.Ghosts()
		}
	})
	all.Wait()
	if v := settled(g); v.Requests != 8000 || v.Sampled == 0 || v.Sampled+v.Dropped > 8000 {
		t.Errorf("%+v, want 8000 requests", v)
	}
}

// requestOf is a request of a sample.
func requestOf(id uint64, now time.Time, fresh time.Duration) *ghostRequest {
	return &ghostRequest{id: id, size: 1000, now: now.UnixNano(), fresh: fresh}
}

// TestGhostsKeepTime: what has ended is no hit, a purge is the end of what was before it,
// and the bound of requests in a time is one in a time.
func TestGhostsKeepTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := smallGhosts
		c.Samples = 10 // 100 in 10 s
		g, err := newGhosts(c, time.Now, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		defer g.close()
		hits := func() float64 { return g.set.all[0].hits.requests[0] }
		for _, step := range []struct {
			name  string
			after time.Duration
			purge bool
			want  float64
		}{
			{"a miss", 0, false, 0},
			{"fresh", 59 * time.Second, false, 1},
			{"over", time.Second, false, 1},
			{"fresh again", time.Second, false, 2},
			{"purged", time.Second, true, 2},
			{"stored again", time.Second, false, 3},
		} {
			time.Sleep(step.after)
			q := requestOf(1, time.Now(), time.Minute)
			q.purged = step.purge
			if g.ask(q); hits() != step.want {
				t.Errorf("%s: %v hits so far, want %v", step.name, hits(), step.want)
			}
		}
		for range 10 {
			time.Sleep(busySpan)
			for range 100 {
				g.ask(requestOf(1, time.Now(), time.Minute))
			}
		}
		if g.restarts != 0 {
			t.Errorf("%d restarts within the bound", g.restarts)
		}
		g.ask(requestOf(1, time.Now(), time.Minute))
		v := g.view()
		if v.Restarts != 1 || v.Rate != 0.5 || v.Samples != 0 || len(v.Ghosts) != 0 || g.most.Load() != math.MaxUint64/2 {
			t.Errorf("over the bound: %+v, want half the sample and nothing in it", v)
		}
		over := requestOf(1, time.Now(), time.Minute)
		over.hash = math.MaxUint64/2 + 1
		if g.ask(over); g.view().Samples != 0 {
			t.Error("a request that is no longer in the sample counts")
		}
	})
}

// TestGhostsKeepToTheirMemory: many small objects make the sample smaller until it fits.
func TestGhostsKeepToTheirMemory(t *testing.T) {
	c := GhostConfig{Store: cachestore.VirtualConfig{Memory: 32 << 20}, Bytes: 24 << 20, Samples: math.MaxInt32}
	g, err := newGhosts(c, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer g.close()
	first := g.view()
	if first.Bytes > c.Bytes {
		t.Fatalf("empty ghosts take %d bytes of %d", first.Bytes, c.Bytes)
	}
	for id := range uint64(60_000) {
		q := requestOf(id<<32, time.Now(), 0)
		q.size = 10
		g.ask(q)
	}
	if v := g.view(); v.Bytes > c.Bytes*101/100 || v.Restarts == 0 || v.Rate >= first.Rate {
		t.Errorf("%d bytes of %d after %d restarts, one object in %v where it was one in %v", v.Bytes, c.Bytes, v.Restarts, 1/v.Rate, 1/first.Rate)
	}
}

// TestGhostSums: by hand.
func TestGhostSums(t *testing.T) {
	g := &ghostSet{shift: 1, all: make([]ghost, 2)}
	g.sums = ghostSums{requests: 2000, hits: 1200, bytes: 2e6, hitBytes: 1e6, samples: 900, dropped: 100, seconds: 50}
	for i := range ghostGroups {
		g.all[0].hits.requests[i], g.own.requests[i] = 30, 33
		g.all[0].hits.bytes[i] = 1000
		g.all[1].hits.requests[i] = 33
		g.all[1].hits.bytes[i] = 2000
	}
	g.all[1].hits.requests[0] += 16 // one group has 19 more, the others 3
	var v GhostsView
	g.tell(&v)
	// 900 are expected: half of 2000, less 100. 64 hits more are 64/900; the groups' mean is
	// 4, their squares' sum 16*9-9+361 = 496, less 64*64/16 = 256: 240/15 = 16, times 16
	// groups, times half: 128; two of its roots over 900.
	w := v.Ghosts[1]
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"hit ratio", v.HitRatio, 0.6}, {"byte hit ratio", v.ByteHitRatio, 0.5}, {"a second", v.PerSecond, 40},
		{"bias", v.Bias, -48. / 900}, {"gain", w.Gain, 64. / 900}, {"ratio", w.HitRatio, 0.6 + 64./900},
		{"error", w.Error, 2 * math.Sqrt(128) / 900}, {"bytes", w.ByteGain, 16_000 / 9e5}, {"bytes' error", w.ByteError, 0},
		{"spared", w.SparedPerSecond, 40 * 64. / 900}, {"itself", v.Ghosts[0].Gain, 0},
	} {
		if math.Abs(c.got-c.want) > 1e-12 {
			t.Errorf("%s: %v, want %v", c.name, c.got, c.want)
		}
	}
	g.span = ghostFade
	g.fade() // to a half
	if g.sums.requests != 1000 || g.all[1].hits.requests[1] != 16.5 || g.own.requests[0] != 16.5 || g.sums.seconds != 25 {
		t.Errorf("faded: %+v", g.sums)
	}
}

// BenchmarkGhosts is a hit without ghosts, with them but outside the sample, and in it while
// they are busy.
func BenchmarkGhosts(b *testing.B) {
	for _, c := range []struct {
		name   string
		config GhostConfig
		most   uint64
	}{
		{"none", GhostConfig{}, 0},
		{"unsampled", smallGhosts, 0},
		{"sampled", smallGhosts, math.MaxUint64},
	} {
		b.Run(c.name, func(b *testing.B) {
			e := newTestEngine(b)
			hit := hitter(b, e)
			if c.config.Store.Memory > 0 {
				g := haunt(b, e, c.config)
				g.most.Store(c.most)
				g.mu.Lock() // the ghosts' own time is BenchmarkGhostSample's
				defer g.mu.Unlock()
			}
			b.ReportAllocs()
			for b.Loop() {
				hit()
			}
		})
	}
}

// BenchmarkGhostTell is what of a hit is the ghosts' alone.
func BenchmarkGhostTell(b *testing.B) {
	for _, c := range []struct {
		name string
		most uint64
	}{{"unsampled", 0}, {"sampled", math.MaxUint64}} {
		b.Run(c.name, func(b *testing.B) {
			e := newTestEngine(b)
			hitter(b, e)
			g := haunt(b, e, smallGhosts)
			g.most.Store(c.most)
			s := e.NewSession(&nowhere{})
			s.Request.Method, s.Request.HasHost, s.Request.Host, s.Request.Path, s.Request.Remote = "GET", true, hostA, pathX, loopback
			s.Request.Fields = policy.Fields{{Name: []byte("Accept-Encoding"), Value: []byte("gzip")}}
			if !e.Begin(s) {
				b.Fatal("no hit")
			}
			if _, hit, ok := s.wanted(); !hit || !ok {
				b.Fatal("the hit does not count")
			}
			g.mu.Lock() // the queue gets full
			defer g.mu.Unlock()
			b.ReportAllocs()
			for b.Loop() {
				g.tell(s)
			}
		})
	}
}

// BenchmarkGhostSample is what one request of the sample costs all ghosts, half of the
// requests being for an object that is new.
func BenchmarkGhostSample(b *testing.B) {
	for _, c := range []struct {
		name  string
		store cachestore.VirtualConfig
	}{
		{"memory", cachestore.VirtualConfig{Memory: 4 << 30}},
		{"disk", cachestore.VirtualConfig{Memory: 4 << 30, Disk: 64 << 30, Admission: cachestore.AdmitSZ2}},
	} {
		b.Run(c.name, func(b *testing.B) {
			g, err := newGhosts(GhostConfig{Store: c.store, Samples: math.MaxInt32}, time.Now, slog.New(slog.DiscardHandler))
			if err != nil {
				b.Fatal(err)
			}
			defer g.close()
			next := uint64(0)
			q := requestOf(0, time.Now(), 0)
			q.size = 16 << 10
			b.ReportAllocs()
			for b.Loop() {
				next++
				q.id = next * 0x9e3779b97f4a7c15
				if next%2 == 0 {
					q.id = next / 2 % 1000 * 0x9e3779b97f4a7c15
				}
				g.ask(q)
			}
		})
	}
}
