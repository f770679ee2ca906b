package main

import (
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// source is the origin: it makes bodies while it sends them, and keeps a log of
// what it was asked for and how much of it went out.
type source struct {
	sizes  map[string]int64
	server *http.Server
	URL    string

	mu    sync.Mutex
	asked []*asked
}

// asked is one request.
type asked struct {
	path, ranges string
	known        string // If-None-Match
	sent         atomic.Int64
	over         atomic.Bool
}

func (a *asked) String() string {
	what := "whole"
	if a.known != "" {
		what = "if not " + a.known
	}
	if a.ranges != "" {
		what = a.ranges
	}
	return fmt.Sprintf("%s: %d bytes sent", what, a.sent.Load())
}

func startOrigin(sizes map[string]int64) (*source, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start origin: %w", err)
	}
	s := &source{sizes: sizes, URL: "http://" + ln.Addr().String()}
	s.server = &http.Server{Handler: s}
	go s.server.Serve(ln) // ends with Close
	return s, nil
}

// Close stops the origin.
func (s *source) Close() error { return s.server.Close() }

// since lists what was asked for after the first n requests.
func (s *source) since(n int) []*asked {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*asked(nil), s.asked[n:]...)
}

func (s *source) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.asked)
}

// ServeHTTP answers with a body or one range of it.
func (s *source) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	size, ok := s.sizes[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	a := &asked{path: r.URL.Path, ranges: r.Header.Get("Range"), known: r.Header.Get("If-None-Match")}
	defer a.over.Store(true)
	s.mu.Lock()
	s.asked = append(s.asked, a)
	s.mu.Unlock()
	h := w.Header()
	h.Set("ETag", `"`+strconv.FormatInt(size, 10)+`"`)
	h.Set("Cache-Control", "public, max-age=86400")
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Accept-Ranges", "bytes")
	if a.known == h.Get("ETag") {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	from, to, status := int64(0), size, http.StatusOK
	if a.ranges != "" {
		if from, to, ok = oneRange(a.ranges, size); !ok {
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return
		}
		status = http.StatusPartialContent
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to-1, size))
	}
	h.Set("Content-Length", strconv.FormatInt(to-from, 10))
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return
	}
	buf := make([]byte, 256<<10)
	for from < to {
		p := buf[:min(to-from, int64(len(buf)))]
		fillBody(p, from)
		n, err := w.Write(p)
		a.sent.Add(int64(n))
		if err != nil {
			return
		}
		from += int64(n)
	}
}

// oneRange reads bytes=FROM-TO, bytes=FROM- or bytes=-LAST; to is exclusive.
func oneRange(text string, size int64) (from, to int64, ok bool) {
	first, last, ok := strings.Cut(strings.TrimPrefix(text, "bytes="), "-")
	if !ok || strings.Contains(last, ",") {
		return 0, 0, false
	}
	a, errA := strconv.ParseInt(first, 10, 64)
	b, errB := strconv.ParseInt(last, 10, 64)
	switch {
	case first == "" && errB == nil:
		return max(size-b, 0), size, b > 0
	case last == "" && errA == nil:
		return a, size, a < size
	}
	return a, min(b+1, size), errA == nil && errB == nil && a <= b && a < size
}
