package main

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// settle is how long before the kill an answer must have been complete to count
// as kept. The queue in front of the disk is empty much earlier, unless the
// machine stalls: LongestCommit tells.
const settle = time.Second

// look is how often the disk is asked for its counters while edge is written to.
const look = 50 * time.Millisecond

// sample is what the disk tier had given up by some moment.
type sample struct {
	at            time.Time
	gone          uint64 // drops and evictions
	longestCommit float64
}

// writing is one spell of work at full rate, up to the kill.
type writing struct {
	c     *client
	r     *rand.Rand
	limit int64         // bytes of new bodies, all in all
	pause time.Duration // of each connection between two things

	bytes   atomic.Int64
	fetched atomic.Int64 // answers
	purges  atomic.Int64 // acknowledged
	over    atomic.Bool  // from the kill on errors are what must come

	mu      sync.Mutex
	faults  []error // wrong answers, and errors before the kill
	samples []sample
}

// run works until the kill, which comes after a span, and returns when it was.
func (w *writing) run(ctx context.Context, connections int, span time.Duration) (killed time.Time, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var all sync.WaitGroup
	for range connections {
		seed := w.r.Uint64()
		all.Go(func() { w.work(ctx, rand.New(rand.NewPCG(seed, 1))) })
	}
	all.Go(func() { w.watch(ctx) })
	select {
	case <-time.After(span):
	case <-ctx.Done():
	}
	w.over.Store(true)
	killed = time.Now()
	err = w.c.edge.Kill()
	cancel()
	all.Wait()
	return killed, err
}

func (w *writing) work(ctx context.Context, r *rand.Rand) {
	buf := make([]byte, 64<<10)
	for ; !w.over.Load(); time.Sleep(w.pause) {
		switch p := r.IntN(100); {
		case p < 80 && w.bytes.Load() < w.limit:
			if o, ok := w.c.world.next(); ok {
				w.get(ctx, o, buf)
			}
		case p < 88:
			w.get(ctx, w.known(r), buf)
		case p < 98:
			o := w.known(r)
			w.change(ctx, []uint32{o}, "uri", "http://"+hostName+path(o))
			if r.IntN(2) == 0 {
				w.get(ctx, o, buf)
			}
		default:
			w.changeTag(ctx, uint32(r.IntN(tags)))
		}
	}
}

// known is an object that somebody has asked for, the newest more often.
func (w *writing) known(r *rand.Rand) uint32 {
	n := w.c.world.known.Load()
	if n == 0 {
		return 0
	}
	return n - 1 - min(r.Uint32N(n), r.Uint32N(n))
}

func (w *writing) get(ctx context.Context, o uint32, buf []byte) {
	a := w.c.get(ctx, o, buf)
	w.fetched.Add(1)
	if !a.hit {
		w.bytes.Add(a.bytes)
	}
	w.fault(a.wrong)
	if !w.over.Load() {
		w.fault(a.err)
	}
}

func (w *writing) changeTag(ctx context.Context, t uint32) {
	var victims []uint32
	for o := t; o < w.c.world.known.Load(); o += tags {
		victims = append(victims, o)
	}
	w.change(ctx, victims, "tag", tag(t))
}

// change gives objects new versions and purges the old ones.
func (w *writing) change(ctx context.Context, victims []uint32, scope, selector string) {
	versions := map[uint32]uint64{}
	for _, o := range victims {
		versions[o] = w.c.world.objects[o].change()
	}
	err := w.c.purge(ctx, scope, selector)
	for o, version := range versions {
		w.c.world.objects[o].purged(version, err == nil)
	}
	if err == nil {
		w.purges.Add(1)
	} else if !w.over.Load() {
		w.fault(err)
	}
}

// watch takes samples of what the disk gives up.
func (w *writing) watch(ctx context.Context) {
	t := time.NewTicker(look)
	defer t.Stop()
	for !w.over.Load() {
		<-t.C
		v, err := w.c.disk(ctx)
		if err != nil {
			continue // edge is being killed, or the next look tells
		}
		s := sample{at: time.Now(), longestCommit: v.LongestCommit}
		for _, n := range v.Dropped {
			s.gone += n
		}
		for _, n := range v.Evicted {
			s.gone += n
		}
		w.mu.Lock()
		w.samples = append(w.samples, s)
		w.mu.Unlock()
	}
}

// gone is what the disk had given up when the last answer that counts was
// complete, or soon after.
func (w *writing) gone(moment time.Time) (s sample) {
	for _, s = range w.samples {
		if s.at.After(moment.Add(look)) {
			break
		}
	}
	return s
}

func (w *writing) fault(err error) {
	if err == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = append(w.faults, err)
}
