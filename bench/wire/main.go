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
	"os/exec"
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
	f.DurationVar(&o.span, "span", 2*time.Second, "how long one measurement takes, in whole seconds")
	f.BoolVar(&o.pin, "pin", true, "servers on core 1, load and origin on core 0")
	if err := program.Parse(f, args); err != nil {
		return o, err
	}
	o.servers = strings.Split(*servers, ",")
	for i, s := range o.servers {
		if !slices.Contains([]string{"edge", "nginx", "varnish"}, s) || slices.Contains(o.servers[:i], s) {
			return o, fmt.Errorf("-servers: %q: give some of edge, nginx and varnish, each once", s)
		}
	}
	if o.rounds < 1 || o.idle < 1 || o.span < time.Second || o.span%time.Second != 0 {
		return o, errors.New("give at least one round, one idle connection, and whole seconds")
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
	var kept strings.Builder
	fmt.Fprint(&kept, heading(time.Now(), o))
	err = measure(ctx, o, io.MultiWriter(stdout, &kept), stderr)
	if err == nil && o.out != "" {
		err = os.WriteFile(o.out, []byte(kept.String()), 0o644)
	}
	if err != nil {
		fmt.Fprintln(stderr, "wire:", err)
		return 1
	}
	return 0
}

// heading says when, on what and of what a kept result came about.
func heading(now time.Time, o options) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s\n", program.Machine(now))
	for _, s := range o.servers {
		command := map[string][]string{"nginx": {"nginx", "-v"}, "varnish": {"varnishd", "-V"}}[s]
		if command == nil {
			continue
		}
		said, _ := exec.Command(command[0], command[1:]...).CombinedOutput() // without one the line is empty, and measure says why
		line, _, _ := strings.Cut(string(said), "\n")
		fmt.Fprintf(&out, "%s\n", line)
	}
	fmt.Fprintf(&out, "%d interleaved rounds of %v, each figure is min / median / max of them; ratios are of the medians\n", o.rounds, o.span)
	fmt.Fprintf(&out, "wrk and h2load: %d connections, %d streams on each of HTTP/2; pinned: %v (servers core %s, load and origin core %s)\n",
		loadConns, loadStreams, o.pin, serverCore, loadCore)
	fmt.Fprintf(&out, "cpu is utime + stime of all processes of a server, Varnish's log writer among them; edge logs JSON, the others combined\n\n")
	return out.String()
}

// measure runs the trials, stand after stand.
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
	for len(some) > 0 {
		n := 1
		for n < len(some) && some[n].on == some[0].on {
			n++
		}
		if err := together(ctx, o, env, some[:n], out); err != nil {
			return err
		}
		some = some[n:]
	}
	return nil
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
		case t.many > 0 || t.on == fresh:
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

// together runs trials that share a stand.
func together(ctx context.Context, o options, env *environment, some []trial, out io.Writer) (err error) {
	s, err := open(ctx, o, env, some[0].on)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	for _, t := range some {
		r := &result{trial: t}
		if err := t.run(ctx, s, t, r); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		if err := s.countLogs(ctx, r); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		if _, err := fmt.Fprintf(out, "%s\n", r); err != nil {
			return err
		}
	}
	return nil
}

// countLogs compares each log with what was asked. Requests that a tool has cut
// off at its end are in the log alone.
func (s *stand) countLogs(ctx context.Context, r *result) error {
	var all []string
	for _, one := range s.servers {
		lines, err := one.countLog(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", one.name, err)
		}
		text := fmt.Sprintf("%s %d of %d", one.name, lines, one.sent)
		if lines < one.sent {
			text += fmt.Sprintf(" (%d LOST)", one.sent-lines)
		}
		all, one.sent = append(all, text), 0
	}
	r.note("log lines of requests answered: %s", strings.Join(all, ", "))
	return nil
}
