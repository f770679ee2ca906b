package cachestore

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// storesNothing puts keys from from on until the disk says that it does not store
// them, goes on for a while, and checks that all of them are served.
func (g *rig) storesNothing(from, size int) {
	g.t.Helper()
	i := from
	g.wait("the disk is in trouble", func() bool {
		i++
		if err := g.put(i, size); err != nil {
			g.t.Fatalf("key %d: %v", i, err)
		}
		_ = g.sync()
		return g.disk.Stats().Shards[0].Trouble != ""
	})
	lines, dropped := g.lost.lines.Load(), g.disk.Stats().Dropped
	for n := range 50 {
		if err := g.put(i+n, 2000); err != nil {
			g.t.Errorf("put while the disk does not store: %v", err)
		}
		if !g.served(i+n, 2000) {
			g.t.Error("what memory holds is not served")
		}
	}
	if got := g.lost.lines.Load(); got > lines+1 {
		g.t.Errorf("%d lines were logged after the first", got-lines)
	}
	now := g.disk.Stats().Dropped
	if now[DiskDropResting] == dropped[DiskDropResting] {
		g.t.Errorf("dropped %v, then %v: what is not stored is not counted", dropped, now)
	}
	if now[DiskDropWrite] == 0 {
		g.t.Errorf("dropped %v: the commit that failed is not counted", now)
	}
}

// roomAgain lets time pass until it stores again.
func (g *rig) roomAgain(from int) {
	g.t.Helper()
	before := g.lost.lines.Load()
	g.wait("the rest is over", func() bool {
		g.now.Add(1e9)
		_ = g.sync()
		return g.disk.Stats().Shards[0].Trouble == ""
	})
	g.storesAgain(from)
	if n := g.lost.lines.Load() - before; n > 3 {
		g.t.Errorf("%d lines were logged when it stores again", n)
	}
}

func TestADiskThatIsFull(t *testing.T) {
	dir := mounted(t, 8<<20)
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 5<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	g := openRig(t, dir, nil)
	if err := errors.Join(g.put(0, 50_000), g.sync()); err != nil {
		t.Fatal(err)
	}
	g.storesNothing(1, 150_000)
	if got := g.disk.Stats().Shards[0].Trouble; !strings.Contains(got, "no space left") {
		t.Errorf("trouble %q, want what the system says", got)
	}
	if !g.below(0, 50_000) {
		t.Error("what is on disk is not read while it is full")
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	g.roomAgain(500)
	g = g.restart(nil)
	if !g.below(0, 50_000) || g.disk.Stats().Quarantined > 0 {
		t.Errorf("after a restart: %+v", g.disk.Stats())
	}
}

// TestADiskThatIsFullAtTheStart: the shard is tried again, and the others work.
func TestADiskThatIsFullAtTheStart(t *testing.T) {
	dir := mounted(t, 256<<10)
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 240<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	g := openRig(t, dir, nil)
	if got := g.disk.Trouble(); len(got) != 1 {
		t.Fatalf("trouble %q, want that the shard cannot be made", got)
	}
	if err := g.put(1, 1000); err != nil || !g.served(1, 1000) {
		t.Errorf("not served from memory: %v", err)
	}
	if err := syscall.Mount("none", dir, "tmpfs", syscall.MS_REMOUNT, "size=8m"); err != nil {
		t.Fatal(err)
	}
	g.disk.install(0) // as keep does
	g.storesAgain(10)
	if n := g.disk.Stats().Quarantined; n > 1 {
		t.Errorf("%d shards were set aside", n)
	}
}

// TestAFileOverItsLimit: a process may not write files over RLIMIT_FSIZE. The
// system sends SIGXFSZ with the error, which must not end it.
func TestAFileOverItsLimit(t *testing.T) {
	inChild(t, func(t *testing.T, dir string) {
		g := openRig(t, dir, nil)
		if err := errors.Join(g.put(0, 50_000), g.sync()); err != nil {
			t.Fatal(err)
		}
		var old syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 2 << 20, Max: old.Max}); err != nil {
			t.Fatal(err)
		}
		g.storesNothing(1, 150_000)
		if got := g.disk.Stats().Shards[0].Trouble; !strings.Contains(got, "file too large") {
			t.Errorf("trouble %q, want what the system says", got)
		}
		if !g.below(0, 50_000) {
			t.Error("what is on disk is not read meanwhile")
		}
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
			t.Fatal(err)
		}
		g.roomAgain(500)
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestADiskThatFillsUnderALargeBody: who reads it gets all of it.
func TestADiskThatFillsUnderALargeBody(t *testing.T) {
	dir := mounted(t, 12<<20)
	g := openRig(t, dir, func(c *DiskConfig) { c.Size = 64 << 20 })
	const size = 30 << 20
	body := rigBody(7, size)
	fill := NewFill(FillConfig{Length: size, Account: g.Account()})
	fill.Keep(g.Begin(insideKey(7), Meta{Length: size}))
	r, err := fill.Join()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ended := make(chan error, 1)
	go func() {
		if err := fill.Write(t.Context(), body); err != nil {
			ended <- err
			return
		}
		_, err := fill.Finish(nil)
		if kept, _ := fill.Kept(); err == nil && kept {
			err = errors.New("it is kept")
		}
		fill.Discard()
		ended <- err
	}()
	g.wait("the disk is full", func() bool { return g.disk.Stats().Shards[0].Trouble != "" })
	for at := 0; at < size; {
		p, err := r.Next(t.Context())
		if err != nil {
			t.Fatalf("at %d of %d: %v", at, size, err)
		}
		if string(p) != string(body[at:at+len(p)]) {
			t.Fatalf("at %d: wrong bytes", at)
		}
		at += len(p)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if !g.served(7, size) {
		g.roomAgain(100) // of what was written of it the room is given back
	}
}

func TestADirectoryThatIsReadOnlyAtTheStart(t *testing.T) {
	dir := mounted(t, 4<<20)
	g := openRig(t, dir, nil)
	if err := errors.Join(g.put(1, 1000), g.sync(), g.Close()); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("none", dir, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Skipf("cannot be made read-only: %v", err)
	}
	c := g.config()
	if d, err := OpenDisk(c); !errors.Is(err, syscall.EROFS) {
		t.Errorf("disk %v, error %v, want that it is read-only", d, err)
	}
	c.Dir = filepath.Join(dir, "none")
	if d, err := OpenDisk(c); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("disk %v, error %v, want that it is not there", d, err)
	}
	if err := syscall.Mount("none", dir, "tmpfs", syscall.MS_REMOUNT, ""); err != nil {
		t.Fatal(err)
	}
	if g = openRig(t, dir, nil); !g.below(1, 1000) {
		t.Error("what was stored before is gone")
	}
}

// TestADirectoryThatIsRemoved: what is open goes on; a shard that breaks then has
// no successor until there is a directory again.
func TestADirectoryThatIsRemoved(t *testing.T) {
	dir := filepath.Join(rigDir(t), "shards")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	g := openRig(t, dir, nil)
	if err := errors.Join(g.put(1, 1000), g.sync()); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if !g.below(1, 1000) {
		t.Error("what was stored is gone")
	}
	g.storesAgain(10)
	if _, err := g.disk.Compact(t.Context()); err == nil {
		t.Error("a compaction without a directory succeeds")
	}
	g.storesAgain(30)
	g.disk.retire(g.disk.shards[0].Load(), errors.New("test"))
	g.wait("the trouble is told", func() bool { return strings.Contains(g.disk.Stats().Shards[0].Trouble, "no such file") })
	for i := range 200 { // far more than there are lives
		g.disk.install(0)
		if err := g.put(100+i, 100); err != nil || !g.served(100+i, 100) {
			t.Fatalf("not served from memory: %v", err)
		}
	}
	if n := g.lost.lines.Load(); n > 3 {
		t.Errorf("%d lines were logged", n)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	g.disk.install(0)
	g.storesAgain(1000)
}
