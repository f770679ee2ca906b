package admin_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"edgecache/cachestore"
	"edgecache/edge"
	"edgecache/edge/admin"
	"edgecache/edge/origin"
	"edgecache/purge"
)

// haunted is an engine with ghosts.
func haunted(t *testing.T) *edge.Engine {
	t.Helper()
	store, err := cachestore.NewMemory(cachestore.MemoryConfig{Size: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	purges, err := purge.Open(purge.Config{Path: filepath.Join(t.TempDir(), "purge.db")})
	if err != nil {
		t.Fatal(err)
	}
	pool, err := origin.NewPool(origin.Config{Name: "main", Peers: []string{"http://127.0.0.1:1"}})
	if err != nil {
		t.Fatal(err)
	}
	e, err := edge.New(edge.Config{
		Store: store, Purges: purges, Upstreams: map[string]*origin.Pool{"main": pool},
		Ghosts: edge.GhostConfig{Store: cachestore.VirtualConfig{Memory: 8 << 20}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		e.Close()
		pool.Close()
		store.Close()
		purges.Close()
	})
	return e
}

func TestGhosts(t *testing.T) {
	p := open(t, nil)
	if status, body, _ := p.do(call{path: "/v1/ghosts"}); status != 404 || !strings.Contains(body, "ghosts is off") {
		t.Errorf("without ghosts: %d %q, want 404 and why", status, body)
	}
	if status, _, _ := p.do(call{path: "/v1/ghosts", bare: true}); status != 401 {
		t.Errorf("without a token: %d, want 401", status)
	}
	p = open(t, func(c *admin.Config) { c.Engine = haunted(t) })
	status, body, _ := p.do(call{path: "/v1/ghosts"})
	var v edge.GhostsView
	if err := json.Unmarshal([]byte(body), &v); err != nil || status != 200 || v.Rate != 1 || v.Limit != 32<<20 || v.Bytes == 0 || v.Ghosts == nil {
		t.Errorf("%d %q (%v)", status, body, err)
	}
	_, body, _ = p.do(call{path: "/metrics", bare: true})
	for _, want := range []string{"edge_ghost_limit_bytes 3.3554432e+07", `edge_ghost_requests_total{outcome="dropped"} 0`, "edge_ghost_sample_rate 1"} {
		if !strings.Contains(body, want) {
			t.Errorf("%s is missing", want)
		}
	}
}
