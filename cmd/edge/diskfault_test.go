package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"edgecache/cachestore"
	"edgecache/cachestore/storetest"
	"edgecache/policy"
	"edgecache/purge"
)

// counted is an origin whose answers are large, tagged, and tell how often it was
// asked.
func counted(t *testing.T) (url string, asked *atomic.Int64) {
	t.Helper()
	asked = &atomic.Int64{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := asked.Add(1)
		w.Header().Set("Cache-Control", "max-age=3600")
		w.Header().Set("Cache-Tag", "all "+strings.Trim(r.URL.Path, "/"))
		fmt.Fprintf(w, "%s %d %s", r.URL.Path, n, strings.Repeat(r.URL.Path, 20_000))
	}))
	t.Cleanup(s.Close)
	return s.URL, asked
}

// wants gets a path of the host a.test and demands 200 and its body.
func (p *process) wants(path string) (cacheStatus string) {
	p.t.Helper()
	r, err := http.NewRequest(http.MethodGet, "http://"+p.said.Listen[0]+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	r.Host = "a.test" // its port is another one in each run
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	body := string(text)
	if err != nil || res.StatusCode != 200 || !strings.HasPrefix(body, path+" ") || !strings.HasSuffix(body, " "+strings.Repeat(path, 20_000)) {
		p.t.Fatalf("%s: %d with %d bytes, %v", path, res.StatusCode, len(body), err)
	}
	return res.Header.Get("Cache-Status")
}

// TestFaultsUnderABinary: whatever happens to its disk, edge answers.
func TestFaultsUnderABinary(t *testing.T) {
	origin, _ := counted(t)
	shards := func(dir string) []string {
		list, _ := filepath.Glob(filepath.Join(dir, "shard-?.db"))
		return list
	}
	for _, c := range []struct {
		name  string
		limit string // for ulimit
		harm  func(t *testing.T, dir string)
	}{
		{"its files are cut", "", func(t *testing.T, dir string) {
			for i, path := range shards(dir) {
				if err := os.Truncate(path, int64(i)*8192); err != nil {
					t.Fatal(err)
				}
			}
		}},
		{"its directory is removed", "", func(t *testing.T, dir string) {
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
		}},
		{"its files are overwritten", "", func(t *testing.T, dir string) {
			for _, path := range shards(dir) {
				f, err := os.OpenFile(path, os.O_WRONLY, 0)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := f.WriteAt([]byte(strings.Repeat("garbage ", 100_000)), 0); err != nil {
					t.Fatal(err)
				}
				f.Close()
			}
		}},
		{"its files may not grow", "ulimit -f 400; ", func(*testing.T, string) {}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "disk")
			p := startWith(t, []string{"HOME=" + t.TempDir()}, func(cmd *exec.Cmd) {
				edge, err := exec.LookPath("edge")
				if err != nil {
					t.Fatal(err)
				}
				cmd.Path, cmd.Err = "/bin/sh", nil
				cmd.Args = append([]string{"sh", "-c", c.limit + `exec "$0" "$@"`, edge}, cmd.Args[1:]...)
			}, anywhere("--origin", origin, "--disk", dir)...)
			for i := range 60 {
				p.wants(fmt.Sprint("/", i))
			}
			c.harm(t, dir)
			for i := range 120 {
				p.wants(fmt.Sprint("/", i%80))
			}
			code, out, bad := runEdge(t, "health", "--admin", p.said.Admin)
			if code != exitWell || c.limit != "" && !strings.Contains(out, "file too large") {
				t.Errorf("edge health: %d %s %s", code, out, bad)
			}
			if lines := strings.Count(p.err.String(), "\n"); lines > 30 {
				t.Errorf("%d lines were logged: %.2000s", lines, p.err)
			}
			if code := p.end(syscall.SIGTERM); code != exitWell {
				t.Errorf("exit code %d: %s", code, p.err)
			}
		})
	}
}

// TestPurgeLogThatIsNotTheShards: purge.db is removed, or an older copy of it put
// back. What the lost purges covered is not served without validation.
func TestPurgeLogThatIsNotTheShards(t *testing.T) {
	for _, c := range []struct {
		name    string
		restore bool
	}{{"removed", false}, {"an older copy", true}} {
		t.Run(c.name, func(t *testing.T) {
			origin, asked := counted(t)
			dir := filepath.Join(t.TempDir(), "disk")
			args := anywhere("--origin", origin, "--disk", dir)
			env := []string{"HOME=" + t.TempDir()}
			run := func(do func(p *process)) {
				t.Helper()
				p := start(t, env, args...)
				do(p)
				if code := p.end(syscall.SIGTERM); code != exitWell {
					t.Fatalf("exit code %d: %s", code, p.err)
				}
			}
			run(func(p *process) { p.wants("/a"); p.wants("/b") })
			path := filepath.Join(dir, "purge.db")
			old, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			run(func(p *process) {
				if cache := p.wants("/a"); !strings.Contains(cache, "hit") {
					t.Errorf("/a after a restart: %s, want a hit", cache)
				}
				code, _, bad := runEdge(t, "purge", "--admin", p.said.Admin, "--token-file", p.said.TokenFile, "tag", "b")
				if code != exitWell {
					t.Fatalf("purge: %d %s", code, bad)
				}
			})
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if c.restore {
				if err := os.WriteFile(path, old, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			before := asked.Load()
			run(func(p *process) {
				for _, path := range []string{"/a", "/b"} {
					if cache := p.wants(path); strings.Contains(cache, "; hit") {
						t.Errorf("%s is served unvalidated: %s", path, cache)
					}
				}
			})
			if n := asked.Load() - before; n != 2 {
				t.Errorf("the origin was asked %d times, want for both", n)
			}
			run(func(p *process) {
				if cache := p.wants("/b"); !strings.Contains(cache, "; hit") {
					t.Errorf("what was fetched since is not trusted: %s", cache)
				}
			})
		})
	}
}

// opened builds an installation over a disk directory, as serve does.
func opened(t *testing.T, dir string, size int64) *installation {
	t.Helper()
	s := defaultSettings()
	s.disk.dir, s.disk.size, s.memory.bytes, s.memory.percent, s.log.access = dir, size, minMemory, 0, "off"
	if err := (&serveFlags{Origin: []string{"http://127.0.0.1:1"}}).over(s); err != nil {
		t.Fatal(err)
	}
	in, err := build(s, "80", "an-operators-own-token", terminal{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if tiers, ok := in.store.(*cachestore.Tiers); ok {
		if err := tiers.Disk().Loaded(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return in
}

func keyOf(in *installation, path string) policy.Key {
	k, _ := policy.NewKey(nil, in.seed, policy.URL{Scheme: "http", Host: []byte("a.test"), Path: []byte(path)}, nil)
	return k
}

// found says what may be done with an object, by all that is known of purges.
func found(t *testing.T, in *installation, path string) string {
	t.Helper()
	k := keyOf(in, path)
	r, err := in.store.Load(t.Context(), k)
	if err != nil {
		return "gone"
	}
	v := r.Variants[0]
	c := in.purges.Index().Covers(k, v.Tags, v.Checked())
	switch life := purge.Weaken(v.Life, c, time.Minute); {
	case c.Strength == purge.Hard:
		return "gone"
	case life.NoCache:
		return "validate"
	case life.Soft:
		return "soft"
	}
	return "fresh"
}

// TestPurgesOutliveRestarts, also when sweeps have dropped them from the log, and
// when a run in between was one without the disk.
func TestPurgesOutliveRestarts(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	dir := t.TempDir()
	want := map[string]string{"/url": "gone", "/tag": "soft", "/p/1": "gone", "/re": "validate", "/kept": "fresh"}
	in := opened(t, dir, 64<<20)
	for path := range want {
		v := storetest.Variant("")
		v.Life = policy.Life{Born: time.Now().UnixNano(), Fresh: time.Hour}
		v.PurgeSeq, v.Tags = in.purges.Index().Now(), []uint64{policy.HashTag(path)}
		if err := storetest.Put(in.store, keyOf(in, path), v, storetest.Content(1, 5000)); err != nil {
			t.Fatal(err)
		}
	}
	check := func(when string) {
		t.Helper()
		for path, want := range want {
			if got := found(t, in, path); got != want {
				t.Errorf("%s: %s is %s, want %s", when, path, got, want)
			}
		}
	}
	restart := func(size int64) {
		t.Helper()
		if err := in.close(context.Background()); err != nil {
			t.Fatal(err)
		}
		in = opened(t, dir, size)
	}
	restart(64 << 20) // nothing of them is in memory
	_, err := in.purges.Purge(t.Context(), []purge.Entry{
		{Scope: purge.ScopeURL, Value: "/url", Host: "a.test", Strength: purge.Hard},
		{Scope: purge.ScopeTag, Value: "/tag", Strength: purge.Soft},
		{Scope: purge.ScopePrefix, Value: "/p", Host: "a.test", Strength: purge.Hard},
		{Scope: purge.ScopeTag, Value: "/re", Strength: purge.Revalidate},
	})
	if err != nil {
		t.Fatal(err)
	}
	check("purged")
	restart(64 << 20)
	check("after a restart")
	restart(64 << 20)
	if err := in.sweeper.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("after a sweep")
	restart(64 << 20)
	check("after a sweep and a restart")
	restart(1) // the disk cannot be opened
	if in.disk != nil || !strings.Contains(in.place.why, "too small") {
		t.Fatalf("there is a disk: %q", in.place.why)
	}
	if err := in.sweeper.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	restart(64 << 20)
	want["/tag"], want["/kept"] = "validate", "validate"
	check("after a run without the disk")
	if err := in.close(context.Background()); err != nil {
		t.Fatal(err)
	}
}
