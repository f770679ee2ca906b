package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"time"

	"edgecache/bench"
)

// benchVerb is edge bench.
type benchVerb struct {
	Gen    genVerb    `cmd:"" help:"Make a CDN workload: lines of time, id and size, on standard output."`
	Ratio  ratioVerb  `cmd:"" help:"Say what hit ratio a trace or an access log would have, beside other policies and the optimum."`
	Replay replayVerb `cmd:"" help:"Send a workload's or an access log's requests at a steady rate."`
}

// genVerb is edge bench gen.
type genVerb struct {
	Requests   int     `default:"1000000" help:"How many requests (${default})."`
	Seed       uint64  `default:"1" help:"The same seed makes the same bytes (${default})."`
	Zipf       float64 `default:"0.8" help:"Exponent of the popularity (${default})."`
	Objects    int     `help:"Objects that are popular at one time; default a tenth of the requests."`
	OneTimers  float64 `default:"0.1" help:"Share of requests for what is never asked for again (${default})."`
	Churn      float64 `default:"0.02" help:"Chance that a request sees a popular object replaced (${default})."`
	MedianSize string  `default:"14KiB" placeholder:"SIZE" help:"Median of the lognormal sizes (${default})."`
	Sigma      float64 `default:"1.6" help:"Sigma of the lognormal sizes (${default})."`
	HeavyShare float64 `default:"0.02" help:"Share of objects with Pareto sizes (${default})."`
	HeavyMin   string  `default:"1MiB" placeholder:"SIZE" help:"The least of the Pareto sizes (${default})."`
	HeavyAlpha float64 `default:"1.2" help:"Exponent of the Pareto sizes (${default})."`
	MaxSize    string  `default:"256MiB" placeholder:"SIZE" help:"The largest object (${default})."`
	Rate       float64 `default:"500" help:"Requests a second, for the time column (${default})."`
}

// Run writes the workload.
func (v *genVerb) Run(t terminal) error {
	c := bench.GenConfig{
		Requests: v.Requests, Seed: v.Seed, Zipf: v.Zipf, Objects: v.Objects,
		OneTimers: none(v.OneTimers), Churn: none(v.Churn), Sigma: v.Sigma,
		HeavyShare: none(v.HeavyShare), HeavyAlpha: v.HeavyAlpha, Rate: v.Rate,
	}
	var median, least int64
	for _, s := range []struct {
		flag, text string
		into       *int64
	}{
		{"--median-size", v.MedianSize, &median}, {"--heavy-min", v.HeavyMin, &least}, {"--max-size", v.MaxSize, &c.MaxSize},
	} {
		n, err := parseSize(s.text)
		if err != nil {
			return &usageError{fmt.Sprintf("%s %s: %v", s.flag, s.text, err)}
		}
		*s.into = n
	}
	c.MedianSize, c.HeavyMin = float64(median), float64(least)
	out := bufio.NewWriter(t.stdout)
	if err := bench.Gen(out, c); err != nil {
		return err
	}
	return out.Flush()
}

// none turns a 0 of the command line into what bench takes for none.
func none(share float64) float64 {
	if share == 0 {
		return -1
	}
	return share
}

// replayVerb is edge bench replay.
type replayVerb struct {
	File        string        `arg:"" help:"Trace (time id size) or access log (combined, or JSON with the fields of edge, nginx, Varnish or Caddy), plain, gzip or zstd."`
	Target      string        `required:"" placeholder:"URL" help:"Where the requests go, http://HOST:PORT."`
	Host        string        `placeholder:"HOST" help:"Host of the requests; default the target's."`
	Rate        float64       `help:"Requests a second; 0: as fast as the answers come."`
	Connections int           `default:"32" help:"Connections (${default})."`
	MaxTime     time.Duration `help:"Send nothing after that time."`
	MaxBytes    string        `placeholder:"SIZE" help:"Send nothing after that many bytes of bodies."`
	Timeout     time.Duration `default:"30s" help:"Of one request (${default})."`
	CacheID     string        `name:"cache-id" default:"edge" help:"The target's name in Cache-Status (${default})."`
	JSON        bool          `name:"json" help:"Print the result as JSON."`
}

// Run replays the file and prints what came of it.
func (v *replayVerb) Run(ctx context.Context, t terminal) error {
	var most int64
	if v.MaxBytes != "" {
		var err error
		if most, err = parseSize(v.MaxBytes); err != nil {
			return &usageError{fmt.Sprintf("--max-bytes %s: %v", v.MaxBytes, err)}
		}
	}
	w, err := bench.LoadFile(v.File, bench.Limits{})
	if err != nil {
		return err
	}
	result, err := bench.Replay(ctx, bench.ReplayConfig{
		Workload: w, Target: v.Target, Host: v.Host, Rate: v.Rate, Connections: v.Connections,
		Timeout: v.Timeout, MaxBytes: most, MaxTime: v.MaxTime, Logged: w.Format.IsLog(),
		CacheID: v.CacheID, Progress: t.stderr,
	})
	if result == nil {
		return err
	}
	show := result.WriteText
	if v.JSON {
		show = result.WriteJSON
	}
	if shown := show(t.stdout); shown != nil {
		return errors.Join(err, shown)
	}
	if err == nil && (result.Errors > 0 || result.Wrong > 0) {
		fmt.Fprintf(t.stderr, "edge: %d errors, %d wrong answers\n", result.Errors, result.Wrong)
		return errTold
	}
	return err
}
