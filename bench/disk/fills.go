package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"edgecache/bench/program"
)

const amplificationMost = 1.6 // bytes written for each byte stored, at 64 KiB

// fills compares storing with sync with writing the same bytes to a plain file,
// into a tier that is new and into one that is full, and says what is written
// for each byte that is stored.
func fills(ctx context.Context, o options, dir string, out *strings.Builder) error {
	for _, size := range []int{4 << 10, 64 << 10, 1 << 20} {
		f := &filler{o: o, dir: dir, size: size, n: int(o.bytes) / size}
		if err := f.run(ctx); err != nil {
			return err
		}
		f.report(out)
	}
	return nil
}

// filler measures stores of one size.
type filler struct {
	o       options
	dir     string
	size, n int

	full *shelf // over its quota since before the first round
	next int    // the object that full gets next

	plain, fresh, steady program.Spread // MiB/s
	freshIO, steadyIO    traffic
}

func (f *filler) path(name string) string {
	return filepath.Join(f.dir, fmt.Sprintf("fills-%d-%s", f.size, name))
}

func (f *filler) run(ctx context.Context) (err error) {
	if f.full, err = openShelf(f.path("full"), 128<<20, f.o.bytes); err != nil {
		return err
	}
	defer func() {
		_ = f.full.close()
		_ = os.RemoveAll(f.path("full"))
	}()
	f.next = f.n * 3 / 2
	if err := f.full.fillUp(ctx, 0, f.next, f.size); err != nil {
		return err
	}
	for range f.o.rounds {
		for _, step := range []func(context.Context) error{f.toPlain, f.toFresh, f.toFull} {
			if err := step(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *filler) rate(began time.Time) float64 {
	return float64(f.n) * float64(f.size) / mib / time.Since(began).Seconds()
}

func (f *filler) toPlain(context.Context) error {
	began := time.Now()
	p, err := writePlain(f.path("plain"), f.full, f.n, f.size)
	if err != nil {
		return err
	}
	f.plain = append(f.plain, f.rate(began))
	return p.remove()
}

// toFresh stores into a tier that was never full.
func (f *filler) toFresh(ctx context.Context) error {
	dir := f.path("fresh")
	defer os.RemoveAll(dir)
	s, err := openShelf(dir, 128<<20, 4*f.o.bytes)
	if err != nil {
		return err
	}
	defer s.close()
	rate, moved, err := f.store(ctx, s, 0)
	f.fresh = append(f.fresh, rate)
	f.freshIO.add(moved)
	return err
}

// toFull stores into a tier where each new object takes the place of an old one.
func (f *filler) toFull(ctx context.Context) error {
	rate, moved, err := f.store(ctx, f.full, f.next)
	f.next += f.n
	f.steady = append(f.steady, rate)
	f.steadyIO.add(moved)
	return err
}

func (f *filler) store(ctx context.Context, s *shelf, from int) (rate float64, moved traffic, err error) {
	before, err := trafficTo(f.dir)
	if err != nil {
		return 0, moved, err
	}
	began := time.Now()
	if err := s.fillUp(ctx, from, from+f.n, f.size); err != nil {
		return 0, moved, err
	}
	rate = f.rate(began)
	after, err := trafficTo(f.dir)
	return rate, after.since(before), err
}

func (f *filler) report(out *strings.Builder) {
	stored := float64(f.n) * float64(f.size) * float64(f.o.rounds)
	line(out, fmt.Sprintf("%d KiB", f.size>>10), "")
	line(out, "  plain file", "%s MiB/s, fdatasync each %d MiB", f.plain, plainSync>>20)
	goal := ""
	if f.size == 64<<10 {
		goal = fmt.Sprintf(" (at most %.1f)", amplificationMost)
	}
	line(out, "  new tier", "%s MiB/s, %s of plain", f.fresh, f.fresh.Over(f.plain))
	line(out, "  full tier", "%s MiB/s, %s of plain", f.steady, f.steady.Over(f.plain))
	line(out, "  written, new", "%.2f to the device a byte stored, %.2f in write calls%s",
		float64(f.freshIO.written)/stored, float64(f.freshIO.calls)/stored, goal)
	line(out, "  written, full", "%.2f to the device a byte stored, %.2f in write calls%s",
		float64(f.steadyIO.written)/stored, float64(f.steadyIO.calls)/stored, goal)
}
