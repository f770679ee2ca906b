package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"edgecache/bench"
	"edgecache/bench/child"
	"edgecache/bench/policies"
	"edgecache/bench/ratio"
)

// result is what was said and what came of it.
type result struct {
	name         string
	memory, disk int64 // bytes
	said         policies.Counts
	seen         *bench.Result
	fetched      int64 // answers of the origin
	tiers        tiers
}

// tiers is what edge says of its own, of GET /v1/disk and /metrics.
type tiers struct {
	Stored  uint64            `json:"stored"`
	Kept    uint64            `json:"kept"`
	Evicted map[string]uint64 `json:"evicted"`
	Dropped map[string]uint64 `json:"dropped"`
	memory  string            // lines of the metrics
}

// compare says, and then looks.
func compare(ctx context.Context, o options, stderr io.Writer) (*result, error) {
	w, err := workload(o)
	if err != nil {
		return nil, err
	}
	unique := policies.Trace{Sizes: w.Sizes}.UniqueBytes()
	r := &result{name: name(o), memory: max(int64(float64(unique)*o.memory/100), o.least), disk: int64(float64(unique) * o.disk / 100)}
	in := &ratio.Input{Workload: w, Name: r.name, Rate: 1, Asked: int64(len(w.Requests))}
	rows, err := ratio.Run(ctx, in, ratio.Config{
		Memory: []ratio.Size{{Bytes: r.memory}}, Disk: []ratio.Size{{Bytes: r.disk}},
		Admission: admission, Overhead: true, Runs: 3,
	})
	if err != nil {
		return nil, err
	}
	r.said = rows[0].Edge
	return r, r.look(ctx, o, w, stderr)
}

// workload reads the trace, or makes one.
func workload(o options) (*bench.Workload, error) {
	var w *bench.Workload
	var err error
	if o.trace != "" {
		w, err = bench.LoadFile(o.trace, bench.Limits{})
	} else {
		read, write := io.Pipe()
		go func() {
			write.CloseWithError(bench.Gen(write, bench.GenConfig{Requests: max(o.requests, 1000), Seed: 1}))
		}()
		w, err = bench.Load(read, bench.Limits{})
	}
	if err != nil {
		return nil, err
	}
	if o.requests > 0 && o.requests < len(w.Requests) {
		w.Requests = w.Requests[:o.requests]
		last := uint32(0)
		for _, object := range w.Requests {
			last = max(last, object)
		}
		w.IDs, w.Sizes = w.IDs[:last+1], w.Sizes[:last+1] // ids rise in order of first sight
	}
	for i := range w.Sizes {
		w.Sizes[i] = (w.Sizes[i] + o.divide - 1) / o.divide
	}
	return w, nil
}

func name(o options) string {
	if o.trace == "" {
		return "made workload"
	}
	return filepath.Base(o.trace)
}

// look runs edge and sends it the workload.
func (r *result) look(ctx context.Context, o options, w *bench.Workload, stderr io.Writer) (err error) {
	dir, err := os.MkdirTemp(o.dir, "edge-door-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	source, err := startOrigin()
	if err != nil {
		return err
	}
	defer source.Close()
	file := filepath.Join(dir, "edge.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, "disk: {size: %dB}\n", r.disk), 0o644); err != nil {
		return err
	}
	binary, err := child.Build(ctx, dir)
	if err != nil {
		return err
	}
	e, err := child.Start(ctx, child.Config{Binary: binary, Dir: dir, Origin: source.URL, Memory: fmt.Sprintf("%dB", r.memory), File: file})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Stop()) }()
	r.seen, err = bench.Replay(ctx, bench.ReplayConfig{
		Workload: w, Target: e.Target, Rate: o.rate, Connections: o.connections, Progress: stderr,
	})
	if err != nil {
		return err
	}
	r.fetched = source.answers.Load()
	return r.ask(ctx, e)
}

// ask reads edge's own counts, a moment later: it writes behind.
func (r *result) ask(ctx context.Context, e *child.Edge) error {
	time.Sleep(time.Second)
	disk, err := get(ctx, e, "/v1/disk")
	if err != nil {
		return err
	}
	if err := json.Unmarshal(disk, &r.tiers); err != nil {
		return fmt.Errorf("GET /v1/disk: %w", err)
	}
	metrics, err := get(ctx, e, "/metrics")
	if err != nil {
		return err
	}
	var lines []string
	for line := range strings.Lines(string(metrics)) {
		if strings.HasPrefix(line, "edge_store_drops_total{") && !strings.HasSuffix(line, " 0\n") {
			lines = append(lines, strings.TrimSpace(strings.TrimPrefix(line, "edge_store_drops_total")))
		}
	}
	r.tiers.memory = strings.Join(lines, ", ")
	return nil
}

func get(ctx context.Context, e *child.Edge, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.Admin+path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+e.Token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 4<<20))
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s", path, res.Status)
	}
	return body, err
}

// missed is the share of the requests that the origin was asked for.
func (r *result) missed() float64 { return 1 - r.seen.HitRatio }

// wrong lists what is not as it must be.
func (r *result) wrong(o options) (list []string) {
	if r.seen.Errors+r.seen.Wrong > 0 {
		list = append(list, fmt.Sprintf("%d errors, %d wrong answers", r.seen.Errors, r.seen.Wrong))
	}
	if over := r.missed() - r.said.ObjectMissRatio(); !(over <= o.within) {
		list = append(list, fmt.Sprintf("%.4f more is missed than was said, at most %.4f may be", over, o.within))
	}
	if unseen := r.unseen(); math.Abs(unseen) > 0.001*float64(r.fetched)+1 {
		list = append(list, fmt.Sprintf("%.0f of the origin's answers are neither stored nor counted as dropped", unseen))
	}
	return list
}

// unseen is how many of the origin's answers the disk has neither stored nor
// counted as not stored. What was written as it left memory was counted before.
func (r *result) unseen() float64 {
	sum := float64(r.tiers.Stored) - float64(r.tiers.Kept)
	for _, n := range r.tiers.Dropped {
		sum += float64(n)
	}
	return float64(r.fetched) - sum
}

func (r *result) text(o options) string {
	var out strings.Builder
	line := func(name, format string, args ...any) { bench.AppendLine(&out, name, format, args...) }
	line("trace", "%s, sizes ÷ %d, memory %s, disk %s", r.name, o.divide, bench.ByteText(r.memory), bench.ByteText(r.disk))
	line("requests", "%d at %.0f a second (%.0f asked for), open loop, p99 %.1f ms", r.seen.Requests, r.seen.Rate, r.seen.AskedRate, r.seen.Latency.P99)
	line("misses", "%.4f at the door, %.4f as bench ratio says (with overhead): %+.4f", r.missed(), r.said.ObjectMissRatio(), r.missed()-r.said.ObjectMissRatio())
	line("byte misses", "%.4f at the door, %.4f said", 1-r.seen.ByteHitRatio, r.said.ByteMissRatio())
	line("origin", "%d answers for %d misses", r.fetched, r.seen.Misses)
	line("disk", "%d stored, %d of them as they left memory; evicted %v; dropped %v; unseen %.0f", r.tiers.Stored, r.tiers.Kept, r.tiers.Evicted, r.tiers.Dropped, r.unseen())
	line("drops", "%s", r.tiers.memory)
	return out.String()
}
