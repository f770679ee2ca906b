package casetest

import (
	"bufio"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"edgecache/edge/edgetest"
	"edgecache/edge/h1"
)

var _ = register(map[string]func(*testing.T){
	"range-amp":          rangeAmp,
	"range-small-origin": rangeSmallOrigin,
	"range-overflow":     rangeOverflow,
})

func rangeAmp(t *testing.T) {
	body := strings.Repeat("0123456789", 1000)
	odd := make([]string, 0, 1000)
	for i := range 1000 {
		odd = append(odd, fmt.Sprintf("%d-%d", 2*i, 2*i))
	}
	s := openWire(t, edgetest.Config{}, h1.Config{HeadBytes: 64 << 10})
	s.origin.On("/x", edgetest.Text(200, body, fresh, tagged))
	s.miss(body, "/x")
	for name, spans := range map[string]string{
		"a thousand wholes":   strings.TrimSuffix(strings.Repeat("0-,", 1000), ","),
		"a thousand bytes":    strings.Join(odd, ","),
		"seventeen":           strings.Join(odd[:17], ","),
		"overlapping":         "0-5000,4000-9000",
		"overlapping suffix":  "0-,-10",
		"two that touch":      "0-4,5-9",
		"empty members":       strings.Repeat(",", 500) + "0-0",
		"unsatisfiable, many": strings.TrimSuffix(strings.Repeat("99999-,", 1000), ","),
	} {
		for range 2 {
			got := s.Get("/x", "Range: bytes="+spans)
			if got.Err != nil || got.Status != 200 && got.Status != 206 && got.Status != 416 || len(got.Body) > len(body)*101/100 {
				t.Errorf("%s: %d bytes, %s", name, len(got.Body), show(got))
			}
			if got.Status == 200 && got.Body != body {
				t.Errorf("%s: a 200 that is not the whole", name)
			}
		}
	}
	s.asked(1, "/x")
}

// rangeSmallOrigin asks for one byte of an object that is too large to be
// kept, under ever new queries. Each costs the origin a bounded amount.
func rangeSmallOrigin(t *testing.T) {
	const size, requests, bound = 512 << 20, 8, 16 << 20
	var sent atomic.Int64
	o := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=600")
		w.Header().Set("Etag", `"giant"`)
		http.ServeContent(counted{w, &sent}, r, "giant.bin", time.Time{}, &zeros{size: size})
	}))
	defer o.Close()
	s := open(t, edgetest.Config{Peers: []string{o.URL}, MemoryBytes: 16 << 20})
	for i := range requests {
		got := s.Get(fmt.Sprintf("/giant.bin?n=%d", i), "Range: bytes=0-0")
		if got.Status != 206 || len(got.Body) != 1 || got.Header.Get("Content-Range") != fmt.Sprintf("bytes 0-0/%d", size) {
			t.Fatalf("request %d: %s", i, show(got))
		}
	}
	edgetest.Wait(t, "the end of all fetches", func() bool { return s.Store.Stats().FillBytes == 0 })
	if got := sent.Load(); got > requests*bound {
		t.Errorf("the origin sent %d bytes for %d bytes asked, want %d at most", got, requests, requests*bound)
	}
	far := s.Get("/giant.bin?far", fmt.Sprintf("Range: bytes=%d-%d", size-10, size-1))
	if far.Status != 206 || len(far.Body) != 10 {
		t.Errorf("a far range: %s", show(far))
	}
	if got := sent.Load(); got > (requests+1)*bound {
		t.Errorf("with a far range the origin sent %d bytes", got)
	}
}

// counted counts what is written.
type counted struct {
	http.ResponseWriter
	n *atomic.Int64
}

func (c counted) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.n.Add(int64(n))
	return n, err
}

// zeros reads as so many NULs.
type zeros struct{ size, at int64 }

func (z *zeros) Read(p []byte) (int, error) {
	n := copy(p, make([]byte, min(int64(len(p)), z.size-z.at)))
	z.at += int64(n)
	return n, nil
}

func (z *zeros) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case 0:
		z.at = offset
	case 1:
		z.at += offset
	default:
		z.at = z.size + offset
	}
	return z.at, nil
}

func rangeOverflow(t *testing.T) {
	const body = "0123456789"
	s := open(t, edgetest.Config{})
	s.origin.On("/x", edgetest.Text(200, body, fresh, tagged))
	for _, cold := range []bool{true, false} {
		for i, c := range []struct {
			span   string
			status int
			part   string
		}{
			{"18446744073709551615-", 416, ""},
			{"18446744073709551616-18446744073709551626", 416, ""},
			{"9223372036854775807-", 416, ""},
			{"-0", 416, ""},
			{"5-2", 200, body},
			{"10-", 416, ""},
			{"9-", 206, "9"},
			{"-18446744073709551617", 206, body},
			{"0-18446744073709551615", 206, body},
			{"0-9223372036854775807", 206, body},
			{"--5", 200, body},
			{"-", 200, body},
			{"+1-2", 200, body},
			{"1-+2", 200, body},
			{"0x1-2", 200, body},
			{"-5", 206, "56789"},
		} {
			path := "/x"
			if cold {
				path = fmt.Sprintf("/x?%d", i)
			}
			got := s.Get(path, "Range: bytes="+c.span)
			if got.Err != nil || got.Status != c.status || got.Body != c.part && c.status != 416 {
				t.Errorf("%s, cold %v: %s, want %d %q", c.span, cold, show(got), c.status, c.part)
			}
		}
		s.want(body, "/x")
	}
	for _, seen := range s.origin.Seen() {
		var from, last int
		asked := seen.Header.Get("Range")
		if n, _ := fmt.Sscanf(asked, "bytes=%d-%d", &from, &last); asked != "" && asked != "bytes=-5" && (n != 2 || from%slice != 0 || last+1-from != slice) {
			t.Errorf("%q went up with a fetch that may be stored, want a slice", asked)
		}
	}
	c := s.Dial()
	in := bufio.NewReader(c)
	s.Send(c, "GET /x HTTP/1.1\r\nHost: %s\r\nRange: bytes=2-3\r\nRange: bytes=4-5\r\n\r\n", s.Addr)
	if got := edgetest.Read(in, "GET"); got.Err != nil || got.Status >= 500 || len(got.Body) > len(body) {
		t.Errorf("two Range lines: %s", show(got))
	}
}
