package h1_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"testing"

	"edgecache/edge"
	"edgecache/edge/edgetest"
	"edgecache/edge/h1"
	"edgecache/policy"
)

// browserGet is a request as a browser sends it, but for its cookies.
const browserGet = "GET %s HTTP/1.1\r\nHost: www.example.test\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n" +
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\n" +
	"Accept-Encoding: gzip, deflate, br\r\nConnection: keep-alive\r\nReferer: http://www.example.test/\r\n\r\n"

// socket is one client connection that allocates nothing while it asks.
type socket struct {
	conn    net.Conn
	request []byte
	answer  []byte
}

// ask sends the request and reads an answer of the same length as the first.
func (s *socket) ask(t testing.TB) {
	if _, err := s.conn.Write(s.request); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(s.conn, s.answer); err != nil {
		t.Fatal(err)
	}
}

// hitSocket starts an edge with log and metrics on, and returns a connection
// on which a url of size bytes is a hit.
func hitSocket(t testing.TB, size int) *socket {
	body := bytes.Repeat([]byte("x"), size)
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=3600")
		w.Header().Set("Etag", `"1"`)
		w.Header().Set("Vary", "Accept-Encoding")
		w.Header().Set("Content-Length", strconv.Itoa(size))
		_, _ = w.Write(body)
	}))
	t.Cleanup(origin.Close)
	log, err := edge.OpenAccessLog(filepath.Join(t.TempDir(), "access.log"), edge.LogConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close(context.Background()) })
	h := edgetest.New(t, edgetest.Config{
		Wire:  func(e *edge.Engine) edgetest.Wire { return h1.New(e, h1.Config{}) },
		Peers: []string{origin.URL},
		Rules: policy.Rules{Heuristic: true},
		Edge:  edge.Config{AccessLog: log},
	})
	conn, err := net.Dial("tcp", h.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	s := &socket{conn: conn, request: fmt.Appendf(nil, browserGet, "/assets/app.js?v=3")}
	s.answer = make([]byte, s.learn(t))
	for range 100 { // past everything that happens once
		s.ask(t)
	}
	if !bytes.Contains(s.answer[:600], []byte("Cache-Status: edge; hit")) {
		t.Fatalf("not a hit: %.600q", s.answer)
	}
	return s
}

// learn asks twice and says how long the answer to a hit is. X-Request-Id, Age
// and the rest of its lifetime have the same length for a while.
func (s *socket) learn(t testing.TB) int {
	s.measure(t)
	return s.measure(t)
}

// measure asks once and says how long the answer was.
func (s *socket) measure(t testing.TB) int {
	if _, err := s.conn.Write(s.request); err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 0, 4096)
	for !bytes.HasSuffix(head, []byte("\r\n\r\n")) {
		one := [1]byte{}
		if _, err := io.ReadFull(s.conn, one[:]); err != nil {
			t.Fatal(err)
		}
		head = append(head, one[0])
	}
	_, after, _ := bytes.Cut(head, []byte("Content-Length: "))
	value, _, _ := bytes.Cut(after, []byte("\r\n"))
	length, err := strconv.Atoi(string(value))
	if err != nil {
		t.Fatalf("%q: %v", head, err)
	}
	if _, err := io.CopyN(io.Discard, s.conn, int64(length)); err != nil {
		t.Fatal(err)
	}
	return len(head) + length
}

// TestHitAllocs: a hit through a real TCP socket, with access log, metrics and
// explain on, allocates nothing.
func TestHitAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, size := range []int{1 << 10, 32 << 10, 256 << 10} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			s := hitSocket(t, size)
			if n := testing.AllocsPerRun(2000, func() { s.ask(t) }); n != 0 {
				t.Errorf("%v allocations a hit, want 0", n)
			}
		})
	}
}

// BenchmarkHit is a hit through a real TCP socket; the client's half of the
// system calls is in the figure.
func BenchmarkHit(b *testing.B) {
	for _, size := range []int{1 << 10, 32 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("memory/%dKiB", size>>10), func(b *testing.B) {
			s := hitSocket(b, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				s.ask(b)
			}
		})
	}
}
