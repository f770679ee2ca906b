package h2_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"

	"edgecache/edge"
	"edgecache/edge/edgetest"
	"edgecache/edge/h1"
	"edgecache/edge/h2"
)

// hitter is one connection that asks for the same over and over, and allocates nothing
// while it does.
type hitter struct {
	conn   net.Conn
	block  []byte // the request's header block
	again  []byte // the same from the table
	next   uint32
	frames []byte
	in     []byte
	server *h2.Server
}

// newHitter starts an edge with log and metrics on, and returns a connection on which a url
// of size bytes is a hit.
func newHitter(t testing.TB, size int) *hitter {
	origin := edgetest.NewOrigin(t)
	origin.On("*", edgetest.Text(200, strings.Repeat("x", size), "Cache-Control: max-age=3600", `ETag: "1"`, "Vary: Accept-Encoding"))
	log, err := edge.OpenAccessLog(filepath.Join(t.TempDir(), "access.log"), edge.LogConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close(context.Background()) })
	w := &hitter{next: 1, in: make([]byte, 64<<10)}
	h := edgetest.New(t, edgetest.Config{
		Wire: func(e *edge.Engine) edgetest.Wire {
			w.server = h2.New(e, h2.Config{})
			return h1.New(e, h1.Config{HTTP2: w.server})
		},
		Peers: []string{origin.URL}, Edge: edge.Config{AccessLog: log},
	})
	if w.conn, err = net.Dial("tcp", h.Addr); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.conn.Close() })
	w.greet(t)
	w.ask(t, 1)
	w.block = w.again
	for range 20 { // past everything that happens once
		w.ask(t, 32)
	}
	return w
}

// greet says the preface, and makes the request's block: as it is sent at first, and again,
// when all of it is in the table.
func (w *hitter) greet(t testing.TB) {
	hello := []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x04\x00\x10\x00\x00" + // a window of 1 MiB
		"\x00\x00\x04\x08\x00\x00\x00\x00\x00\x7f\x00\x00\x00") // and nearly 2 GiB for the connection
	if _, err := w.conn.Write(hello); err != nil {
		t.Fatal(err)
	}
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	encode := func() {
		block.Reset()
		for _, f := range [][2]string{
			{":method", "GET"}, {":scheme", "http"}, {":authority", "www.example.test"}, {":path", "/assets/app.js?v=3"},
			{"user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"},
			{"accept", "*/*"}, {"accept-encoding", "gzip, deflate, br"}, {"priority", "u=2"},
		} {
			_ = encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
		}
		w.block = bytes.Clone(block.Bytes())
	}
	encode()
	first := w.block
	encode()
	w.block, w.again = first, w.block
}

// ask sends so many requests at once and reads their answers.
func (w *hitter) ask(t testing.TB, n int) {
	w.frames = w.frames[:0]
	for range n {
		w.frames = append(w.frames, 0, byte(len(w.block)>>8), byte(len(w.block)), 1, 5)
		w.frames = binary.BigEndian.AppendUint32(w.frames, w.next)
		w.frames = append(w.frames, w.block...)
		w.next += 2
	}
	if _, err := w.conn.Write(w.frames); err != nil {
		t.Fatal(err)
	}
	for n > 0 {
		head := w.in[:9]
		if _, err := io.ReadFull(w.conn, head); err != nil {
			t.Fatal(err)
		}
		size := int(head[0])<<16 | int(head[1])<<8 | int(head[2])
		kind, flags := head[3], head[4]
		if kind == 3 || kind == 7 {
			t.Fatalf("a frame of type %d", kind)
		}
		if _, err := io.ReadFull(w.conn, w.in[:size]); err != nil {
			t.Fatal(err)
		}
		if kind == 0 && flags&1 != 0 {
			n--
		}
	}
}

// TestHitAllocs: hits through a real socket, with access log, metrics and explain on,
// allocate nothing, and none needs a goroutine.
func TestHitAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, size := range []int{1 << 10, 32 << 10} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			w := newHitter(t, size)
			before := w.server.Stats()
			if n := testing.AllocsPerRun(200, func() { w.ask(t, 32) }); n >= 1 {
				t.Errorf("%v allocations for 32 hits, want none", n)
			}
			after := w.server.Stats()
			if asked := after.Requests - before.Requests; size == 1<<10 && after.Inline-before.Inline != asked {
				t.Errorf("%d of %d hits were answered where they were read, want all", after.Inline-before.Inline, asked)
			}
		})
	}
}

// BenchmarkHit is 32 hits at once on one connection in the clear; the client's half of the
// system calls is in the figure.
func BenchmarkHit(b *testing.B) {
	for _, size := range []int{1 << 10, 32 << 10} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			w := newHitter(b, size)
			b.SetBytes(32 * int64(size))
			b.ReportAllocs()
			for b.Loop() {
				w.ask(b, 32)
			}
		})
	}
}
