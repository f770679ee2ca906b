package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"edgecache/bench/program"
	"edgecache/policy"
)

const hitsTarget = 0.4 // of what a plain file gives, at 64 KiB

// hits compares hits of the disk tier with reading the same bytes from a plain
// file and summing them, both from the page cache.
func hits(ctx context.Context, o options, dir string, out *strings.Builder) error {
	for _, size := range []int{1 << 10, 64 << 10, 1 << 20} {
		if err := hitsOf(ctx, o, filepath.Join(dir, fmt.Sprintf("hits-%d", size)), size, out); err != nil {
			return err
		}
	}
	return nil
}

// hitWays are what is compared: how one goroutine reads.
type hitWays struct {
	s    *shelf
	p    *plain
	keys []policy.Key
}

// hitFigures are what one way gave, a round each.
type hitFigures struct{ rate, micros program.Spread }

func hitsOf(ctx context.Context, o options, dir string, size int, out *strings.Builder) error {
	n := min(int(o.bytes)/size, 64<<10) // many times what memory holds
	s, err := openShelf(dir, 16<<20, 2*o.bytes+64<<20)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.fillUp(ctx, 0, n, size); err != nil {
		return err
	}
	p, err := writePlain(dir+".plain", s, n, size)
	if err != nil {
		return err
	}
	defer p.remove()
	w := &hitWays{s: s, p: p, keys: make([]policy.Key, n)}
	for i := range w.keys {
		w.keys[i] = keyOf(i)
	}
	for _, workers := range []int{1, 2} {
		var all [3]hitFigures
		for round := range o.rounds + 1 {
			for i, way := range []func(context.Context, *rand.Rand, time.Time) (int, int, error){w.plain, w.read, w.raise} {
				rate, micros, err := w.round(ctx, way, o.span, workers, uint64(workers<<32+3*round+i))
				if err != nil {
					return err
				}
				if round > 0 { // the first one warms up
					all[i].rate, all[i].micros = append(all[i].rate, rate), append(all[i].micros, micros)
				}
			}
		}
		line(out, fmt.Sprintf("%d KiB, %d at once", size>>10, workers), "")
		for i, name := range []string{"plain file", "disk tier", "raised to memory"} {
			line(out, "  "+name, "%s MiB/s, %s µs each", all[i].rate, all[i].micros)
		}
		goal := ""
		if size == 64<<10 {
			goal = fmt.Sprintf(" (at least %.1f)", hitsTarget)
		}
		line(out, "  of plain", "%s, raised %s%s", all[1].rate.Over(all[0].rate), all[2].rate.Over(all[0].rate), goal)
	}
	return nil
}

// round lets workers read for a span.
func (w *hitWays) round(ctx context.Context, way func(context.Context, *rand.Rand, time.Time) (int, int, error),
	span time.Duration, workers int, seed uint64) (rate, micros float64, err error) {
	var mu sync.Mutex
	var running sync.WaitGroup
	bytes, reads := 0, 0
	began := time.Now()
	for g := range workers {
		running.Go(func() {
			b, n, failed := way(ctx, rand.New(rand.NewPCG(seed, uint64(g))), began.Add(span))
			mu.Lock()
			defer mu.Unlock()
			bytes, reads, err = bytes+b, reads+n, errors.Join(err, failed)
		})
	}
	running.Wait()
	took := time.Since(began)
	return float64(bytes) / mib / took.Seconds(), took.Seconds() * 1e6 * float64(workers) / float64(reads), err
}

func (w *hitWays) plain(_ context.Context, random *rand.Rand, until time.Time) (bytes, reads int, err error) {
	buf, sum := make([]byte, w.p.size), uint32(0)
	for time.Now().Before(until) {
		if err := w.p.read(random, buf, &sum); err != nil {
			return bytes, reads, err
		}
		bytes, reads = bytes+w.p.size, reads+1
	}
	return bytes, reads, nil
}

func (w *hitWays) read(ctx context.Context, random *rand.Rand, until time.Time) (bytes, reads int, err error) {
	defer w.s.crowd()()
	return w.loop(ctx, random, until, w.s.read)
}

func (w *hitWays) raise(ctx context.Context, random *rand.Rand, until time.Time) (bytes, reads int, err error) {
	return w.loop(ctx, random, until, w.s.raise)
}

// loop counts only what came from disk, which nearly all does.
func (w *hitWays) loop(ctx context.Context, random *rand.Rand, until time.Time,
	hit func(context.Context, policy.Key) (int, bool, error)) (bytes, reads int, err error) {
	memory := 0
	for time.Now().Before(until) {
		n, onDisk, err := hit(ctx, w.keys[random.IntN(len(w.keys))])
		if err != nil {
			return bytes, reads, err
		}
		bytes, reads = bytes+n, reads+1
		if !onDisk {
			memory++
		}
	}
	if reads > 100 && memory > reads/2 {
		return bytes, reads, fmt.Errorf("%d of %d hits were memory's", memory, reads)
	}
	return bytes, reads, nil
}
