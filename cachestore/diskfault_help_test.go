package cachestore

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// rig is a store of memory over a disk that the test breaks. Under one key there
// is always the same body, so that every byte that is served can be judged.
type rig struct {
	*Tiers
	t    *testing.T
	dir  string
	now  atomic.Int64
	lost *lostLog
	size int64 // of the memory

	mu    sync.Mutex
	files map[string]*os.File // bbolt's own, by base name
}

// lostLog counts what was logged.
type lostLog struct {
	slog.Handler
	lines atomic.Int64
}

func (l *lostLog) Enabled(context.Context, slog.Level) bool { return true }
func (l *lostLog) Handle(_ context.Context, r slog.Record) error {
	if r.Level > slog.LevelDebug {
		l.lines.Add(1)
	}
	return nil
}

// rigDir is a directory in memory where there is one: synced writes cost nothing
// there.
func rigDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "shards-*")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// rigConfig is the configuration of a rig in dir: one shard of 16 MiB.
func (g *rig) config() DiskConfig {
	return DiskConfig{
		Dir: g.dir, Size: 16 << 20, Shards: 1, Queue: 2 << 20, Seed: 1, Log: slog.New(g.lost),
		Now:      g.now.Load,
		PurgeSeq: func() uint64 { return 1 }, LastPurge: func() uint64 { return 0 },
		open: func(name string, flag int, mode os.FileMode) (*os.File, error) {
			f, err := os.OpenFile(name, flag, mode)
			g.mu.Lock()
			defer g.mu.Unlock()
			g.files[filepath.Base(name)] = f
			return f, err
		},
	}
}

// openRig opens a store in dir, with 8 MiB of memory, that is closed with the test.
func openRig(t *testing.T, dir string, change func(*DiskConfig)) *rig {
	t.Helper()
	return openRigOf(t, dir, 8<<20, change)
}

func openRigOf(t *testing.T, dir string, memory int64, change func(*DiskConfig)) *rig {
	t.Helper()
	g := &rig{t: t, dir: dir, size: memory, lost: &lostLog{Handler: slog.DiscardHandler}, files: map[string]*os.File{}}
	g.now.Store(1_700_000_000e9)
	mem, err := NewMemory(MemoryConfig{Size: memory})
	if err != nil {
		t.Fatal(err)
	}
	c := g.config()
	if change != nil {
		change(&c)
	}
	disk, err := OpenDisk(c)
	if err != nil {
		t.Fatal(err)
	}
	if g.Tiers, err = NewTiers(mem, disk); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close() }) // a test that wants to know closes it itself
	if err := disk.Loaded(t.Context()); err != nil {
		t.Fatal(err)
	}
	return g
}

// restart closes a store and opens it again.
func (g *rig) restart(change func(*DiskConfig)) *rig {
	g.t.Helper()
	if err := g.Close(); err != nil {
		g.t.Fatal(err)
	}
	return openRigOf(g.t, g.dir, g.size, change)
}

// rigBody is the body of key i.
func rigBody(i, size int) []byte {
	random := rand.NewChaCha8([32]byte{byte(i), byte(i >> 8), byte(i >> 16)})
	p := make([]byte, size)
	_, _ = random.Read(p)
	return p
}

// rigVariant is a variant that is of use for a minute after at.
func rigVariant(at int64) *Variant {
	v := &Variant{Head: NewHead(200, http.Header{"X-Is": {"stored"}}, nil)}
	v.Life.Born, v.Life.Fresh, v.StoredAt, v.PurgeSeq = at, time.Minute, at, 1
	return v
}

// put stores the body of key i. An error is what a caller streams on after.
func (g *rig) put(i, size int) error {
	w := g.Begin(insideKey(i), Meta{Length: int64(size)})
	if sp, ok := w.(Spiller); ok {
		defer sp.Release()
	}
	defer w.Abort()
	for p := rigBody(i, size); len(p) > 0; {
		n := min(len(p), ChunkSize)
		if err := w.Chunk(bytes.Clone(p[:n])); err != nil {
			return err
		}
		p = p[n:]
	}
	return w.Commit(rigVariant(g.now.Load()))
}

// sync waits for the writers.
func (g *rig) sync() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return g.disk.Sync(ctx)
}

// below reads key i from disk alone, and says whether it was there. A byte that is
// wrong fails the test.
func (g *rig) below(i, size int) (hit bool) {
	g.t.Helper()
	k := insideKey(i)
	s := g.disk.shard(k.Hash)
	if s == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	r, _, err := s.load(ctx, k)
	if err != nil {
		if ctx.Err() != nil {
			g.t.Errorf("key %d: the read hangs", i)
		}
		return false
	}
	return g.right(ctx, g.open(r.Variants[0]), i, size)
}

// served reads key i through all tiers as a request does.
func (g *rig) served(i, size int) (hit bool) {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	r, err := g.Load(ctx, insideKey(i))
	if err != nil {
		if ctx.Err() != nil {
			g.t.Errorf("key %d: the load hangs", i)
		}
		return false
	}
	return g.right(ctx, g.Open(r, r.Variants[0]), i, size)
}

// right reads a loan to its end and judges every byte.
func (g *rig) right(ctx context.Context, l *Loan, i, size int) (whole bool) {
	g.t.Helper()
	defer l.Close()
	want := rigBody(i, size)
	if l.v.Body.Size != int64(size) || string(l.v.Head.Get("X-Is")) != "stored" {
		g.t.Errorf("key %d: %d bytes with head %q", i, l.v.Body.Size, l.v.Head.Delivered())
		return false
	}
	for n := range l.v.Body.Chunks() {
		c, err := l.Chunk(ctx, n)
		if err != nil {
			if ctx.Err() != nil {
				g.t.Errorf("key %d: the read hangs", i)
			}
			return false
		}
		at := n * ChunkSize
		if !bytes.Equal(c, want[at:min(at+ChunkSize, size)]) {
			g.t.Errorf("key %d: chunk %d is wrong", i, n)
			return false
		}
	}
	return true
}

// wait waits until something holds.
func (g *rig) wait(what string, holds func() bool) {
	g.t.Helper()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline.C:
			g.t.Fatalf("waited in vain until %s; stats %+v", what, g.Stats().Disk)
		}
	}
}

// storesAgain waits until what is put is on disk.
func (g *rig) storesAgain(from int) {
	g.t.Helper()
	i := from
	g.wait("it stores again", func() bool {
		i++
		return g.put(i, 3000) == nil && g.sync() == nil && g.below(i, 3000)
	})
	if lines := g.disk.Trouble(); len(lines) > 0 {
		g.t.Errorf("it stores, and says %q", lines)
	}
}

// quarantined waits until so many shards were set aside, and looks for the file.
func (g *rig) quarantined(n uint64) {
	g.t.Helper()
	g.wait("the shard is replaced", func() bool {
		return g.disk.Stats().Quarantined >= n && g.disk.shards[0].Load() != nil
	})
	if _, err := os.Stat(shardPath(g.dir, 0) + badSuffix); err != nil {
		g.t.Error(err)
	}
	if got := g.disk.Stats().Quarantined; got != n {
		g.t.Errorf("%d shards were set aside, want %d", got, n)
	}
}

// instead puts another file in the place of a shard's, under the same descriptor.
func (g *rig) instead(base, path string, flag int) {
	g.t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	f, err := os.OpenFile(path, flag, 0)
	if err != nil {
		g.t.Fatal(err)
	}
	defer f.Close()
	if err := syscall.Dup3(int(f.Fd()), int(g.files[base].Fd()), syscall.O_CLOEXEC); err != nil {
		g.t.Fatal(err)
	}
}

// inChild runs test in a process of its own, which may leave stuck goroutines
// behind and set limits of its own.
func inChild(t *testing.T, test func(t *testing.T, dir string)) {
	const name, place = "EDGE_TEST_CHILD", "EDGE_TEST_DIR"
	if os.Getenv(name) == t.Name() {
		test(t, os.Getenv(place))
		if !t.Failed() {
			os.Exit(0) // what is left is meant to be
		}
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	c := exec.CommandContext(ctx, os.Args[0], "-test.run=^"+strings.ReplaceAll(t.Name(), "/", "$/^")+"$", "-test.timeout=80s")
	c.Env = append(os.Environ(), name+"="+t.Name(), place+"="+rigDir(t))
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// mounted is a tmpfs of its own, of so many bytes.
func mounted(t *testing.T, bytes int) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, fmt.Sprintf("size=%d", bytes)); err != nil {
		t.Skipf("this user may not mount a tmpfs: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}
