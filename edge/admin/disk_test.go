package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"edgecache/cachestore"
	"edgecache/edge/admin"
)

// shelf is a disk tier whose runs are functions; one without ends at once.
type shelf struct {
	stats   cachestore.DiskStats
	check   func(context.Context) (cachestore.CheckReport, error)
	compact func(context.Context) (cachestore.CompactReport, error)
}

var _ admin.Disk = (*shelf)(nil)

func (s *shelf) Stats() cachestore.DiskStats { return s.stats }

func (s *shelf) Check(ctx context.Context) (cachestore.CheckReport, error) {
	if s.check == nil {
		return cachestore.CheckReport{Objects: 3, Bytes: 300, Broken: 1, Orphans: 2}, nil
	}
	return s.check(ctx)
}

func (s *shelf) Compact(ctx context.Context) (cachestore.CompactReport, error) {
	if s.compact == nil {
		return cachestore.CompactReport{Before: 20, After: 10}, nil
	}
	return s.compact(ctx)
}

func openShelf(t *testing.T, s *shelf) *port {
	t.Helper()
	return open(t, func(c *admin.Config) { c.Disk = s })
}

func TestDiskStatistics(t *testing.T) {
	s := &shelf{stats: cachestore.DiskStats{
		Dir: "/d", Limit: 1000, Live: 900, File: 1100, Most: 1250, Objects: 7, Queued: 3, QueueLimit: 30,
		Stored: 14, LongestCommit: 2_500_000, Deferred: 4,
		Shards: []cachestore.ShardStats{{File: "0.db", Bytes: 1100, Live: 900, Objects: 7, Loaded: true}, {File: "1.db", Trouble: "no space left on device"}},
	}}
	s.stats.Evicted[cachestore.DiskEvictedFile], s.stats.Dropped[cachestore.DiskDropQueue] = 5, 6
	p := openShelf(t, s)
	status, body, _ := p.do(call{path: "/v1/disk"})
	var v admin.DiskView
	if err := json.Unmarshal([]byte(body), &v); err != nil || status != 200 {
		t.Fatalf("%d %q: %v", status, body, err)
	}
	switch {
	case v.Dir != "/d" || v.Limit != 1000 || v.Live != 900 || v.File != 1100 || v.Most != 1250 || v.Objects != 7:
		t.Errorf("what it holds: %+v", v)
	case v.Queued != 3 || v.QueueLimit != 30 || v.Stored != 14 || v.LongestCommit != 2.5 || v.Deferred != 4:
		t.Errorf("what it does: %+v", v)
	case len(v.Evicted) != cachestore.DiskEvictions || v.Evicted["file"] != 5 || len(v.Dropped) != cachestore.DiskDrops || v.Dropped["queue"] != 6:
		t.Errorf("evicted %v, dropped %v", v.Evicted, v.Dropped)
	case len(v.Shards) != 2 || v.Shards[0] != admin.ShardView(s.stats.Shards[0]) || v.Shards[1].Trouble != "no space left on device":
		t.Errorf("shards %+v", v.Shards)
	}
	var names map[string]any
	json.Unmarshal([]byte(body), &names)
	for name := range names {
		if name != strings.ToLower(name) || strings.ContainsAny(name, "- ") {
			t.Errorf("%q is no snake_case", name)
		}
	}
	for _, name := range []string{"queue_limit", "read_bytes", "stored_bytes", "longest_commit_ms", "deferred_bytes", "shards"} {
		if _, ok := names[name]; !ok {
			t.Errorf("%s is missing in %s", name, body)
		}
	}
}

func TestDiskRuns(t *testing.T) {
	p := openShelf(t, &shelf{})
	for _, c := range []struct {
		call
		status int
		want   string // in the answer
		allow  string
	}{
		{call{method: "POST", path: "/v1/disk/check"}, 200, `"broken": 1`, ""},
		{call{method: "POST", path: "/v1/disk/check", body: "{}"}, 200, `"orphans": 2`, ""},
		{call{method: "POST", path: "/v1/disk/check", body: strings.Repeat(" ", 2<<20)}, 413, "no body is needed", ""},
		{call{method: "POST", path: "/v1/disk/compact"}, 200, `"after": 10`, ""},
		{call{method: "GET", path: "/v1/disk/check"}, 405, "", "POST"},
		{call{method: "DELETE", path: "/v1/disk/compact"}, 405, "", "POST"},
		{call{method: "POST", path: "/v1/disk"}, 405, "", "GET, HEAD"},
		{call{path: "/v1/disk/nothing"}, 404, "", ""},
		{call{path: "/v1/disk", bare: true}, 401, "", ""},
		{call{method: "POST", path: "/v1/disk/check", bare: true}, 401, "", ""},
	} {
		status, body, h := p.do(c.call)
		if status != c.status || !strings.Contains(body, c.want) || h.Get("Allow") != c.allow {
			t.Errorf("%s %s: %d %.80q, Allow %q; want %d, %q, %q", c.method, c.path, status, body, h.Get("Allow"), c.status, c.want, c.allow)
		}
	}
}

func TestNoDisk(t *testing.T) {
	p := open(t, nil)
	for _, c := range []call{{path: "/v1/disk"}, {method: "POST", path: "/v1/disk/check"}, {method: "POST", path: "/v1/disk/compact"}} {
		if status, body, _ := p.do(c); status != 404 || body != "there is no disk tier\n" {
			t.Errorf("%s %s: %d %q, want 404 and why", c.method, c.path, status, body)
		}
	}
	if status, _, h := p.do(call{method: "PUT", path: "/v1/disk"}); status != 405 || h.Get("Allow") == "" {
		t.Errorf("PUT: %d, Allow %q", status, h.Get("Allow"))
	}
}

func TestOneRunAtATime(t *testing.T) {
	begun, release := make(chan struct{}), make(chan struct{})
	p := openShelf(t, &shelf{check: func(context.Context) (cachestore.CheckReport, error) {
		close(begun)
		<-release
		return cachestore.CheckReport{Objects: 9}, nil
	}})
	first := make(chan string, 1)
	go func() {
		_, body, _ := p.do(call{method: "POST", path: "/v1/disk/check"})
		first <- body
	}()
	<-begun
	for _, path := range []string{"/v1/disk/check", "/v1/disk/compact"} {
		if status, body, _ := p.do(call{method: "POST", path: path}); status != 409 || !strings.Contains(body, "is running") {
			t.Errorf("%s during a check: %d %q, want 409 and why", path, status, body)
		}
	}
	if status, _, _ := p.do(call{path: "/v1/disk"}); status != 200 {
		t.Errorf("the statistics during a check: %d, want 200", status)
	}
	close(release)
	if body := <-first; !strings.Contains(body, `"objects": 9`) {
		t.Errorf("the check answers %q", body)
	}
	if status, body, _ := p.do(call{method: "POST", path: "/v1/disk/compact"}); status != 200 {
		t.Errorf("after the check: %d %q, want 200", status, body)
	}
}

// TestRunEndsWithItsClient: also for a client that sent a body.
func TestRunEndsWithItsClient(t *testing.T) {
	for _, body := range []string{"", "{}"} {
		begun, ended := make(chan struct{}), make(chan error, 1)
		p := openShelf(t, &shelf{compact: func(ctx context.Context) (cachestore.CompactReport, error) {
			close(begun)
			<-ctx.Done()
			ended <- ctx.Err()
			return cachestore.CompactReport{}, ctx.Err()
		}})
		ctx, leave := context.WithCancel(t.Context())
		req, err := http.NewRequestWithContext(ctx, "POST", p.server.URL+"/v1/disk/compact", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		go func() {
			<-begun
			leave()
		}()
		if res, err := http.DefaultTransport.RoundTrip(req); err == nil {
			res.Body.Close()
			t.Errorf("%d for a client that has left", res.StatusCode)
		}
		select {
		case <-ended:
		case <-time.After(20 * time.Second):
			t.Fatal("the run goes on without its client")
		}
	}
}

func TestRunEndsWithTheEdge(t *testing.T) {
	stopping, stop := context.WithCancel(t.Context())
	begun := make(chan struct{})
	p := openShelf(t, &shelf{check: func(ctx context.Context) (cachestore.CheckReport, error) {
		close(begun)
		<-ctx.Done()
		return cachestore.CheckReport{}, ctx.Err()
	}})
	p.server.Close()
	p.server = httptest.NewUnstartedServer(p.server.Config.Handler)
	p.server.Config.BaseContext = func(net.Listener) context.Context { return stopping }
	p.server.Start()
	go func() {
		<-begun
		stop()
	}()
	if status, body, _ := p.do(call{method: "POST", path: "/v1/disk/check"}); status != 503 || !strings.Contains(body, "edge is stopping") {
		t.Errorf("%d %q, want 503 and why", status, body)
	}
}

func TestRunThatFails(t *testing.T) {
	p := openShelf(t, &shelf{compact: func(context.Context) (cachestore.CompactReport, error) {
		return cachestore.CompactReport{}, errors.New("compact shard 2: no space left on device")
	}})
	if status, body, _ := p.do(call{method: "POST", path: "/v1/disk/compact"}); status != 500 || body != "compact shard 2: no space left on device\n" {
		t.Errorf("%d %q, want 500 and why", status, body)
	}
}

// TestRunOutlivesTheTimeouts: a check may take an hour.
func TestRunOutlivesTheTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, client := inMemory(t, &shelf{check: func(ctx context.Context) (cachestore.CheckReport, error) {
			select {
			case <-time.After(time.Hour):
				return cachestore.CheckReport{Objects: 1}, nil
			case <-ctx.Done():
				return cachestore.CheckReport{}, ctx.Err()
			}
		}})
		req, err := http.NewRequestWithContext(t.Context(), "POST", "http://127.0.0.1:1/v1/disk/check", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := client.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if body, err := io.ReadAll(res.Body); err != nil || res.StatusCode != 200 || !strings.Contains(string(body), `"objects": 1`) {
			t.Errorf("after an hour: %d %q (%v)", res.StatusCode, body, err)
		}
	})
}

// TestReadinessTellsDetail: trouble that stops nobody stands behind "ready".
func TestReadinessTellsDetail(t *testing.T) {
	var lines []string
	p := open(t, func(c *admin.Config) { c.Detail = func() []string { return lines } })
	if status, body, _ := p.do(call{path: "/readyz", bare: true}); status != 200 || body != "ready\n" {
		t.Errorf("without detail: %d %q", status, body)
	}
	lines = []string{"disk: shard 2: no space left on device", "disk: shard 3: read-only file system"}
	want := "ready\n" + strings.Join(lines, "\n") + "\n"
	if status, body, _ := p.do(call{path: "/readyz", bare: true}); status != 200 || body != want {
		t.Errorf("with detail: %d %q, want 200 %q", status, body, want)
	}
	p.broken.Store(true)
	if status, body, _ := p.do(call{path: "/readyz", bare: true}); status != 503 || strings.Contains(body, "disk") {
		t.Errorf("not ready: %d %q, want 503 and its reason alone", status, body)
	}
}
