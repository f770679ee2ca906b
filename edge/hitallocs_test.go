package edge

import (
	"io"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"edgecache/cachestore"
	"edgecache/policy"
	"edgecache/purge"
)

// nowhere is a lane that sends to nobody.
type nowhere struct{ sent, status int }

var _ Lane = (*nowhere)(nil)

func (l *nowhere) SendObject(_ *cachestore.Head, _ *cachestore.Body, v *View) error {
	l.sent, l.status = l.sent+1, v.Status
	return nil
}
func (l *nowhere) SendHead(_ *cachestore.Head, v *View) error { l.status = v.Status; return nil }
func (l *nowhere) Write([]byte) error                         { return nil }
func (l *nowhere) Flush() error                               { return nil }
func (l *nowhere) End(http.Header) error                      { return nil }
func (l *nowhere) Abort(error)                                {}
func (l *nowhere) Interim(int, http.Header) error             { return nil }
func (l *nowhere) Started() bool                              { return false }
func (l *nowhere) Gone() <-chan struct{}                      { return nil }
func (l *nowhere) Tunnel(*cachestore.Head, *View, io.ReadWriteCloser) error {
	return io.ErrClosedPipe
}

// put stores an object for http://a.test/x.
func put(t testing.TB, e *Engine) {
	t.Helper()
	now := time.Now().UnixNano()
	key, _ := policy.NewKey(nil, e.finder.seed, policy.URL{Scheme: "http", Host: []byte("a.test"), Path: []byte("/x")}, nil)
	h := http.Header{"Etag": {`"1"`}, "Content-Type": {"text/plain"}, "Vary": {"Accept-Encoding"}}
	v := &cachestore.Variant{
		Head: cachestore.NewHead(200, h, nil), Body: cachestore.NewBody(make([]byte, 1000)),
		Life: policy.Life{Born: now, Fresh: time.Hour, Explicit: true}, Vary: []string{"accept-encoding"},
		Tags: []uint64{1, 2, 3}, PurgeSeq: e.index.Now(), SharedAuth: true, Validators: validators(h), StoredAt: now,
	}
	v.Selector = policy.AppendSelector(nil, v.Vary, &policy.Ask{Fields: policy.Fields{{Name: []byte("Accept-Encoding"), Value: []byte("gzip")}}})
	if !e.store().Replace(key, nil, cachestore.NewResource(key, v)) {
		t.Fatal("not stored")
	}
}

// hits are requests that memory answers, and with what status.
var hits = []struct {
	name, method string
	status       int
	lines        [][2]string
}{
	{"plain", "GET", 200, nil},
	{"chosen out of more", "GET", 200, [][2]string{{"Accept-Encoding", "identity"}}},
	{"head", "HEAD", 200, nil},
	{"condition", "GET", 304, [][2]string{{"If-None-Match", `"1"`}}},
	{"failed condition", "GET", 412, [][2]string{{"If-Match", `"2"`}}},
	{"part", "GET", 206, [][2]string{{"Range", "bytes=10-19"}, {"If-Range", `"1"`}}},
	{"no such part", "GET", 416, [][2]string{{"Range", "bytes=5000-"}}},
	{"connection options", "GET", 200, [][2]string{{"Connection", "keep-alive"}, {"X-Forwarded-Host", "b.test"}}},
	{"authorization", "GET", 200, [][2]string{{"Authorization", "Bearer of nothing"}}},
	{"client's directives", "GET", 200, [][2]string{{"Cache-Control", "max-age=0"}, {"Pragma", "no-cache"}}},
}

// ask runs a request as a lane does.
func (l *nowhere) ask(e *Engine, s *Session, method string, fields policy.Fields) bool {
	q := &s.Request
	q.Method, q.HasHost, q.Host, q.Path = method, true, hostA, pathX
	q.Remote = loopback
	q.Fields = append(q.Fields[:0], fields...)
	done := e.Begin(s)
	e.Release(s)
	return done
}

var (
	hostA    = []byte("A.test")
	pathX    = []byte("/x")
	loopback = netip.MustParseAddrPort("127.0.0.1:1")
)

// TestHitsAllocateNothing: neither do hits after purges of other things, which
// pay once for looking at them.
func TestHitsAllocateNothing(t *testing.T) {
	e := newTestEngine(t)
	put(t, e)
	for _, c := range hits {
		t.Run(c.name, func(t *testing.T) {
			l := &nowhere{}
			s := e.NewSession(l)
			fields := policy.Fields{{Name: []byte("Accept-Encoding"), Value: []byte("gzip")}, {Name: []byte("User-Agent"), Value: []byte("test")}}
			for _, f := range c.lines {
				if f[0] == "Accept-Encoding" {
					fields[0].Value = []byte(f[1])
					continue
				}
				fields = append(fields, policy.Field{Name: []byte(f[0]), Value: []byte(f[1])})
			}
			once := func() {
				if !l.ask(e, s, c.method, fields) || l.status != c.status {
					t.Fatalf("status %d, want %d from memory", l.status, c.status)
				}
			}
			for range 300 { // every slot of explain has been used
				once()
			}
			if n := testing.AllocsPerRun(200, once); n > 0 {
				t.Errorf("%v allocations a hit", n)
			}
			e.cfg.Purges.Invalidate([]purge.Entry{purge.URLEntry(policy.URL{Scheme: "http", Host: hostA, Path: []byte("/other/" + c.name)}, purge.Hard)})
			if n := testing.AllocsPerRun(1, once); n > 0 {
				t.Errorf("%v allocations for a look at the purges", n)
			}
		})
	}
}

// BenchmarkHit is the phases of a hit, without a wire.
func BenchmarkHit(b *testing.B) {
	e := newTestEngine(b)
	put(b, e)
	l := &nowhere{}
	s := e.NewSession(l)
	fields := policy.Fields{{Name: []byte("Accept-Encoding"), Value: []byte("gzip")}, {Name: []byte("User-Agent"), Value: []byte("test")}}
	b.ReportAllocs()
	for b.Loop() {
		if !l.ask(e, s, "GET", fields) {
			b.Fatal("no hit")
		}
	}
}
