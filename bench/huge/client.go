package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// got is what an answer was.
type got struct {
	bytes int64
	hit   bool // Cache-Status says so
	took  time.Duration
}

func (g got) rate() float64 { return float64(g.bytes) / mib / g.took.Seconds() }

// fetch is one request for an object, whole or in part.
type fetch struct {
	url      string
	size     int64 // of the whole object
	ranges   string
	slow     time.Duration // the body takes at least so long
	progress *atomic.Int64 // may be nil
}

// do reads the answer and looks at every byte of it.
func (f *fetch) do(ctx context.Context) (g got, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url, nil)
	if err != nil {
		return g, err
	}
	req.Host = "huge.bench" // the same before and after a restart, whatever the port
	from, to, status := int64(0), f.size, http.StatusOK
	if f.ranges != "" {
		req.Header.Set("Range", f.ranges)
		from, to, _ = oneRange(f.ranges, f.size)
		status = http.StatusPartialContent
	}
	began := time.Now()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return g, err
	}
	defer res.Body.Close()
	g.hit = strings.Contains(res.Header.Get("Cache-Status"), "; hit")
	if res.StatusCode != status {
		return g, fmt.Errorf("%s %s: status %d, want %d", f.url, f.ranges, res.StatusCode, status)
	}
	want := fmt.Sprintf("bytes %d-%d/%d", from, to-1, f.size)
	if content := res.Header.Get("Content-Range"); f.ranges != "" && content != want {
		return g, fmt.Errorf("%s %s: Content-Range %q, want %q", f.url, f.ranges, content, want)
	}
	g.bytes, err = f.read(ctx, res.Body, from, to)
	g.took = time.Since(began)
	if err != nil {
		return g, fmt.Errorf("%s %s after %d bytes: %w", f.url, f.ranges, g.bytes, err)
	}
	return g, nil
}

func (f *fetch) read(ctx context.Context, body io.Reader, from, to int64) (n int64, err error) {
	buf := make([]byte, 256<<10)
	began := time.Now()
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		m, err := body.Read(buf)
		if wrong := checkBody(buf[:m], from+n); wrong != nil {
			return n, wrong
		}
		n += int64(m)
		if f.progress != nil {
			f.progress.Add(int64(m))
		}
		switch {
		case err == io.EOF && n != to-from:
			return n, fmt.Errorf("ended, want %d bytes", to-from)
		case err == io.EOF:
			return n, nil
		case err != nil:
			return n, err
		}
		if f.slow > 0 {
			due := time.Duration(float64(f.slow) * float64(n) / float64(to-from))
			pause.Reset(due - time.Since(began))
			select {
			case <-pause.C:
			case <-ctx.Done():
				return n, ctx.Err()
			}
		}
	}
}
