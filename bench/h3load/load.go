package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"edgecache/bench"
	"edgecache/edge/h3"
)

// result is what is printed. Spans are in seconds.
type result struct {
	Requests   int64   `json:"requests"` // answered with a status below 400, as a whole
	Failed     int64   `json:"failed"`
	Hits       int64   `json:"hits"`  // answers whose Cache-Status says so
	Bytes      int64   `json:"bytes"` // of bodies
	Seconds    float64 `json:"seconds"`
	PerSecond  float64 `json:"per_second"`
	P50        float64 `json:"p50"`
	P99        float64 `json:"p99"`
	Max        float64 `json:"max"`
	FirstError string  `json:"first_error,omitempty"`
}

// running is a load that runs.
type running struct {
	options
	started atomic.Int64 // requests

	mu    sync.Mutex
	all   result
	spans bench.Histogram
}

// load asks until the time, the number of requests, or ctx is over. Connections
// are there before the clock starts.
func load(ctx context.Context, o options) (result, error) {
	config, err := trust(o)
	if err != nil {
		return result{}, err
	}
	r := &running{options: o}
	clients := make([]*h3.Client, o.connections)
	for i := range clients {
		clients[i] = h3.NewClient(config)
		defer clients[i].Close()
		if err := (&worker{running: r, client: clients[i]}).ask(ctx); err != nil {
			return result{}, fmt.Errorf("first request: %w%s", err, hint(err))
		}
	}
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, o.span)
	defer cancel()
	var wait sync.WaitGroup
	for _, c := range clients {
		for range o.streams {
			wait.Go(func() { (&worker{running: r, client: c}).loop(ctx) })
		}
	}
	wait.Wait()
	all := r.all
	all.Seconds = time.Since(start).Seconds()
	all.PerSecond = float64(all.Requests) / all.Seconds
	all.P50, all.P99, all.Max = r.spans.Quantile(.5).Seconds(), r.spans.Quantile(.99).Seconds(), r.spans.Max().Seconds()
	return all, nil
}

// hint says what to do about a certificate that nobody trusts.
func hint(err error) string {
	var bad *tls.CertificateVerificationError
	if errors.As(err, &bad) {
		return "; -ca FILE names whom to trust, -insecure trusts anybody"
	}
	return ""
}

func trust(o options) (*tls.Config, error) {
	config := &tls.Config{ServerName: o.name, InsecureSkipVerify: o.insecure} //nolint:gosec // asked for by a flag
	if o.ca == "" {
		return config, nil
	}
	text, err := os.ReadFile(o.ca)
	if err != nil {
		return nil, err
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("-ca %s: no certificate in it", o.ca)
	}
	return config, nil
}

// worker is one stream after another. It counts for itself.
type worker struct {
	*running
	client *h3.Client
	own    result
	spans  bench.Histogram
}

func (w *worker) loop(ctx context.Context) {
	for ctx.Err() == nil && (w.requests == 0 || w.started.Add(1) <= w.requests) {
		start := time.Now()
		err := w.ask(ctx)
		if err != nil && ctx.Err() != nil {
			break // the end came in between
		}
		if err != nil {
			w.own.Failed++
			if w.own.FirstError == "" {
				w.own.FirstError = err.Error()
			}
			time.Sleep(time.Millisecond) // a server that is gone would be asked in a tight loop
			continue
		}
		w.own.Requests++
		w.spans.Add(time.Since(start))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all.Requests += w.own.Requests
	w.all.Failed += w.own.Failed
	w.all.Hits += w.own.Hits
	w.all.Bytes += w.own.Bytes
	if w.all.FirstError == "" {
		w.all.FirstError = w.own.FirstError
	}
	w.running.spans.Merge(&w.spans)
}

// ask asks once and reads all of the answer.
func (w *worker) ask(ctx context.Context) error {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url, nil)
	if err != nil {
		return err
	}
	if w.name != "" {
		q.Host = w.name
	}
	res, err := w.client.RoundTrip(q)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	n, err := io.Copy(io.Discard, res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode >= 400 {
		return errors.New(res.Status)
	}
	w.own.Bytes += n
	if bench.Hit(res.Header, "edge") {
		w.own.Hits++
	}
	return nil
}
