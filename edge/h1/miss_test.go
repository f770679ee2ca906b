package h1_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"path/filepath"
	"testing"
	"time"

	"edgecache/edge"
	"edgecache/edge/edgetest"
	"edgecache/edge/h1"
)

// bareOrigin answers every request with the same bytes and allocates nothing
// while it does. It gives its URL.
func bareOrigin(t testing.TB, control string, size int) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	answer := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nServer: bare\r\nDate: %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n"+
		"Last-Modified: Mon, 02 Nov 2026 10:00:00 GMT\r\nETag: \"1\"\r\nCache-Control: %s\r\n\r\n%s",
		time.Now().UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT"), size, control, bytes.Repeat([]byte("x"), size))
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				in, n := make([]byte, 4<<10), 0
				for {
					m, err := c.Read(in[n:])
					if err != nil {
						return
					}
					if n += m; !bytes.HasSuffix(in[:n], []byte("\r\n\r\n")) {
						continue
					}
					if n = 0; write(c, answer) != nil {
						return
					}
				}
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

func write(c net.Conn, b []byte) error {
	_, err := c.Write(b)
	return err
}

// missSocket starts an edge with log and metrics on, and returns a connection
// to it, on which a url is asked for that ends in ten digits.
func missSocket(t testing.TB, control string, size int) *socket {
	log, err := edge.OpenAccessLog(filepath.Join(t.TempDir(), "access.log"), edge.LogConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close(context.Background()) })
	h := edgetest.New(t, edgetest.Config{
		Wire:  func(e *edge.Engine) edgetest.Wire { return h1.New(e, h1.Config{}) },
		Peers: []string{bareOrigin(t, control, size)},
		Edge:  edge.Config{AccessLog: log},
	})
	conn, err := net.Dial("tcp", h.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &socket{conn: conn, request: fmt.Appendf(nil, browserGet, "/assets/0000000000")}
}

// next changes the number at the url's end to one that was not there yet.
func (s *socket) next() {
	at := bytes.IndexByte(s.request[len("GET "):], ' ') + len("GET ") - 1
	for ; s.request[at] == '9'; at-- {
		s.request[at] = '0'
	}
	s.request[at]++
}

// BenchmarkMiss is a request that goes to the origin, through real TCP sockets. What
// client and origin do, which both allocate nothing, is in the time.
func BenchmarkMiss(b *testing.B) {
	for _, c := range []struct {
		name, control string
		fresh         bool // each url is new
	}{
		{"stored", "max-age=3600", true},
		{"passed", "no-store", false},
	} {
		for _, size := range []int{1 << 10, 1 << 20} {
			b.Run(fmt.Sprintf("%s/%dKiB", c.name, size>>10), func(b *testing.B) {
				s := missSocket(b, c.control, size)
				if !c.fresh {
					s.measure(b) // it leaves a marker, and is the only one that says so
				}
				s.answer = make([]byte, s.measure(b))
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					if c.fresh {
						s.next()
					}
					s.ask(b)
				}
			})
		}
	}
}
