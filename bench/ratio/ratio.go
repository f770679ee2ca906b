// Package ratio says what hit ratio edge would have on a trace or an access log,
// beside other policies and the offline optimum. It asks the very code that
// serves which objects it would keep; only their bodies are lengths.
package ratio

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"edgecache/bench/policies"
	"edgecache/cachestore"
)

// Config says what is compared.
type Config struct {
	Memory, Disk []Size // each with each; a disk of 0 is none
	Objective    cachestore.Objective
	Admission    cachestore.Admission
	NoReturners  bool
	// Overhead counts what edge adds to an object; else bytes are the trace's.
	Overhead bool
	// Policies are other ones than LRU, by their names in bench/policies.
	Policies []string
	// Runs is how often edge's choice is made, with other hashes each time; the
	// median by object misses counts. 1.
	Runs int
	// Step is called after each of Steps parts of the work; nil is nobody.
	Step func()
}

// Size is a size of a tier: bytes, or a part of the trace's unique bytes.
type Size struct {
	Bytes   int64
	Percent float64 // used when it is not 0
}

func (s Size) of(unique int64) int64 {
	if s.Percent != 0 {
		return int64(float64(unique) * s.Percent / 100)
	}
	return s.Bytes
}

// Row is what was found for one size of the tiers.
type Row struct {
	Memory, Disk int64 // bytes
	Edge         policies.Counts
	// Spread is edge's least and largest object miss ratio of all runs.
	Spread  [2]float64
	LRU     policies.Counts
	Optimum policies.Counts
	Others  map[string]policies.Counts

	OverheadMemory, OverheadDisk int64 // bytes that edge adds to an object
}

// Gap is which part of what LRU misses and the optimum does not edge does not
// miss, either: 1 is as good as the optimum. ok is false when there is none.
func (r *Row) Gap() (closed float64, ok bool) {
	lru, least := r.LRU.ObjectMissRatio(), r.Optimum.ObjectMissRatio()
	if lru-least < 0.0005 {
		return 0, false
	}
	return (lru - r.Edge.ObjectMissRatio()) / (lru - least), true
}

// Steps is how often Run calls Step.
func (c *Config) Steps() int {
	return len(c.Memory) * len(c.Disk) * (max(c.Runs, 1) + 2 + len(c.Policies))
}

// Run compares, for each size of memory with each of disk.
func Run(ctx context.Context, in *Input, c Config) ([]Row, error) {
	trace, lost := timeless(in.Workload)
	unique := in.UniqueBytes()
	var rows []Row
	for _, memory := range c.Memory {
		for _, disk := range c.Disk {
			r := Row{Memory: memory.of(unique), Disk: disk.of(unique), Others: map[string]policies.Counts{}}
			if err := r.fill(ctx, in, trace, lost, &c); err != nil {
				return nil, err
			}
			rows = append(rows, r)
		}
	}
	return rows, nil
}

func (r *Row) fill(ctx context.Context, in *Input, trace policies.Trace, lost policies.Tally, c *Config) error {
	step := func() error {
		if c.Step != nil {
			c.Step()
		}
		return ctx.Err()
	}
	if err := r.edge(ctx, in, c, step); err != nil {
		return err
	}
	for _, name := range append([]string{"lru"}, c.Policies...) {
		counts, err := r.rival(name, trace, in)
		if err != nil {
			return err
		}
		counts.Lose(lost)
		in.adjust(&counts)
		if name == "lru" {
			r.LRU = counts
		}
		r.Others[name] = counts
		if err := step(); err != nil {
			return err
		}
	}
	r.Optimum = policies.Optimum(trace, in.scaled(r.Memory+r.Disk))
	r.Optimum.Lose(lost)
	in.adjust(&r.Optimum)
	return step()
}

// rival runs a policy over itself.
func (r *Row) rival(name string, trace policies.Trace, in *Input) (policies.Counts, error) {
	var t policies.Tiers
	var err error
	if t.Memory, err = policies.New(name, in.scaled(r.Memory), len(trace.Sizes)); err != nil {
		return t.Counts, err
	}
	if r.Disk > 0 {
		if t.Disk, err = policies.New(name, in.scaled(r.Disk), len(trace.Sizes)); err != nil {
			return t.Counts, err
		}
	}
	return t.Run(trace), nil
}

// edge runs edge's own choice, and keeps the median run.
func (r *Row) edge(ctx context.Context, in *Input, c *Config, step func() error) error {
	var runs []policies.Counts
	for run := range max(c.Runs, 1) {
		counts, err := r.once(ctx, in, c, uint64(run))
		if err != nil {
			return err
		}
		runs = append(runs, counts)
		if err := step(); err != nil {
			return err
		}
	}
	slices.SortFunc(runs, func(a, b policies.Counts) int { return cmp.Compare(a.Misses.Objects, b.Misses.Objects) })
	r.Edge = runs[(len(runs)-1)/2]
	r.Spread = [2]float64{runs[0].ObjectMissRatio(), runs[len(runs)-1].ObjectMissRatio()}
	return nil
}

// once is one run; its number makes the hashes of the objects.
func (r *Row) once(ctx context.Context, in *Input, c *Config, run uint64) (n policies.Counts, err error) {
	v, err := cachestore.NewVirtual(cachestore.VirtualConfig{
		Memory: in.scaled(r.Memory), Disk: in.scaled(r.Disk), Objective: c.Objective, Admission: c.Admission,
		NoReturners: c.NoReturners, Overhead: c.Overhead,
	})
	if err != nil {
		return n, fmt.Errorf("memory of %d and disk of %d bytes: %w", r.Memory, r.Disk, err)
	}
	defer v.Close()
	w := in.Workload
	for i, object := range w.Requests {
		if i%4096 == 0 && ctx.Err() != nil {
			return n, ctx.Err()
		}
		size := w.Sizes[object]
		q := cachestore.VirtualRequest{ID: run<<32 | uint64(object), Size: size}
		if w.Fresh != nil {
			q.Now, q.Fresh = w.At[i], time.Duration(w.Fresh[i])*time.Second
		}
		if q.Fresh < 0 {
			n.Lose(policies.Tally{Objects: 1, Bytes: size})
			continue
		}
		tally := &n.Misses
		switch v.Request(q) {
		case cachestore.ServedMemory:
			tally = &n.MemoryHits
		case cachestore.ServedDisk:
			tally = &n.DiskHits
		}
		n.Requests.Add(size)
		tally.Add(size)
	}
	n.DiskWritten = v.Written()
	in.adjust(&n)
	r.OverheadMemory, r.OverheadDisk = v.Overhead()
	return n, nil
}
