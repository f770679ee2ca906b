package ratio

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"edgecache/bench"
	"edgecache/bench/policies"
)

// line is what --json prints of an input and a size.
type line struct {
	File        string  `json:"file"`
	Requests    int64   `json:"requests"`
	Objects     int64   `json:"objects"`
	UniqueBytes int64   `json:"unique_bytes"`
	SampleRate  float64 `json:"sample_rate"` // 1: nothing is estimated
	Memory      int64   `json:"memory"`
	Disk        int64   `json:"disk"`

	MemoryHitRatio          float64 `json:"memory_hit_ratio"`
	ObjectMissRatio         float64 `json:"object_miss_ratio"`
	ByteMissRatio           float64 `json:"byte_miss_ratio"`
	DiskWrittenPerRequested float64 `json:"disk_written_per_requested"`
	LRUObjectMissRatio      float64 `json:"lru_object_miss_ratio"`
	LRUByteMissRatio        float64 `json:"lru_byte_miss_ratio"`
	OptimalObjectMissRatio  float64 `json:"optimal_object_miss_ratio"`

	GapClosed *float64              `json:"gap_closed"` // null: LRU is as good as the optimum
	Runs      [2]float64            `json:"runs"`       // least and largest object_miss_ratio
	Policies  map[string]policyLine `json:"policies"`
}

// policyLine is another policy over itself.
type policyLine struct {
	MemoryHitRatio          float64 `json:"memory_hit_ratio"`
	ObjectMissRatio         float64 `json:"object_miss_ratio"`
	ByteMissRatio           float64 `json:"byte_miss_ratio"`
	DiskWrittenPerRequested float64 `json:"disk_written_per_requested"`
}

// WriteJSON prints a line a size.
func WriteJSON(w io.Writer, in *Input, rows []Row) error {
	out := json.NewEncoder(w)
	for i := range rows {
		r := &rows[i]
		l := line{
			File: in.Name, Requests: in.Asked, Objects: in.Objects(), UniqueBytes: in.UniqueBytes(), SampleRate: in.Rate,
			Memory: r.Memory, Disk: r.Disk,
			MemoryHitRatio: r.Edge.MemoryHitRatio(), ObjectMissRatio: r.Edge.ObjectMissRatio(), ByteMissRatio: r.Edge.ByteMissRatio(),
			DiskWrittenPerRequested: r.Edge.WrittenPerRequested(),
			LRUObjectMissRatio:      r.LRU.ObjectMissRatio(), LRUByteMissRatio: r.LRU.ByteMissRatio(),
			OptimalObjectMissRatio: r.Optimum.ObjectMissRatio(), Runs: r.Spread, Policies: map[string]policyLine{},
		}
		if closed, ok := r.Gap(); ok {
			l.GapClosed = &closed
		}
		for name, c := range r.Others {
			l.Policies[name] = policyLine{c.MemoryHitRatio(), c.ObjectMissRatio(), c.ByteMissRatio(), c.WrittenPerRequested()}
		}
		if err := out.Encode(l); err != nil {
			return err
		}
	}
	return nil
}

// WriteText prints the rows for people.
func WriteText(w io.Writer, in *Input, rows []Row) error {
	var out strings.Builder
	fmt.Fprintf(&out, "%s: %d requests for %d objects of %s\n", in.Name, in.Asked, in.Objects(), bench.ByteText(in.UniqueBytes()))
	if in.Rate < 1 {
		fmt.Fprintf(&out, "estimated from a sample of %.3g %% of the objects; the error of a miss ratio is mostly below 2 points\n", 100*in.Rate)
	}
	if in.Fresh != nil {
		fmt.Fprintf(&out, "with the log's lifetimes; what it says may not be stored is always a miss\n")
	}
	for i := range rows {
		rows[i].write(&out, in)
	}
	_, err := io.WriteString(w, out.String())
	return err
}

func (r *Row) write(out *strings.Builder, in *Input) {
	fmt.Fprintf(out, "\nmemory %s, %s\n", bench.ByteText(r.Memory), diskText(r.Disk))
	fmt.Fprintf(out, "  %-14s %8s %8s %8s %8s  %s\n", "", "requests", "bytes", "in", "written", "")
	fmt.Fprintf(out, "  %-14s %8s %8s %8s %8s\n", "", "missed", "missed", "memory", "to disk")
	put := func(name string, c policies.Counts, note string) {
		fmt.Fprintf(out, "  %-14s %6.2f %% %6.2f %% %6.2f %% %6.2f %%%s\n", name, 100*c.ObjectMissRatio(), 100*c.ByteMissRatio(),
			100*c.MemoryHitRatio(), 100*c.WrittenPerRequested(), note)
	}
	note := ""
	if r.Spread[0] != r.Spread[1] {
		note = fmt.Sprintf("  (%.2f to %.2f %% missed)", 100*r.Spread[0], 100*r.Spread[1])
	}
	put("edge", r.Edge, note)
	put("lru", r.LRU, "")
	for _, name := range sortedNames(r.Others) {
		if name != "lru" {
			put(name, r.Others[name], "")
		}
	}
	fmt.Fprintf(out, "  %-14s %6.2f %% %6.2f %%            (offline: it knows what comes)\n", "optimum", 100*r.Optimum.ObjectMissRatio(), 100*r.Optimum.ByteMissRatio())
	if closed, ok := r.Gap(); ok {
		fmt.Fprintf(out, "  of the gap between LRU and the optimum edge closes %.0f %%\n", 100*closed)
	} else {
		fmt.Fprintf(out, "  LRU is as good as the optimum here\n")
	}
	out.WriteString("  " + r.saved(in) + "\n")
	fmt.Fprintf(out, "  an object takes %d bytes of memory and %d of disk beside its body (--overhead counts them)\n", r.OverheadMemory, r.OverheadDisk)
}

// saved says what edge saves beside LRU, a day where the input tells how long it is.
func (r *Row) saved(in *Input) string {
	requests := float64(r.LRU.Misses.Objects-r.Edge.Misses.Objects) / in.Rate
	bytes := float64(r.LRU.Misses.Bytes-r.Edge.Misses.Bytes) / in.Rate
	over := "over all of it"
	if in.Seconds >= 60 {
		requests, bytes = requests*86400/in.Seconds, bytes*86400/in.Seconds
		over = "a day"
		if !in.Format.IsLog() {
			over += ", if the trace counts seconds"
		}
	}
	return fmt.Sprintf("beside LRU origins are asked %s and send %s %s", less(requests, countText), less(bytes, func(b float64) string { return bench.ByteText(int64(b)) }), over)
}

func less(n float64, text func(float64) string) string {
	if n < 0 {
		return text(-n) + " more"
	}
	return text(n) + " less"
}

func countText(n float64) string { return fmt.Sprintf("%.0f times", n) }

func diskText(bytes int64) string {
	if bytes == 0 {
		return "no disk"
	}
	return "disk " + bench.ByteText(bytes)
}

func sortedNames(m map[string]policies.Counts) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
