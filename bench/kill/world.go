package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"edgecache/bench"
)

// The sizes of bodies, spread evenly over their logarithm.
const (
	leastSize = 1 << 10
	mostSize  = 2 << 20
)

// mostObjects is how many objects a world can have; tags is how many tags they
// share.
const (
	mostObjects = 1 << 17
	tags        = 64
)

// world is what is true: which objects there are, which version of each the
// origin answers with, and up to which one edge was told to forget the older.
type world struct {
	objects [mostObjects]object
	known   atomic.Uint32 // how many of them were asked for
}

// object is one of them. Its number gives its url, tag and size.
type object struct {
	version atomic.Uint64 // what the origin answers with
	floor   atomic.Uint64 // the least that edge may serve: of purges that were acknowledged

	mu       sync.Mutex
	changes  int       // begun and ended
	changing int       // purges of it that are under way
	kept     time.Time // when the version of now was answered as a whole: when it was fetched, if that was seen
	life     int       // of edge, in which that was
}

func newWorld() *world {
	w := &world{}
	for o := range w.objects {
		w.objects[o].version.Store(1)
		w.objects[o].floor.Store(1)
	}
	return w
}

// next makes an object known that nobody has asked for yet.
func (w *world) next() (o uint32, ok bool) {
	n := w.known.Add(1)
	if n > mostObjects {
		w.known.Store(mostObjects)
		return 0, false
	}
	return n - 1, true
}

func path(o uint32) string { return "/o/" + strconv.FormatUint(uint64(o), 10) }
func tag(o uint32) string  { return fmt.Sprintf("t%d", o%tags) }

// at finds the object of a path.
func at(path string) (o uint32, ok bool) {
	number, ok := strings.CutPrefix(path, "/o/")
	n, err := strconv.ParseUint(number, 10, 32)
	return uint32(n), ok && err == nil && n < mostObjects
}

// size is that of all versions of an object.
func size(o uint32) int64 {
	share := float64(bench.Mix(uint64(o))>>11) / (1 << 53)
	return int64(leastSize * math.Pow(mostSize/leastSize, share))
}

// begin notes where the changes of an object stand before it is asked for.
func (o *object) begin() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.changes
}

// answered notes that a version was answered as a whole, by a life of edge. It
// counts as kept only if no purge touched the object since it was asked for: edge
// must not keep what a purge overtook.
func (o *object) answered(version uint64, since, life int, hit bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.changes != since || o.changing > 0 || version != o.version.Load() {
		return
	}
	if !hit || o.kept.IsZero() {
		o.kept, o.life = time.Now(), life
	}
}

// change gives the object a new version. The purge of the old one follows.
func (o *object) change() (version uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.changes++
	o.changing++
	o.kept = time.Time{}
	return o.version.Add(1)
}

// purged ends a change; acknowledged says that edge has answered for it.
func (o *object) purged(version uint64, acknowledged bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.changes++
	o.changing--
	if acknowledged {
		o.floor.Store(max(o.floor.Load(), version))
	}
}

// keptBefore says whether the object was answered in that life before a moment,
// and not changed since.
func (o *object) keptBefore(moment time.Time, life int) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.kept.IsZero() && o.life == life && o.kept.Before(moment)
}
