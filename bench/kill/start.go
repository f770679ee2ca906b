package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"edgecache/bench"
	"edgecache/bench/child"
)

// startsEach is how often edge is started, with the files in the page cache and
// without.
const startsEach = 5

// startReport is what starts with many objects on disk took.
type startReport struct {
	objects      int
	file, index  int64 // bytes
	cold, warm   starts
	rss, anon    []int64 // bytes when all is loaded, of all starts
	heap         []int64 // MiB that were alive after the last collection until then
	missed       int     // asked for before the index had it
	complaints   []string
	coldPossible bool
}

// starts are the times of some starts, since the process was begun.
type starts struct{ ready, first, loaded []time.Duration }

// startRefusing is an origin from which nothing can be had: what is served
// comes from the disk.
func startRefusing() (*origin, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		http.Error(w, "not here", http.StatusNotFound)
	})}
	go s.Serve(ln) // ends with Close
	return &origin{server: s, URL: "http://" + ln.Addr().String()}, nil
}

// one measures a start.
func (r *startReport) one(ctx context.Context, k *killer, c child.Config, cold bool) error {
	if cold {
		r.coldPossible = chill(ctx, c.DiskDir())
	}
	os.Setenv("GODEBUG", "gctrace=1") // of the child: its heap
	e, err := child.Start(ctx, c)
	if err != nil {
		return err
	}
	defer e.Kill()
	into := &r.warm
	if cold {
		into = &r.cold
	}
	into.ready = append(into.ready, time.Since(e.Began))
	cl := newClient(newWorld(), e, 1, 1)
	defer cl.http.CloseIdleConnections()
	if into.first, err = r.firstHit(ctx, k, cl, into.first); err != nil {
		return err
	}
	v := &verifying{c: cl}
	v.load(ctx)
	for _, err := range v.faults {
		return err
	}
	into.loaded = append(into.loaded, v.loaded)
	d, err := cl.disk(ctx)
	if err != nil {
		return err
	}
	r.file, r.index = d.File, d.Index
	if d.Objects != int64(r.objects) {
		r.complaints = append(r.complaints, fmt.Sprintf("%d objects are loaded", d.Objects))
	}
	rss, anon := memoryOf(e.PID())
	r.rss, r.anon, r.heap = append(r.rss, rss), append(r.anon, anon), append(r.heap, heapOf(e.Said()))
	fmt.Fprintf(k.progress, "start, cold %v: ready %v, first hit %v, loaded %v\n", cold, into.ready[len(into.ready)-1], into.first[len(into.first)-1], v.loaded)
	return e.Stop()
}

// firstHit asks for random objects until one comes from the cache.
func (r *startReport) firstHit(ctx context.Context, k *killer, c *client, list []time.Duration) ([]time.Duration, error) {
	for ctx.Err() == nil {
		o := k.r.Uint32N(uint32(r.objects))
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.edge.Target+path(o), nil)
		if err != nil {
			return list, err
		}
		req.Host = hostName
		res, err := c.http.Do(req)
		if err != nil {
			return list, err
		}
		res.Body.Close()
		if res.StatusCode == http.StatusOK && bench.Hit(res.Header, "edge") {
			return append(list, time.Since(c.edge.Began)), nil
		}
		r.missed++
	}
	return list, ctx.Err()
}

// chill puts the files out of the page cache, where dd can.
func chill(ctx context.Context, dir string) (ok bool) {
	files, _ := filepath.Glob(filepath.Join(dir, "*.db"))
	for _, f := range files {
		if exec.CommandContext(ctx, "dd", "of="+f, "oflag=nocache", "conv=notrunc,fdatasync", "count=0").Run() != nil {
			return false
		}
	}
	return true
}

// memoryOf reads what a process has in memory, and what of it is its own.
func memoryOf(pid int) (rss, anon int64) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		n, _ := strconv.ParseInt(f[1], 10, 64)
		switch f[0] {
		case "VmRSS:":
			rss = n << 10
		case "RssAnon:":
			anon = n << 10
		}
	}
	return rss, anon
}

var collection = regexp.MustCompile(`(\d+)->(\d+)->(\d+) MB`)

// heapOf finds the live heap after the last collection that a Go program told of.
func heapOf(said string) int64 {
	all := collection.FindAllStringSubmatch(said, -1)
	if len(all) == 0 {
		return 0
	}
	n, _ := strconv.ParseInt(all[len(all)-1][3], 10, 64)
	return n
}

func (r *startReport) text() string {
	var out strings.Builder
	line := func(name, format string, args ...any) { bench.AppendLine(&out, name, format, args...) }
	line("objects", "%d with bodies of %d to %d bytes; files of %d MiB", r.objects, smallest, largest, r.file>>20)
	for _, s := range []struct {
		name string
		*starts
	}{{"files not cached", &r.cold}, {"files cached", &r.warm}} {
		line(s.name, "%d starts", len(s.ready))
		line("  to ready", "%s", spread(s.ready))
		line("  to first hit", "%s", spread(s.first))
		line("  to all loaded", "%s", spread(s.loaded))
	}
	line("asked too early", "%d times before a first hit", r.missed)
	line("index", "%d MiB, %.1f bytes an object", r.index>>20, float64(r.index)/float64(r.objects))
	for i := range r.rss {
		line("memory", "start %d, all loaded: RSS %d MiB, %d MiB of it anonymous, live heap %d MiB at the last collection", i+1, r.rss[i]>>20, r.anon[i]>>20, r.heap[i])
	}
	line("", "the live heap has up to 200 MiB in it that the collector is tuned with and that nobody touches")
	if !r.coldPossible {
		line("note", "dd cannot put files out of the page cache here")
	}
	for _, complaint := range r.complaints {
		line("", "%s", complaint)
	}
	return out.String()
}

func (r *startReport) faults() []string { return r.complaints }
