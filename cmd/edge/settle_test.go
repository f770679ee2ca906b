package main

import (
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"edgecache/cachestore"
	"edgecache/policy"
	"edgecache/purge"
)

// TestDiskThatCannotBeUsed: edge serves from memory, says why in its log and
// in /readyz, and keeps its purges in STATE/PORT.
func TestDiskThatCannotBeUsed(t *testing.T) {
	origin := httptest.NewServer(http.HandlerFunc(answerOrigin))
	defer origin.Close()
	for _, c := range []struct {
		name    string
		prepare func(t *testing.T, dir string) (disk string)
		why     string
	}{
		{"it cannot be made", func(t *testing.T, dir string) string {
			return filepath.Join(made(t, filepath.Join(dir, "file")), "disk")
		}, "not a directory"},
		{"nothing can be made in it", func(t *testing.T, dir string) string {
			return readOnly(t, dir)
		}, "lock disk directory"},
		{"nobody can make anything in it", func(t *testing.T, _ string) string {
			if _, err := os.Stat("/proc/sys"); err != nil {
				t.Skip("there is no /proc/sys")
			}
			return "/proc/sys"
		}, "lock disk directory"},
		{"it was used and is now read-only", func(t *testing.T, dir string) string {
			made(t, filepath.Join(dir, "lock"))
			return readOnly(t, dir)
		}, "disk directory"},
		{"its lock cannot be taken", func(t *testing.T, dir string) string {
			return inTheWay(t, dir, "lock")
		}, "is a directory"},
		{"its purge log cannot be opened", func(t *testing.T, dir string) string {
			return inTheWay(t, dir, "purge.db")
		}, "is a directory"},
		{"its seed cannot be read", func(t *testing.T, dir string) string {
			return inTheWay(t, dir, "seed")
		}, "is a directory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			disk, home := c.prepare(t, t.TempDir()), t.TempDir()
			p := start(t, []string{"HOME=" + home}, anywhere("--origin", origin.URL, "--disk", disk)...)
			if said := p.err.String(); !strings.Contains(said, "serving from memory alone") || !strings.Contains(said, c.why) {
				t.Errorf("it said %s; want a warning with %q", said, c.why)
			}
			_, port, _ := net.SplitHostPort(p.said.Listen[0])
			if _, err := os.Stat(filepath.Join(home, ".local", "state", "edge", port, "purge.db")); err != nil {
				t.Errorf("the purge log: %v", err)
			}
			code, out, bad := runEdge(t, "health", "--admin", p.said.Admin)
			if code != exitWell || !strings.HasPrefix(out, "ready\ndisk: serving from memory alone: ") || !strings.Contains(out, c.why) {
				t.Errorf("edge health: %d %q %s, want ready and %q", code, out, bad, c.why)
			}
			if status, _, body := get(t, "http://"+p.said.Listen[0]+"/x"); status != 200 {
				t.Errorf("%d %q, want 200", status, body)
			}
			if code := p.end(syscall.SIGTERM); code != exitWell {
				t.Errorf("exit code %d, want 0: %s", code, p.err)
			}
		})
	}
}

// made makes an empty file.
func made(t *testing.T, path string) string {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// readOnly takes the right to write in dir away; nothing keeps root from it.
func readOnly(t *testing.T, dir string) string {
	t.Helper()
	if os.Geteuid() == 0 {
		t.Skip("root may write everywhere")
	}
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(dir, 0o700) })
	return dir
}

// inTheWay puts a directory where edge wants a file.
func inTheWay(t *testing.T, dir, name string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, name, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestNoPlaceAtAll: without a disk and without a state directory nothing
// serves, and both reasons are told.
func TestNoPlaceAtAll(t *testing.T) {
	file := made(t, filepath.Join(t.TempDir(), "file"))
	t.Setenv("XDG_STATE_HOME", filepath.Join(file, "state"))
	t.Setenv("EDGE_TOKEN", "an-operators-own-token")
	code, _, said := runEdge(t, anywhere("--origin", "http://127.0.0.1:1", "--disk", filepath.Join(file, "disk"))...)
	if code != exitFailed || !strings.Contains(said, "make a place for the purge log: mkdir "+file) || !strings.Contains(said, "no disk: make disk directory") {
		t.Errorf("exit code %d and %s", code, said)
	}
	code, _, said = runEdge(t, anywhere("--origin", "http://127.0.0.1:1", "--disk", "off")...)
	if code != exitFailed || strings.Contains(said, "no disk") {
		t.Errorf("with --disk off: exit code %d and %s", code, said)
	}
}

// TestPurgesWithoutTheDisk: what is on the disk is revalidated after edge ran
// without it, once.
func TestPurgesWithoutTheDisk(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	disk := t.TempDir()
	url := policy.URL{Scheme: "http", Host: []byte("a.test"), Path: []byte("/x")}
	key, _ := policy.NewKey(nil, 1, url, nil)
	var stored uint64 // when something was put on the disk
	run := func(dir string, f func(*purge.Log)) {
		t.Helper()
		var in installation
		if err := in.settle(diskSettings{dir: dir}, "80", slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
		f(in.purges)
		if err := in.moveOut(); err != nil {
			t.Fatal(err)
		}
	}
	covered := func(l *purge.Log) purge.Strength { return l.Index().Covers(key, nil, stored).Strength }
	run(disk, func(l *purge.Log) { stored = l.Index().Now() })
	run(disk, func(l *purge.Log) {
		if s := covered(l); s != purge.None {
			t.Errorf("after a run with the disk it is covered: %v", s)
		}
	})
	run("off", func(l *purge.Log) {
		if _, err := l.Purge(t.Context(), []purge.Entry{purge.URLEntry(url, purge.Hard)}); err != nil {
			t.Fatal(err)
		}
	})
	for range 2 {
		run(disk, func(l *purge.Log) {
			if s := covered(l); s != purge.Revalidate {
				t.Errorf("after a run without the disk it is covered by %v, want revalidate", s)
			}
			stored = l.Index().Now()
			if s := covered(l); s != purge.None {
				t.Errorf("what is stored from then on is covered by %v", s)
			}
			stored = 0
		})
	}
}

func TestReadinessTellsTroubles(t *testing.T) {
	in := &installation{}
	if lines := in.troubles(); lines != nil {
		t.Errorf("without disk and trouble: %q", lines)
	}
	in.disk = &shelf{stats: cachestore.DiskStats{Shards: []cachestore.ShardStats{{Loaded: true}, {}, {Trouble: "no space left on device"}}}}
	if lines := in.troubles(); len(lines) != 1 || lines[0] != "disk: shard 2: no space left on device" {
		t.Errorf("with a full shard: %q", lines)
	}
}
