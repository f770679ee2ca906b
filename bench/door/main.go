// Command door sends a trace through a running edge and an origin that answers by
// id and size, and holds the miss ratio at the door against the one that `edge
// bench ratio` says.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"edgecache/bench/program"
)

// options are the flags.
type options struct {
	trace        string
	divide       int64
	requests     int
	memory, disk float64 // percent of the unique bytes
	least        int64   // bytes of memory
	rate         float64
	connections  int
	within       float64
	dir, out     string
}

func main() { program.Main(run) }

func parseFlags(args []string, stderr io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("door", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.trace, "trace", "", "trace or access log; without one a workload is made")
	f.Int64Var(&o.divide, "divide", 1, "sizes are divided by that")
	f.IntVar(&o.requests, "requests", 0, "only so many of the trace's first requests; 0 is all")
	f.Float64Var(&o.memory, "memory", 1, "percent of the unique bytes")
	f.Float64Var(&o.disk, "disk", 10, "percent of the unique bytes")
	f.Int64Var(&o.least, "least", 16<<20, "bytes of memory at least: edge's counters and queue need some of it")
	f.Float64Var(&o.rate, "rate", 2500, "requests a second")
	f.IntVar(&o.connections, "connections", 32, "connections")
	f.Float64Var(&o.within, "within", 0.01, "how much more may be missed at the door than was said")
	f.StringVar(&o.dir, "dir", "", "directory for what edge keeps; default is a temporary one")
	f.StringVar(&o.out, "out", "", "file that the result is added to, with date and machine")
	if err := program.Parse(f, args); err != nil {
		return o, err
	}
	if o.divide < 1 || o.requests < 0 || o.memory <= 0 || o.disk < 0 || o.rate < 0 || o.connections < 1 || o.least < 0 {
		return o, errors.New("give a divisor of at least 1 and sizes above 0")
	}
	return o, nil
}

// run returns the exit code: 0 it is as it was said, 1 it is not, or something
// went wrong, 2 wrong usage.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parseFlags(args, stderr)
	if err != nil {
		return program.Usage("door", err, stderr)
	}
	r, err := compare(ctx, o, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "door:", err)
		return 1
	}
	text := r.text(o)
	fmt.Fprint(stdout, text)
	if err := keep(o.out, text); err != nil {
		fmt.Fprintln(stderr, "door:", err)
		return 1
	}
	if wrong := r.wrong(o); len(wrong) > 0 {
		fmt.Fprintln(stderr, "door:", strings.Join(wrong, "; "))
		return 1
	}
	return 0
}

// keep adds a result to a file.
func keep(path, text string) error {
	if path == "" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%s\n%s\n", program.Machine(time.Now()), text)
	return errors.Join(err, f.Close())
}
