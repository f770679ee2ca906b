package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"edgecache/bench"
	"edgecache/edge"
	"edgecache/edge/h1"
	"edgecache/edge/origin"
	"edgecache/policy"
	"edgecache/purge"
)

const (
	hotObjects = 64
	hotSize    = 16 << 10
	hotConns   = 8
)

// site is an edge over a shelf, with an origin of its own.
type site struct {
	addr      string
	purges    *purge.Log
	pool      *origin.Pool
	engine    *edge.Engine
	wire      *h1.Server
	source    *http.Server
	served    chan error
	elsewhere atomic.Int64 // answers that were not memory's
}

var _ edge.AccessLog = (*site)(nil)

// Write looks where an answer came from.
func (w *site) Write(r *edge.Record) {
	if r.Tier != edge.TierMemory {
		w.elsewhere.Add(1)
	}
}

// openSite starts one and brings the hot objects into memory.
func openSite(ctx context.Context, s *shelf, purges string) (w *site, err error) {
	w = &site{served: make(chan error, 1)}
	behind, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w.source = &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Cache-Control", "max-age=86400")
		rw.Header().Set("Content-Length", strconv.Itoa(hotSize))
		_, _ = rw.Write(s.noise[:hotSize])
	})}
	go w.source.Serve(behind) // ends with close
	if w.purges, err = purge.Open(purge.Config{Path: purges}); err != nil {
		return nil, err
	}
	if w.pool, err = origin.NewPool(origin.Config{Name: "main", Peers: []string{"http://" + behind.Addr().String()}}); err != nil {
		return nil, err
	}
	w.engine, err = edge.New(edge.Config{
		Seed: 1, Store: s.tiers, Purges: w.purges, Upstreams: map[string]*origin.Pool{"main": w.pool},
		Routes: []edge.Route{{Upstream: "main", Rules: policy.Rules{Heuristic: true}}}, AccessLog: w,
	})
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w.addr, w.wire = l.Addr().String(), h1.New(w.engine, h1.Config{})
	go func() { w.served <- w.wire.Serve(l, nil) }()
	if _, err := w.hit(ctx, 2000, 4*hotObjects*time.Second/2000); err != nil {
		return nil, err
	}
	w.elsewhere.Store(0)
	return w, nil
}

func (w *site) close() {
	if w == nil {
		return
	}
	ctx, stop := context.WithTimeout(context.Background(), 5*time.Second)
	defer stop()
	_ = w.wire.Shutdown(ctx)
	<-w.served
	_ = w.engine.Close()
	w.pool.Close()
	_ = w.source.Close()
	_ = w.purges.Close()
}

// hit asks at a steady rate that does not wait for the answers: a request counts
// from when it was due, also when its connection was busy.
func (w *site) hit(ctx context.Context, rate int, span time.Duration) (*bench.Histogram, error) {
	var all bench.Histogram
	var mu sync.Mutex
	var failed error
	var next atomic.Int64
	var running sync.WaitGroup
	total := int64(span.Seconds() * float64(rate))
	start := time.Now().Add(10 * time.Millisecond)
	for range hotConns {
		running.Go(func() {
			h, err := w.client(ctx, start, rate, total, &next)
			mu.Lock()
			defer mu.Unlock()
			all.Merge(h)
			failed = errors.Join(failed, err)
		})
	}
	running.Wait()
	return &all, failed
}

// client is one connection.
func (w *site) client(ctx context.Context, start time.Time, rate int, total int64, next *atomic.Int64) (*bench.Histogram, error) {
	h := &bench.Histogram{}
	conn, err := net.Dial("tcp", w.addr)
	if err != nil {
		return h, err
	}
	defer conn.Close()
	in := bufio.NewReaderSize(conn, 2*hotSize)
	wait := time.NewTimer(0)
	defer wait.Stop()
	for {
		i := next.Add(1) - 1
		if i >= total {
			return h, nil
		}
		due := start.Add(time.Duration(i) * time.Second / time.Duration(rate))
		wait.Reset(time.Until(due))
		select {
		case <-wait.C:
		case <-ctx.Done():
			return h, ctx.Err()
		}
		if _, err := fmt.Fprintf(conn, "GET /hot/%d HTTP/1.1\r\nHost: disk.bench\r\n\r\n", i%hotObjects); err != nil {
			return h, err
		}
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			return h, err
		}
		n, err := io.Copy(io.Discard, res.Body)
		if err != nil || n != hotSize || res.StatusCode != http.StatusOK {
			return h, fmt.Errorf("status %d, %d bytes: %w", res.StatusCode, n, err)
		}
		h.Add(time.Since(due))
	}
}
