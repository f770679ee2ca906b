package origin

import (
	"bufio"
	"bytes"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// outcome is everything that the scanner says about a stream.
type outcome struct {
	used   int // bytes that belong to the answer; not compared after a fault in it
	state  scanState
	reason string
}

// play feeds b to a new scanner in the pieces that cut chooses.
func play(method string, b []byte, cut func(left int) int) outcome {
	s := scanner{maxBytes: 2 << 10, maxLines: 20}
	s.begin(method)
	o := outcome{}
	for len(b) > 0 && s.fault == nil {
		n := cut(len(b))
		o.used += s.scan(b[:n])
		b = b[n:]
	}
	o.state = s.state
	if s.fault != nil {
		o.reason = s.fault.reason
		if o.reason != ReasonSurplus {
			o.used = 0
		}
	}
	return o
}

func whole(left int) int { return left }
func bytewise(int) int   { return 1 }

func random(seed uint64) func(int) int {
	r := rand.New(rand.NewPCG(seed, 1))
	return func(left int) int { return 1 + r.IntN(left) }
}

// checkSplits fails when two ways of cutting the stream give two verdicts.
func checkSplits(t *testing.T, method string, b []byte, seed uint64) outcome {
	t.Helper()
	want := play(method, b, whole)
	for name, cut := range map[string]func(int) int{"bytewise": bytewise, "random": random(seed)} {
		if got := play(method, b, cut); got != want {
			t.Errorf("%s: %+v, whole: %+v\n%q", name, got, want, b)
		}
	}
	return want
}

func TestScanSplits(t *testing.T) {
	for _, c := range readCases(t) {
		for seed := range uint64(5) {
			checkSplits(t, "GET", []byte(c.bytes(t))[:min(len(c.bytes(t)), 8<<10)], seed)
		}
	}
}

// FuzzHead: whatever the bytes, the scanner does not panic, comes to the same
// verdict for every way of cutting them, and what it accepts net/http accepts
// too, with the same status, framing and end.
func FuzzHead(f *testing.F) {
	for _, raw := range []string{
		hello,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nA: b\r\n\r\n",
		"HTTP/1.0 200 OK\r\nA: b\r\n\r\nhello",
		"HTTP/1.1 103 E\r\nLink: <a>\r\n\r\nHTTP/1.1 204 N\r\n\r\n",
		"HTTP/1.1 304 N\r\nContent-Length: 5\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.1 101 S\r\nUpgrade: x\r\n\r\n\x00",
		"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
		"HTTP/1.1 099 X\r\n\r\n",
		"HTTP/1.1 200 OK\nA: b\n\n",
	} {
		f.Add([]byte(raw), false, uint64(1))
		f.Add([]byte(raw), true, uint64(2))
	}
	for _, c := range readCases(f) {
		raw := c.bytes(f)
		f.Add([]byte(raw[:min(len(raw), 8<<10)]), false, uint64(3))
	}
	f.Fuzz(func(t *testing.T, b []byte, head bool, seed uint64) {
		method := "GET"
		if head {
			method = "HEAD"
		}
		o := checkSplits(t, method, b, seed)
		if o.reason == "" || o.reason == ReasonSurplus {
			compare(t, method, b, o)
		}
	})
}

// compare reads with net/http what the scanner accepted.
func compare(t *testing.T, method string, b []byte, o outcome) {
	t.Helper()
	if o.state == scanHead {
		return // the head is not complete
	}
	src := bytes.NewReader(b[:o.used])
	br := bufio.NewReader(src)
	req := &http.Request{Method: method}
	for {
		res, err := http.ReadResponse(br, req)
		if err != nil {
			t.Fatalf("net/http refuses what passed: %v\n%q", err, b)
		}
		if res.StatusCode < 200 && res.StatusCode != http.StatusSwitchingProtocols {
			continue
		}
		compareBody(t, res, o, br)
		return
	}
}

func compareBody(t *testing.T, res *http.Response, o outcome, rest io.Reader) {
	t.Helper()
	if o.state == scanTunnel {
		if res.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("tunnel for %d", res.StatusCode)
		}
		return
	}
	chunked := slices.Contains(res.TransferEncoding, "chunked")
	switch o.state {
	case scanLength:
		if res.ContentLength <= 0 {
			t.Errorf("length %d", res.ContentLength)
		}
	case scanSize, scanData, scanDataCR, scanDataLF, scanTrailer:
		if !chunked {
			t.Error("not chunked")
		}
	case scanClose:
		if res.ContentLength != -1 || chunked {
			t.Errorf("length %d, chunked %v", res.ContentLength, chunked)
		}
	}
	_, err := io.Copy(io.Discard, res.Body)
	if ended := o.state == scanIdle || o.state == scanClose; ended != (err == nil) {
		t.Errorf("the scanner is in state %d, net/http says %v", o.state, err)
	}
	if n, _ := io.Copy(io.Discard, rest); o.state == scanIdle && n > 0 {
		t.Errorf("net/http left %d bytes", n)
	}
}

func BenchmarkScan(b *testing.B) {
	head := []byte("HTTP/1.1 200 OK\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nContent-Type: text/html\r\n" +
		"Cache-Control: public, max-age=600\r\nETag: \"" + strings.Repeat("a", 32) + "\"\r\nServer: x\r\n" +
		"Content-Length: 32768\r\n\r\n")
	answer := append(head, make([]byte, 32768)...)
	s := scanner{maxBytes: 64 << 10, maxLines: 500}
	b.SetBytes(int64(len(answer)))
	b.ReportAllocs()
	for b.Loop() {
		s.begin("GET")
		s.scan(answer)
		if !s.complete() {
			b.Fatal("not complete")
		}
	}
}
