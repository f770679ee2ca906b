package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Result is what a replay found. A hit is an answer whose Cache-Status says so;
// answers without that field count in neither ratio.
type Result struct {
	Trace        string             `json:"trace"` // format of the workload
	Planned      int                `json:"planned"`
	Requests     int64              `json:"requests"`
	Errors       int64              `json:"errors"`         // no whole answer, or not the status expected
	Away         int64              `json:"away,omitempty"` // unanswered while the target was down on purpose; in no other count
	Wrong        int64              `json:"wrong"`          // whole answers that must not have been given
	Hits         int64              `json:"hits"`
	Misses       int64              `json:"misses"`
	HitRatio     float64            `json:"hit_ratio"`
	ByteHitRatio float64            `json:"byte_hit_ratio"`
	Bytes        int64              `json:"bytes"`
	HitBytes     int64              `json:"hit_bytes"`
	MissBytes    int64              `json:"miss_bytes"`
	Seconds      float64            `json:"seconds"`
	AskedRate    float64            `json:"asked_rate"` // requests a second; 0: as fast as they come
	Rate         float64            `json:"rate"`       // requests a second that were answered
	Latency      Latency            `json:"latency_ms"`
	Connections  []ConnectionResult `json:"connections"`
	Stopped      string             `json:"stopped,omitempty"` // why before the trace's end
	Complaints   []string           `json:"complaints,omitempty"`
}

// Latency tells milliseconds from the moment a request was due to its body's
// end. Min and Max are exact, the rest at most 1.6 % too high.
type Latency struct {
	Min  float64 `json:"min"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

// ConnectionResult is one connection's share of a replay.
type ConnectionResult struct {
	Requests int64   `json:"requests"`
	Errors   int64   `json:"errors"`
	Bytes    int64   `json:"bytes"`
	P50      float64 `json:"p50_ms"`
	P99      float64 `json:"p99_ms"`
}

// maxComplaints is how many errors and wrong answers a connection keeps to
// show, and how many a result shows; all of them are counted.
const maxComplaints = 10

// tally counts what one connection sees.
type tally struct {
	requests, errors, wrong    int64
	away                       int64
	hits, misses               int64
	bytes, hitBytes, missBytes int64
	latency                    Histogram
	complaints                 []string
}

func (t *tally) count(said cacheSaid, bytes int64, err error, took time.Duration) {
	t.requests++
	t.bytes += bytes
	t.latency.Add(took)
	switch said {
	case saidHit:
		t.hits++
		t.hitBytes += bytes
	case saidMiss:
		t.misses++
		t.missBytes += bytes
	}
	if err == nil {
		return
	}
	if isWrong(err) {
		t.wrong++
	} else {
		t.errors++
	}
	if len(t.complaints) < maxComplaints {
		t.complaints = append(t.complaints, err.Error())
	}
}

func summarize(run *replay, connections []*connection, took time.Duration) *Result {
	r := &Result{
		Trace:     run.Workload.Format.String(),
		Planned:   len(run.Workload.Requests),
		Seconds:   took.Seconds(),
		AskedRate: run.Rate,
	}
	var whole Histogram
	for _, c := range connections {
		t := &c.tally
		whole.Merge(&t.latency)
		r.Requests += t.requests
		r.Errors += t.errors
		r.Wrong += t.wrong
		r.Away += t.away
		r.Hits += t.hits
		r.Misses += t.misses
		r.Bytes += t.bytes
		r.HitBytes += t.hitBytes
		r.MissBytes += t.missBytes
		r.Complaints = append(r.Complaints, t.complaints...)
		r.Connections = append(r.Connections, ConnectionResult{
			Requests: t.requests, Errors: t.errors + t.wrong, Bytes: t.bytes,
			P50: ms(t.latency.Quantile(0.50)), P99: ms(t.latency.Quantile(0.99)),
		})
	}
	r.Complaints = r.Complaints[:min(len(r.Complaints), maxComplaints)]
	r.HitRatio = ratio(r.Hits, r.Misses)
	r.ByteHitRatio = ratio(r.HitBytes, r.MissBytes)
	r.Rate = float64(r.Requests) / max(r.Seconds, 1e-9)
	r.Latency = Latency{
		Min: ms(whole.Min()), P50: ms(whole.Quantile(0.50)), P90: ms(whole.Quantile(0.90)),
		P99: ms(whole.Quantile(0.99)), P999: ms(whole.Quantile(0.999)), Max: ms(whole.Max()),
	}
	if why := run.stopped.Load(); why != nil {
		r.Stopped = *why
	}
	return r
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func ratio(part, rest int64) float64 {
	if part+rest == 0 {
		return 0
	}
	return float64(part) / float64(part+rest)
}

// WriteJSON prints the result for programs.
func (r *Result) WriteJSON(w io.Writer) error {
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	return out.Encode(r)
}

// WriteText prints the result for people, a name and what it is a line.
func (r *Result) WriteText(w io.Writer) error {
	var out strings.Builder
	line := func(name, format string, args ...any) { AppendLine(&out, name, format, args...) }
	asked := ""
	if r.AskedRate > 0 {
		asked = fmt.Sprintf(" of %.0f asked", r.AskedRate)
	}
	line("requests", "%d in %.1f s, %.0f a second%s", r.Requests, r.Seconds, r.Rate, asked)
	if r.Stopped != "" {
		line("stopped", "%s, of %d requests in the %s", r.Stopped, r.Planned, r.Trace)
	}
	if r.Hits+r.Misses == 0 {
		line("hit ratio", "unknown: no answer had a Cache-Status of this cache")
	} else {
		line("hit ratio", "%.2f %%  (%d hits, %d misses)", 100*r.HitRatio, r.Hits, r.Misses)
		line("byte hit ratio", "%.2f %%  (of %s)", 100*r.ByteHitRatio, ByteText(r.HitBytes+r.MissBytes))
	}
	l := r.Latency
	line("latency", "p50 %s, p90 %s, p99 %s, p99.9 %s (min %s, max %s)",
		msText(l.P50), msText(l.P90), msText(l.P99), msText(l.P999), msText(l.Min), msText(l.Max))
	line("connections", "%s", r.spread())
	wrong := ""
	if r.Wrong > 0 {
		wrong = fmt.Sprintf(", and %d wrong answers", r.Wrong)
	}
	line("errors", "%d%s", r.Errors, wrong)
	if r.Away > 0 {
		line("unanswered", "%d while the target was down on purpose", r.Away)
	}
	for _, c := range r.Complaints {
		line("", "%s", c)
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// AppendLine adds one line of a result's text: a name, and from a fixed column
// on what is to be said of it.
func AppendLine(out *strings.Builder, name, format string, args ...any) {
	fmt.Fprintf(out, "%-18s", name)
	fmt.Fprintf(out, format, args...)
	out.WriteByte('\n')
}

// spread tells how evenly the connections fared; the p99 are of those that
// were used.
func (r *Result) spread() string {
	if len(r.Connections) == 0 {
		return "0"
	}
	least, most := r.Connections[0].Requests, r.Connections[0].Requests
	var p99s []float64
	for _, c := range r.Connections {
		least, most = min(least, c.Requests), max(most, c.Requests)
		if c.Requests > 0 {
			p99s = append(p99s, c.P99)
		}
	}
	if len(p99s) == 0 {
		return fmt.Sprintf("%d, none of them used", len(r.Connections))
	}
	return fmt.Sprintf("%d, each %d to %d requests, p99 %s to %s",
		len(r.Connections), least, most, msText(slices.Min(p99s)), msText(slices.Max(p99s)))
}

func msText(v float64) string {
	if v < 10 {
		return fmt.Sprintf("%.2f ms", v)
	}
	return fmt.Sprintf("%.0f ms", v)
}

// ByteText writes bytes with the largest unit that keeps a digit before the point.
func ByteText(n int64) string {
	value, unit := float64(n), 0
	for units := len(byteUnits); value >= 1024 && unit < units-1; unit++ {
		value /= 1024
	}
	if unit == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", value, byteUnits[unit])
}

var byteUnits = []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
