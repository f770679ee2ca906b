package casetest

import (
	"fmt"
	"io"
	"math/rand/v2"
	"mime"
	"mime/multipart"
	"os/exec"
	"strings"
	"testing"

	"edgecache/edge/edgetest"
)

// manyParts reads a multipart/byteranges answer and gives its parts as "from-to":
// body, in order.
func manyParts(t *testing.T, r edgetest.Reply) (where, bodies []string) {
	t.Helper()
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/byteranges" || len(r.Header["Content-Type"]) != 1 || r.Header.Get("Content-Range") != "" {
		t.Fatalf("Content-Type %q, Content-Range %q: %v", r.Header["Content-Type"], r.Header.Get("Content-Range"), err)
	}
	if r.Header.Get("Content-Length") != fmt.Sprint(len(r.Body)) {
		t.Errorf("Content-Length %s of %d bytes", r.Header.Get("Content-Length"), len(r.Body))
	}
	parts := multipart.NewReader(strings.NewReader(r.Body), params["boundary"])
	for {
		p, err := parts.NextRawPart()
		if err == io.EOF {
			return where, bodies
		}
		if err != nil {
			t.Fatalf("after %d parts: %v", len(bodies), err)
		}
		body, err := io.ReadAll(p)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Header.Get("Content-Type"); got != "video/mp4" {
			t.Errorf("a part's Content-Type is %q", got)
		}
		where, bodies = append(where, p.Header.Get("Content-Range")), append(bodies, string(body))
	}
}

// wantParts demands several parts of /v: spec is a Range's list of from-last.
func (s *site) wantParts(body, spec string, lines ...string) edgetest.Reply {
	s.t.Helper()
	r := s.Get("/v", append([]string{"Range: bytes=" + spec}, lines...)...)
	if r.Err != nil || r.Status != 206 {
		s.t.Errorf("%s: %d, %v", spec, r.Status, r.Err)
		return r
	}
	where, bodies := manyParts(s.t, r)
	list := strings.Split(spec, ",")
	if len(list) != len(where) {
		s.t.Errorf("%s: parts %q", spec, where)
		return r
	}
	for i, one := range list {
		var from, last int
		fmt.Sscanf(one, "%d-%d", &from, &last)
		if want := fmt.Sprintf("bytes %d-%d/%d", from, last, len(body)); where[i] != want || bodies[i] != body[from:last+1] {
			s.t.Errorf("%s: part %d is %q with %d bytes, want %s", spec, i, where[i], len(bodies[i]), want)
		}
	}
	return r
}

// TestSeveralRanges: from memory, from disk, from slices and while the body
// arrives, each part has its bytes.
func TestSeveralRanges(t *testing.T) {
	small, large := noise(20, 100_000), noise(21, 3*slice)
	for name, c := range map[string]struct {
		body         string
		disk, sparse bool
	}{
		"memory": {body: small}, "disk, small": {body: small, disk: true},
		"disk, large": {body: large, disk: true}, "slices": {body: large, sparse: true},
		"slices on disk": {body: large, sparse: true, disk: true},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMedia(t, c.body, `"v1"`)
			config := edgetest.Config{}
			if c.disk {
				config.Disk = t.TempDir()
			}
			s := openMedia(t, m, config)
			n := len(c.body)
			specs := []string{
				"0-1,5-6", "5-6,0-1", fmt.Sprintf("0-0,%d-%d", n-1, n-1), fmt.Sprintf("%d-%d,10-20,30-40", n-5000, n-4000),
				fmt.Sprintf("%d-%d,%d-%d", n/3, n/3+9, n/3+10, n/2), fmt.Sprintf("%d-%d,0-99", n/2, n/2+70_000/3),
			}
			if !c.sparse {
				s.wantParts(c.body, specs[0]) // of the fill
				s.Get("/v")
			}
			if c.disk && !c.sparse {
				s.reshelve()
			}
			for _, spec := range specs {
				s.wantParts(c.body, spec)
			}
			if c.disk {
				s.reshelve()
			}
			for _, spec := range specs {
				if r := s.wantParts(c.body, spec); !isHit(r) {
					t.Errorf("%s is no hit: %s", spec, r.Header.Get("Cache-Status"))
				}
			}
		})
	}
}

// TestSeveralRangesOnTheirEdges: what is one part, what is the whole, what is
// nothing.
func TestSeveralRangesOnTheirEdges(t *testing.T) {
	body := noise(22, 10_000)
	m := newMedia(t, body, `"v1"`)
	s := openMedia(t, m, edgetest.Config{})
	s.Get("/v")
	if r := s.partOf(body, 5, "5-9,20000-", 10); r.Header.Get("Content-Type") != "video/mp4" {
		t.Errorf("one part is left: %s", show(r))
	}
	sixteen := make([]string, 16)
	for i := range sixteen {
		sixteen[i] = fmt.Sprintf("%d-%d", 10*i, 10*i+1)
	}
	s.wantParts(body, strings.Join(sixteen, ","))
	for name, spec := range map[string]string{
		"seventeen": strings.Join(append(sixteen, "9000-9001"), ","), "overlapping": "0-10,5-20",
		"more than the whole": "0-4999,5000-9999", "malformed": "0-1,x",
	} {
		if r := s.Get("/v", "Range: bytes="+spec); r.Status != 200 || r.Body != body || r.Header.Get("Content-Type") != "video/mp4" {
			t.Errorf("%s: %s", name, show(r))
		}
	}
	if r := s.Get("/v", "Range: bytes=10000-,20000-"); r.Status != 416 || r.Header.Get("Content-Range") != "bytes */10000" {
		t.Errorf("none is there: %s", show(r))
	}
	if r := s.Get("/v", "Range: bytes=0-1,5-6", `If-None-Match: "v1"`); r.Status != 304 || r.Header.Get("Content-Type") != "" {
		t.Errorf("a condition: %s", show(r))
	}
	if r := s.Get("/v", "Range: bytes=0-1,5-6", `If-Range: "other"`); r.Status != 200 || r.Body != body {
		t.Errorf("If-Range: %s", show(r))
	}
	s.wantParts(body, "0-1,5-6", `If-Range: "v1"`)
	if r := s.Do("HEAD", "/v", "", "Range: bytes=0-1,5-6"); r.Status != 200 || r.Header.Get("Content-Length") != "10000" {
		t.Errorf("HEAD: %s", show(r))
	}
	if rec := s.Record(s.wantParts(body, "0-1,5-6").ID()); rec.Status != 206 || rec.BodyBytes < 100 {
		t.Errorf("the log has status %d, %d bytes", rec.Status, rec.BodyBytes)
	}
}

// TestSeveralRangesOfAVariant: ranges are of the coded bytes of the variant that
// is selected.
func TestSeveralRangesOfAVariant(t *testing.T) {
	plain, coded := noise(23, 5000), noise(24, 4000)
	s := open(t, edgetest.Config{})
	s.origin.OnFunc("/v", func(r edgetest.Seen) edgetest.Answer {
		lines := []string{fresh, "Vary: Accept-Encoding", "Content-Type: video/mp4"}
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			return edgetest.Text(200, coded, append(lines, "Content-Encoding: gzip", `Etag: "z"`)...)
		}
		return edgetest.Text(200, plain, append(lines, `Etag: "p"`)...)
	})
	for range 2 {
		s.wantParts(coded, "0-1,3999-3999", "Accept-Encoding: gzip")
		s.wantParts(plain, "0-1,4999-4999")
		if r := s.Get("/v", "Range: bytes=0-9", "Accept-Encoding: gzip", `If-Range: "p"`); r.Status != 200 || r.Body != coded {
			t.Errorf("If-Range with the other variant's tag: %s", show(r))
		}
	}
}

// TestSeveralRangesAtRandom compares every part with the object.
func TestSeveralRangesAtRandom(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 3))
	body := noise(25, 2*slice+777)
	m := newMedia(t, body, `"v1"`)
	s := openMedia(t, m, edgetest.Config{Disk: t.TempDir()})
	for range 100 {
		n := 2 + random.IntN(6)
		at, list := 0, make([]string, 0, n)
		for range n {
			from := at + random.IntN(len(body)/n-1)
			at = min(from+1+random.IntN(len(body)/n/2), len(body))
			if from >= len(body) || at <= from {
				break
			}
			list = append(list, fmt.Sprintf("%d-%d", from, at-1))
		}
		if len(list) < 2 {
			continue
		}
		random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		s.wantParts(body, strings.Join(list, ","))
	}
}

// TestCurlWantsSeveralRanges: a real client's spelling.
func TestCurlWantsSeveralRanges(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not here")
	}
	body := "0123456789" + strings.Repeat("x", 1000)
	m := newMedia(t, body, `"v1"`)
	s := openMedia(t, m, edgetest.Config{})
	out, err := exec.Command("curl", "-sS", "-r", "0-1,5-6", s.URL+"/v").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "\r\n\r\n01\r\n--") || !strings.Contains(string(out), "\r\n\r\n56\r\n--") {
		t.Errorf("%v: %s", err, out)
	}
}
