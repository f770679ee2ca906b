package h3

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"

	"github.com/quic-go/quic-go/http3"

	"edgecache/edge"
	"edgecache/edge/edgetest"
)

// TestMissThenHit: the second answer is from memory, whole, in part, as a HEAD,
// and as a 304; the log tells the protocol.
func TestMissThenHit(t *testing.T) {
	w := start(t, Config{})
	c := dial(t, w.addr)
	if a := c.must("GET", "/x?q=1", ""); a.StatusCode != 200 || a.body != "from the origin" || !strings.Contains(a.Header.Get("Cache-Status"), "fwd=") {
		t.Fatalf("miss: %d %q %v", a.StatusCode, a.body, a.Header)
	}
	for _, x := range []struct {
		name, method, line string
		status             int
		body, length       string
	}{
		{"whole", "GET", "", 200, "from the origin", "15"},
		{"head", "HEAD", "", 200, "", "15"},
		{"range", "GET", "Range: bytes=5-7", 206, "the", "3"},
		{"not modified", "GET", `If-None-Match: "one"`, 304, "", ""},
		{"range beyond", "GET", "Range: bytes=99-", 416, "", "0"},
	} {
		var lines []string
		if x.line != "" {
			lines = []string{x.line}
		}
		a := c.must(x.method, "/x?q=1", "", lines...)
		if a.StatusCode != x.status || a.body != x.body || a.Header.Get("Content-Length") != x.length {
			t.Errorf("%s: %d %q, length %q; want %d %q %q", x.name, a.StatusCode, a.body, a.Header.Get("Content-Length"), x.status, x.body, x.length)
		}
		if x.status != 416 && (!strings.Contains(a.Header.Get("Cache-Status"), "hit") || a.Header.Get("Age") == "") {
			t.Errorf("%s is no hit: %v", x.name, a.Header)
		}
		if len(a.Header["Date"]) > 1 || a.Header.Get("Connection") != "" {
			t.Errorf("%s: %v", x.name, a.Header)
		}
	}
	if n := w.origin.Asked("/x"); n != 1 {
		t.Errorf("the origin was asked %d times, want once", n)
	}
	list := w.Records.Wait(t, "six lines", func(l []edge.Record) bool { return len(l) == 6 })
	for _, r := range list {
		if r.Proto != edge.HTTP3 || r.Scheme != "https" || string(r.Host) != "edge.test" || string(r.Client) != "127.0.0.1" {
			t.Errorf("logged %v %s %s %s", r.Proto, r.Scheme, r.Host, r.Client)
		}
	}
}

// TestBodies: a body goes up whole, with its length or without, and one that is
// not there is not made up.
func TestBodies(t *testing.T) {
	w := start(t, Config{})
	c := dial(t, w.addr)
	long := strings.Repeat("0123456789", 20_000)
	for _, x := range []struct {
		name, method string
		body         io.Reader
		length       int64
		want, framed string
	}{
		{"with a length", "POST", strings.NewReader(long), int64(len(long)), long, "200000"},
		{"without", "POST", strings.NewReader(long), -1, long, ""},
		{"empty", "POST", nil, 0, "", "0"},
		{"deletes nothing more", "DELETE", nil, 0, "", ""},
		{"under GET", "GET", strings.NewReader("odd"), 3, "odd", "3"},
	} {
		w.origin.Drop()
		q := c.request(x.method, "/post", x.body)
		q.ContentLength = x.length
		if a := c.try(q); a.err != nil || a.StatusCode != 200 {
			t.Fatalf("%s: %+v", x.name, a)
		}
		seen := w.origin.Seen()
		if len(seen) != 1 || string(seen[0].Body) != x.want {
			t.Fatalf("%s: the origin saw %d requests, %d bytes", x.name, len(seen), len(seen[0].Body))
		}
		if got := seen[0].Header.Get("Content-Length"); got != x.framed && !(x.framed == "0" && got == "") {
			t.Errorf("%s: Content-Length %q went up, want %q", x.name, got, x.framed)
		}
	}
}

// TestTrailers go down behind a body, on the miss and on the hit; a client's
// are checked and dropped.
func TestTrailers(t *testing.T) {
	w := start(t, Config{})
	w.origin.On("/t", edgetest.Script(edgetest.Bytes("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTrailer: X-Sum\r\n"+
		"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nX-Sum: 42\r\n\r\n")))
	c := dial(t, w.addr)
	for _, want := range []string{"fwd=", "hit"} {
		a := c.must("GET", "/t", "")
		if a.body != "body" || a.Trailer.Get("X-Sum") != "42" || !strings.Contains(a.Header.Get("Cache-Status"), want) {
			t.Errorf("want %s: %q %v, trailer %v", want, a.body, a.Header, a.Trailer)
		}
	}
	q := c.request("POST", "/up", strings.NewReader("up"))
	q.ContentLength = -1
	q.Trailer = http.Header{"X-Up": {"1"}}
	if a := c.try(q); a.err != nil || a.StatusCode != 200 {
		t.Fatalf("%+v", a)
	}
	if s := w.origin.Seen(); string(s[len(s)-1].Body) != "up" {
		t.Errorf("the origin saw %q", s[len(s)-1].Body)
	}
}

// TestInterim: a 103 comes before the answer, and a 100 before the body.
func TestInterim(t *testing.T) {
	w := start(t, Config{})
	w.origin.On("/early", edgetest.Script(
		edgetest.Bytes("HTTP/1.1 103 Early Hints\r\nLink: </s.css>; rel=preload\r\n\r\n"),
		edgetest.Whole(edgetest.Text(200, "late"))))
	c := dial(t, w.addr)
	var codes []int
	var link string
	trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		codes = append(codes, code)
		if code == 103 {
			link = h.Get("Link")
		}
		return nil
	}}
	q := c.request("GET", "/early", nil)
	a := c.try(q.WithContext(httptrace.WithClientTrace(t.Context(), trace)))
	if a.err != nil || a.body != "late" || len(codes) != 1 || link == "" || a.Header.Get("Link") != "" {
		t.Errorf("interim %v with %q, then %+v", codes, link, a)
	}
	codes = nil
	q = c.request("POST", "/up", strings.NewReader("wait"), "Expect: 100-continue")
	a = c.try(q.WithContext(httptrace.WithClientTrace(t.Context(), trace)))
	if a.err != nil || a.StatusCode != 200 || len(codes) != 1 || codes[0] != 100 {
		t.Errorf("interim %v, then %+v", codes, a)
	}
}

// TestPurge: the method works as over the other wires.
func TestPurge(t *testing.T) {
	w := start(t, Config{}, func(c *edgetest.Config) { c.Edge.Token = "the-token-of-this-test" })
	c := dial(t, w.addr)
	c.must("GET", "/p", "")
	if a := c.must("PURGE", "/p", "", "Authorization: Bearer wrong"); a.StatusCode != 405 {
		t.Errorf("a wrong token: %d", a.StatusCode)
	}
	if a := c.must("PURGE", "/p", "", "Authorization: Bearer the-token-of-this-test"); a.StatusCode != 200 {
		t.Errorf("purge: %d %q", a.StatusCode, a.body)
	}
	if a := c.must("GET", "/p", ""); strings.Contains(a.Header.Get("Cache-Status"), "hit") || w.origin.Asked("/p") != 2 {
		t.Errorf("after the purge: %v", a.Header)
	}
}

// TestAbort: an answer that breaks off at the origin is a reset stream here,
// with a length and without.
func TestAbort(t *testing.T) {
	w := start(t, Config{})
	w.origin.On("/length", edgetest.Script(edgetest.Bytes("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"), edgetest.Cut()))
	w.origin.On("/chunks", edgetest.Script(edgetest.Bytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"), edgetest.Reset()))
	c := dial(t, w.addr)
	for _, path := range []string{"/length", "/chunks"} {
		a := c.try(c.request("GET", path, nil))
		var broken *http3.Error
		if !errors.As(a.err, &broken) || broken.ErrorCode != http3.ErrCodeInternalError {
			t.Errorf("%s: %v, want a reset stream", path, a.err)
		}
	}
	if a := c.must("GET", "/whole", ""); a.StatusCode != 200 {
		t.Errorf("afterwards: %d", a.StatusCode)
	}
	if n := w.server.Stats().Aborted; n != 2 {
		t.Errorf("%d aborted, want 2", n)
	}
}

// TestClientLeaves: what is not to be stored is not fetched for nobody.
func TestClientLeaves(t *testing.T) {
	reached, cut := make(chan struct{}), make(chan struct{})
	slow := edgetest.NewRawOrigin(t, func(c net.Conn) {
		if _, err := edgetest.ReadHead(c); err != nil {
			return
		}
		close(reached)
		_, _ = io.Copy(io.Discard, c)
		close(cut)
	})
	w := start(t, Config{}, func(c *edgetest.Config) { c.Peers = []string{slow} })
	c := dial(t, w.addr)
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan answer, 1)
	go func() { over <- c.try(c.request("DELETE", "/slow", nil).WithContext(ctx)) }()
	edgetest.Receive(t, "the origin is asked", reached)
	cancel()
	<-over
	edgetest.Receive(t, "the origin's connection is cut", cut)
	list := w.Records.Wait(t, "it is logged", func(l []edge.Record) bool { return len(l) == 1 })
	if list[0].Status != 499 {
		t.Errorf("logged %d %s, want 499", list[0].Status, list[0].Error)
	}
}

// TestLarge: 64 MiB, stored and from the store, reach a reader that stops again
// and again.
func TestLarge(t *testing.T) {
	const size = 64 << 20
	w := start(t, Config{}, func(c *edgetest.Config) { c.MemoryBytes = 1 << 30 })
	big := strings.Repeat("0123456789abcdef", size/16)
	w.origin.On("/big", edgetest.Text(200, big, "Cache-Control: max-age=60"))
	c := dial(t, w.addr)
	for _, want := range []string{"fwd=", "hit"} {
		res, err := c.RoundTrip(c.request("GET", "/big", nil))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(res.Header.Get("Cache-Status"), want) {
			t.Errorf("Cache-Status %q, want %s", res.Header.Get("Cache-Status"), want)
		}
		part, got := make([]byte, 1<<20), 0
		for {
			n, err := io.ReadFull(res.Body, part)
			if string(part[:n]) != big[got:got+n] {
				t.Fatalf("%s: other bytes after %d", want, got)
			}
			got += n
			if err != nil {
				break
			}
			if got%(8<<20) == 0 { // so slow that other requests pass
				c.must("GET", "/small", "")
			}
		}
		res.Body.Close()
		if got != size {
			t.Fatalf("%s: %d bytes, want %d", want, got, size)
		}
	}
}
