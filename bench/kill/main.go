// Command kill shows that the disk tier bears a kill: it writes to edge at full
// rate, kills it with SIGKILL at a random moment, starts it again, and checks
// every byte that comes back, what is still there, and that purges hold.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"edgecache/bench/child"
	"edgecache/bench/program"
)

// options are the flags.
type options struct {
	binary      string
	base        string
	out         string
	memory      string
	disk        string
	rounds      int
	lives       int
	connections int
	bytes       int64
	seed        uint64
	shortest    time.Duration
	longest     time.Duration
	objects     int
}

func main() { program.Main(run) }

func parseFlags(args []string, stderr io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("kill", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.binary, "edge", "", "edge to run; default it is built from this tree")
	f.StringVar(&o.base, "dir", "", "directory for disks; default one for temporary files")
	f.StringVar(&o.out, "out", "", "file that the result is also written to, with date and machine")
	f.StringVar(&o.memory, "memory", "128MiB", "memory that edge gets")
	f.StringVar(&o.disk, "disk", "4GiB", "size of the disk tier; so large that nothing is evicted")
	f.IntVar(&o.rounds, "rounds", 20, "kills")
	f.IntVar(&o.lives, "lives", 5, "kills over one directory")
	f.IntVar(&o.connections, "connections", 16, "client connections")
	f.Int64Var(&o.bytes, "bytes", 400<<20, "bytes of new bodies a round, at most")
	f.Uint64Var(&o.seed, "seed", 1, "seed of what is done and when")
	f.DurationVar(&o.shortest, "shortest", 200*time.Millisecond, "earliest kill")
	f.DurationVar(&o.longest, "longest", 4*time.Second, "latest kill")
	f.IntVar(&o.objects, "objects", 0, "instead: measure a start with so many small objects on disk")
	if err := program.Parse(f, args); err != nil {
		return o, err
	}
	if o.rounds < 1 || o.lives < 1 || o.connections < 1 || o.shortest < 0 || o.longest <= o.shortest {
		return o, errors.New("rounds, lives and connections are at least 1, and longest is over shortest")
	}
	return o, nil
}

// result is what a run has to say.
type result interface {
	text() string
	faults() []string
}

// run returns the exit code: 0 nothing was wrong, 1 something was, 2 wrong usage.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parseFlags(args, stderr)
	if err != nil {
		return program.Usage("kill", err, stderr)
	}
	r, err := o.measure(ctx, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "kill:", err)
		return 1
	}
	code := program.Result("kill", o.out, o.heading(time.Now()), r.text(), nil, stdout, stderr)
	if len(r.faults()) > 0 {
		return 1
	}
	return code
}

// heading says when and on what a kept result came about, and how busy that was.
func (o options) heading(now time.Time) string {
	text, _ := os.ReadFile("/proc/loadavg")
	load := strings.Fields(string(text))
	load = load[:min(len(load), 3)] // the others are not averages
	return fmt.Sprintf("%s, load averages %v\nedge with %s of memory and %s of disk\n\n",
		program.Machine(now), load, o.memory, o.disk)
}

// measure makes a place, builds edge, and does what was asked for.
func (o options) measure(ctx context.Context, stderr io.Writer) (result, error) {
	base, err := os.MkdirTemp(o.base, "edge-kill-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(base)
	binary := o.binary
	if binary == "" {
		fmt.Fprintln(stderr, "building edge")
		if binary, err = child.Build(ctx, base); err != nil {
			return nil, err
		}
	}
	k := &killer{options: o, binary: binary, r: rand.New(rand.NewPCG(o.seed, 1)), progress: stderr}
	if o.objects > 0 {
		return measureStarts(ctx, k, base)
	}
	err = k.run(ctx, base)
	return &k.report, err
}
