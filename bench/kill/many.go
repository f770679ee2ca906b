package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"edgecache/bench"
	"edgecache/bench/child"
	"edgecache/cachestore"
	"edgecache/policy"
	"edgecache/purge"
)

// smallest and largest are the bodies of a disk that is full of small objects.
const (
	smallest = 200
	largest  = 1000
)

// fillWait is after how many objects a fill lets the queue run empty: nothing
// may be dropped.
const fillWait = 10_000

// fill stores objects below edge's directory as edge would: with its seed, under
// its purge log.
func fill(ctx context.Context, dir string, size int64, objects int) (err error) {
	seed, err := readSeed(filepath.Join(dir, "seed"))
	if err != nil {
		return err
	}
	log, err := purge.Open(purge.Config{Path: filepath.Join(dir, "purge.db")})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	mem, err := cachestore.NewMemory(cachestore.MemoryConfig{Size: 512 << 20})
	if err != nil {
		return err
	}
	disk, err := cachestore.OpenDisk(cachestore.DiskConfig{
		Dir: dir, Size: size, Shards: cachestore.ShardsFor(size), Seed: seed, PurgeEpoch: log.Epoch(), PurgeSeq: log.Index().Now, LastPurge: log.LastPurge,
	})
	if err != nil {
		return err
	}
	store, err := cachestore.NewTiers(mem, disk)
	if err != nil {
		return errors.Join(err, disk.Close())
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	for o := range objects {
		if err := put(store, seed, uint32(o), log.Index().Now()); err != nil {
			return fmt.Errorf("store object %d: %w", o, err)
		}
		if o%fillWait == fillWait-1 || o == objects-1 {
			if err := disk.Sync(ctx); err != nil {
				return err
			}
		}
	}
	if st := disk.Stats(); st.Objects != int64(objects) {
		return fmt.Errorf("%d of %d objects are on disk: %+v", st.Objects, objects, st)
	}
	return nil
}

// put stores one object, with a head and tags as sites have them.
func put(store cachestore.Store, seed policy.Seed, o uint32, seq uint64) error {
	body := make([]byte, smallest+int(bench.Mix(uint64(o))%(largest-smallest)))
	bench.FillBody(body, o, 1, 0)
	now := time.Now()
	h := http.Header{
		"Etag": {bench.ETag(o, 1)}, "Content-Type": {"application/octet-stream"}, "Date": {now.UTC().Format(http.TimeFormat)},
		"Cache-Control": {"max-age=86400"}, "Content-Length": {strconv.Itoa(len(body))},
	}
	k, _ := policy.NewKey(nil, seed, policy.URL{Scheme: "http", Host: []byte(hostName), Path: []byte(path(o))}, nil)
	w := store.Begin(k, cachestore.Meta{Length: int64(len(body))})
	defer w.Abort()
	if err := w.Chunk(body); err != nil {
		return err
	}
	return w.Commit(&cachestore.Variant{
		Head: cachestore.NewHead(http.StatusOK, h, nil),
		Life: policy.Life{Born: now.UnixNano(), Fresh: 24 * time.Hour, Explicit: true},
		Tags: []uint64{uint64(o % 1000), uint64(o % 77)}, PurgeSeq: seq, StoredAt: now.UnixNano(),
	})
}

func readSeed(path string) (policy.Seed, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 16, 64)
	return policy.Seed(n), err
}

// measureStarts measures starts with many objects on disk.
func measureStarts(ctx context.Context, k *killer, base string) (*startReport, error) {
	refusing, err := startRefusing()
	if err != nil {
		return nil, err
	}
	defer refusing.Close()
	config := filepath.Join(base, "edge.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, "disk: {size: %s, admission: always}\n", k.disk), 0o600); err != nil {
		return nil, err
	}
	size, err := parseGiB(k.disk)
	if err != nil {
		return nil, err
	}
	c := child.Config{Binary: k.binary, Dir: base, Origin: refusing.URL, Memory: k.memory, File: config}
	e, err := child.Start(ctx, c) // it makes seed and purge log
	if err != nil {
		return nil, err
	}
	if err := e.Stop(); err != nil {
		return nil, err
	}
	fmt.Fprintf(k.progress, "storing %d objects\n", k.objects)
	if err := fill(ctx, c.DiskDir(), size, k.objects); err != nil {
		return nil, err
	}
	r := &startReport{objects: k.objects}
	for n := range 2 * startsEach {
		if err := r.one(ctx, k, c, n < startsEach); err != nil {
			return r, err
		}
	}
	return r, nil
}

// parseGiB reads a size as this program's flags give it.
func parseGiB(text string) (int64, error) {
	n, err := strconv.ParseInt(strings.TrimSuffix(text, "GiB"), 10, 64)
	if err != nil || !strings.HasSuffix(text, "GiB") {
		return 0, fmt.Errorf("-disk %s: give a size like 4GiB", text)
	}
	return n << 30, nil
}
