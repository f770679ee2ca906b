package main

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"edgecache/cachestore"
	"edgecache/policy"
)

// stored is cachestore behind its door: memory alone, or two tiers.
type stored struct {
	store cachestore.Store
	disk  *cachestore.Disk // nil: memory alone
	head  *cachestore.Head
	now   int64
}

var _ cache = (*stored)(nil)

const (
	diskTimes    = 3    // objects that the disk holds, over those of memory
	indexBytes   = 100  // of memory that an object on disk takes
	diskObject   = 1400 // bytes that one takes of the quota, with record and keys
	measuredOnes = 1000 // objects, to see what one takes
)

func newStored(s cachestore.Store) *stored {
	h := http.Header{"Content-Type": {"application/octet-stream"}, "Cache-Control": {"max-age=3600"}, "Etag": {`"1"`}}
	return &stored{store: s, head: cachestore.NewHead(200, h, nil), now: time.Now().UnixNano()}
}

// objectBytes is what memory counts for one object, found by storing some, once.
var objectBytes = sync.OnceValues(func() (int64, error) {
	m, err := cachestore.NewMemory(cachestore.MemoryConfig{Size: 64 << 20})
	if err != nil {
		return 0, err
	}
	s := newStored(m)
	w, body := s.worker(), make([]byte, bodyBytes)
	before := m.Stats().Bytes
	for i := range measuredOnes {
		if !w.put(urlOf(i), body) {
			return 0, errors.Join(errors.New("an empty memory refuses an object"), m.Close())
		}
	}
	return (m.Stats().Bytes - before) / measuredOnes, m.Close()
})

// memoryBytes is the size of a memory that has room for objects beside what it
// needs for itself, which grows with its size.
func memoryBytes(objects int) (int64, error) {
	one, err := objectBytes()
	if err != nil {
		return 0, err
	}
	size := max(int64(objects)*one, cachestore.MinMemory)
	for range 4 {
		m, err := cachestore.NewMemory(cachestore.MemoryConfig{Size: size})
		if err != nil {
			return 0, err
		}
		size = max(int64(objects)*one+m.Stats().Fixed, cachestore.MinMemory)
		if err := m.Close(); err != nil {
			return 0, err
		}
	}
	return size, nil
}

// openMemory makes a memory tier with room for as many objects.
func openMemory(objects int, _ string) (cache, error) {
	size, err := memoryBytes(objects)
	if err != nil {
		return nil, err
	}
	m, err := cachestore.NewMemory(cachestore.MemoryConfig{Size: size})
	return newStored(m), err
}

// openTiers puts such a memory over a disk of three times as many. What the disk
// has in memory comes on top, with edge's eighth for the queue.
func openTiers(objects int, dir string) (cache, error) {
	size, err := memoryBytes(objects)
	if err != nil {
		return nil, err
	}
	behind := int64(diskTimes * objects)
	queue := min(32<<20, size/8)
	size += queue + behind*indexBytes
	m, err := cachestore.NewMemory(cachestore.MemoryConfig{Size: size})
	if err != nil {
		return nil, err
	}
	d, err := cachestore.OpenDisk(cachestore.DiskConfig{
		Dir: dir, Size: max(behind*diskObject, 4*cachestore.MinDisk), Queue: queue, Seed: 1,
		PurgeSeq: func() uint64 { return 1 }, LastPurge: func() uint64 { return 0 },
	})
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	t, err := cachestore.NewTiers(m, d)
	if err != nil {
		return nil, errors.Join(err, m.Close(), d.Close())
	}
	s := newStored(t)
	s.disk = d
	return s, nil
}

func (s *stored) objects() (memory, disk int) {
	if s.disk != nil {
		_ = s.disk.Sync(context.Background()) // a disk that fails has fewer, which shows
	}
	st := s.store.Stats()
	return int(st.Resources), int(st.Disk.Objects)
}

func (s *stored) close() error { return s.store.Close() }

func (s *stored) worker() worker {
	return &asker{stored: s, ask: policy.Ask{Method: "GET"}}
}

// asker does what edge does for a request, with its buffers.
type asker struct {
	*stored
	ask                 policy.Ask
	path, key, selector []byte
}

// keyOf is the url's primary key, a view of the asker's buffer.
func (a *asker) keyOf(url string) (k policy.Key) {
	a.path = append(a.path[:0], url...)
	k, a.key = policy.NewKey(a.key[:0], 1, policy.URL{Scheme: "http", Host: host, Path: a.path}, nil)
	return k
}

var host = []byte("throughput.bench")

func (a *asker) get(url string) ([]byte, place) {
	k := a.keyOf(url)
	r, where := a.store.Peek(k)
	switch where {
	case cachestore.Absent:
		return nil, nowhere
	case cachestore.OnDisk:
		var err error
		if r, err = a.store.Load(context.Background(), k); err != nil {
			return nil, nowhere // it went meanwhile
		}
	}
	var v *cachestore.Variant
	if v, a.selector = r.Select(&a.ask, a.selector[:0]); v == nil {
		return nil, nowhere
	}
	if v.Body.InMemory() {
		a.store.Hit(r, v)
		return v.Body.At(0), inMemory
	}
	l := a.store.Open(r, v)
	defer l.Close()
	v, err := l.Whole(context.Background())
	if err != nil {
		return nil, nowhere
	}
	a.store.Hit(r, v)
	return v.Body.At(0), onDisk
}

func (a *asker) put(url string, body []byte) (taken bool) {
	ctx, n := context.Background(), int64(len(body))
	f := cachestore.NewFill(cachestore.FillConfig{Length: n, Account: a.store.Account()})
	f.Keep(a.store.Begin(a.keyOf(url), cachestore.Meta{Length: n}))
	if f.Write(ctx, body) != nil {
		f.Abort(cachestore.ErrNotKept)
		return false
	}
	if _, err := f.Finish(nil); err != nil {
		return false
	}
	return f.Commit(&cachestore.Variant{
		Head: a.head, Life: policy.Life{Born: a.now, Fresh: time.Hour, Explicit: true}, StoredAt: a.now,
		Validators: policy.Validators{ETag: []byte(`"1"`)},
	}) == nil
}
