package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"edgecache/cachestore"
	"edgecache/policy"
)

// shelf is a store of two tiers with what a benchmark needs around it.
type shelf struct {
	tiers *cachestore.Tiers
	disk  *cachestore.Disk
	noise []byte // bodies are views of it
}

// openShelf opens one in a directory of its own.
func openShelf(dir string, memory, disk int64) (*shelf, error) {
	return openShelfAt(dir, memory, disk, time.Now)
}

// openShelfAt is openShelf with a clock.
func openShelfAt(dir string, memory, disk int64, now func() time.Time) (*shelf, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	mem, err := cachestore.NewMemory(cachestore.MemoryConfig{Size: memory})
	if err != nil {
		return nil, err
	}
	d, err := cachestore.OpenDisk(cachestore.DiskConfig{
		Dir: dir, Size: disk, Queue: min(32<<20, memory/4), Seed: 1,
		PurgeSeq: func() uint64 { return 1 }, LastPurge: func() uint64 { return 0 },
		Now: func() int64 { return now().UnixNano() },
	})
	if err != nil {
		return nil, errors.Join(err, mem.Close())
	}
	t, err := cachestore.NewTiers(mem, d)
	if err != nil {
		return nil, errors.Join(err, mem.Close(), d.Close())
	}
	return &shelf{tiers: t, disk: d, noise: noise(12 << 20)}, nil
}

// noise is bytes that nothing can make smaller.
func noise(n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(p)
	return p
}

func (s *shelf) close() error { return s.tiers.Close() }

// body is what object i holds.
func (s *shelf) body(i, size int) []byte {
	at := i * 64 % (len(s.noise) - size)
	return s.noise[at : at+size]
}

func keyOf(i int) policy.Key { return keyAt("/" + strconv.Itoa(i)) }

// keyAt is the primary key of a path.
func keyAt(path string) policy.Key {
	k, _ := policy.NewKey(nil, 1, urlAt(path), nil)
	return k.Clone()
}

func urlAt(path string) policy.URL {
	return policy.URL{Scheme: "http", Host: []byte("disk.bench"), Path: []byte(path)}
}

var head = cachestore.NewHead(200, http.Header{"Content-Type": {"application/octet-stream"}, "Etag": {`"1"`}}, nil)

// put stores an object that never expires.
func (s *shelf) put(ctx context.Context, i, size int) error {
	return s.store(ctx, keyOf(i), s.body(i, size), func() *cachestore.Variant {
		return &cachestore.Variant{Head: head, Validators: policy.Validators{ETag: []byte(`"1"`)}}
	})
}

// store stores a body on disk, however often the disk's queue has no room: under
// a new variant each time, for what was committed may not be changed.
func (s *shelf) store(ctx context.Context, k policy.Key, body []byte, variant func() *cachestore.Variant) error {
	for {
		v := variant()
		w := s.tiers.Begin(k, cachestore.Meta{Length: int64(len(body))})
		for p := body; len(p) > 0; {
			n := min(len(p), cachestore.ChunkSize)
			if err := w.Chunk(p[:n:n]); err != nil {
				w.Abort()
				return err
			}
			p = p[n:]
		}
		if err := w.Commit(v); err != nil {
			w.Abort()
			return err
		}
		if sp, ok := w.(cachestore.Spiller); ok {
			sp.Release()
		}
		if v.Body.ID>>63 != 0 { // the disk has taken it
			return nil
		}
		select {
		case <-time.After(200 * time.Microsecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// fillUp stores objects [from, to) and waits until they are on disk.
func (s *shelf) fillUp(ctx context.Context, from, to, size int) error {
	for i := from; i < to; i++ {
		if err := s.put(ctx, i, size); err != nil {
			return err
		}
	}
	return s.disk.Sync(ctx)
}

// crowd takes all that memory has for bodies on their way, so that what is read
// from disk does not come up to memory. free gives it back.
func (s *shelf) crowd() (free func()) {
	a, taken := s.tiers.Account(), int64(0)
	for n := int64(1 << 20); n >= 64; n /= 2 {
		for a.Reserve(n) {
			taken += n
		}
	}
	return func() { a.Release(taken) }
}

// read is a hit, chunk by chunk.
func (s *shelf) read(ctx context.Context, k policy.Key) (bytes int, onDisk bool, err error) {
	r, err := s.tiers.Load(ctx, k)
	if err != nil {
		return 0, false, err
	}
	v := r.Variants[0]
	s.tiers.Hit(r, v)
	l := s.tiers.Open(r, v)
	defer l.Close()
	for i := range v.Body.Chunks() {
		c, err := l.Chunk(ctx, i)
		if err != nil {
			return bytes, l.OnDisk(), err
		}
		bytes += len(c)
	}
	return bytes, l.OnDisk(), nil
}

// raise is a hit as edge has it: read as a whole, and it comes up to memory.
func (s *shelf) raise(ctx context.Context, k policy.Key) (bytes int, onDisk bool, err error) {
	r, err := s.tiers.Load(ctx, k)
	if err != nil {
		return 0, false, err
	}
	s.tiers.Hit(r, r.Variants[0])
	l := s.tiers.Open(r, r.Variants[0])
	defer l.Close()
	onDisk = l.OnDisk()
	v, err := l.Whole(ctx)
	if err != nil {
		return 0, onDisk, err
	}
	return int(v.Body.Size), onDisk, nil
}

// files opens the shards' files to look at them from outside.
func (s *shelf) files() (list []*os.File, err error) {
	for _, one := range s.disk.Stats().Shards {
		f, err := os.Open(filepath.Clean(one.File))
		if err != nil {
			return list, err
		}
		list = append(list, f)
	}
	return list, nil
}
