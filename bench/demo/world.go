package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"edgecache/bench"
)

// world is what is true: which version of each object the origin answers with,
// and up to which one everybody was told to forget the older ones.
type world struct {
	*bench.Workload
	objects []object
	tags    uint32 // how many tags the objects share
	held    atomic.Pointer[gate]
}

// object is one object's state. The origin reads version and counts; the
// purger raises version, then, when its purge was acknowledged, floor.
type object struct {
	version   atomic.Uint64 // what the origin answers with, from 1
	floor     atomic.Uint64 // the least version that may still be served
	fetched   atomic.Uint32 // requests that the origin answers whole, counted when they arrive
	confirmed atomic.Uint32 // and with 304
}

// gate lets the origin hold back one answer to a request for an object: the
// first, with the version that is current when the request arrives.
type gate struct {
	object  uint32
	taken   atomic.Bool
	arrived chan struct{} // closed when the origin holds an answer back
	open    chan struct{} // closed when it may be sent
	once    sync.Once
}

// hold makes the origin hold back its next answer for o until release.
func (w *world) hold(o uint32) *gate {
	g := &gate{object: o, arrived: make(chan struct{}), open: make(chan struct{})}
	w.held.Store(g)
	return g
}

// release lets the answer go; it may be called more than once.
func (g *gate) release() { g.once.Do(func() { close(g.open) }) }

// pass waits while the answer for o is held back, at most a bound.
func (w *world) pass(ctx context.Context, o uint32) {
	g := w.held.Load()
	if g == nil || g.object != o || !g.taken.CompareAndSwap(false, true) {
		return
	}
	close(g.arrived)
	ctx, cancel := context.WithTimeout(ctx, holdTime)
	defer cancel()
	select {
	case <-g.open:
	case <-ctx.Done():
	}
}

// holdTime is the longest that an answer is held back, should a cache make the
// purge wait for it.
const holdTime = 2 * time.Second

// prefixObjects is how many objects share a path prefix, and, about, a tag.
const prefixObjects = 16

func newWorld(w *bench.Workload) *world {
	made := &world{
		Workload: w,
		objects:  make([]object, len(w.IDs)),
		tags:     uint32(len(w.IDs)/prefixObjects + 1),
	}
	for o := range made.objects {
		made.objects[o].version.Store(1)
		made.objects[o].floor.Store(1)
	}
	return made
}

// path is where an object stands; objects in a row share a prefix.
func (w *world) path(o uint32) string {
	return fmt.Sprintf("%s/o/%d", prefixOf(o/prefixObjects), o)
}

func prefixOf(group uint32) string { return "/p" + strconv.FormatUint(uint64(group), 10) }

// at finds the object that stands at a path.
func (w *world) at(path string) (o uint32, ok bool) {
	_, number, ok := strings.Cut(path, "/o/")
	n, err := strconv.ParseUint(number, 10, 32)
	if !ok || err != nil || n >= uint64(len(w.objects)) || w.path(uint32(n)) != path {
		return 0, false
	}
	return uint32(n), true
}

// tag names the tag of an object; objects with one tag have different prefixes.
func (w *world) tag(o uint32) string { return tagOf(o % w.tags) }

func tagOf(n uint32) string { return "tag-" + strconv.FormatUint(uint64(n), 10) }

// shortLived says which objects expire within the demo, so that the cache has
// to revalidate them.
func shortLived(o uint32) bool { return o%16 == 5 }
