package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"edgecache/cachestore"
	"edgecache/edge/admin"
	"edgecache/purge"
)

// shelf is a disk tier that says what it is told to.
type shelf struct {
	stats  cachestore.DiskStats
	report cachestore.CheckReport
}

var _ admin.Disk = (*shelf)(nil)

func (s *shelf) Stats() cachestore.DiskStats { return s.stats }
func (s *shelf) Check(context.Context) (cachestore.CheckReport, error) {
	return s.report, nil
}
func (s *shelf) Compact(context.Context) (cachestore.CompactReport, error) {
	return cachestore.CompactReport{Before: 2 << 30, After: 3 << 29}, nil
}

// full is a tier of two shards that are well.
func full() *shelf {
	s := &shelf{report: cachestore.CheckReport{Objects: 12, Bytes: 5 << 20}}
	s.stats = cachestore.DiskStats{
		Dir: "/var/cache/edge/80", Limit: 1 << 30, Live: 800 << 20, File: 900 << 20, Most: 1312 << 20,
		Objects: 12, Index: 3 << 10, Queued: 1 << 20, QueueLimit: 32 << 20, Leases: 2,
		Reads: 40, ReadBytes: 2 << 20, Commits: 9, Stored: 30, StoredBytes: 1 << 30, Promoted: 4, LongestCommit: 12_500_000,
		Shards: []cachestore.ShardStats{
			{File: "0.db", Bytes: 450 << 20, Live: 400 << 20, Objects: 6, Loaded: true},
			{File: "1.db", Bytes: 450 << 20, Live: 400 << 20, Objects: 6},
		},
	}
	s.stats.Evicted[cachestore.DiskEvictedLeast], s.stats.Dropped[cachestore.DiskDropQueue] = 3, 7
	return s
}

// asking serves an admin port with that disk and gives the flags that find it.
func asking(t *testing.T, disk admin.Disk) func(verb string, more ...string) (code int, stdout, stderr string) {
	t.Helper()
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	t.Setenv("EDGE_TOKEN", "an-operators-own-token")
	s := defaultSettings()
	s.disk.dir, s.memory.bytes, s.memory.percent, s.log.access = "off", minMemory, 0, "off"
	if err := (&serveFlags{Origin: []string{"http://127.0.0.1:1"}}).over(s); err != nil {
		t.Fatal(err)
	}
	in, err := build(s, "80", "an-operators-own-token", terminal{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	h, err := admin.New(admin.Config{
		Engine: in.engine, Purges: purge.NewAPI(in.purges, nil), Token: "an-operators-own-token", Listen: "127.0.0.1:0",
		Disk: disk, Ready: func() error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	t.Cleanup(func() {
		server.Close()
		in.close(context.Background())
	})
	return func(verb string, more ...string) (int, string, string) {
		t.Helper()
		return runEdge(t, append([]string{"disk", verb, "--admin", server.URL}, more...)...)
	}
}

func TestDiskVerbs(t *testing.T) {
	ask := asking(t, full())
	for _, c := range []struct{ name, verb, want string }{
		{"what it holds", "stats", "stored     800MiB of 1GiB, 12 objects"},
		{"its files", "stats", "files      900MiB of at most 1.3GiB"},
		{"its index", "stats", "index      3KiB of memory"},
		{"what waits", "stats", "queue      1MiB of 32MiB"},
		{"what was written", "stats", "written    30 objects, 1GiB, in 9 commits; the longest took 12.5ms"},
		{"what was read", "stats", "read       40 chunks, 2MiB; 4 bodies came up to memory"},
		{"what went, if anything", "stats", "evicted    least 3\ndropped    queue 7\n"},
		{"a shard", "stats", "0      0.db  450MiB  400MiB  6        ready\n"},
		{"a shard that is being read in", "stats", "1      1.db  450MiB  400MiB  6        loading\n"},
		{"a check", "check", "12 objects, 5MiB read\nnothing is broken\n"},
		{"a compaction", "compact", "the files take 1.5GiB, before 2GiB\n"},
	} {
		if code, out, bad := ask(c.verb); code != exitWell || !strings.Contains(out, c.want) || bad != "" {
			t.Errorf("%s: %d %s; want %q in\n%s", c.name, code, bad, c.want, out)
		}
	}
	var v admin.DiskView
	if code, out, bad := ask("stats", "--json"); code != exitWell || json.Unmarshal([]byte(out), &v) != nil || v.Live != 800<<20 || bad != "" {
		t.Errorf("stats --json: %d %s %s", code, out, bad)
	}
	var r cachestore.CheckReport
	if code, out, bad := ask("check", "--json"); code != exitWell || json.Unmarshal([]byte(out), &r) != nil || r.Objects != 12 || bad != "" {
		t.Errorf("check --json: %d %s %s", code, out, bad)
	}
	var c cachestore.CompactReport
	if code, out, bad := ask("compact", "--json"); code != exitWell || json.Unmarshal([]byte(out), &c) != nil || c.After != 3<<29 || bad != "" {
		t.Errorf("compact --json: %d %s %s", code, out, bad)
	}
}

// TestDiskVerbsTellTrouble: what is broken, or does not store, is said last and
// is exit code 1.
func TestDiskVerbsTellTrouble(t *testing.T) {
	s := full()
	s.stats.Shards[1].Trouble = "no space left\x1b[2J on device"
	ask := asking(t, s)
	told := "shard 1 stores nothing for now: no space left?[2J on device\n"
	for _, verb := range []string{"stats", "check"} {
		if code, out, bad := ask(verb); code != exitFailed || !strings.HasSuffix(out, told) || bad != "" {
			t.Errorf("%s: %d %s; want 1 and %q at the end of\n%s", verb, code, bad, told, out)
		}
		if code, out, _ := ask(verb, "--json"); code != exitFailed || !json.Valid([]byte(out)) {
			t.Errorf("%s --json: %d %s; want 1 and JSON alone", verb, code, out)
		}
	}
	if code, out, _ := ask("compact"); code != exitWell {
		t.Errorf("compact: %d %s", code, out)
	}
}

func TestDiskCheckThatFindsSomething(t *testing.T) {
	s := full()
	s.report.Broken, s.report.Orphans = 2, 5
	ask := asking(t, s)
	want := "12 objects, 5MiB read\n2 objects were broken and are gone\n5 chunks belonged to no object and are gone\n"
	if code, out, bad := ask("check"); code != exitFailed || out != want || bad != "" {
		t.Errorf("%d %q %s, want 1 and %q", code, out, bad, want)
	}
	s.report.Broken = 0
	if code, out, _ := ask("check"); code != exitWell || !strings.Contains(out, "5 chunks belonged to no object") {
		t.Errorf("orphans alone: %d %q, want 0", code, out)
	}
}

func TestDiskVerbsWithoutADisk(t *testing.T) {
	ask := asking(t, nil)
	for _, verb := range []string{"stats", "check", "compact"} {
		if code, out, bad := ask(verb); code != exitFailed || bad != "edge: edge answered 404: there is no disk tier\n" || out != "" {
			t.Errorf("%s: %d %q %q", verb, code, out, bad)
		}
	}
	wrong := filepath.Join(t.TempDir(), "wrong")
	if err := os.WriteFile(wrong, []byte("not-the-token-of-anybody"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, bad := ask("stats", "--token-file", wrong); code != exitFailed || !strings.Contains(bad, "is it the token of that edge?") {
		t.Errorf("with a wrong token: %d %s", code, bad)
	}
}
