package modeltest

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// objects is how many urls there are. They spread over hosts, prefixes, tags
// and kinds by their number.
const (
	objects  = 180
	hosts    = 3
	prefixes = 5
	tagsA    = 7
	tagsB    = 11
)

// kind says how the origin answers for an object.
type kind int

const (
	plain     kind = iota // fresh for a while
	varied                // by X-Kind
	validated             // short, with an ETag
	stale                 // stale-while-revalidate
	private               // never stored
	large                 // several chunks
	kinds
)

// object is one url and what the model knows of it. Versions only grow.
type object struct {
	id      int
	version atomic.Int64 // what the origin would answer now

	mu   sync.Mutex
	gone int64 // nothing older may be served: of hard and revalidating purges
	soft []softPurge
}

// softPurge allows older versions until its window is over.
type softPurge struct{ version, until int64 }

func (o *object) kind() kind     { return kind(o.id % int(kinds)) }
func (o *object) host() string   { return fmt.Sprintf("h%d.test", o.id%hosts) }
func (o *object) prefix() string { return fmt.Sprintf("/p%d", o.id%prefixes) }
func (o *object) path() string   { return fmt.Sprintf("%s/o%d", o.prefix(), o.id) }
func (o *object) tags() []string {
	return []string{fmt.Sprintf("a%d", o.id%tagsA), fmt.Sprintf("b%d", o.id%tagsB)}
}

// life is how long a stored answer may be served at all, and the header that
// says so.
func (o *object) life() (time.Duration, string) {
	switch o.kind() {
	case validated:
		return 2 * time.Second, "max-age=2"
	case stale:
		return 9 * time.Second, "max-age=4, stale-while-revalidate=5"
	case private:
		return 0, "private, max-age=60"
	}
	return 20 * time.Second, "max-age=20"
}

// size of a body in bytes.
func (o *object) size(version int64) int {
	n := int(mix(uint64(o.id)<<32|uint64(version)) % 3000)
	if o.kind() == large {
		n += 150_000
	}
	return n + 40
}

// body is a function of object, version and selecting value alone.
func (o *object) body(version int64, selected string) []byte {
	b := make([]byte, 0, o.size(version)+32)
	b = fmt.Appendf(b, "object %d version %d %s|", o.id, version, selected)
	seed := mix(uint64(o.id)<<32 ^ uint64(version)<<8 ^ uint64(len(selected)))
	for len(b) < o.size(version) {
		seed = mix(seed)
		b = binary.LittleEndian.AppendUint64(b, seed)
	}
	return b
}

func (o *object) etag(version int64, selected string) string {
	return fmt.Sprintf(`"%d-%d-%s"`, o.id, version, selected)
}

// floor is the oldest version that an answer may have to a request that is
// about to be sent at now.
func (o *object) floor(now int64) int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	least := o.gone
	for _, s := range o.soft {
		if now > s.until {
			least = max(least, s.version)
		}
	}
	return least
}

func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31 + 0x9e3779b97f4a7c15
}

// world is the origin and its clock.
type world struct {
	objects [objects]*object
	now     atomic.Int64 // Unix nanoseconds
	health  atomic.Int32 // how often in 100 the origin breaks something
	gate    atomic.Pointer[chan struct{}]
	asked   atomic.Int64
}

func newWorld() *world {
	w := &world{}
	w.now.Store(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano())
	for i := range w.objects {
		w.objects[i] = &object{id: i}
		w.objects[i].version.Store(1)
	}
	return w
}

func (w *world) clock() time.Time { return time.Unix(0, w.now.Load()) }

// ServeHTTP is the origin: right most of the time, slow or broken now and then.
func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.asked.Add(1)
	o := w.find(r.URL.Path)
	if o == nil {
		http.NotFound(rw, r)
		return
	}
	version, born := o.version.Load(), w.now.Load()
	if g := w.gate.Load(); g != nil && rand.IntN(3) == 0 {
		<-*g // the answer is decided, and a while passes before it leaves
	}
	selected := ""
	h := rw.Header()
	if o.kind() == varied {
		selected = r.Header.Get("X-Kind")
		h.Set("Vary", "X-Kind")
	}
	span, control := o.life()
	h.Set("Cache-Control", control)
	h.Set("Surrogate-Key", strings.Join(o.tags(), " "))
	h.Set("Etag", o.etag(version, selected))
	h.Set("Date", time.Unix(0, born).UTC().Format(http.TimeFormat))
	h.Set("X-Version", strconv.FormatInt(version, 10))
	h.Set("X-Born", strconv.FormatInt(born, 10))
	h.Set("X-Span", strconv.FormatInt(int64(span), 10))
	h.Set("X-Selected", selected)
	if r.Header.Get("If-None-Match") == o.etag(version, selected) {
		rw.WriteHeader(http.StatusNotModified)
		return
	}
	w.send(rw, o.body(version, selected))
}

// send writes a body, whole or, when the origin is ill, broken in some way.
func (w *world) send(rw http.ResponseWriter, body []byte) {
	h := rw.Header()
	if rand.IntN(2) == 0 {
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	if int32(rand.IntN(100)) >= w.health.Load() {
		_, _ = rw.Write(body)
		return
	}
	switch rand.IntN(4) {
	case 0:
		h.Del("Content-Length")
		rw.WriteHeader(http.StatusServiceUnavailable)
	case 1: // cut in the middle
		_, _ = rw.Write(body[:len(body)/2])
		panic(http.ErrAbortHandler)
	case 2: // no answer
		panic(http.ErrAbortHandler)
	case 3: // not HTTP
		if c, _, err := rw.(http.Hijacker).Hijack(); err == nil {
			_, _ = io.WriteString(c, "SSH-2.0-nothing\r\n\r\n")
			c.Close()
		}
	}
}

func (w *world) find(path string) *object {
	_, number, ok := strings.Cut(path, "/o")
	if !ok {
		return nil
	}
	id, err := strconv.Atoi(number)
	if err != nil || id < 0 || id >= objects {
		return nil
	}
	return w.objects[id]
}
