package main

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// olderMost is how many objects of earlier lives are looked at after a start.
const olderMost = 300

// found is what a start has brought back.
type found struct {
	ready, loaded time.Duration // since the process was begun
	firstHit      time.Duration // since the process was begun; 0: there was none
	kept, hits    int           // objects that should be there, and that are
	older         int           // of earlier lives that should be there
	olderHits     int
	answers       int
	bytes         int64
	faults        []error
}

// verifying looks at everything after a start.
type verifying struct {
	c      *client
	r      *rand.Rand
	before time.Time // answers of the last life that were complete by then count
	mu     sync.Mutex
	found
}

// run waits for the indexes, then asks for what was kept and for all the rest
// of the last life, from object from on.
func (v *verifying) run(ctx context.Context, from uint32, connections int) {
	v.ready = time.Since(v.c.edge.Began)
	var kept, others, older []uint32
	for o := range v.c.world.known.Load() {
		object := &v.c.world.objects[o]
		switch {
		case object.keptBefore(v.before, v.c.life-1):
			kept = append(kept, o)
		case o >= from || object.keptBefore(time.Now(), v.c.life-1):
			others = append(others, o)
		case v.keptEarlier(object):
			older = append(older, o)
		}
	}
	for _, list := range [][]uint32{kept, others, older} {
		v.r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	}
	kept = v.first(ctx, kept)
	v.load(ctx)
	v.kept += len(kept)
	v.hits += v.ask(ctx, kept, connections)
	older = older[:min(len(older), olderMost)]
	v.older, v.olderHits = len(older), v.ask(ctx, older, connections)
	v.ask(ctx, others, connections)
}

// keptEarlier says whether an object was kept in a life before the last one.
// What was found in the last one counts as of it.
func (v *verifying) keptEarlier(o *object) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.kept.IsZero() && o.life < v.c.life-1
}

// first asks for one object after the other, while the indexes are being read,
// until one comes from the cache. It returns what is left of them: what was
// asked for too early is fetched anew and says nothing.
func (v *verifying) first(ctx context.Context, kept []uint32) []uint32 {
	buf := make([]byte, 64<<10)
	for i, o := range kept {
		hit := v.one(ctx, o, buf)
		if hit {
			v.firstHit = time.Since(v.c.edge.Began)
			return kept[i+1:]
		}
	}
	return nil
}

// load waits until all indexes are read.
func (v *verifying) load(ctx context.Context) {
	for ctx.Err() == nil {
		d, err := v.c.disk(ctx)
		if err != nil {
			v.faults = append(v.faults, err)
			return
		}
		all := true
		for _, s := range d.Shards {
			all = all && s.Loaded
		}
		if all {
			v.loaded = time.Since(v.c.edge.Began)
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// ask asks for objects and counts those that come from the cache. One that does
// not is not kept any more.
func (v *verifying) ask(ctx context.Context, list []uint32, connections int) (hits int) {
	jobs := make(chan uint32)
	var all sync.WaitGroup
	for range connections {
		all.Go(func() {
			buf := make([]byte, 64<<10)
			for o := range jobs {
				if v.one(ctx, o, buf) {
					v.mu.Lock()
					hits++
					v.mu.Unlock()
				}
			}
		})
	}
	for _, o := range list {
		jobs <- o
	}
	close(jobs)
	all.Wait()
	return hits
}

func (v *verifying) one(ctx context.Context, o uint32, buf []byte) (hit bool) {
	a := v.c.get(ctx, o, buf)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.answers++
	v.bytes += a.bytes
	for _, err := range []error{a.wrong, a.err} {
		if err != nil {
			v.faults = append(v.faults, err)
		}
	}
	return a.hit && a.wrong == nil && a.err == nil
}
