package h1_test

import (
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync/atomic"
	"testing"

	"edgecache/edge"
	"edgecache/edge/edgetest"
	"edgecache/edge/h1"
)

const (
	streamBytes = 192 << 20
	streamBound = 48 << 20 // of heap above what was there: windows, buffers, garbage
)

// sand is a reader of n bytes whose pattern does not repeat on any round size.
type sand struct{ n, at int64 }

var grains = func() []byte {
	b := make([]byte, 1<<20+13)
	for i := range b {
		b[i] = byte(i*2654435761>>7) ^ byte(i>>13)
	}
	return b
}()

func (s *sand) Read(p []byte) (int, error) {
	if s.at >= s.n {
		return 0, io.EOF
	}
	n := copy(p[:min(int64(len(p)), s.n-s.at)], grains[s.at%int64(len(grains)):])
	s.at += int64(n)
	return n, nil
}

// peak samples the heap until stop, and gives its largest size above the start.
func peak() (stop func() int64) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	before := int64(m.HeapAlloc)
	var most atomic.Int64
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() {
		defer close(over)
		for ctx.Err() == nil {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most.Store(max(most.Load(), int64(m.HeapAlloc)-before))
			runtime.Gosched()
		}
	}()
	return func() int64 { cancel(); <-over; return most.Load() }
}

// TestLargeBodiesStream: bodies of any size pass in bounded memory, up and
// down, announced and chunked, stored or not, and arrive as they were.
func TestLargeBodiesStream(t *testing.T) {
	sum := func(r io.Reader) uint32 {
		h := crc32.NewIEEE()
		if _, err := io.CopyBuffer(h, struct{ io.Reader }{r}, make([]byte, 64<<10)); err != nil {
			t.Error(err)
		}
		return h.Sum32()
	}
	want := sum(&sand{n: streamBytes})
	var uploaded atomic.Uint32
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			uploaded.Store(sum(r.Body))
			return
		}
		w.Header().Set("Cache-Control", r.URL.Query().Get("control"))
		if r.URL.Path == "/announced" {
			w.Header().Set("Content-Length", fmt.Sprint(streamBytes))
		}
		_, _ = io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{&sand{n: streamBytes}}, make([]byte, 64<<10))
	}))
	defer origin.Close()
	h := edgetest.New(t, edgetest.Config{
		Wire:        func(e *edge.Engine) edgetest.Wire { return h1.New(e, h1.Config{}) },
		Peers:       []string{origin.URL},
		MemoryBytes: 8 << 20,
	})
	for _, path := range []string{"/announced?control=max-age=60", "/chunked?control=max-age=60", "/chunked?control=no-store"} {
		t.Run("down "+path, func(t *testing.T) {
			stop := peak()
			res, err := h.Client.Get(h.URL + path)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if got := sum(res.Body); got != want {
				t.Errorf("checksum %08x, want %08x", got, want)
			}
			if most := stop(); most > streamBound {
				t.Errorf("the heap grew by %d MiB, want at most %d", most>>20, streamBound>>20)
			}
		})
	}
	for _, length := range []int64{streamBytes, -1} {
		t.Run(fmt.Sprintf("up, length %d", length), func(t *testing.T) {
			stop := peak()
			r, err := http.NewRequest(http.MethodPost, h.URL+"/up", &sand{n: streamBytes})
			if err != nil {
				t.Fatal(err)
			}
			r.ContentLength = length
			res, err := h.Client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if got := uploaded.Load(); got != want {
				t.Errorf("checksum %08x, want %08x", got, want)
			}
			if most := stop(); most > streamBound {
				t.Errorf("the heap grew by %d MiB, want at most %d", most>>20, streamBound>>20)
			}
		})
	}
}
