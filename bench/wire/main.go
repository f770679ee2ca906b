// Command wire measures edge beside nginx and Varnish on its wires: CPU a
// request, throughput, latency at a steady rate, memory of idle connections, and
// what followers of a cold object wait.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"edgecache/bench/child"
	"edgecache/bench/program"
)

// options are the flags.
type options struct {
	cases   string
	servers []string
	dir     string
	disk    string
	out     string
	rounds  int
	idle    int
	span    time.Duration
	pin     bool
	quick   bool
}

func main() { program.Main(run) }

func parseFlags(args []string, stderr io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("wire", flag.ContinueOnError)
	f.SetOutput(stderr)
	var names []string
	for _, t := range trials(o) {
		names = append(names, t.name)
	}
	f.StringVar(&o.cases, "cases", "", "what to measure, with commas between; default is all: "+strings.Join(names, ","))
	servers := f.String("servers", "edge,nginx,varnish", "what is measured")
	f.StringVar(&o.dir, "dir", "", "scratch directory for logs and caches in memory; default is below /dev/shm, or a temporary one")
	f.StringVar(&o.disk, "disk", "", "scratch directory for caches on disk; default is a temporary one")
	f.StringVar(&o.out, "out", "", "file that the result is also written to, with date and machine")
	f.IntVar(&o.rounds, "rounds", 5, "interleaved rounds")
	f.IntVar(&o.idle, "idle", 10000, "idle connections")
	seconds := f.Int("seconds", 2, "how long one measurement takes")
	f.BoolVar(&o.quick, "quick", false, "a look of some two minutes: 1 round of 1 second, 2000 idle connections, where nothing else is said")
	f.BoolVar(&o.pin, "pin", true, "servers on core 1, load and origin on core 0")
	if err := program.Parse(f, args); err != nil {
		return o, err
	}
	if o.quick {
		said := map[string]bool{}
		f.Visit(func(f *flag.Flag) { said[f.Name] = true })
		for name, value := range map[string]string{"rounds": "1", "seconds": "1", "idle": "2000"} {
			if !said[name] {
				_ = f.Set(name, value) // they are numbers
			}
		}
	}
	o.span = time.Duration(*seconds) * time.Second
	o.servers = strings.Split(*servers, ",")
	for i, s := range o.servers {
		if !slices.Contains([]string{"edge", "nginx", "varnish"}, s) || slices.Contains(o.servers[:i], s) {
			return o, fmt.Errorf("-servers: %q: give some of edge, nginx and varnish, each once", s)
		}
	}
	if o.rounds < 1 || o.idle < 1 || *seconds < 1 {
		return o, errors.New("give at least one round, one idle connection, and one second")
	}
	_, err := chosen(trials(o), o.cases)
	return o, err
}

// run returns the exit code: 0 measured, 1 something went wrong, 2 wrong usage.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parseFlags(args, stderr)
	if err != nil {
		return program.Usage("wire", err, stderr)
	}
	out := stdout
	if o.out != "" { // what an interrupted run has found is kept, too
		f, err := os.Create(o.out)
		if err != nil {
			fmt.Fprintln(stderr, "wire:", err)
			return 1
		}
		defer f.Close()
		out = io.MultiWriter(stdout, f)
	}
	if err := measure(ctx, o, out, stderr); err != nil {
		fmt.Fprintln(stderr, "wire:", err)
		return 1
	}
	return 0
}

// measure runs the trials, stand after stand. What one fails of is said, and the
// others go on.
func measure(ctx context.Context, o options, out, stderr io.Writer) error {
	some, err := chosen(trials(o), o.cases)
	if err != nil {
		return err
	}
	if err := provide(ctx, commandsOf(o, some), stderr); err != nil {
		return err
	}
	env, err := prepare(ctx, o)
	if err != nil {
		return err
	}
	defer env.close()
	if _, err := fmt.Fprint(out, heading(ctx, time.Now(), o)); err != nil {
		return err
	}
	var all []*result
	var failed error
	for len(some) > 0 && ctx.Err() == nil {
		n := 1
		for n < len(some) && some[n].on == some[0].on {
			n++
		}
		results, err := together(ctx, o, env, some[:n], out)
		all, failed, some = append(all, results...), errors.Join(failed, err), some[n:]
	}
	_, err = fmt.Fprintf(out, "medians\n%s", table(all))
	return errors.Join(failed, err)
}

// commandsOf are the programs that these trials need.
func commandsOf(o options, some []trial) (names []string) {
	if o.pin {
		names = append(names, "taskset")
	}
	for _, s := range o.servers {
		switch s {
		case "nginx":
			names = append(names, "nginx")
		case "varnish":
			names = append(names, "varnishd", "varnishncsa")
		}
	}
	for _, t := range some {
		switch {
		case t.many > 0 || t.on == fresh || strings.HasPrefix(t.name, "h3"):
		case t.wire == overH2:
			names = append(names, "h2load")
		default:
			names = append(names, "wrk")
		}
	}
	return names
}

// prepare makes what all stands share.
func prepare(ctx context.Context, o options) (env *environment, err error) {
	env = &environment{pinned: o.pin}
	if o.pin && runtime.NumCPU() < 2 {
		return nil, errors.New("servers and load want a core each; -pin=false measures without")
	}
	in := o.dir
	if info, err := os.Stat("/dev/shm"); in == "" && err == nil && info.IsDir() {
		in = "/dev/shm"
	}
	if env.dir, err = os.MkdirTemp(in, "edge-wire-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			env.close()
		}
	}()
	if env.disk, err = os.MkdirTemp(o.disk, "edge-wire-"); err != nil {
		return nil, err
	}
	if env.files, err = files(); err != nil {
		return nil, err
	}
	if env.cert, err = newCertificate(env.dir); err != nil {
		return nil, err
	}
	if slices.Contains(o.servers, "edge") {
		if env.edge, err = child.Build(ctx, env.dir); err != nil {
			return nil, err
		}
	}
	if o.pin {
		if err = pin(); err != nil {
			return nil, err
		}
		// On one core the runtime would hold origin and pacing to one thread, of
		// which one would wait for the other longer than the kernel lets it.
		runtime.GOMAXPROCS(4)
	}
	env.origin, err = newOrigin()
	return env, err
}

func (e *environment) close() {
	if e.origin != nil {
		e.origin.close()
	}
	for _, dir := range []string{e.dir, e.disk} {
		if dir != "" {
			_ = os.RemoveAll(dir)
		}
	}
}

// together runs trials that share a stand, or, where all is to be new, a round
// on each of as many stands as there are rounds.
func together(ctx context.Context, o options, env *environment, some []trial, out io.Writer) (all []*result, err error) {
	for _, t := range some {
		all = append(all, &result{trial: t})
	}
	stands := 1
	if some[0].on == fresh {
		stands, o.rounds = o.rounds, 1
	}
	for i := range stands {
		last := i == stands-1
		if failed := onStand(ctx, o, env, all, func(r *result) {
			if last {
				fmt.Fprintf(out, "%s\n", r)
			}
		}); failed != nil {
			err = errors.Join(err, failed)
		}
	}
	return all, err
}

func onStand(ctx context.Context, o options, env *environment, all []*result, done func(*result)) (err error) {
	s, err := open(ctx, o, env, all[0].trial.on)
	if err != nil {
		for _, r := range all {
			r.note("FAILED: %v", err)
			done(r)
		}
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	for _, r := range all {
		failed := r.trial.run(ctx, s, r.trial, r)
		if ctx.Err() == nil {
			for _, one := range s.servers {
				failed = errors.Join(failed, one.countAgainst(ctx, r))
			}
		}
		if failed != nil {
			r.note("FAILED: %v", failed)
			err = errors.Join(err, fmt.Errorf("%s: %w", r.trial.name, failed))
		}
		if done(r); ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
	}
	return err
}

// countAgainst compares a log with what was asked. Requests that a tool has cut
// off at its end are in the log alone.
func (s *server) countAgainst(ctx context.Context, r *result) error {
	lines, err := s.countLog(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	row := r.of(s.name)
	row.asked, row.lines = row.asked+s.sent, row.lines+lines
	s.sent = 0
	return nil
}
