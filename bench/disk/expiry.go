package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"edgecache/bench/program"
	"edgecache/cachestore"
	"edgecache/edge"
)

const (
	waveConns  = 4
	waveStride = 7919 // between two that are asked for: some are in memory, most on disk
	waveShare  = 4    // of the hits: so many times fewer are asked for
)

// expiry measures hits of memory over HTTP/1.1 around the instant at which all
// else that is stored expires, four times in each round: idle; while others ask
// for the rest and new objects push it out, all fresh; across the instant, idle;
// and beside those others again, with all expired.
func expiry(ctx context.Context, o options, dir string, out *strings.Builder) error {
	e := &expiring{o: o, answers: map[string]int{}}
	if err := e.open(ctx, dir); err != nil {
		return errors.Join(err, e.close())
	}
	phases := make([]phase, 4)
	for i, name := range []string{"idle", "busy, all fresh", "at the instant", "busy, all expired"} {
		phases[i].name = name
	}
	var disk, memory program.Spread
	for range o.rounds {
		d, m, err := e.round(ctx, phases)
		if err != nil {
			return errors.Join(err, e.close())
		}
		disk, memory = append(disk, d), append(memory, m)
	}
	e.report(out, phases, disk, memory)
	return e.close()
}

// expiring is an edge with hot objects and a wave.
type expiring struct {
	o     options
	wave  *wave
	site  *site
	asked int // objects of the wave, so far

	mu      sync.Mutex
	answers map[string]int // to who asks for the wave, by what became of the request
}

// phase is what one of the four gave.
type phase struct {
	name          string
	hits          latencies
	elsewhere     int64 // of the hits: not of memory, in all rounds
	others        latencies
	answers       map[string]int // in all rounds
	expired, rest uint64         // evicted from disk: as of no use any more, and for other reasons
	written       program.Spread // MiB/s to the device
}

func (e *expiring) open(ctx context.Context, dir string) (err error) {
	if e.wave, err = openWave(ctx, e.o, dir); err != nil {
		return err
	}
	e.site, err = openSite(ctx, siteConfig{
		shelf: e.wave.shelf, purges: filepath.Join(dir, "wave.db"), now: e.wave.clock.now, origin: e.wave, log: e.note,
	})
	if err == nil {
		e.wave.purges = e.site.purges.Index().Now
	}
	return err
}

func (e *expiring) close() error {
	e.site.close()
	if e.wave == nil || e.wave.shelf == nil {
		return nil
	}
	return e.wave.shelf.close()
}

// note counts what became of a request for the wave.
func (e *expiring) note(r *edge.Record) {
	if !bytes.HasPrefix(r.Path, []byte(wavePath)) {
		return
	}
	what := fmt.Sprintf("%s (%s)", r.Cache, r.Reason)
	if r.Kind != edge.KindClient {
		what = "in the background: " + what
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.answers[what]++
}

// round is one wave. It returns how much of it was stored, in percent, before it
// was touched: on disk, and of all that is stored how much was in memory.
func (e *expiring) round(ctx context.Context, phases []phase) (disk, memory float64, err error) {
	span := 4 * e.o.span
	if err := e.wave.fill(ctx); err != nil {
		return 0, 0, err
	}
	if err := e.site.warm(ctx); err != nil { // what is new has pushed them out
		return 0, 0, err
	}
	runtime.GC() // of what was there before
	st := e.wave.shelf.tiers.Stats()
	one := 100 / float64(e.wave.objects)
	disk, memory = float64(st.Disk.Objects)*one, float64(st.Resources)*one
	for i := range phases {
		switch i {
		case 2:
			if left := e.wave.ends.Sub(e.wave.clock.now()); left < span {
				return disk, memory, fmt.Errorf("the objects expire in %s, before the clock is set to it", left)
			}
			e.wave.clock.jump(e.wave.ends.Add(-span / 2))
		case 3:
			if left := e.wave.ends.Sub(e.wave.clock.now()); left > 0 {
				return disk, memory, fmt.Errorf("the objects are fresh for %s more", left)
			}
		}
		if err := e.measure(ctx, &phases[i], i%2 == 1, span); err != nil {
			return disk, memory, fmt.Errorf("%s: %w", phases[i].name, err)
		}
	}
	return disk, memory, nil
}

// measure is one phase of a round.
func (e *expiring) measure(ctx context.Context, p *phase, busy bool, span time.Duration) error {
	before := e.wave.shelf.disk.Stats()
	moved, err := trafficNow()
	if err != nil {
		return err
	}
	began := time.Now()
	beside, stop := context.WithCancel(ctx)
	defer stop()
	failed := make(chan error, 2)
	if busy {
		go func() { failed <- e.wave.storeNew(beside, e.o.rate) }()
		go func() { failed <- e.others(beside, p, span) }()
	} else {
		failed <- nil
		failed <- nil
	}
	h, err := e.site.hit(ctx, e.o.rate, span)
	err = errors.Join(err, <-failed) // the others have ended, or what has gone wrong
	stop()
	if err = errors.Join(err, <-failed); err != nil {
		return err
	}
	now, err := trafficNow()
	if err != nil {
		return err
	}
	p.written = append(p.written, float64(now.since(moved).written)/mib/time.Since(began).Seconds())
	p.hits.add(h)
	p.elsewhere += e.site.elsewhere.Swap(0)
	p.count(before, e.wave.shelf.disk.Stats())
	return nil
}

// othersRate is how many objects of the wave are asked for a second.
func (e *expiring) othersRate() int { return max(e.o.rate/waveShare, 1) }

// others are clients that ask for what is of the wave, each object once.
func (e *expiring) others(ctx context.Context, p *phase, span time.Duration) error {
	from := e.asked
	which := func(i int) int { return (from + i) * waveStride % e.wave.objects }
	a := asking{
		rate: e.othersRate(), span: span, conns: waveConns,
		path: func(i int) string { return fmt.Sprint(wavePath, which(i)) },
		size: func(i int) int { return e.wave.size(which(i)) },
	}
	e.asked += a.total()
	h, err := e.site.ask(ctx, a)
	if err != nil {
		return err
	}
	p.others.add(h)
	e.mu.Lock()
	defer e.mu.Unlock()
	if p.answers == nil {
		p.answers = map[string]int{}
	}
	for what, n := range e.answers {
		p.answers[what] += n
	}
	clear(e.answers)
	return nil
}

func (p *phase) count(before, after cachestore.DiskStats) {
	for why := range after.Evicted {
		n := after.Evicted[why] - before.Evicted[why]
		if cachestore.DiskEviction(why) == cachestore.DiskEvictedExpired {
			p.expired += n
			continue
		}
		p.rest += n
	}
}

func (e *expiring) report(out *strings.Builder, phases []phase, disk, memory program.Spread) {
	w := e.wave
	line(out, "objects", "%d of %d to %d bytes that expire at one instant, every second has a validator",
		w.objects, w.size(0), w.size(100))
	line(out, "stored", "%s %% as many on disk, %s %% in memory", disk, memory)
	stale := "none: who asks for an expired object waits for the origin"
	if w.stale > 0 {
		stale = fmt.Sprintf("stale-while-revalidate=%d: it is served at once, and refreshed in the background", int(w.stale.Seconds()))
	}
	line(out, "stale", "%s", stale)
	line(out, "hits", "%d a second asked for on %d connections, each of %d KiB; µs from when each was due", e.o.rate, hotConns, hotSize>>10)
	line(out, "busy", "%d a second ask for the objects on %d connections, %d new ones a second are stored",
		e.othersRate(), waveConns, e.o.rate)
	for i := range phases {
		p := &phases[i]
		line(out, p.name, "")
		p.hits.report(out)
		line(out, "  p99 of idle", "%s", p.hits.p99.Over(phases[0].hits.p99))
		line(out, "  not of memory", "%d", p.elsewhere)
		if len(p.others.p50) == 0 {
			continue
		}
		line(out, "  others", "p50, p99 %s, %s", p.others.p50, p.others.p99)
		for _, what := range slices.Sorted(maps.Keys(p.answers)) {
			line(out, "  answers", "%d %s", p.answers[what], what)
		}
		line(out, "  left disk", "%d as expired, %d as worth least", p.expired, p.rest)
		line(out, "  written", "%s MiB/s to the device", p.written)
	}
}
