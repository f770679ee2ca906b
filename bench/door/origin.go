package main

import (
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"

	"edgecache/cachestore"
)

// admission is edge's default, which is what is compared.
const admission = cachestore.AdmitSZ2

// source answers every path with as many bytes as its query says.
type source struct {
	server  *http.Server
	URL     string
	answers atomic.Int64
}

func startOrigin() (*source, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start origin: %w", err)
	}
	s := &source{URL: "http://" + ln.Addr().String()}
	s.server = &http.Server{Handler: s}
	go s.server.Serve(ln) // ends with Close
	return s, nil
}

// Close stops the origin.
func (s *source) Close() error { return s.server.Close() }

var filler = make([]byte, 64<<10)

// ServeHTTP sends a body of zeros, good for a day.
func (s *source) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	size, err := strconv.ParseInt(r.URL.Query().Get("size"), 10, 64)
	if err != nil || size < 0 {
		http.Error(w, "give ?size=BYTES", http.StatusBadRequest)
		return
	}
	s.answers.Add(1)
	h := w.Header()
	h.Set("Content-Length", strconv.FormatInt(size, 10))
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Cache-Control", "max-age=86400")
	h.Set("ETag", `"1"`)
	for size > 0 {
		n, err := w.Write(filler[:min(size, int64(len(filler)))])
		if err != nil {
			return
		}
		size -= int64(n)
	}
}
