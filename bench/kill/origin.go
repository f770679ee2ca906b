package main

import (
	"fmt"
	"net"
	"net/http"
	"strconv"

	"edgecache/bench"
)

// origin answers for the objects of a world, each with the version that is
// current when the request arrives. All of it may be stored for a day.
type origin struct {
	world  *world
	server *http.Server
	URL    string
}

func startOrigin(w *world) (*origin, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start origin: %w", err)
	}
	o := &origin{world: w, URL: "http://" + ln.Addr().String()}
	o.server = &http.Server{Handler: o}
	go o.server.Serve(ln) // ends with Close
	return o, nil
}

// Close stops the origin.
func (s *origin) Close() error { return s.server.Close() }

// ServeHTTP leaves out the length of every fourth object, so that edge does not
// know when it begins whether it spills.
func (s *origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o, ok := at(r.URL.Path)
	if !ok {
		http.NotFound(w, r)
		return
	}
	version := s.world.objects[o].version.Load()
	h := w.Header()
	h.Set("ETag", bench.ETag(o, version))
	h.Set("Cache-Control", "max-age=86400")
	h.Set("Surrogate-Key", tag(o))
	h.Set("Content-Type", "application/octet-stream")
	if r.Header.Get("If-None-Match") == bench.ETag(o, version) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	left := size(o)
	if o%4 != 3 {
		h.Set("Content-Length", strconv.FormatInt(left, 10))
	}
	buf := make([]byte, min(left, 64<<10))
	for offset := int64(0); left > 0; {
		piece := buf[:min(left, int64(len(buf)))]
		bench.FillBody(piece, o, version, offset)
		if _, err := w.Write(piece); err != nil {
			return
		}
		offset += int64(len(piece))
		left -= int64(len(piece))
	}
}
