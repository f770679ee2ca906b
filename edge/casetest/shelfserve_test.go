package casetest

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"edgecache/cachestore"
	"edgecache/edge"
	"edgecache/edge/edgetest"
)

// shelfCase is one way of asking for an object that is only on disk.
type shelfCase struct {
	name   string
	method string
	lines  []string
	status int
	from   int // of the body
	to     int // -1 is its end
	reads  int // chunks of the disk; -1 is at least one
}

var shelfCases = []shelfCase{
	{"whole", "GET", nil, 200, 0, -1, -1},
	{"a HEAD reads no body", "HEAD", nil, 200, 0, 0, 0},
	{"first byte", "GET", []string{"Range: bytes=0-0"}, 206, 0, 1, -1},
	{"over the border of two chunks", "GET", []string{fmt.Sprintf("Range: bytes=%d-%d", diskGrid-1, diskGrid)}, 206, diskGrid - 1, diskGrid + 1, -1},
	{"exactly a chunk", "GET", []string{fmt.Sprintf("Range: bytes=%d-%d", diskGrid, 2*diskGrid-1)}, 206, diskGrid, 2 * diskGrid, -1},
	{"from the middle on", "GET", []string{"Range: bytes=100001-"}, 206, 100_001, -1, -1},
	{"the last bytes", "GET", []string{"Range: bytes=-5"}, 206, -5, -1, -1},
	{"behind the end", "GET", []string{"Range: bytes=99999999-"}, 416, 0, 0, 0},
	{"If-None-Match that matches", "GET", []string{"If-None-Match: " + strong}, 304, 0, 0, 0},
	{"If-None-Match that does not", "GET", []string{`If-None-Match: "other"`}, 200, 0, -1, -1},
	{"If-Match that does not", "GET", []string{`If-Match: "other"`}, 412, 0, 0, 0},
	{"If-Match that matches, and a range", "GET", []string{"If-Match: " + strong, "Range: bytes=7-8"}, 206, 7, 9, -1},
	{"If-Range that matches", "GET", []string{"If-Range: " + strong, "Range: bytes=7-8"}, 206, 7, 9, -1},
	{"If-Range that does not", "GET", []string{`If-Range: "other"`, "Range: bytes=7-8"}, 200, 0, -1, -1},
	{"a condition under HEAD", "HEAD", []string{"If-None-Match: " + strong}, 304, 0, 0, 0},
}

const strong = `"v1"`

// TestDiskAnswersAsMemoryDoes: ranges, conditions and HEAD of what is only on
// disk, byte for byte.
func TestDiskAnswersAsMemoryDoes(t *testing.T) {
	for name, size := range map[string]int{"small": smallBody, "large": largeBody} {
		t.Run(name, func(t *testing.T) {
			s := shelve(t, edgetest.Config{DiskBytes: 256 << 20})
			body := func(i int) string { return noise(i, size) }
			path := func(i int) string { return fmt.Sprintf("/%d", i) }
			for i := range shelfCases {
				s.origin.On(path(i), edgetest.Text(200, body(i), fresh, tagged))
				s.miss(body(i), path(i))
				s.Settle()
			}
			s.reshelve()
			s.origin.Drop()
			for i, c := range shelfCases {
				s.askShelf(c, path(i), body(i))
			}
			if n := len(s.origin.Seen()); n != 0 {
				t.Errorf("the origin was asked %d times", n)
			}
			s.checkDisk(int64(len(shelfCases)))
		})
	}
}

func (s *site) askShelf(c shelfCase, path, body string) {
	s.t.Helper()
	to, from := c.to, c.from
	if to < 0 {
		to = len(body)
	}
	if from < 0 {
		from += len(body)
	}
	before := s.Store.Stats().Disk.Reads
	r := s.Do(c.method, path, "", c.lines...)
	reads := int(s.Store.Stats().Disk.Reads - before)
	if r.Err != nil || r.Status != c.status || r.Body != body[from:to] {
		s.t.Errorf("%s: %s of %d bytes, want %d with %d bytes, equal: %v",
			c.name, show(r), len(r.Body), c.status, to-from, r.Body == body[from:to])
	}
	if c.reads >= 0 && reads != c.reads || c.reads < 0 && reads == 0 {
		s.t.Errorf("%s: %d chunks were read, want %d", c.name, reads, c.reads)
	}
	s.tier(edge.TierDisk, r)
	wantRange, wantLength := "", strconv.Itoa(to-from)
	switch {
	case c.status == http.StatusPartialContent:
		wantRange = fmt.Sprintf("bytes %d-%d/%d", from, to-1, len(body))
	case c.status == http.StatusRequestedRangeNotSatisfiable:
		wantRange = fmt.Sprintf("bytes */%d", len(body))
	case c.method == http.MethodHead && c.status == http.StatusOK:
		wantLength = strconv.Itoa(len(body))
	}
	if got := r.Header.Get("Content-Range"); got != wantRange {
		s.t.Errorf("%s: Content-Range %q, want %q", c.name, got, wantRange)
	}
	if got := r.Header.Get("Content-Length"); c.status < 300 && got != wantLength {
		s.t.Errorf("%s: Content-Length %q, want %q", c.name, got, wantLength)
	}
}

// TestVariantsOverARestart: the request's values select among what is on disk.
func TestVariantsOverARestart(t *testing.T) {
	s := shelve(t, edgetest.Config{})
	s.origin.OnFunc("/x", func(r edgetest.Seen) edgetest.Answer {
		return edgetest.Text(200, "kind "+r.Header.Get("X-Kind"), fresh, "Vary: X-Kind")
	})
	for _, kind := range []string{"a", "b", "c"} {
		s.miss("kind "+kind, "/x", "X-Kind: "+kind)
	}
	s.reshelve()
	for _, kind := range []string{"b", "a", "c"} {
		s.fromDisk("kind "+kind, "/x", "X-Kind: "+kind)
	}
	s.asked(3, "/x")
	if r := s.miss("kind d", "/x", "X-Kind: d"); s.Record(r.ID()).Reason.String() != "vary_miss" {
		t.Errorf("a fourth value: %s", show(r))
	}
	s.reshelve()
	for _, kind := range []string{"a", "b", "c", "d"} {
		s.fromDisk("kind "+kind, "/x", "X-Kind: "+kind)
	}
	s.checkDisk(4)
}

// TestAuthorizationOverARestart: who may share a stored answer is stored with it.
func TestAuthorizationOverARestart(t *testing.T) {
	s := shelve(t, edgetest.Config{})
	s.origin.On("/public", edgetest.Text(200, "for all", "Cache-Control: public, max-age=600"))
	s.origin.On("/plain", edgetest.Text(200, "for all others", fresh))
	s.miss("for all", "/public", "Authorization: me")
	s.miss("for all others", "/plain")
	s.reshelve()
	s.fromDisk("for all", "/public", "Authorization: you")
	s.hit("for all", "/public")
	if r := s.miss("for all others", "/plain", "Authorization: you"); s.Record(r.ID()).Reason.String() != "authorization" {
		t.Errorf("with Authorization: %s", show(r))
	}
	s.hit("for all others", "/plain")
}

// TestTrailersOverARestart: what followed a body is stored with it.
func TestTrailersOverARestart(t *testing.T) {
	for name, size := range map[string]int{"small": smallBody, "large": largeBody} {
		t.Run(name, func(t *testing.T) {
			s := shelve(t, edgetest.Config{})
			body := noise(1, size)
			s.origin.On("/x", edgetest.Script(edgetest.Bytes("HTTP/1.1 200 OK\r\n"+fresh+"\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"+
				fmt.Sprintf("%x\r\n%s\r\n0\r\nX-Sum: 42\r\n\r\n", size, body))))
			s.miss(body, "/x")
			s.reshelve()
			s.fromDisk(body, "/x")
			var got []string
			s.Store.Each(func(r *cachestore.Resource) bool {
				for _, v := range r.Variants {
					got = append(got, v.Body.Trailer.Get("X-Sum"))
				}
				return true
			})
			if strings.Join(got, " ") != "42" {
				t.Errorf("trailers %q, want 42", got)
			}
		})
	}
}
