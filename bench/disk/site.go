package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
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
	hotPath    = "/hot/"
	hotConns   = 8
)

// siteConfig says what a site is of.
type siteConfig struct {
	shelf  *shelf
	purges string // path of the purge log
	// now is the clock; nil is the system's.
	now func() time.Time
	// origin answers for what is not hot; nil: nobody asks for that.
	origin http.Handler
	// log hears of every request; nil is nobody. It must not block.
	log func(*edge.Record)
}

// site is an edge over a shelf, with an origin of its own.
type site struct {
	config    siteConfig
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
	if r.Tier != edge.TierMemory && bytes.HasPrefix(r.Path, []byte(hotPath)) {
		w.elsewhere.Add(1)
	}
	if w.config.log != nil {
		w.config.log(r)
	}
}

// ServeHTTP is the origin. Hot objects are fresh for as long as may be.
func (w *site) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if w.config.origin != nil && !strings.HasPrefix(r.URL.Path, hotPath) {
		w.config.origin.ServeHTTP(rw, r)
		return
	}
	rw.Header().Set("Date", w.config.now().UTC().Format(http.TimeFormat))
	rw.Header().Set("Cache-Control", "max-age=31536000")
	rw.Header().Set("Content-Length", strconv.Itoa(hotSize))
	_, _ = rw.Write(w.config.shelf.noise[:hotSize])
}

// openSite starts one and brings the hot objects into memory.
func openSite(ctx context.Context, c siteConfig) (w *site, err error) {
	if c.now == nil {
		c.now = time.Now
	}
	w = &site{config: c, served: make(chan error, 1)}
	behind, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w.source = &http.Server{Handler: w}
	go w.source.Serve(behind) // ends with close
	if w.purges, err = purge.Open(purge.Config{Path: c.purges}); err != nil {
		return nil, err
	}
	if w.pool, err = origin.NewPool(origin.Config{Name: "main", Peers: []string{"http://" + behind.Addr().String()}}); err != nil {
		return nil, err
	}
	w.engine, err = edge.New(edge.Config{
		Seed: 1, Store: c.shelf.tiers, Now: c.now, Purges: w.purges, Upstreams: map[string]*origin.Pool{"main": w.pool},
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
	return w, w.warm(ctx)
}

// warm brings the hot objects into memory.
func (w *site) warm(ctx context.Context) error {
	_, err := w.hit(ctx, 2000, 4*hotObjects*time.Second/2000)
	w.elsewhere.Store(0)
	return err
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

// asking is what clients ask for.
type asking struct {
	rate  int // requests a second
	span  time.Duration
	conns int
	path  func(i int) string // of request i
	size  func(i int) int    // bytes of its answer
}

// total is how many requests that makes.
func (a asking) total() int { return int(a.span.Seconds() * float64(a.rate)) }

// hit asks for the hot objects.
func (w *site) hit(ctx context.Context, rate int, span time.Duration) (*bench.Histogram, error) {
	return w.ask(ctx, asking{
		rate: rate, span: span, conns: hotConns,
		path: func(i int) string { return hotPath + strconv.Itoa(i%hotObjects) },
		size: func(int) int { return hotSize },
	})
}

// ask asks at a steady rate that does not wait for the answers: a request counts
// from when it was due, also when its connection was busy.
func (w *site) ask(ctx context.Context, a asking) (*bench.Histogram, error) {
	var all bench.Histogram
	var mu sync.Mutex
	var failed error
	var next atomic.Int64
	var running sync.WaitGroup
	start := time.Now().Add(10 * time.Millisecond)
	for range a.conns {
		running.Go(func() {
			h, err := w.client(ctx, a, start, &next)
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
func (w *site) client(ctx context.Context, a asking, start time.Time, next *atomic.Int64) (*bench.Histogram, error) {
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
		i := int(next.Add(1) - 1)
		if i >= a.total() {
			return h, nil
		}
		due := start.Add(time.Duration(i) * time.Second / time.Duration(a.rate))
		wait.Reset(time.Until(due))
		select {
		case <-wait.C:
		case <-ctx.Done():
			return h, ctx.Err()
		}
		if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: disk.bench\r\n\r\n", a.path(i)); err != nil {
			return h, err
		}
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			return h, err
		}
		n, err := io.Copy(io.Discard, res.Body)
		if err != nil || n != int64(a.size(i)) || res.StatusCode != http.StatusOK {
			return h, fmt.Errorf("get %s: status %d, %d bytes: %w", a.path(i), res.StatusCode, n, err)
		}
		h.Add(time.Since(due))
	}
}
