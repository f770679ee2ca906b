package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"edgecache/cachestore"
	"edgecache/policy"
)

// clock is the system's, or ahead of it.
type clock struct{ ahead atomic.Int64 } // nanoseconds

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

// jump sets the clock to a time that is not yet.
func (c *clock) jump(to time.Time) { c.ahead.Add(int64(max(to.Sub(c.now()), 0))) }

const (
	waveLife    = time.Hour // of each object of a wave
	wavePath    = "/wave/"
	newPath     = "/new/"
	waveStores  = 4 // goroutines that store one: as many as the disk has shards
	probeStored = 4000
)

// wave is many small objects that all expire at one instant: what there was of a
// site when all of it was loaded anew. The disk has just enough room for it, and
// memory for the fourth or so that came last.
type wave struct {
	shelf   *shelf
	clock   clock
	purges  func() uint64 // the purge number now; nil is 0
	objects int
	stale   time.Duration // stale-while-revalidate; 0 is none
	ends    time.Time     // when they expire
	news    int           // objects that are not of it, so far
}

var _ http.Handler = (*wave)(nil)

// openWave makes an empty one. How much room it needs is found by storing a few.
func openWave(ctx context.Context, o options, dir string) (w *wave, err error) {
	probe := &wave{stale: o.stale}
	if probe.shelf, err = openShelf(filepath.Join(dir, "probe"), 32<<20, 32<<20); err != nil {
		return nil, err
	}
	probe.objects = probeStored
	err = probe.fill(ctx)
	st := probe.shelf.tiers.Stats().Disk
	if err := errors.Join(err, probe.shelf.close()); err != nil {
		return nil, err
	}
	w = &wave{objects: o.objects, stale: o.stale}
	disk := st.Live / st.Objects * int64(o.objects)
	w.shelf, err = openShelfAt(filepath.Join(dir, "wave"), max(32<<20, 448*int64(o.objects)), max(disk, cachestore.MinDisk), w.clock.now)
	return w, err
}

// size is that of object i in bytes.
func (w *wave) size(i int) int { return 200 + i%101 }

// validates says whether object i has a validator. One that has is of use when it
// is stale, for a 304 confirms it; one that has none is the first to leave the disk.
func (w *wave) validates(i int) bool { return i%2 == 0 }

// header is what the origin says of object i.
func (w *wave) header(i int, life time.Duration, date time.Time) http.Header {
	h := http.Header{
		"Date":          {date.UTC().Format(http.TimeFormat)},
		"Content-Type":  {"application/octet-stream"},
		"Cache-Control": {fmt.Sprintf("max-age=%d", int(life.Seconds()))},
	}
	if w.stale > 0 {
		h["Cache-Control"][0] += fmt.Sprintf(", stale-while-revalidate=%d", int(w.stale.Seconds()))
	}
	if w.validates(i) {
		h["Etag"] = []string{waveTag}
	}
	return h
}

const waveTag = `"1"`

// variant is what edge would store of such an answer that came at a time.
func (w *wave) variant(path string, h http.Header, at time.Time) (*cachestore.Variant, error) {
	now := at.UnixNano()
	d := policy.Judge(&policy.Ask{Method: http.MethodGet}, &policy.Rules{Heuristic: true},
		&policy.Response{Status: http.StatusOK, Header: h}, urlAt(path), policy.Times{RequestAt: now, ResponseAt: now})
	if !d.Store {
		return nil, fmt.Errorf("policy does not store %s: %s", path, d.Why)
	}
	v := &cachestore.Variant{
		Head: cachestore.NewHead(http.StatusOK, h, nil), Life: d.Life, SharedAuth: d.SharedAuth, StoredAt: now,
		Validators: policy.Validators{ETag: []byte(h.Get("Etag"))},
	}
	if w.purges != nil {
		v.PurgeSeq = w.purges()
	}
	return v, nil
}

// put stores object i under a path.
func (w *wave) put(ctx context.Context, path string, i int, life time.Duration, at time.Time) error {
	h := w.header(i, life, at)
	if _, err := w.variant(path, h, at); err != nil {
		return err
	}
	return w.shelf.store(ctx, keyAt(path), w.shelf.body(i, w.size(i)), func() *cachestore.Variant {
		v, _ := w.variant(path, h, at) // it was asked above
		return v
	})
}

// fill stores all objects, in the place of those that there were, and waits until
// they are on disk.
func (w *wave) fill(ctx context.Context) error {
	born := w.clock.now().Truncate(time.Second) // a Date has no more
	w.ends = born.Add(waveLife)
	errs := make([]error, waveStores)
	var running sync.WaitGroup
	for g := range waveStores {
		running.Go(func() {
			for i := g; i < w.objects && errs[g] == nil; i += waveStores {
				errs[g] = w.put(ctx, wavePath+strconv.Itoa(i), i, waveLife, born)
			}
		})
	}
	running.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return w.shelf.disk.Sync(ctx)
}

// storeNew stores objects that are not of the wave and stay fresh, at a rate,
// until the context ends. They have no validator.
func (w *wave) storeNew(ctx context.Context, rate int) error {
	const tick = 5 * time.Millisecond
	t := time.NewTicker(tick)
	defer t.Stop()
	for began, stored := time.Now(), 0; ; {
		for ; stored < int(time.Since(began).Seconds()*float64(rate)); stored++ {
			i := 2*w.news + 1
			w.news++
			err := w.put(ctx, newPath+strconv.Itoa(i), i, 365*24*time.Hour, w.clock.now())
			if ctx.Err() != nil {
				return nil
			}
			if err != nil {
				return err
			}
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// ServeHTTP is the origin of the wave: it confirms what has a validator, and what
// it sends is fresh for as long again.
func (w *wave) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	i, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, wavePath))
	if err != nil {
		http.NotFound(rw, r)
		return
	}
	for name, values := range w.header(i, waveLife, w.clock.now()) {
		rw.Header()[name] = values
	}
	if w.validates(i) && r.Header.Get("If-None-Match") == waveTag {
		rw.WriteHeader(http.StatusNotModified)
		return
	}
	rw.Header().Set("Content-Length", strconv.Itoa(w.size(i)))
	_, _ = rw.Write(w.shelf.body(i, w.size(i)))
}
