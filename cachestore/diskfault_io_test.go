package cachestore

import (
	"errors"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

// filled is a rig with 20 bodies of 70,000 bytes on disk.
func filled(t *testing.T) *rig {
	t.Helper()
	g := openRig(t, rigDir(t), nil)
	for i := range 20 {
		if err := g.put(i, 70_000); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.sync(); err != nil {
		t.Fatal(err)
	}
	return g
}

func (g *rig) hits(n, size int) (hits int) {
	g.t.Helper()
	for i := range n {
		if g.below(i, size) {
			hits++
		}
	}
	return hits
}

// TestWriteErrors: the descriptor cannot be written. Reads go on.
func TestWriteErrors(t *testing.T) {
	g := filled(t)
	path := shardPath(g.dir, 0)
	g.instead("shard-0.db", path, os.O_RDONLY)
	g.storesNothing(100, 70_000)
	if n := g.hits(20, 70_000); n != 20 {
		t.Errorf("%d hits while it cannot be written, want 20", n)
	}
	g.Delete(insideKey(3))
	if g.served(3, 70_000) {
		t.Error("what was deleted is served, because its deletion could not be written")
	}
	if err := g.Sweep(t.Context(), 10, keep); err == nil {
		t.Error("a sweep that could not be written says that it is durable")
	}
	g.instead("shard-0.db", path, os.O_RDWR)
	g.roomAgain(500)
	if n := g.hits(20, 70_000); n != 19 {
		t.Errorf("%d hits afterwards, want 19", n)
	}
	g = g.restart(nil)
	if n := g.hits(20, 70_000); n != 19 || g.disk.Stats().Quarantined > 0 {
		t.Errorf("%d hits after a restart, want 19", n)
	}
}

// TestWriteErrorsUntilTheEnd: Close does not wait for what cannot be written.
func TestWriteErrorsUntilTheEnd(t *testing.T) {
	g := filled(t)
	g.instead("shard-0.db", shardPath(g.dir, 0), os.O_RDONLY)
	g.storesNothing(100, 70_000)
	g.Delete(insideKey(3))
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	g = openRig(t, g.dir, nil)
	if n := g.hits(20, 70_000); n < 19 {
		t.Errorf("%d hits after a restart", n)
	}
}

// TestReadErrors: every read is a miss that is counted; what is written meanwhile
// is there afterwards.
func TestReadErrors(t *testing.T) {
	g := filled(t)
	path := shardPath(g.dir, 0)
	g.instead("shard-0.db", path, os.O_WRONLY)
	if n := g.hits(20, 70_000); n != 0 {
		t.Errorf("%d hits of a file that cannot be read", n)
	}
	if n := g.disk.Stats().Dropped[DiskDropRead]; n == 0 {
		t.Error("the reads that failed are not counted")
	}
	for i := range 20 {
		if err := g.put(100+i, 70_000); err != nil || !g.served(100+i, 70_000) {
			t.Errorf("not served from memory: %v", err)
		}
	}
	if err := g.sync(); err != nil {
		t.Error(err)
	}
	if _, err := g.disk.Check(t.Context()); err == nil {
		t.Error("a check that could read nothing finds no fault")
	}
	g.instead("shard-0.db", path, os.O_RDWR)
	if n := g.hits(120, 70_000); n != 40 || g.disk.Stats().Quarantined > 0 {
		t.Errorf("%d hits afterwards, want 40", n)
	}
}

// TestAnotherFileUnderTheDescriptor: a device that takes nothing and gives zeros,
// a pipe that nobody writes to and one that nobody reads from.
func TestAnotherFileUnderTheDescriptor(t *testing.T) {
	pipe := func(t *testing.T) (path string, keep func()) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		return "/proc/self/fd/" + strconv.Itoa(int(r.Fd())), func() { r.Close(); w.Close() }
	}
	for name, open := range map[string]func(*testing.T) (string, int, func()){
		"full device": func(*testing.T) (string, int, func()) { return "/dev/full", os.O_RDWR, func() {} },
		"pipe's read end": func(t *testing.T) (string, int, func()) {
			path, done := pipe(t)
			return path, os.O_RDONLY | syscall.O_NONBLOCK, done
		},
		"pipe's write end": func(t *testing.T) (string, int, func()) {
			path, done := pipe(t)
			return path, os.O_WRONLY | syscall.O_NONBLOCK, done
		},
	} {
		t.Run(name, func(t *testing.T) {
			inChild(t, func(t *testing.T, dir string) {
				g := openRig(t, dir, nil)
				if err := errors.Join(g.put(1, 70_000), g.sync()); err != nil {
					t.Fatal(err)
				}
				path, flag, done := open(t)
				g.instead("shard-0.db", path, flag)
				done()
				for i := range 20 {
					if err := g.put(10+i, 70_000); err != nil || !g.served(10+i, 70_000) {
						t.Errorf("not served from memory: %v", err)
					}
				}
				_ = g.sync()
				g.below(1, 70_000)
				if st := g.disk.Stats(); st.Quarantined == 0 {
					if st.Shards[0].Trouble == "" {
						t.Errorf("nothing is told: %+v", st)
					}
					g.instead("shard-0.db", shardPath(g.dir, 0), os.O_RDWR)
				}
				g.roomAgain(500)
				if err := g.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// refuse makes system calls of one number fail with EIO from now on, in all
// threads of this process: all of them, or only those on file offsets below most.
func refuse(t *testing.T, number uint32, most uint32) {
	t.Helper()
	const (
		load, equal, ge, ret = 0x20, 0x15, 0x35, 0x06 // of the classic packet filter
		seccomp, threads     = 317, 1                 // on amd64
	)
	if runtime.GOARCH != "amd64" {
		t.Skip("the numbers of system calls here are those of amd64")
	}
	filter := []syscall.SockFilter{
		{Code: load, K: 0},
		{Code: equal, K: number, Jf: 3},
		{Code: load, K: 16 + 3*8}, // the low half of the fourth argument
		{Code: ge, K: most, Jt: 1},
		{Code: ret, K: 0x00050000 | uint32(syscall.EIO)},
		{Code: ret, K: 0x7fff0000},
	}
	program := syscall.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if _, _, errno := syscall.RawSyscall(seccomp, 1, threads, uintptr(unsafe.Pointer(&program))); errno != 0 {
		t.Skipf("this user may not filter system calls: %v", errno)
	}
}

// TestSyncErrors: what could not be synced is not stored, and said to be none.
func TestSyncErrors(t *testing.T) { refused(t, syscall.SYS_FDATASYNC, math.MaxUint32) }

// TestMetaWriteErrors: the last write of a commit is the one that fails.
func TestMetaWriteErrors(t *testing.T) { refused(t, syscall.SYS_PWRITE64, 2*4096) }

func refused(t *testing.T, number, most uint32) {
	inChild(t, func(t *testing.T, dir string) {
		g := openRig(t, dir, nil)
		for i := range 20 {
			if err := g.put(i, 70_000); err != nil {
				t.Fatal(err)
			}
		}
		if err := g.sync(); err != nil {
			t.Fatal(err)
		}
		refuse(t, number, most)
		g.storesNothing(100, 70_000)
		if got := g.disk.Stats().Shards[0].Trouble; !strings.Contains(got, "input/output error") {
			t.Errorf("trouble %q, want what the system says", got)
		}
		if n := g.hits(20, 70_000); n != 20 {
			t.Errorf("%d hits meanwhile, want 20", n)
		}
		g.Delete(insideKey(3))
		if g.served(3, 70_000) {
			t.Error("what was deleted is served")
		}
		_ = g.Close()
	})
}
