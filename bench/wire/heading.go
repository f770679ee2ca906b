package main

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"edgecache/bench/program"
)

// heading says when, on what and of what a result came about.
func heading(ctx context.Context, now time.Time, o options) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s\n", program.Machine(now))
	said := []string{"edge " + firstLine(ctx, "git", "describe", "--always", "--dirty", "--abbrev=12")}
	for _, of := range [][]string{{"nginx", "-v"}, {"varnishd", "-V"}, {"wrk", "-v"}, {"h2load", "--version"}} {
		if line := firstLine(ctx, of...); line != "" {
			said = append(said, line)
		}
	}
	fmt.Fprintf(&out, "%s\n", strings.Join(said, "; "))
	fmt.Fprintf(&out, "%d interleaved rounds of %v: each round's figure = min / median / max of them; ratios are of the medians\n", o.rounds, o.span)
	fmt.Fprintf(&out, "wrk and h2load: %d connections, %d streams on each of HTTP/2; pinned: %v (servers core %s, load and origin core %s)\n",
		loadConns, loadStreams, o.pin, serverCore, loadCore)
	fmt.Fprintf(&out, "cpu is utime + stime of all threads of a server's processes; edge logs JSON, the others combined, each to a file in memory;\n"+
		"Varnish's log is written by a process beside it, whose cpu stands apart; nginx stores on a file system in memory, except for disk hits;\n"+
		"over TLS latencies hold the time that Go's client takes\n\n")
	return out.String()
}

// firstLine of what a program says; "" when there is none, and who needs it
// says so.
func firstLine(ctx context.Context, line ...string) string {
	said, _ := exec.CommandContext(ctx, line[0], line[1:]...).CombinedOutput() // wrk's exit code is 1
	first, _, _ := strings.Cut(strings.TrimSpace(string(said)), "\n")
	return first
}
