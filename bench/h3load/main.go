// Command h3load asks a server over HTTP/3 in a closed loop: some connections,
// on each some streams, on each one request after another. It prints one JSON
// line. What the server costs meanwhile is its caller's to measure.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/url"
	"time"

	"edgecache/bench/program"
)

// options are the flags.
type options struct {
	url         string
	ca          string
	name        string
	insecure    bool
	connections int
	streams     int
	requests    int64
	span        time.Duration
}

func main() { program.Main(run) }

func parseFlags(args []string, stderr io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("h3load", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.url, "url", "", "what to ask for, https://HOST:PORT/PATH")
	f.StringVar(&o.ca, "ca", "", "file with the certificates that are trusted, PEM; default the system's")
	f.StringVar(&o.name, "name", "", "name of the server, in Host and TLS; default that of the url")
	f.BoolVar(&o.insecure, "insecure", false, "trust any certificate")
	f.IntVar(&o.connections, "connections", 4, "connections")
	f.IntVar(&o.streams, "streams", 16, "requests at once on a connection")
	f.Int64Var(&o.requests, "requests", 0, "end after so many requests; 0: only -time ends it")
	f.DurationVar(&o.span, "time", 10*time.Second, "end after this time")
	if err := program.Parse(f, args); err != nil {
		return o, err
	}
	u, err := url.Parse(o.url)
	switch {
	case err != nil || u.Scheme != "https" || u.Host == "":
		return o, fmt.Errorf("-url: give https://HOST:PORT/PATH")
	case o.connections < 1 || o.streams < 1 || o.requests < 0 || o.span <= 0:
		return o, fmt.Errorf("give at least one connection, one stream, and a time above 0")
	}
	return o, nil
}

// run is the program.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parseFlags(args, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "h3load:", err)
		return 2
	}
	result, err := load(ctx, o)
	if err != nil {
		fmt.Fprintln(stderr, "h3load:", err)
		return 1
	}
	if err := json.NewEncoder(stdout).Encode(result); err != nil {
		fmt.Fprintln(stderr, "h3load:", err)
		return 1
	}
	if result.Failed > 0 || result.Requests == 0 {
		fmt.Fprintln(stderr, "h3load:", result.Failed, "requests failed, of", result.Requests, ":", result.FirstError)
		return 1
	}
	return 0
}
