package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Load of the closed loops: as many requests wait for answers at once.
const (
	loadConns   = 16
	loadStreams = 32 // a connection of HTTP/2
)

// loaded is what a tool says of its run.
type loaded struct {
	requests int64   // answered
	rate     float64 // a second
}

// load is one run of a tool against one url.
type load struct {
	url    string
	h2     bool
	h3     string        // the program for it; "" is another wire
	span   time.Duration // whole seconds
	cores  int           // that the tool has, with as many connections on each; 0 is one
	script string        // file, "" asks for the url again and again; wrk alone has scripts
	under  []string
}

func (l load) run(ctx context.Context) (loaded, error) {
	cores := max(l.cores, 1)
	threads, conns := fmt.Sprintf("-t%d", cores), fmt.Sprintf("-c%d", loadConns*cores)
	args := []string{"wrk", threads, conns, fmt.Sprintf("-d%ds", int(l.span.Seconds()))}
	parse := parseWrk
	if l.h2 {
		args = []string{"h2load", threads, conns, fmt.Sprintf("-m%d", loadStreams), fmt.Sprintf("-D%d", int(l.span.Seconds()))}
		parse = parseH2load
	}
	if l.h3 != "" {
		args = []string{l.h3, "-connections", strconv.Itoa(loadConns), "-streams", strconv.Itoa(loadStreams),
			"-insecure", "-time", l.span.String(), "-url"}
		parse = parseH3load
	}
	if l.script != "" {
		args = append(args, "-s", l.script)
	}
	args = append(append(append([]string(nil), l.under...), args...), l.url)
	out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput()
	if err != nil {
		return loaded{}, fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, out)
	}
	r, err := parse(string(out))
	if err != nil {
		return r, fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return r, nil
}

var (
	wrkTotal  = regexp.MustCompile(`(?m)^\s*(\d+) requests in `)
	wrkRate   = regexp.MustCompile(`(?m)^Requests/sec:\s*([\d.]+)`)
	wrkErrors = regexp.MustCompile(`(?m)^\s*(Socket errors: .*|Non-2xx or 3xx responses: .*)$`)
	h2Total   = regexp.MustCompile(`(?m)^requests: \d+ total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored`)
	h2Rate    = regexp.MustCompile(`(?m)^finished in \S+, ([\d.]+) req/s`)
	h2Codes   = regexp.MustCompile(`(?m)^status codes: (\d+) 2xx, `)
	h2Proto   = regexp.MustCompile(`(?m)^Application protocol: (\S+)`)
)

// parseWrk reads what wrk prints. Errors of any kind make the run worthless.
func parseWrk(out string) (loaded, error) {
	if bad := wrkErrors.FindString(out); bad != "" {
		return loaded{}, errors.New(strings.TrimSpace(bad))
	}
	return totalAndRate(out, wrkTotal, wrkRate)
}

// parseH2load reads what h2load prints.
func parseH2load(out string) (loaded, error) {
	m := h2Total.FindStringSubmatch(out)
	if m == nil {
		return loaded{}, errors.New("no count of requests")
	}
	if m[1] != m[2] || m[3] != "0" || m[4] != "0" {
		return loaded{}, fmt.Errorf("%s done, %s succeeded, %s failed, %s errored", m[1], m[2], m[3], m[4])
	}
	if c := h2Codes.FindStringSubmatch(out); c == nil {
		return loaded{}, errors.New("no status codes")
	}
	if p := h2Proto.FindStringSubmatch(out); p == nil || p[1] != "h2" {
		return loaded{}, fmt.Errorf("it did not speak h2: %q", p)
	}
	return totalAndRate(out, h2Total, h2Rate)
}

// parseH3load reads the line of JSON that bench/h3load prints.
func parseH3load(out string) (loaded, error) {
	var said struct {
		Requests, Failed int64
		Rate             float64 `json:"per_second"`
	}
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "{") {
			if err := json.Unmarshal([]byte(line), &said); err != nil {
				return loaded{}, err
			}
		}
	}
	if said.Requests == 0 || said.Failed > 0 {
		return loaded{}, fmt.Errorf("%d requests answered, %d failed", said.Requests, said.Failed)
	}
	return loaded{said.Requests, said.Rate}, nil
}

func totalAndRate(out string, total, rate *regexp.Regexp) (r loaded, err error) {
	t, s := total.FindStringSubmatch(out), rate.FindStringSubmatch(out)
	if t == nil || s == nil {
		return r, errors.New("no count or no rate of requests")
	}
	if r.requests, err = strconv.ParseInt(t[1], 10, 64); err != nil {
		return r, err
	}
	if r.rate, err = strconv.ParseFloat(s[1], 64); err != nil {
		return r, err
	}
	if r.requests == 0 {
		return r, errors.New("no request was answered")
	}
	return r, nil
}

// paths is which urls a script asks for: prefix and a number.
type paths struct {
	prefix string
	many   int  // numbers there are; 0: each is new
	random bool // not one after another
}

// write makes wrk's script, which is Lua.
func (p paths) write(dir string) (string, error) {
	next := "n = n + 1"
	switch {
	case p.random:
		next = fmt.Sprintf("n = math.random(0, %d)", p.many-1)
	case p.many > 0:
		next = fmt.Sprintf("n = (n + 1) %% %d", p.many)
	}
	text := fmt.Sprintf("local n = 0\nlocal path = %q\nrequest = function()\n\t%s\n\treturn wrk.format(\"GET\", path .. n)\nend\n",
		p.prefix, next)
	name := filepath.Join(dir, "paths.lua")
	return name, os.WriteFile(name, []byte(text), 0o600)
}
