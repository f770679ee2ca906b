package casetest

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"edgecache/cachestore"
	"edgecache/edge"
	"edgecache/edge/edgetest"
)

var _ = register(map[string]func(*testing.T){"unique-keys": uniqueKeys})

// TestEndlessBodyOverADisk: it streams to its client, its storing stops at the
// disk's limit, and when the client leaves nothing of it stays.
func TestEndlessBodyOverADisk(t *testing.T) {
	const read = 48 << 20
	chunk := fmt.Sprintf("%x\r\n%s\r\n", 64<<10, strings.Repeat("x", 64<<10))
	released := make(chan struct{})
	url := edgetest.NewRawOrigin(t, func(c net.Conn) {
		defer close(released)
		if _, err := edgetest.ReadHead(c); err != nil {
			return
		}
		_, err := io.WriteString(c, "HTTP/1.1 200 OK\r\n"+fresh+"\r\nTransfer-Encoding: chunked\r\n\r\n")
		for err == nil {
			_, err = io.WriteString(c, chunk)
		}
	})
	const memory = 16 << 20
	s := shelve(t, edgetest.Config{Peers: []string{url}, MemoryBytes: memory, DiskBytes: 32 << 20})
	res, err := http.Get(s.URL + "/x")
	if err != nil {
		t.Fatal(err)
	}
	most := int64(0)
	for got := int64(0); got < read; {
		n, err := io.CopyN(io.Discard, res.Body, 1<<20)
		got += n
		if err != nil {
			t.Fatalf("after %d bytes: %v", got, err)
		}
		st := s.Store.Stats()
		most = max(most, st.Bytes)
		if st.Disk.File > st.Disk.Most || st.Disk.Live > st.Disk.Limit {
			t.Fatalf("after %d bytes the disk is over a limit: %+v", got, st.Disk)
		}
	}
	if limit := int64(memory) * 105 / 100; most > limit {
		t.Errorf("%d bytes were accounted, the limit is %d", most, limit)
	}
	res.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	edgetest.Receive(t, "the end of the origin's connection", released)
	edgetest.Wait(t, "the memory of the body", func() bool { return s.Store.Stats().FillBytes == 0 })
	s.Settle()
	s.checkDisk(0)
	if st := s.Store.Stats(); st.Disk.StoredBytes != 0 || st.Variants != 0 || st.Disk.Dropped[tooLarge] != 1 {
		t.Errorf("something is stored, or storing did not stop for its size: %+v", st)
	}
}

// The flood of unique keys: one request in floodShare+1 is for the hot set, and
// what the flood brings is many times the disk.
const (
	hotObjects = 1000
	hotBytes   = 4 << 10
	floodShare = 3
)

// uniqueKeys: a flood of urls that nobody asks for twice leaves the hot set where
// it is, and the disk within its quota. EDGE_UNIQUE says how many there are. With
// the race detector sync.Pool loses at random what is put into it, Ristretto's
// counts of hits among it: then there are few, and the ratio says nothing.
func uniqueKeys(t *testing.T) {
	n := 100_000
	if raced {
		n = 10_000
	}
	if soak, err := strconv.Atoi(os.Getenv("EDGE_UNIQUE")); err == nil {
		n = soak
	}
	s := shelve(t, edgetest.Config{
		Peers: []string{plentiful(t)}, MemoryBytes: 16 << 20, DiskBytes: 32 << 20, Admission: cachestore.AdmitSZ2, Edge: edge.Config{AccessLog: deaf{}},
	})
	s.hotRatio(10*hotObjects, 0)
	warm := s.hotRatio(10*hotObjects, 0)
	flooded := s.hotRatio(n/floodShare, n)
	st := s.Store.Stats().Disk
	t.Logf("hot set of %d objects: hit ratio %.4f alone, %.4f among %d unique urls; disk %.1f of %.1f MiB, files %.1f of %.1f, %d stored, %d not chosen, %d dropped at a full queue",
		hotObjects, warm, flooded, n, mib(st.Live), mib(st.Limit), mib(st.File), mib(st.Most), st.Stored, st.Dropped[cachestore.DiskDropChoice], st.Dropped[queueFull])
	if flooded < warm-0.05 && !raced {
		t.Errorf("the hot set's hit ratio fell from %.4f to %.4f, want less than 5 points", warm, flooded)
	}
	if came := st.Stored + st.Dropped[cachestore.DiskDropChoice]; came < uint64(n)/4 {
		t.Errorf("%d objects came to the disk of %d: this shows nothing", came, n)
	}
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }

// deaf is an access log that keeps nothing.
type deaf struct{}

func (deaf) Write(*edge.Record) {}

// hotRatio asks hot times for the hot set, popular ones more often, and unique
// times for what nobody has asked for; it returns the hit ratio of the hot set.
func (s *site) hotRatio(hot, unique int) float64 {
	s.t.Helper()
	const clients = 8
	var hits, asked, fresh atomic.Int64
	var all sync.WaitGroup
	for client := range clients {
		all.Go(func() {
			random := rand.New(rand.NewPCG(uint64(client), uint64(unique)))
			zipf := rand.NewZipf(random, 1.1, 10, hotObjects-1)
			for i := range (hot + unique) / clients {
				path := fmt.Sprintf("/hot?n=%d", zipf.Uint64())
				isHot := unique == 0 || i%(floodShare+1) == 0
				if !isHot {
					path = fmt.Sprintf("/cold?n=%d", fresh.Add(1))
				}
				r := s.Get(path)
				if r.Err != nil || r.Status != 200 || len(r.Body) != hotBytes {
					s.t.Errorf("%s: %s", path, show(r))
					return
				}
				if isHot {
					asked.Add(1)
				}
				if isHot && isHit(r) {
					hits.Add(1)
				}
				if i%500 == 0 {
					if st := s.Store.Stats().Disk; st.Live > st.Limit || st.File > st.Most {
						s.t.Errorf("the disk is over a limit: %+v", st)
					}
				}
			}
		})
	}
	all.Wait()
	return float64(hits.Load()) / float64(max(asked.Load(), 1))
}

// plentiful is an origin that has every url, and remembers nothing.
func plentiful(t *testing.T) string {
	answer := fmt.Sprintf("HTTP/1.1 200 OK\r\n%s\r\nContent-Length: %d\r\n\r\n%s", fresh, hotBytes, noise(1, hotBytes))
	return edgetest.NewRawOrigin(t, func(c net.Conn) {
		for in := bufio.NewReader(c); ; {
			if _, err := http.ReadRequest(in); err != nil {
				return
			}
			if _, err := io.WriteString(c, answer); err != nil {
				return
			}
		}
	})
}
