package purge

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// HistoryLimit is how many purge calls are remembered for GET /v1/purges.
const HistoryLimit = 10_000

// A record shows so many selectors, cut to so many bytes, and says how many
// there were.
const (
	shownSelectors     = 10
	shownSelectorBytes = 200
)

// A Record is what is remembered of one purge call.
type Record struct {
	ID        string   `json:"id"`
	Seq       uint64   `json:"seq"`
	Applied   bool     `json:"applied"`
	Scope     string   `json:"scope"`
	Mode      string   `json:"mode"`
	Host      string   `json:"host,omitempty"`
	Selectors []string `json:"selectors,omitempty"` // the first ones
	Count     int      `json:"count"`               // how many selectors there were
	At        int64    `json:"at"`                  // Unix nanoseconds

	id uint64 // log id of its last entry
}

// recordOf sums up a call.
func recordOf(es []Entry) Record {
	r := Record{Scope: es[0].Scope.String(), Mode: es[0].Strength.String(), Host: es[0].Host, Count: len(es), Applied: true}
	for _, e := range es[:min(len(es), shownSelectors)] {
		if e.Value != "" {
			r.Selectors = append(r.Selectors, strings.ToValidUTF8(e.Value[:min(len(e.Value), shownSelectorBytes)], ""))
		}
		if e.Host != r.Host {
			r.Host = ""
		}
	}
	return r
}

// encode is the record's value under its id.
func (r *Record) encode() []byte {
	b, err := json.Marshal(r)
	if err != nil {
		panic(err) // strings and numbers only
	}
	return seal(idKey(r.id), b)
}

func decodeRecord(key, value []byte) (r Record, err error) {
	if len(key) != 8 {
		return r, errCorrupt
	}
	b, err := unseal(key, value)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return r, fmt.Errorf("%w: %w", errCorrupt, err)
	}
	r.id = binary.BigEndian.Uint64(key)
	return r, nil
}

// A history is the ring of the last records.
type history struct {
	mu      sync.Mutex
	epoch   Epoch
	records []Record // by id, rising; a ring once it is full
	first   int
}

// name is a record's ID: which life of which log, and its place in it.
func (h *history) name(id uint64) string {
	return fmt.Sprintf("%x-%d", h.epoch[:4], id)
}

// add remembers one more. It reports whether the oldest had to go.
func (h *history) add(r Record) (dropped bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r.ID = h.name(r.id)
	if len(h.records) < HistoryLimit {
		h.records = append(h.records, r)
		return false
	}
	h.records[h.first] = r
	h.first = (h.first + 1) % HistoryLimit
	return true
}

// size is how many are remembered.
func (h *history) size() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.records)
}

// latest is a copy of the last ones, newest first.
func (h *history) latest(limit int) []Record {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := min(max(limit, 0), len(h.records))
	out := make([]Record, 0, n)
	for i := 1; i <= n; i++ {
		out = append(out, h.records[(h.first+len(h.records)-i)%len(h.records)])
	}
	return out
}

// get finds a record by its ID.
func (h *history) get(name string) (Record, bool) {
	_, number, found := strings.Cut(name, "-")
	id, err := strconv.ParseUint(number, 10, 64)
	if !found || err != nil || name != h.name(id) {
		return Record{}, false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for lo, hi := 0, len(h.records); lo < hi; {
		mid := int(uint(lo+hi) >> 1)
		r := &h.records[(h.first+mid)%len(h.records)]
		switch {
		case r.id == id:
			return *r, true
		case r.id < id:
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return Record{}, false
}
