// Command throughput measures how many look-ups and stores a second cachestore's
// memory and its two tiers do under eight goroutines, beside otter v2 and a
// sharded map that evicts by SIEVE. It is a module of its own, so that the rival
// stays out of edge's.
//
// Every cache begins with the url as text, as a request brings it: cachestore
// hashes it to 128 bits and compares it in full, the others hash it for their
// map. The rivals keep the body that they are given. cachestore takes it through a
// Fill, as every answer of an origin comes: it copies the body, and gives the
// variant its head, lifetime and validators, its entry and its place on disk. What
// is the engine's alone (parsing, purges, freshness) is measured nowhere here.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"runtime"
	"time"

	"edgecache/bench/program"
)

// options are the flags.
type options struct {
	out     string
	dir     string
	rounds  int
	span    time.Duration
	keys    int
	workers int
}

const bodyBytes = 1 << 10

func main() { program.Main(run) }

func parseFlags(args []string, stderr io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("throughput", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.out, "out", "", "file that the result is also written to, with date and machine")
	f.StringVar(&o.dir, "dir", "", "directory for the disk tier; default is a temporary one")
	f.IntVar(&o.rounds, "rounds", 5, "interleaved rounds")
	f.DurationVar(&o.span, "span", time.Second, "how long one measurement takes")
	f.IntVar(&o.keys, "keys", 200_000, "urls that are asked for, each with a body of 1 KiB")
	f.IntVar(&o.workers, "workers", 8, "goroutines")
	if err := program.Parse(f, args); err != nil {
		return o, err
	}
	if o.rounds < 1 || o.span <= 0 || o.keys < 10_000 || o.workers < 1 {
		return o, errors.New("give at least one round, some time, 10,000 keys and one goroutine")
	}
	return o, nil
}

// run returns the exit code: 0 measured, 1 something went wrong, 2 wrong usage.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parseFlags(args, stderr)
	if err != nil {
		return program.Usage("throughput", err, stderr)
	}
	text, err := measure(ctx, o)
	return program.Result("throughput", o.out, heading(time.Now(), o), text, err, stdout, stderr)
}

// heading says when and on what a kept result came about.
func heading(now time.Time, o options) string {
	return fmt.Sprintf(`%s, GOMAXPROCS %d
%d goroutines, %d interleaved rounds of %s, each figure is min / median / max of them
Zipf %.1f over %d urls with 1 KiB each; hits are those of as many look-ups, the same of each cache

`, program.Machine(now), runtime.GOMAXPROCS(0), o.workers, o.rounds, o.span, exponent, o.keys)
}
