package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"edgecache/bench"
	"edgecache/bench/program"
)

// figures are what one cache gave under one load, a round each.
type figures struct {
	rate, cpu     program.Spread // operations a second in millions; ns an operation
	memory, disk  program.Spread // hits, in percent of what was asked for
	held, heldLow program.Spread // objects in the end, in thousands: in memory, on disk
	refused       int64
}

// measure does every load to every cache in turn, as often as there are rounds.
func measure(ctx context.Context, o options) (text string, err error) {
	s := newStock(o.keys)
	var out strings.Builder
	for _, l := range loads {
		all := make([]figures, len(kinds))
		for range o.rounds {
			for i, k := range kinds {
				if err := one(ctx, o, s, l, k, &all[i]); err != nil {
					return out.String(), fmt.Errorf("%s of %s: %w", l.name, k.name, err)
				}
			}
		}
		fmt.Fprintf(&out, "%s: %s\n", l.name, l.says)
		for i, k := range kinds {
			all[i].report(&out, k.name)
		}
		out.WriteByte('\n')
	}
	return out.String(), nil
}

// one is one round of one cache, which is empty before and gone afterwards.
func one(ctx context.Context, o options, s *stock, l load, k kind, to *figures) (err error) {
	dir, err := os.MkdirTemp(o.dir, "edge-throughput-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	c, err := k.open(int(l.share*float64(o.keys)), dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	all := newCrew(s, c, o.workers)
	if l.stocked {
		if n := all.stock(); n.refused > 0 {
			return fmt.Errorf("%d objects were refused although there is room", n.refused)
		}
		c.objects() // what waits for the disk is written
	}
	all.times(ctx, l.do, l.warm*o.keys) // what is measured is the steady state
	if l.asks {                         // the same keys of every cache, however fast it is
		n := all.times(ctx, l.do, o.keys)
		to.found(&n)
	}
	n, took, cpu := all.run(ctx, l.do, o.span)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	to.did(&n, took.Seconds(), cpu.Seconds())
	memory, disk := c.objects()
	to.held, to.heldLow = append(to.held, float64(memory)/1e3), append(to.heldLow, float64(disk)/1e3)
	return nil
}

// found takes in how many look-ups were hits.
func (f *figures) found(n *count) {
	f.memory = append(f.memory, 100*float64(n.memory)/float64(n.asked))
	f.disk = append(f.disk, 100*float64(n.disk)/float64(n.asked))
	f.refused += n.refused
}

// did takes in how long it all took, in seconds.
func (f *figures) did(n *count, took, cpu float64) {
	f.rate, f.cpu = append(f.rate, float64(n.ops)/took/1e6), append(f.cpu, cpu*1e9/float64(n.ops))
	f.refused += n.refused
}

func (f *figures) report(out *strings.Builder, name string) {
	line := func(name, format string, args ...any) { bench.AppendLine(out, "  "+name, format, args...) }
	line(name, "%s million operations a second, %s ns of CPU each", f.rate, f.cpu)
	if len(f.memory) > 0 {
		line("", "%s %% hits in memory, %s %% on disk", f.memory, f.disk)
	}
	line("", "%s thousand objects in memory, %s on disk, %d refused", f.held, f.heldLow, f.refused)
}
