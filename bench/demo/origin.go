package main

import (
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"edgecache/bench"
)

// origin is a site in front of which a cache makes sense: it takes some
// milliseconds, sends validators and tags, answers 304, and leaves out
// Content-Length for every fourth object.
type origin struct {
	world  *world
	server *http.Server
	URL    string
}

// startOrigin serves the world on a free port of the loopback interface.
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
func (o *origin) Close() error { return o.server.Close() }

// epoch is when the first version of everything was made.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// ServeHTTP answers with the version that is current when the request arrives,
// and only then takes its time: what it sends may be old by the time it is
// sent, as with any origin.
func (o *origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	index, ok := o.world.at(r.URL.Path)
	if !ok {
		http.NotFound(w, r)
		return
	}
	object := &o.world.objects[index]
	version := object.version.Load()
	unchanged := r.Header.Get("If-None-Match") == bench.ETag(index, version)
	if unchanged {
		object.confirmed.Add(1)
	} else {
		object.fetched.Add(1)
	}
	o.world.pass(r.Context(), index)
	wait(r, time.Duration(1+bench.Mix(uint64(index))%6)*time.Millisecond)

	age := 3600
	if shortLived(index) {
		age = 1
	}
	h := w.Header()
	h.Set("ETag", bench.ETag(index, version))
	h.Set("Last-Modified", epoch.Add(time.Duration(version)*time.Second).Format(http.TimeFormat))
	h.Set("Cache-Control", fmt.Sprintf("public, max-age=%d", age))
	h.Set("Surrogate-Key", o.world.tag(index)+" demo")
	if unchanged {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", "application/octet-stream")
	o.sendBody(w, r, index, version)
}

// sendBody sends every fourth object without its length and with a pause
// after the first piece, so that purges meet fills under way.
func (o *origin) sendBody(w http.ResponseWriter, r *http.Request, index uint32, version uint64) {
	size := o.world.Sizes[index]
	open := index%4 == 3
	if !open {
		w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	}
	if r.Method == http.MethodHead {
		return
	}
	buf := make([]byte, min(size, 32<<10))
	for offset := int64(0); offset < size; {
		piece := buf[:min(size-offset, int64(len(buf)))]
		bench.FillBody(piece, index, version, offset)
		if _, err := w.Write(piece); err != nil {
			return
		}
		if open && offset == 0 {
			http.NewResponseController(w).Flush()
			wait(r, 3*time.Millisecond)
		}
		offset += int64(len(piece))
	}
}

// wait passes the time until d is over or the request is given up.
func wait(r *http.Request, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
	}
}
