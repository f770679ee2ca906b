package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"edgecache/bench"
	"edgecache/bench/program"
	"edgecache/cachestore"
	"edgecache/policy"
)

// churn measures what a shard that has been full for long writes for each byte that it
// stores, by what leaves it: in each round as many bytes as its quota come anew, which is
// 256 MiB with the default of -bytes. What leaves in the order in which it came leaves room in
// one piece, as does what is all of one size; what leaves by what it is worth, here and there.
func churn(ctx context.Context, o options, dir string, out *strings.Builder) error {
	ways := []*turnover{
		{name: "64 KiB each, by worth"},
		{name: "1 to 256 KiB, in order", octaves: 8, inOrder: true},
		{name: "1 to 256 KiB, by worth", octaves: 8},
		{name: "by worth, asked for", octaves: 8, asked: true},
		{name: "the same, sz2 chooses", octaves: 8, asked: true, admission: cachestore.AdmitSZ2},
		{name: "1 to 16 KiB, in order", octaves: 4, inOrder: true},
		{name: "the same, sz2 chooses", octaves: 4, asked: true, admission: cachestore.AdmitSZ2},
	}
	for i, w := range ways {
		w.quota = o.bytes * 8 / 3
		defer w.close()
		if err := w.open(filepath.Join(dir, fmt.Sprintf("churn-%d", i))); err != nil {
			return err
		}
		if err := w.fill(ctx); err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
	}
	for range o.rounds {
		for _, w := range ways {
			if err := w.round(ctx); err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
		}
	}
	line(out, "quota", "%d MiB in one shard; each round stores as much", ways[0].quota>>20)
	for _, w := range ways {
		w.report(out)
	}
	return nil
}

// unit is a number in [0, 1) that is always the same for i.
func unit(i uint64) float64 {
	hi, lo := bits.Mul64(i*0x9e3779b97f4a7c15+1, 0xd6e8feb86659fd93)
	return float64((hi^lo)>>11) / (1 << 53)
}

// turnover is one kind of traffic through a store of its own.
type turnover struct {
	name      string
	octaves   int  // from 1 KiB up, with as many objects in each; 0: all have 64 KiB
	inOrder   bool // each object is of no use a second after it came: the first that came is the first to leave
	asked     bool // each request is for one of some objects, by Zipf's law with exponent 1; else for a new one
	admission cachestore.Admission
	quota     int64

	dir    string
	mem    *cachestore.Memory
	disk   *cachestore.Disk
	tiers  *cachestore.Tiers
	noise  []byte
	random *rand.Rand
	clock  atomic.Int64 // Unix nanoseconds; each request takes a second
	next   int          // the object that comes next where nobody asks
	queued int64        // bytes that were stored since the last Sync

	mu      sync.Mutex
	commits *bench.Histogram // of this round

	calls, device  program.Spread // bytes written for each byte stored; no device where none is known
	file, live     program.Spread // of the quota, at the end of each round
	p50, p99, most program.Spread // ms of a commit
	batch, rate    program.Spread // KiB stored a commit, MiB/s
	came, chosen   program.Spread // bytes that came in a round; of them those that were stored
	compacted      uint64
}

const churnObjects = 8 // times as many as find room are asked for

func (w *turnover) open(dir string) (err error) {
	w.dir, w.noise, w.random, w.commits = dir, noise(1<<20), rand.New(rand.NewPCG(6, 1)), new(bench.Histogram)
	w.clock.Store(time.Now().UnixNano())
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	memory := max(w.quota/4, 16<<20)
	if w.mem, err = cachestore.NewMemory(cachestore.MemoryConfig{Size: memory}); err != nil {
		return err
	}
	if w.disk, err = cachestore.OpenDisk(cachestore.DiskConfig{
		Dir: dir, Size: w.quota, Shards: 1, Queue: memory / 4, Seed: 1, Admission: w.admission,
		PurgeSeq: func() uint64 { return 1 }, LastPurge: func() uint64 { return 0 },
		Now: w.clock.Load,
		Committed: func(took time.Duration) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.commits.Add(took)
		},
	}); err != nil {
		return err
	}
	w.tiers, err = cachestore.NewTiers(w.mem, w.disk)
	return err
}

func (w *turnover) close() {
	switch {
	case w.tiers != nil:
		_ = w.tiers.Close()
	case w.disk != nil:
		_ = errors.Join(w.disk.Close(), w.mem.Close())
	case w.mem != nil:
		_ = w.mem.Close()
	}
	_ = os.RemoveAll(w.dir)
}

// size is how many bytes object i has.
func (w *turnover) size(i int) int {
	if w.octaves == 0 {
		return 64 << 10
	}
	return int(1024 * math.Exp2(float64(w.octaves)*unit(uint64(i))))
}

// mean is how many bytes an object has, on average.
func (w *turnover) mean() float64 {
	if w.octaves == 0 {
		return 64 << 10
	}
	return 1024 * (math.Exp2(float64(w.octaves)) - 1) / (float64(w.octaves) * math.Ln2)
}

// fill stores until objects have left the disk for as long as it took to fill it.
func (w *turnover) fill(ctx context.Context) error {
	return w.until(ctx, w.disk.Stats().StoredBytes+2*uint64(w.quota))
}

// until makes requests until so many bytes were stored since the start, and all of
// them are on disk.
func (w *turnover) until(ctx context.Context, stored uint64) error {
	for i := 1; ctx.Err() == nil; i++ {
		if i%64 == 0 && w.disk.Stats().StoredBytes >= stored {
			return w.sync(ctx)
		}
		if err := w.request(ctx); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (w *turnover) sync(ctx context.Context) error {
	w.queued = 0
	return w.disk.Sync(ctx)
}

// request is a hit, or a miss and what comes of it. A hit is counted; its body is not read.
func (w *turnover) request(ctx context.Context) error {
	i := w.next
	if w.asked {
		i = int(math.Pow(churnObjects*float64(w.quota)/w.mean(), w.random.Float64()))
	}
	w.next++
	now := w.clock.Add(int64(time.Second))
	r, err := w.tiers.Load(ctx, keyOf(i))
	switch {
	case err == nil:
		w.tiers.Hit(r, r.Variants[0])
		return nil
	case !errors.Is(err, cachestore.ErrAbsent):
		return err
	}
	size := w.size(i)
	if w.queued += int64(size) + 1<<10; w.queued > w.disk.Stats().QueueLimit {
		if err := w.sync(ctx); err != nil { // none finds the queue full
			return err
		}
		w.queued = int64(size) + 1<<10
	}
	if len(w.came) > 0 {
		w.came[len(w.came)-1] += float64(size)
	}
	return w.store(i, size, now)
}

func (w *turnover) store(i, size int, now int64) error {
	wr := w.tiers.Begin(keyOf(i), cachestore.Meta{Length: int64(size)})
	if sp, ok := wr.(cachestore.Spiller); ok {
		defer sp.Release()
	}
	defer wr.Abort()
	at := i * 64 % (len(w.noise) - size)
	for p := w.noise[at : at+size]; len(p) > 0; {
		n := min(len(p), cachestore.ChunkSize)
		if err := wr.Chunk(p[:n:n]); err != nil {
			return err
		}
		p = p[n:]
	}
	v := &cachestore.Variant{Head: head, StoredAt: now}
	if w.inOrder {
		v.Life = policy.Life{Born: now, Fresh: time.Second}
	} else {
		v.Validators.ETag = []byte(`"1"`) // it is always of use
	}
	return wr.Commit(v)
}

func (w *turnover) round(ctx context.Context) error {
	w.mu.Lock()
	w.commits = new(bench.Histogram)
	w.mu.Unlock()
	w.came = append(w.came, 0)
	before, began := w.disk.Stats(), time.Now()
	from, err := trafficTo(w.dir)
	if err != nil {
		return err
	}
	if err := w.until(ctx, before.StoredBytes+uint64(w.quota)); err != nil {
		return err
	}
	took := time.Since(began).Seconds()
	to, err := trafficTo(w.dir)
	if err != nil {
		return err
	}
	w.note(before, w.disk.Stats(), to.since(from), took)
	return nil
}

// note makes a round's figures of what was before and after it.
func (w *turnover) note(before, after cachestore.DiskStats, moved traffic, seconds float64) {
	stored, quota := float64(after.StoredBytes-before.StoredBytes), float64(after.Limit)
	w.calls = append(w.calls, float64(moved.calls)/stored)
	if moved.written > 0 {
		w.device = append(w.device, float64(moved.written)/stored)
	}
	w.file, w.live = append(w.file, float64(after.File)/quota), append(w.live, float64(after.Live)/quota)
	w.batch = append(w.batch, stored/1024/float64(after.Commits-before.Commits))
	w.rate = append(w.rate, stored/mib/seconds)
	w.chosen = append(w.chosen, stored/w.came[len(w.came)-1])
	w.compacted += after.Compactions - before.Compactions
	w.mu.Lock()
	defer w.mu.Unlock()
	millis := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	w.p50, w.p99 = append(w.p50, millis(w.commits.Quantile(0.5))), append(w.p99, millis(w.commits.Quantile(0.99)))
	w.most = append(w.most, millis(w.commits.Max()))
}

func (w *turnover) report(out *strings.Builder) {
	line(out, w.name, "")
	line(out, "  stored", "%s of the bytes that came, %s MiB/s", w.chosen, w.rate)
	line(out, "  written", "%s a byte stored in write calls, %s by the device", w.calls, w.device)
	line(out, "  file", "%s of the quota, %s live; %d compactions", w.file, w.live, w.compacted)
	line(out, "  commit", "%s KiB each; p50 %s, p99 %s, longest %s ms", w.batch, w.p50, w.p99, w.most)
}
