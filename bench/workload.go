package bench

import (
	"errors"
	"fmt"
	"io"
	"os"
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
}

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

// ErrEmpty says that a trace has no request in it.
var ErrEmpty = errors.New("trace has no requests")

// Load reads a whole trace. An id keeps the largest size that it is seen with:
// a 304 or a part of the body in a log tells less than the object.
func Load(r io.Reader, limits Limits) (*Workload, error) {
	reader, err := NewReader(r, limits)
	if err != nil {
		return nil, err
	}
	w := &Workload{Format: reader.Format(), Unsized: true}
	known := make(map[string]uint32)
	var idBytes int64
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
	}
	if len(w.Requests) == 0 {
		return nil, ErrEmpty
	}
	if w.Unsized {
		for o := range w.Sizes {
			w.Sizes[o] = UnsizedBytes
		}
	}
	return w, nil
}
