package casetest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"edgecache/cachestore"
	"edgecache/edge"
	"edgecache/edge/edgetest"
	"edgecache/purge"
)

// slice is how many bytes of a large object are fetched at once.
const slice = cachestore.SliceSize

// media is an origin of one large object that knows ranges and conditions, and
// remembers what was asked of it.
type media struct {
	*httptest.Server
	sent atomic.Int64 // bytes of bodies

	mu     sync.Mutex
	body   string
	header map[string]string
	asked  []string // "Range If-Match If-None-Match" of each request
	around func(w http.ResponseWriter, r *http.Request) (answered bool)
}

func newMedia(t *testing.T, body, etag string) *media {
	t.Helper()
	m := &media{body: body, header: map[string]string{"Cache-Control": "max-age=60", "Etag": etag}}
	m.Server = httptest.NewServer(m)
	t.Cleanup(m.Close)
	return m
}

func (m *media) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	body, around := m.body, m.around
	m.asked = append(m.asked, strings.Join(strings.Fields(r.Header.Get("Range")+" "+r.Header.Get("If-Match")+" "+r.Header.Get("If-None-Match")), " "))
	for name, value := range m.header {
		w.Header().Set(name, value)
	}
	m.mu.Unlock()
	w.Header().Set("Content-Type", "video/mp4")
	if around != nil && around(w, r) {
		return
	}
	http.ServeContent(counted{w, &m.sent}, r, "", time.Time{}, strings.NewReader(body))
}

// becomes replaces the object.
func (m *media) becomes(body, etag string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.body, m.header["Etag"] = body, etag
}

func (m *media) set(name, value string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.header[name] = value
}

// answer makes f answer in the place of the object, when it says that it did.
func (m *media) answer(f func(w http.ResponseWriter, r *http.Request) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.around = f
}

// take gives what was asked since the last time.
func (m *media) take() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	asked := m.asked
	m.asked = nil
	slices.Sort(asked) // slices are fetched side by side
	return asked
}

func (m *media) wantAsked(t *testing.T, about string, want ...string) {
	t.Helper()
	if got := m.take(); strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("%s: the origin was asked %q, want %q", about, got, want)
	}
}

// openMedia is a site before a media origin.
func openMedia(t *testing.T, m *media, c edgetest.Config) *site {
	t.Helper()
	c.Peers = []string{m.URL}
	return open(t, c)
}

// part demands bytes from (in) to to (out) of a body, as a 206.
func (s *site) part(body string, from, to int, lines ...string) edgetest.Reply {
	s.t.Helper()
	return s.partOf(body, from, fmt.Sprintf("%d-%d", from, to-1), to, lines...)
}

func (s *site) partOf(body string, from int, spec string, to int, lines ...string) edgetest.Reply {
	s.t.Helper()
	r := s.Get("/v", append([]string{"Range: bytes=" + spec}, lines...)...)
	want := fmt.Sprintf("bytes %d-%d/%d", from, to-1, len(body))
	if r.Err != nil || r.Status != 206 || r.Body != body[from:to] || r.Header.Get("Content-Range") != want {
		s.t.Errorf("bytes=%s: %s, Content-Range %q; want 206 and %s", spec, show(r), r.Header.Get("Content-Range"), want)
	}
	s.settled()
	return r
}

func (s *site) partHit(body string, from, to int, lines ...string) {
	s.t.Helper()
	if r := s.part(body, from, to, lines...); !isHit(r) {
		s.t.Errorf("%d to %d is no hit: %s", from, to, show(r))
	}
}

func sliceRange(i int, total int) string {
	return fmt.Sprintf("bytes=%d-%d", i*slice, min((i+1)*slice, total)-1)
}

// TestSparseObject: a range of a large object costs the origin a slice; what is
// there is not asked for again; the whole is completed by what is missing.
func TestSparseObject(t *testing.T) {
	for _, disk := range []bool{false, true} {
		t.Run(fmt.Sprintf("disk %v", disk), func(t *testing.T) {
			body := noise(1, 4*slice+1000)
			m := newMedia(t, body, `"v1"`)
			c := edgetest.Config{MemoryBytes: 32 << 20}
			if disk {
				c.Disk = t.TempDir()
			}
			s := openMedia(t, m, c)
			if r := s.part(body, 10, 20); isHit(r) {
				t.Errorf("the first range is a hit: %s", show(r))
			}
			m.wantAsked(t, "the first", fmt.Sprintf("bytes=0-%d", slice-1))
			s.partHit(body, 0, 1)
			s.partHit(body, slice-5, slice)
			s.part(body, slice-5, slice+5)
			m.wantAsked(t, "over a border", sliceRange(1, len(body))+` "v1"`)
			s.partOf(body, len(body)-7, "-7", len(body))
			m.wantAsked(t, "the last bytes", sliceRange(4, len(body))+` "v1"`)
			if disk {
				s.reshelve()
			}
			s.partHit(body, slice-5, slice+5)
			s.partHit(body, len(body)-3, len(body))
			m.wantAsked(t, "what is there")
			if r := s.Get("/v", "Range: bytes=99999999-"); r.Status != 416 || r.Header.Get("Content-Range") != fmt.Sprintf("bytes */%d", len(body)) {
				t.Errorf("behind the end: %s", show(r))
			}
			if r := s.Get("/v"); r.Status != 200 || r.Body != body || r.Header.Get("Content-Range") != "" {
				t.Errorf("the whole: %s", show(r))
			}
			m.wantAsked(t, "the rest", sliceRange(2, len(body))+` "v1"`, sliceRange(3, len(body))+` "v1"`)
			if r := s.Get("/v"); !isHit(r) || r.Body != body {
				t.Errorf("the whole, again: %s", show(r))
			}
			if r := s.Get("/v", `If-None-Match: "v1"`); r.Status != 304 || !isHit(r) {
				t.Errorf("a condition: %s", show(r))
			}
			m.wantAsked(t, "when all is there")
			if sent := m.sent.Load(); sent != int64(len(body)) {
				t.Errorf("the origin sent %d bytes of an object of %d", sent, len(body))
			}
		})
	}
}

// TestRangeOfASmallObject: all of it comes at once, and is stored as a whole.
func TestRangeOfASmallObject(t *testing.T) {
	body := noise(2, 5000)
	m := newMedia(t, body, `W/"weak"`)
	s := openMedia(t, m, edgetest.Config{})
	s.part(body, 100, 200)
	if r := s.Get("/v"); !isHit(r) || r.Body != body || r.Header.Get("Content-Range") != "" {
		t.Errorf("the whole: %s", show(r))
	}
	m.wantAsked(t, "all", fmt.Sprintf("bytes=0-%d", slice-1))
}

// TestSuffixOfAnUnknownObject: few last bytes are asked for as such, and united
// with the slice that they belong to.
func TestSuffixOfAnUnknownObject(t *testing.T) {
	body := noise(3, 2*slice+10)
	m := newMedia(t, body, `"v1"`)
	s := openMedia(t, m, edgetest.Config{})
	s.partOf(body, len(body)-100, "-100", len(body))
	s.partHit(body, len(body)-100, len(body)-50)
	m.wantAsked(t, "the suffix", "bytes=-100")
	s.part(body, 2*slice-200, 2*slice-80)
	m.wantAsked(t, "the other end of the slice", fmt.Sprintf(`bytes=%d-%d "v1"`, slice, len(body)-101))
	s.partHit(body, slice, len(body))
	m.wantAsked(t, "united")
}

// TestSparseObjectChanges: parts of two representations are never joined.
func TestSparseObjectChanges(t *testing.T) {
	old, new := noise(4, 3*slice), noise(5, 3*slice)
	for _, c := range []struct {
		name   string
		answer func(w http.ResponseWriter, r *http.Request) bool
	}{
		{"the origin knows If-Match", nil},
		{"the origin does not know If-Match", func(_ http.ResponseWriter, r *http.Request) bool {
			r.Header.Del("If-Match")
			return false
		}},
		{"the origin knows no ranges any more", func(_ http.ResponseWriter, r *http.Request) bool {
			r.Header.Del("If-Match")
			r.Header.Del("Range")
			return false
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMedia(t, old, `"old"`)
			s := openMedia(t, m, edgetest.Config{})
			s.part(old, 0, 10)
			m.becomes(new, `"new"`)
			m.answer(c.answer)
			s.partHit(old, 5, 15)
			s.part(new, 2*slice, 2*slice+10)
			s.part(new, 0, 10)
			if r := s.Get("/v"); r.Body != new || r.Header.Get("Etag") != `"new"` {
				t.Errorf("the whole: %s", show(r))
			}
		})
	}
}

// TestSparseObjectChangesUnderWay: an answer that has begun is broken visibly
// when its next slice is another object's.
func TestSparseObjectChangesUnderWay(t *testing.T) {
	old, new := noise(4, 8*slice), noise(5, 8*slice)
	m := newMedia(t, old, `"old"`)
	s := openMedia(t, m, edgetest.Config{})
	s.part(old, 0, 10)
	m.becomes(new, `"new"`)
	r := s.Get("/v")
	if r.Err == nil || r.Status != 200 || !strings.HasPrefix(old, r.Body) {
		t.Errorf("the old one's first slice and no end: %s", show(r))
	}
	if r := s.Get("/v"); r.Err != nil || r.Body != new {
		t.Errorf("afterwards: %s", show(r))
	}
}

// TestSparsePurge: a purge reaches the slices, by every scope; one that demands
// a validation costs a 304, and the slices stay.
func TestSparsePurge(t *testing.T) {
	body, other := noise(6, 3*slice), noise(7, 3*slice)
	start := func(t *testing.T) (*media, *site) {
		m := newMedia(t, body, `"v1"`)
		m.set("Surrogate-Key", "films")
		s := openMedia(t, m, edgetest.Config{Rules: tagsOf})
		s.part(body, 0, 10)
		s.part(body, slice, slice+10)
		m.take()
		return m, s
	}
	for name, by := range map[string]func(s *site){
		"url":    func(s *site) { s.purge(s.URL + "/v") },
		"prefix": func(s *site) { s.purgeAs(purge.ScopePrefix, purge.Hard, "/") },
		"tag":    func(s *site) { s.purgeAs(purge.ScopeTag, purge.Hard, "films") },
	} {
		t.Run("hard, by "+name, func(t *testing.T) {
			m, s := start(t)
			m.becomes(other, `"v1"`) // the same validator: only the purge tells
			s.partHit(body, 0, 10)
			by(s)
			s.part(other, 0, 10)
			s.part(other, slice, slice+10)
			if r := s.Get("/v"); r.Body != other {
				t.Errorf("the whole has old bytes: %s", show(r))
			}
		})
	}
	t.Run("revalidate", func(t *testing.T) {
		m, s := start(t)
		s.purgeAs(purge.ScopeURL, purge.Revalidate, s.URL+"/v")
		s.part(body, slice, slice+10)
		m.wantAsked(t, "validation", sliceRange(1, len(body))+` "v1"`)
		s.partHit(body, 0, 10)
		m.wantAsked(t, "the slices stay")
		m.becomes(other, `"v2"`)
		s.purgeAs(purge.ScopeURL, purge.Revalidate, s.URL+"/v")
		s.part(other, slice, slice+10)
		s.part(other, 0, 10)
	})
}

// TestSparseLifetime: a sparse object is stale as any other; its latest slice
// says how long it lives.
func TestSparseLifetime(t *testing.T) {
	body := noise(8, 3*slice)
	m := newMedia(t, body, `"v1"`)
	s := openMedia(t, m, edgetest.Config{})
	m.answer(func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Date", s.clock.Now().UTC().Format(http.TimeFormat))
		return false
	})
	s.part(body, 0, 10)
	s.advance(50)
	s.part(body, slice, slice+10)
	m.take()
	s.advance(20) // the first slice's answer is over, the second's is not
	s.partHit(body, 0, 10)
	s.advance(50)
	if r := s.part(body, 0, 10); isHit(r) {
		t.Errorf("a stale one is a hit: %s", show(r))
	}
	m.wantAsked(t, "validation", sliceRange(0, len(body))+` "v1"`)
	s.partHit(body, slice, slice+10)
	m.wantAsked(t, "after it")
}

// TestPartsThatCannotBeJoined: without a strong validator a part stays alone
// (RFC 9111, 3.4).
func TestPartsThatCannotBeJoined(t *testing.T) {
	body := noise(9, 3*slice)
	m := newMedia(t, body, `W/"weak"`)
	s := openMedia(t, m, edgetest.Config{})
	s.part(body, 0, 10)
	s.partHit(body, 5, 100)
	m.take()
	s.part(body, slice, slice+10)
	s.partHit(body, slice+5, slice+10)
	m.wantAsked(t, "another part", fmt.Sprintf("bytes=%d-%d", slice, 2*slice-1))
	s.part(body, slice-5, slice+5) // over a border: no part has both sides
	if r := s.Get("/v"); r.Body != body || isHit(r) {
		t.Errorf("the whole: %s", show(r))
	}
}

// TestContradictoryPart: a body shorter than its Content-Range says begins where
// it said; how long the whole is nobody knows.
func TestContradictoryPart(t *testing.T) {
	s := open(t, edgetest.Config{})
	s.origin.On("/v", edgetest.Text(206, "01234", fresh, "Content-Range: bytes 4-9/10"))
	for _, c := range []struct{ spec, body, where string }{
		{"-5", "01234", "bytes 4-9/10"}, // the origin's own answer to this very range
		{"-5", "01234", "bytes 4-8/*"},
		{"6-8", "234", "bytes 6-8/*"},
		{"6-", "234", "bytes 6-8/*"},
		{"4-4", "0", "bytes 4-4/*"},
	} {
		r := s.Get("/v", "Range: bytes="+c.spec)
		if r.Err != nil || r.Status != 206 || r.Body != c.body || r.Header.Get("Content-Range") != c.where {
			t.Errorf("bytes=%s: %s, Content-Range %q; want %q, %s", c.spec, show(r), r.Header.Get("Content-Range"), c.body, c.where)
		}
	}
	s.asked(1, "/v")
}

// TestPartThatWasNotAskedFor: what an origin makes of a client's own range is
// passed on; where it was asked for more, the client's own is asked for.
func TestPartThatWasNotAskedFor(t *testing.T) {
	s := open(t, edgetest.Config{})
	s.origin.On("/v", edgetest.Text(206, "01234", fresh, "Content-Range: bytes 0-4/10"), edgetest.Text(200, "0123456789", fresh))
	if r := s.Get("/v", "Range: bytes=-5"); r.Status != 206 || r.Body != "01234" || r.Header.Get("Content-Range") != "bytes 0-4/10" {
		t.Errorf("the origin's answer: %s", show(r))
	}
	s.asked(1, "/v")
	if r := s.Get("/v", "Range: bytes=0-1"); r.Status != 206 || r.Body != "01" || !isHit(r) {
		t.Errorf("what it has: %s", show(r))
	}
	if r := s.Get("/v", "Range: bytes=-5"); r.Status != 206 || r.Body != "56789" {
		t.Errorf("what it has not: %s", show(r))
	}
	s.hit("0123456789", "/v")
}

// TestSparseIfRange: a Range with another validator is for the whole.
func TestSparseIfRange(t *testing.T) {
	body := noise(10, 2*slice+5)
	m := newMedia(t, body, `"v1"`)
	s := openMedia(t, m, edgetest.Config{})
	s.part(body, 0, 10, `If-Range: "v1"`)
	s.partHit(body, 0, 10, `If-Range: "v1"`)
	if r := s.Get("/v", "Range: bytes=0-9", `If-Range: "other"`); r.Status != 200 || r.Body != body {
		t.Errorf("another validator: %s", show(r))
	}
	if r := s.Get("/v", "Range: bytes=0-9", `If-None-Match: "v1"`); r.Status != 304 {
		t.Errorf("a condition goes before the range: %s", show(r))
	}
	if r := s.Do("HEAD", "/v", ""); r.Status != 200 || r.Header.Get("Content-Length") != fmt.Sprint(len(body)) {
		t.Errorf("HEAD: %s", show(r))
	}
}

// TestSparseNotStored: a part that may not be stored is passed on, each client
// its own.
func TestSparseNotStored(t *testing.T) {
	body := noise(11, 3*slice)
	m := newMedia(t, body, `"v1"`)
	m.set("Cache-Control", "no-store")
	s := openMedia(t, m, edgetest.Config{})
	for i := range 3 {
		if r := s.part(body, slice-5, slice+5+i); isHit(r) {
			t.Errorf("a hit: %s", show(r))
		}
	}
	if r := s.Get("/v"); r.Body != body {
		t.Errorf("the whole: %s", show(r))
	}
	own := func(i int) string { return fmt.Sprintf("bytes=%d-%d", slice-5, slice+4+i) }
	m.wantAsked(t, "once to learn it, then what each client wants", "", sliceRange(0, len(body)), own(0), own(1), own(2))
}

// TestSparseLargerThanTheCache: an object that does not fit passes whole, as often
// as it is asked for, with slices that leave while they are wanted; nothing of it
// is held when nobody reads.
func TestSparseLargerThanTheCache(t *testing.T) {
	body := noise(15, 40<<20)
	m := newMedia(t, body, `"v1"`)
	s := openMedia(t, m, edgetest.Config{MemoryBytes: 16 << 20, Disk: t.TempDir(), DiskBytes: 24 << 20})
	s.part(body, 0, 10)
	for range 4 {
		if r := s.Get("/v"); r.Err != nil || r.Body != body {
			t.Errorf("the whole: %d bytes, error %v", len(r.Body), r.Err)
		}
	}
	s.settled()
	if d := s.Store.Stats().Disk; d.Leases != 0 || d.Live > d.Limit {
		t.Errorf("%d bodies are still lent, %d bytes of %d", d.Leases, d.Live, d.Limit)
	}
}

// TestSparseOverTheLimit: an object over limits.object is not put together.
func TestSparseOverTheLimit(t *testing.T) {
	body := noise(14, 3*slice)
	for _, over := range []int{0, 1} {
		m := newMedia(t, body, `"v1"`)
		s := openMedia(t, m, edgetest.Config{Edge: edge.Config{Limits: edge.Limits{Object: int64(len(body) - over)}}})
		s.part(body, 0, 10)
		s.part(body, slice, slice+10)
		m.take()
		r := s.part(body, 0, 10)
		if hit := isHit(r); hit != (over == 0) {
			t.Errorf("%d bytes over: hit %v, the origin was asked %q", over, hit, m.take())
		}
	}
}

// TestSparseCrowd: many who want one slice cost one request.
func TestSparseCrowd(t *testing.T) {
	body := noise(12, 4*slice)
	m := newMedia(t, body, `"v1"`)
	held := make(chan struct{})
	m.answer(func(http.ResponseWriter, *http.Request) bool { <-held; return false })
	s := openMedia(t, m, edgetest.Config{})
	var all []*client
	for i := range 20 {
		all = append(all, s.join("GET", "/v", fmt.Sprintf("Range: bytes=%d-%d", 2*slice+i, 3*slice+i)))
	}
	close(held)
	for i, c := range all {
		if r := c.answer(); r.Err != nil || r.Status != 206 || r.Body != body[2*slice+i:3*slice+i+1] {
			t.Errorf("client %d: %s", i, show(r))
		}
	}
	m.wantAsked(t, "a crowd", fmt.Sprintf("bytes=%d-%d", 2*slice, 3*slice-1), sliceRange(3, len(body))+` "v1"`)
}

// TestSparseDeadOrigin: what is there is served; what is not is an error, and
// no whole.
func TestSparseDeadOrigin(t *testing.T) {
	body := noise(13, 3*slice)
	m := newMedia(t, body, `"v1"`)
	s := openMedia(t, m, edgetest.Config{})
	s.part(body, 0, 10)
	m.Close()
	s.partHit(body, 0, 10)
	if r := s.Get("/v", fmt.Sprintf("Range: bytes=%d-%d", slice, slice+1)); r.Status != 502 {
		t.Errorf("a slice that is not there: %s", show(r))
	}
	if r := s.Get("/v"); r.Err == nil || r.Status != 200 || !strings.HasPrefix(body, r.Body) || len(r.Body) == len(body) {
		t.Errorf("the whole: %s", show(r))
	}
	s.partHit(body, 0, 10)
}
