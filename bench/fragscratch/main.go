package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	"edgecache/bench"
	"edgecache/cachestore"
	"edgecache/policy"
)

func key(i int) policy.Key {
	k, _ := policy.NewKey(nil, 1, policy.URL{Scheme: "http", Host: []byte("h"), Path: fmt.Appendf(nil, "/%d", i)}, nil)
	return k
}

func main() {
	n := flag.Int("n", 300000, "")
	always := flag.Bool("always", true, "")
	flag.Parse()
	w, err := bench.LoadFile("/work/shared/traces/synth-z08.tr.gz", bench.Limits{})
	if err != nil {
		panic(err)
	}
	dir, _ := os.MkdirTemp("/tmp/frag", "x")
	defer os.RemoveAll(dir)
	mem, err := cachestore.NewMemory(cachestore.MemoryConfig{Size: 64 << 20})
	if err != nil {
		panic(err)
	}
	adm := cachestore.AdmitSZ2
	if *always {
		adm = cachestore.AdmitAlways
	}
	d, err := cachestore.OpenDisk(cachestore.DiskConfig{Dir: dir, Size: 211 << 20, Shards: 1, Queue: 16 << 20, Seed: 1, Admission: adm, NoSync: true, Log: slog.Default(),
		PurgeSeq: func() uint64 { return 1 }, LastPurge: func() uint64 { return 0 }})
	if err != nil {
		panic(err)
	}
	s, err := cachestore.NewTiers(mem, d)
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	began := time.Now()
	hits, written, pend := 0, int64(0), int64(0)
	for i, o := range w.Requests[:*n] {
		k := key(int(o))
		size := w.Sizes[o] / 16
		r, p := s.Peek(k)
		if p == cachestore.OnDisk {
			r, _ = s.Load(ctx, k)
		}
		if r != nil {
			s.Hit(r, r.Variants[0])
			l := s.Open(r, r.Variants[0])
			for c := range r.Variants[0].Body.Chunks() {
				l.Chunk(ctx, c)
			}
			l.Close()
			hits++
		} else {
			wr := s.Begin(k, cachestore.Meta{Length: size})
			var werr error
			for left := size; left > 0 && werr == nil; left -= min(left, cachestore.ChunkSize) {
				werr = wr.Chunk(make([]byte, min(left, cachestore.ChunkSize)))
			}
			v := &cachestore.Variant{Head: cachestore.NewHead(200, http.Header{"Etag": {`"x"`}}, nil)}
			v.Validators.ETag = []byte(`"x"`)
			if werr == nil {
				werr = wr.Commit(v)
			}
			if werr != nil {
				wr.Abort()
			}
			if sp, ok := wr.(cachestore.Spiller); ok {
				sp.Release()
			}
			written += size
			if pend += size; pend > 4<<20 {
				d.Sync(ctx)
				pend = 0
			}
		}
		if (i+1)%50000 == 0 {
			st := s.Stats().Disk
			fmt.Printf("%d: hits %.3f live %d%% file %.2f evicted %v dropped %v stored %dMB longest %dms %.0fs\n   %s\n", i+1, float64(hits)/float64(i+1), st.Live*100/st.Limit, float64(st.File)/float64(st.Limit), st.Evicted, st.Dropped, st.StoredBytes>>20, st.LongestCommit/1e6, time.Since(began).Seconds(), d.Debug())
		}
	}
	s.Close()
}
