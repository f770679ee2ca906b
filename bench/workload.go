package bench

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"sort"
)

// UnsizedBytes is the size of every object of a trace whose sizes are all 1,
// which means that it has none.
const UnsizedBytes = 16 << 10

// Workload is a whole trace in memory: its objects, and which of them each
// request asks for, in order.
type Workload struct {
	Format   Format
	IDs      []string // id of each object, in order of first sight
	Sizes    []int64  // bytes of each object: the largest that the trace shows
	Requests []uint32 // index of the object that each request asks for
	Unsized  bool     // the trace had no sizes, so every one is UnsizedBytes

	// At is when each request came, in Unix nanoseconds, and Fresh for how many
	// seconds from then on its answer may be used: 0 for ever, as far as is known;
	// Unstorable not at all. Both are nil unless the log tells of any.
	At    []int64
	Fresh []int32
	// Seconds are from the first request to the last, in a trace that counts in them.
	Seconds float64
}

// Unstorable is the Fresh of an answer that no cache may keep.
const Unstorable = -1

// Bytes returns how many body bytes all requests ask for.
func (w *Workload) Bytes() int64 {
	var sum int64
	for _, o := range w.Requests {
		sum += w.Sizes[o]
	}
	return sum
}

// LoadFile reads the trace in a file.
func LoadFile(path string, limits Limits) (*Workload, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open trace: %w", err)
	}
	defer f.Close()
	w, err := Load(f, limits)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return w, nil
}

// ErrEmpty says that a trace has no request in it that counts.
var ErrEmpty = errors.New("no requests that a cache could answer")

// Load reads a whole trace. An id keeps the largest size that it is seen with:
// a 304 or a part of the body in a log tells less than the object. A log's
// requests are put in order of time, for its lines come from several buffers
// and at the end of each request; a trace's lines stay as they are.
func Load(r io.Reader, limits Limits) (*Workload, error) {
	reader, err := NewReader(r, limits)
	if err != nil {
		return nil, err
	}
	w := &Workload{Format: reader.Format(), Unsized: true}
	known := make(map[string]uint32)
	var idBytes int64
	var times []float64 // of a log's requests
	var fresh []int32
	tells := false // whether any answer has a lifetime
	from, to := math.Inf(1), math.Inf(-1)
	for {
		rec, err := reader.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		object, seen := known[string(rec.id)]
		if !seen {
			if idBytes += int64(len(rec.id)); idBytes > reader.limits.IDBytes {
				return nil, &LineError{reader.Line(), ErrTooManyIDs}
			}
			object = uint32(len(w.IDs))
			w.IDs = append(w.IDs, string(rec.id))
			w.Sizes = append(w.Sizes, rec.size)
			known[w.IDs[object]] = object
		}
		w.Sizes[object] = max(w.Sizes[object], rec.size)
		w.Unsized = w.Unsized && rec.size == 1
		w.Requests = append(w.Requests, object)
		if w.Format.IsLog() {
			times = append(times, rec.time)
			fresh = append(fresh, rec.fresh)
			tells = tells || rec.fresh != 0
		}
		from, to = min(from, rec.time), max(to, rec.time)
	}
	if len(w.Requests) == 0 {
		return nil, fmt.Errorf("%w in its %d lines", ErrEmpty, reader.Line())
	}
	if w.Format.IsLog() {
		sort.Stable(&byTime{times, w.Requests, fresh})
	}
	w.Seconds = to - from
	if tells {
		w.Fresh = fresh
		for _, at := range times {
			w.At = append(w.At, int64(at*1e9))
		}
	}
	if w.Unsized {
		for o := range w.Sizes {
			w.Sizes[o] = UnsizedBytes
		}
	}
	return w, nil
}

// byTime sorts a log's requests.
type byTime struct {
	times    []float64
	requests []uint32
	fresh    []int32
}

func (b *byTime) Len() int           { return len(b.times) }
func (b *byTime) Less(i, j int) bool { return b.times[i] < b.times[j] }
func (b *byTime) Swap(i, j int) {
	b.times[i], b.times[j] = b.times[j], b.times[i]
	b.requests[i], b.requests[j] = b.requests[j], b.requests[i]
	b.fresh[i], b.fresh[j] = b.fresh[j], b.fresh[i]
}
