package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"edgecache/bench"
)

// pacedLoop is the open loop over TLS: as openLoop, requests come when they are
// due and count from then, but Go's own client makes them, a goroutine each.
type pacedLoop struct {
	url   string
	h2    bool
	rate  int // requests a second
	span  time.Duration
	conns int
	body  int // bytes of each answer's
}

// total is how many requests a run makes, those that open connections included.
func (p pacedLoop) total() int { return p.conns + int(p.span.Seconds()*float64(p.rate)) }

// run opens the connections by a request each, which do not count.
func (p pacedLoop) run(ctx context.Context) (*bench.Histogram, error) {
	ctx, cancel := context.WithTimeout(ctx, p.span+20*time.Second)
	defer cancel()
	clients := make([]*http.Client, p.conns)
	for i := range clients {
		t := &http.Transport{
			TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
			ForceAttemptHTTP2: p.h2, DisableCompression: true,
			MaxConnsPerHost: 1,
		}
		defer t.CloseIdleConnections()
		clients[i] = &http.Client{Transport: t}
		if err := p.get(ctx, clients[i]); err != nil {
			return nil, err
		}
	}
	h, failed := &bench.Histogram{}, error(nil)
	var mu sync.Mutex // guards both
	var running sync.WaitGroup
	start := time.Now()
	for i := range int(p.span.Seconds() * float64(p.rate)) {
		due := start.Add(time.Duration(i) * time.Second / time.Duration(p.rate))
		pause(time.Until(due))
		if ctx.Err() != nil {
			break
		}
		running.Go(func() {
			err := p.get(ctx, clients[i%len(clients)])
			took := time.Since(due)
			mu.Lock()
			defer mu.Unlock()
			h.Add(took)
			failed = errors.Join(failed, err)
		})
	}
	running.Wait()
	return h, errors.Join(failed, ctx.Err())
}

// pause waits more exactly than a timer of the runtime, which is up to a
// millisecond late, and lets others have the core meanwhile.
func pause(d time.Duration) {
	for end := time.Now().Add(d); time.Until(end) > 0; {
		if time.Until(end) > 3*time.Millisecond {
			time.Sleep(time.Until(end) - 2*time.Millisecond)
		}
		yield()
	}
}

func (p pacedLoop) get(ctx context.Context, c *http.Client) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url, nil)
	if err != nil {
		return err
	}
	res, err := c.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	n, err := io.Copy(io.Discard, res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK || n != int64(p.body) || p.h2 != (res.ProtoMajor == 2) {
		return fmt.Errorf("get %s: status %d, %d bytes over %s", p.url, res.StatusCode, n, res.Proto)
	}
	return nil
}
