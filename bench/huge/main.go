// Command huge sends an object of 20 GiB through edge, which cannot store it, and
// one that just fits on its disk, and looks at every byte, at what the origin
// was asked for, and at edge's memory meanwhile.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"edgecache/bench/child"
	"edgecache/bench/program"
)

// options are the flags; sizes are in MiB.
type options struct {
	binary string
	dir    string
	out    string
	giant  int64
	fits   int64
	memory int64
	disk   int64
	most   int64
	slow   time.Duration
}

const mib = 1 << 20

func main() { program.Main(run) }

func parseFlags(args []string, stderr io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("huge", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.binary, "edge", "", "edge to run; default it is built from this tree")
	f.StringVar(&o.dir, "dir", "", "where edge's directories are made; default is the temporary one")
	f.StringVar(&o.out, "out", "", "file that the result is also written to, with date and machine")
	f.Int64Var(&o.giant, "giant", 20<<10, "MiB of the object that is not stored")
	f.Int64Var(&o.fits, "fits", 400, "MiB of the object that is stored: over an eighth of a shard it is not")
	f.Int64Var(&o.memory, "memory", 256, "MiB of memory that edge gets")
	f.Int64Var(&o.disk, "disk", 4<<10, "MiB of disk that edge gets")
	f.Int64Var(&o.most, "most", 0, "MiB of anonymous memory over which it is a failure; default twice -memory and 192")
	f.DurationVar(&o.slow, "slow", 10*time.Second, "how long the slow client takes for the object that is stored")
	if err := program.Parse(f, args); err != nil {
		return o, err
	}
	if o.most == 0 {
		o.most = 2*o.memory + 192
	}
	if o.giant < 64 || o.fits < 9 || o.memory < 16 {
		return o, errors.New("give a giant of 64 MiB, one that fits of 9 MiB and a memory of 16 MiB, or more")
	}
	return o, nil
}

// run returns the exit code: 0 all was as it must be, 1 it was not, 2 wrong usage.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parseFlags(args, stderr)
	if err != nil {
		return program.Usage("huge", err, stderr)
	}
	r, err := show(ctx, o, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "huge:", err)
		return 1
	}
	code := program.Result("huge", o.out, heading(time.Now(), o), r.text(), nil, stdout, stderr)
	if len(r.faults) > 0 {
		return 1
	}
	return code
}

// heading says when and on what a kept result came about.
func heading(now time.Time, o options) string {
	return fmt.Sprintf("%s\nedge with %d MiB of memory and %d MiB of disk; origin, edge and client on one machine\n\n",
		program.Machine(now), o.memory, o.disk)
}

// report is what a run found, and what of it must not be.
type report struct {
	mu     sync.Mutex // guards lines and log
	lines  []string
	faults []string
	log    io.Writer // where lines go at once, too
}

func (r *report) say(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, line)
	fmt.Fprintln(r.log, line)
}

func (r *report) fault(is bool, format string, args ...any) {
	if is {
		r.faults = append(r.faults, fmt.Sprintf(format, args...))
	}
}

func (r *report) text() string {
	verdict := "nothing was wrong"
	if len(r.faults) > 0 {
		verdict = "FAILED: " + strings.Join(r.faults, "; ")
	}
	return strings.Join(append(r.lines, "result: "+verdict), "\n") + "\n"
}

// show runs both objects once.
func show(ctx context.Context, o options, stderr io.Writer) (*report, error) {
	dir, err := os.MkdirTemp(o.dir, "edge-huge-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if o.binary == "" {
		fmt.Fprintln(stderr, "building edge")
		if o.binary, err = child.Build(ctx, dir); err != nil {
			return nil, err
		}
	}
	source, err := startOrigin(map[string]int64{"/giant": o.giant * mib, "/fits": o.fits * mib})
	if err != nil {
		return nil, err
	}
	defer source.Close()
	config := filepath.Join(dir, "edge.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, "disk: {size: %dMiB, admission: always}\n", o.disk), 0o600); err != nil {
		return nil, err
	}
	c := &course{o: o, source: source, report: &report{log: stderr}, config: child.Config{
		Binary: o.binary, Dir: dir, Origin: source.URL, Memory: fmt.Sprintf("%dMiB", o.memory), File: config,
	}}
	if err := c.run(ctx); err != nil {
		return nil, err
	}
	return c.report, nil
}
