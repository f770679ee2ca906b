// Command disk measures the disk tier beside what a plain file can do, in the
// same run: hits, stores with what they write, and whether either holds up hits
// of memory.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/pprof"
	"strings"
	"time"

	"edgecache/bench"
	"edgecache/bench/program"
)

const mib = 1 << 20

// options are the flags.
type options struct {
	parts  string
	dir    string
	out    string
	pprof  string
	rounds int
	span   time.Duration
	bytes  int64
	rate   int

	objects int
	stale   time.Duration
}

func main() { program.Main(run) }

func parseFlags(args []string, stderr io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("disk", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.parts, "parts", "hits,fills,stalls", "what to measure; there are churn and expiry, too")
	f.StringVar(&o.dir, "dir", "", "directory on the disk to measure; default is a temporary one")
	f.StringVar(&o.out, "out", "", "file that the result is also written to, with date and machine")
	f.StringVar(&o.pprof, "pprof", "", "file that a CPU profile is written to")
	f.IntVar(&o.rounds, "rounds", 5, "interleaved rounds")
	f.DurationVar(&o.span, "span", 500*time.Millisecond, "how long one measurement of hits takes; of stalls and expiry four times as long")
	f.Int64Var(&o.bytes, "bytes", 96<<20, "bytes of bodies that one measurement of stores writes, and that hits read from")
	f.IntVar(&o.rate, "rate", 1000, "memory hits a second while looking for stalls")
	f.IntVar(&o.objects, "objects", 1_000_000, "objects that expire at once")
	f.DurationVar(&o.stale, "stale", 0, "stale-while-revalidate of them")
	if err := program.Parse(f, args); err != nil {
		return o, err
	}
	if o.rounds < 1 || o.span <= 0 || o.bytes < 8<<20 || o.rate < 1 || o.objects < 10_000 {
		return o, errors.New("give at least one round, some time, 8 MiB, one hit a second and 10,000 objects")
	}
	return o, nil
}

// run returns the exit code: 0 measured, 1 something went wrong, 2 wrong usage.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parseFlags(args, stderr)
	if err != nil {
		return program.Usage("disk", err, stderr)
	}
	runtime.GOMAXPROCS(2)
	text, err := profiled(ctx, o)
	return program.Result("disk", o.out, heading(time.Now(), o), text, err, stdout, stderr)
}

// profiled is measure with a profile, if one was asked for.
func profiled(ctx context.Context, o options) (text string, err error) {
	if o.pprof == "" {
		return measure(ctx, o)
	}
	f, err := os.Create(o.pprof)
	if err != nil {
		return "", err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return "", errors.Join(err, f.Close())
	}
	text, err = measure(ctx, o)
	pprof.StopCPUProfile()
	return text, errors.Join(err, f.Close())
}

// heading says when and on what a kept result came about.
func heading(now time.Time, o options) string {
	return fmt.Sprintf("%s, GOMAXPROCS %d\n%s, %d interleaved rounds, each figure is min / median / max of them\n\n",
		program.Machine(now), runtime.GOMAXPROCS(0),
		o.parts, o.rounds)
}

// measure does what was asked for, in a directory that is gone afterwards.
func measure(ctx context.Context, o options) (text string, err error) {
	dir, err := os.MkdirTemp(o.dir, "edge-disk-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	known := map[string]func(context.Context, options, string, *strings.Builder) error{
		"hits": hits, "fills": fills, "stalls": stalls, "churn": churn, "expiry": expiry,
	}
	var out strings.Builder
	for part := range strings.SplitSeq(o.parts, ",") {
		f := known[part]
		if f == nil {
			return out.String(), fmt.Errorf("there is no part %q", part)
		}
		fmt.Fprintf(&out, "%s\n", part)
		if err := f(ctx, o, dir, &out); err != nil {
			return out.String(), fmt.Errorf("%s: %w", part, err)
		}
		out.WriteByte('\n')
	}
	return out.String(), nil
}

// line adds a named figure to the result.
func line(out *strings.Builder, name, format string, args ...any) {
	bench.AppendLine(out, "  "+name, format, args...)
}
