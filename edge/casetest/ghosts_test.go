package casetest

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"testing"

	"edgecache/bench"
	"edgecache/cachestore"
	"edgecache/edge"
	"edgecache/edge/edgetest"
)

// made is a workload of a skewed popularity and lognormal sizes.
func made(t *testing.T, requests int) *bench.Workload {
	t.Helper()
	var text bytes.Buffer
	err := bench.Gen(&text, bench.GenConfig{Requests: requests, Seed: 7, Zipf: 0.9, MedianSize: 8 << 10, Sigma: 1.2, HeavyShare: -1, MaxSize: 512 << 10})
	if err != nil {
		t.Fatal(err)
	}
	w, err := bench.Load(&text, bench.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// sized is an origin whose answers are as long as size= in the url says.
func sized(t *testing.T) string {
	body := bytes.Repeat([]byte("0123456789abcdef"), 32<<10)
	return edgetest.NewRawOrigin(t, func(c net.Conn) {
		out := bufio.NewWriterSize(c, 64<<10)
		for in := bufio.NewReader(c); ; {
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			n, _ := strconv.Atoi(r.URL.Query().Get("size"))
			fmt.Fprintf(out, "HTTP/1.1 200 OK\r\n%s\r\nContent-Length: %d\r\n\r\n", fresh, n)
			out.Write(body[:n])
			if out.Flush() != nil {
				return
			}
		}
	})
}

// replay asks a site for a workload on a few connections.
func (s *site) replay(w *bench.Workload) {
	const clients = 4
	var all sync.WaitGroup
	for client := range clients {
		all.Go(func() {
			c, err := net.Dial("tcp", s.Addr)
			if err != nil {
				s.t.Error(err)
				return
			}
			defer c.Close()
			in := bufio.NewReaderSize(c, 64<<10)
			for i := client; i < len(w.Requests); i += clients {
				fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: a.test\r\n\r\n", w.ObjectPath(w.Requests[i]))
				r, err := http.ReadResponse(in, nil)
				if err != nil {
					s.t.Error(err)
					return
				}
				if _, err := io.Copy(io.Discard, r.Body); err != nil || r.StatusCode != 200 {
					s.t.Error(r.Status, err)
					return
				}
			}
		})
	}
	all.Wait()
}

// told waits until the ghosts have been asked for all that waited, and returns what they
// say.
func (s *site) told() (v *edge.GhostsView) {
	s.t.Helper()
	edgetest.Wait(s.t, "the ghosts", func() bool {
		v = s.Engine.Ghosts()
		return v.Waiting == 0
	})
	return v
}

// haunted replays a workload over a store, and returns what its ghosts say.
func haunted(t *testing.T, w *bench.Workload, memory, disk, bytes int64) *edge.GhostsView {
	t.Helper()
	c := edgetest.Config{Peers: []string{sized(t)}, MemoryBytes: memory, DiskBytes: disk, Edge: edge.Config{
		AccessLog: deaf{},
		Ghosts: edge.GhostConfig{ // nothing fades: all of one run is compared with all of another
			Store: cachestore.VirtualConfig{Memory: memory, Disk: disk}, Bytes: bytes, Samples: math.MaxInt32, Span: math.MaxInt32,
		},
	}}
	opened := open
	if disk > 0 {
		c.Edge.Ghosts.Queue, opened = memory/16, shelve
	}
	s := opened(t, c)
	s.replay(w)
	v := s.told()
	t.Logf("memory %d MiB, disk %d MiB: one object in %.0f, %d requests, %d sampled, %d dropped; hit ratio %.4f, bytes %.4f, bias %+.4f",
		memory>>20, disk>>20, 1/v.Rate, v.Requests, v.Sampled, v.Dropped, v.HitRatio, v.ByteHitRatio, v.Bias)
	if v.Restarts != 0 || v.Dropped > v.Sampled/50 || v.Bytes > v.Limit {
		t.Errorf("the ghosts were not as they should be: %+v", v)
	}
	return v
}

// of is the ghost with so many times the memory and the disk.
func of(t *testing.T, v *edge.GhostsView, memory, disk float64) edge.GhostView {
	t.Helper()
	for _, g := range v.Ghosts {
		if g.Memory == memory && g.Disk == disk && g.Objective == "objects" {
			return g
		}
	}
	t.Fatalf("no ghost has %v times the memory, %v times the disk: %+v", memory, disk, v)
	return edge.GhostView{}
}

// TestGhostsPredict: what a ghost says of another size is what a store of that size does
// with the same workload. A sample may be wrong by what it says of its error, beside
// the tolerance.
func TestGhostsPredict(t *testing.T) {
	n := 30_000
	if raced {
		n = 3_000 // sync.Pool loses things at random: only that it runs
	}
	w := made(t, n)
	const size, tolerance = 8 << 20, 0.02
	small, large := haunted(t, w, size, 0, 0), haunted(t, w, 2*size, 0, 0)
	part := haunted(t, w, 2*size, 0, 15<<20)
	if small.Rate != 1 || large.Rate != 1 || part.Rate != 0.25 {
		t.Fatalf("the samples are %v, %v and %v of the objects", small.Rate, large.Rate, part.Rate)
	}
	for _, c := range []struct {
		name   string
		from   *edge.GhostsView
		memory float64
		real   *edge.GhostsView
	}{
		{"twice", small, 2, large},
		{"half", large, 0.5, small},
		{"half, by a sample", part, 0.5, small},
	} {
		g := of(t, c.from, c.memory, 1)
		t.Logf("%s: %.4f±%.4f said, %.4f seen; bytes %.4f±%.4f said, %.4f seen", c.name,
			g.HitRatio, g.Error, c.real.HitRatio, g.ByteHitRatio, g.ByteError, c.real.ByteHitRatio)
		if raced {
			continue
		}
		if d := math.Abs(g.HitRatio - c.real.HitRatio); d > tolerance+g.Error {
			t.Errorf("%s: hit ratio %.4f, want %.4f", c.name, g.HitRatio, c.real.HitRatio)
		}
		if d := math.Abs(g.ByteHitRatio - c.real.ByteHitRatio); d > tolerance+g.ByteError {
			t.Errorf("%s: byte hit ratio %.4f, want %.4f", c.name, g.ByteHitRatio, c.real.ByteHitRatio)
		}
		if math.Abs(g.Gain) < 2*tolerance {
			t.Errorf("%s: a gain of %.4f shows nothing", c.name, g.Gain)
		}
	}
}

// TestGhostsPredictTheDisk: likewise of the tier below, whose real one is a little less
// than its model (a file is never all objects).
func TestGhostsPredictTheDisk(t *testing.T) {
	if raced {
		t.Skip("slow, and the memory tier's test runs the same")
	}
	w := made(t, 12_000)
	const memory, disk, tolerance = 4 << 20, 8 << 20, 0.03
	small, large := haunted(t, w, memory, disk, 0), haunted(t, w, memory, 2*disk, 0)
	for _, c := range []struct {
		name string
		g    edge.GhostView
		real *edge.GhostsView
	}{
		{"twice", of(t, small, 1, 2), large},
		{"half of the larger one", of(t, large, 1, 0.5), small},
	} {
		t.Logf("%s: %.4f±%.4f said, %.4f seen", c.name, c.g.HitRatio, c.g.Error, c.real.HitRatio)
		if d := math.Abs(c.g.HitRatio - c.real.HitRatio); d > tolerance+c.g.Error || math.Abs(c.g.Gain) < tolerance {
			t.Errorf("%s: hit ratio %.4f (%+.4f), want %.4f", c.name, c.g.HitRatio, c.g.Gain, c.real.HitRatio)
		}
	}
}

// TestWhatGhostsAreToldOf: requests for what can be stored, and whose size is known.
func TestWhatGhostsAreToldOf(t *testing.T) {
	type ask func(method, path string, lines ...string)
	for _, c := range []struct {
		name   string
		answer []string // the origin's fields
		ask    func(s *site, ask ask)
		counts uint64
		hits   float64 // of those, for the store and for its ghost
	}{
		{"a miss and two hits", []string{fresh}, func(s *site, ask ask) { ask("GET", "/x"); ask("GET", "/x"); ask("GET", "/x") }, 3, 2. / 3},
		{"other objects are other", []string{fresh}, func(s *site, ask ask) { ask("GET", "/x"); ask("GET", "/y"); ask("GET", "/y?a") }, 3, 0},
		{"no-store", []string{"Cache-Control: no-store"}, func(s *site, ask ask) { ask("GET", "/x"); ask("GET", "/x") }, 0, 0},
		{"an error of the client's", []string{fresh}, func(s *site, ask ask) { ask("TRACE", "/x") }, 0, 0},
		{"POST", []string{fresh}, func(s *site, ask ask) { ask("POST", "/x"); ask("POST", "/x") }, 0, 0},
		{"HEAD", []string{fresh}, func(s *site, ask ask) { ask("GET", "/x"); ask("HEAD", "/x") }, 1, 0},
		{"a range of what is stored", []string{fresh}, func(s *site, ask ask) { ask("GET", "/x"); ask("GET", "/x", "Range: bytes=2-3") }, 2, 0.5},
		{"a range of what is not", []string{fresh}, func(s *site, ask ask) { ask("GET", "/x", "Range: bytes=2-3") }, 1, 0},
		{"a 304", []string{fresh, tagged}, func(s *site, ask ask) { ask("GET", "/x"); ask("GET", "/x", `If-None-Match: "v1"`) }, 2, 0.5},
		{"what has ended", []string{"Cache-Control: max-age=60"}, func(s *site, ask ask) { ask("GET", "/x"); s.clock.Advance(61e9); ask("GET", "/x"); ask("GET", "/x") }, 3, 1. / 3},
		{"what was purged", []string{fresh}, func(s *site, ask ask) { ask("GET", "/x"); ask("PURGE", "/x"); ask("GET", "/x"); ask("GET", "/x") }, 3, 1. / 3},
		{"variants", []string{fresh, "Vary: X"}, func(s *site, ask ask) {
			ask("GET", "/x", "X: 1")
			ask("GET", "/x", "X: 2")
			ask("GET", "/x", "X: 1")
			ask("GET", "/x", "X: 2")
		}, 4, 0.5},
		{"what must be validated", []string{"Cache-Control: no-cache", tagged}, func(s *site, ask ask) { ask("GET", "/x"); ask("GET", "/x") }, 2, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t, edgetest.Config{Edge: edge.Config{
				PurgeAllow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
				Ghosts:     edge.GhostConfig{Store: cachestore.VirtualConfig{Memory: 8 << 20}},
			}})
			for _, path := range []string{"/x", "/y"} {
				s.origin.On(path, edgetest.Text(200, "0123456789", c.answer...))
			}
			c.ask(s, func(method, path string, lines ...string) {
				s.Record(s.Do(method, path, "", lines...).ID())
			})
			v := s.told()
			if v.Requests != c.counts || math.Abs(v.HitRatio-c.hits) > 1e-9 || math.Abs(v.Bias) > 1e-9 {
				t.Errorf("%d requests with hit ratio %.3f and a ghost that has %+.3f, want %d, %.3f and the same", v.Requests, v.HitRatio, v.Bias, c.counts, c.hits)
			}
		})
	}
}
