// Command demo shows the cache at work: it starts an origin with real
// behaviour and edge in front of it, replays a workload at a steady rate,
// changes and purges objects meanwhile, and checks every byte that comes back.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"edgecache/bench"
	"edgecache/bench/child"
	"edgecache/bench/program"
	"edgecache/cachestore"
)

// options are the flags; what is not a flag is fixed so that results compare.
type options struct {
	trace       string
	binary      string
	memory      string
	out         string
	requests    int
	seed        uint64
	zipf        float64
	rate        float64
	connections int
	purges      float64
	maxTime     time.Duration
	maxBytes    int64
	disk        string
	restart     bool
	kill        bool
}

func main() { program.Main(run) }

func parseFlags(args []string, stderr io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("demo", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.trace, "trace", os.Getenv("TRACE"), "trace or access log to replay, or a name in $EDGE_SHARED/traces; default a made workload")
	f.StringVar(&o.binary, "edge", "", "edge to run; default it is built from this tree")
	f.StringVar(&o.memory, "memory", "", "memory that edge gets; default a tenth of the objects' bytes")
	f.StringVar(&o.disk, "disk", "", "directory of edge's disk tier, or off; default a temporary one")
	f.BoolVar(&o.restart, "restart", true, "restart edge in the middle, while the load goes on")
	f.BoolVar(&o.kill, "kill", false, "restart it by SIGKILL")
	f.StringVar(&o.out, "out", "", "file that the result is also written to, with date and machine")
	f.IntVar(&o.requests, "requests", 30_000, "requests of the made workload")
	f.Uint64Var(&o.seed, "seed", 1, "seed of the made workload")
	f.Float64Var(&o.zipf, "zipf", 0.9, "exponent of popularity of the made workload")
	f.Float64Var(&o.rate, "rate", 0, "requests a second; default 1500, for a long trace up to 3000")
	f.IntVar(&o.connections, "connections", 32, "client connections")
	f.Float64Var(&o.purges, "purges", 15, "purges a second")
	f.DurationVar(&o.maxTime, "max-time", 25*time.Second, "longest replay")
	f.Int64Var(&o.maxBytes, "max-bytes", 3_000_000_000, "most body bytes")
	return o, program.Parse(f, args)
}

// run returns the exit code: 0 nothing was wrong, 1 something was, 2 wrong usage.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parseFlags(args, stderr)
	if err != nil {
		return program.Usage("demo", err, stderr)
	}
	result, err := show(ctx, &o, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "demo:", err)
		return 1
	}
	text := result.text()
	fmt.Fprint(stdout, text)
	if o.out != "" {
		if err := os.WriteFile(o.out, []byte(heading(time.Now(), o)+text), 0o644); err != nil {
			fmt.Fprintln(stderr, "demo:", err)
			return 1
		}
	}
	if len(result.faults()) > 0 {
		return 1
	}
	return 0
}

// heading says when and on what a kept result came about.
func heading(now time.Time, o options) string {
	name := "made workload"
	if o.trace != "" {
		name = filepath.Base(o.trace)
	}
	disk := "a disk tier"
	if o.disk == "off" {
		disk = "no disk"
	}
	return fmt.Sprintf("%s\n%s, edge with %s of memory and %s\n\n",
		program.Machine(now), name, o.memory, disk)
}

// show runs the whole demo once. What was left to it in o it fills in.
func show(ctx context.Context, o *options, stderr io.Writer) (*report, error) {
	workload, err := o.workload()
	if err != nil {
		return nil, err
	}
	if o.memory == "" {
		o.memory = tenth(workload)
	}
	dir, err := os.MkdirTemp("", "edge-demo-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	binary := o.binary
	if binary == "" {
		fmt.Fprintln(stderr, "building edge")
		if binary, err = child.Build(ctx, dir); err != nil {
			return nil, err
		}
	}
	w := newWorld(workload)
	origin, err := startOrigin(w)
	if err != nil {
		return nil, err
	}
	defer origin.Close()
	c, err := child.Config{Binary: binary, Dir: dir, Origin: origin.URL, Memory: o.memory, Disk: o.disk}.Settled()
	if err != nil {
		return nil, err
	}
	edge, err := begin(ctx, c, o.kill)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(stderr, "origin %s, edge %s with %s of memory, admin %s\n", origin.URL, edge.now.Target, o.memory, edge.now.Admin)
	p := plan{
		world: w, target: edge.now.Target, admin: edge.now.Admin, token: c.Token,
		rate: o.rateFor(workload), connections: o.connections, purgeRate: o.purges,
		maxTime: o.maxTime, maxBytes: o.maxBytes, progress: stderr,
	}
	if o.restart {
		p.again = edge
	}
	result, err := drive(ctx, p)
	if stopErr := edge.now.Stop(); stopErr != nil {
		err = errors.Join(err, stopErr)
	}
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, edge.now.Said())
	}
	return result, nil
}

// tenth is a tenth of what all objects together have, at least what edge takes.
func tenth(w *bench.Workload) string {
	all := int64(0)
	for _, size := range w.Sizes {
		all += size
	}
	const mib = 1 << 20
	return fmt.Sprintf("%dMiB", (max(all/10, cachestore.MinMemory)+mib-1)/mib)
}

// workload loads the trace that was named, or makes one. Objects of a made
// one end at 2 MiB, so that 3 GB of bodies are enough for its requests.
func (o options) workload() (*bench.Workload, error) {
	if o.trace != "" {
		return bench.LoadFile(findTrace(o.trace), bench.Limits{})
	}
	var made bytes.Buffer
	err := bench.Gen(&made, bench.GenConfig{Requests: o.requests, Seed: o.seed, Zipf: o.zipf, MaxSize: 2 << 20})
	if err != nil {
		return nil, err
	}
	return bench.Load(&made, bench.Limits{})
}

// findTrace takes a file, or the name of one of the shared traces.
func findTrace(name string) string {
	if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
		return name
	}
	shared := os.Getenv("EDGE_SHARED")
	if shared == "" {
		shared = filepath.Join("..", "shared")
	}
	known := filepath.Join(shared, "traces", name+".tr.gz")
	if _, err := os.Stat(known); err != nil {
		return name
	}
	return known
}

// rateFor is the rate that was asked for, or one at which the workload fits
// into the time if two cores can bear that.
func (o options) rateFor(w *bench.Workload) float64 {
	if o.rate > 0 {
		return o.rate
	}
	fits := float64(len(w.Requests)) / (o.maxTime.Seconds() * 0.95)
	return min(max(fits, 1500), 3000)
}
