package edge

import (
	"os"
	"strings"
	"testing"

	"edgecache/cachestore"
	"edgecache/policy"
)

// shelved is a store that says that it has a disk tier, too.
type shelved struct {
	cachestore.Store
	disk cachestore.DiskStats
}

func (s shelved) Stats() cachestore.Stats {
	st := s.Store.Stats()
	st.Disk = s.disk
	return st
}

// newShelvedEngine makes an engine with a disk tier of three shards.
func newShelvedEngine(t testing.TB) *Engine {
	e := newTestEngine(t)
	d := cachestore.DiskStats{
		Limit: 1000, Live: 900, File: 1100, Most: 1250, Objects: 7, Index: 80, Queued: 3, QueueLimit: 30, Leases: 2,
		Reads: 11, ReadBytes: 12, Commits: 13, Stored: 14, StoredBytes: 15, Kept: 16, Promoted: 17, Quarantined: 18,
		LongestCommit: 2_500_000, Deferred: 4, DeferredBytes: 44,
		Shards: []cachestore.ShardStats{{Loaded: true}, {Loaded: true, Trouble: "no space left on device"}, {}},
	}
	d.Evicted[cachestore.DiskEvictedLeast], d.Dropped[cachestore.DiskDropQueue] = 21, 22
	e.cfg.Store = shelved{e.cfg.Store, d}
	return e
}

func TestMetricsOfTheDisk(t *testing.T) {
	e := newShelvedEngine(t)
	e.metrics.observe(&Record{Cache: CacheHit, Tier: TierDisk, BodyBytes: 50, Bytes: 60, Status: 200})
	e.metrics.observe(&Record{Cache: CacheHit, Tier: TierMemory, BodyBytes: 5, Bytes: 6, Status: 200})
	e.metrics.observe(&Record{Cache: CacheMiss, BodyBytes: 500, Status: 200})
	got := scrapeAll(t, e.metrics)
	for name, want := range map[string]float64{
		"edge_cache_bytes tier=disk": 900, "edge_cache_limit_bytes tier=disk": 1000, "edge_cache_objects tier=disk": 7,
		"edge_cache_evictions_total reason=least tier=disk": 21, "edge_cache_evictions_total reason=broken tier=disk": 0,
		"edge_store_drops_total reason=queue tier=disk": 22, "edge_store_drops_total reason=lease tier=disk": 0,
		"edge_cache_hits_total tier=disk": 1, "edge_cache_hit_bytes_total tier=disk": 50,
		"edge_cache_hits_total tier=memory": 1, "edge_cache_hit_bytes_total tier=memory": 5,
		"edge_disk_file_bytes": 1100, "edge_disk_file_limit_bytes": 1250, "edge_disk_index_bytes": 80,
		"edge_disk_queue_bytes": 3, "edge_disk_queue_limit_bytes": 30, "edge_disk_leases": 2,
		"edge_disk_reads_total": 11, "edge_disk_read_bytes_total": 12, "edge_disk_commits_total": 13,
		"edge_disk_stored_total": 14, "edge_disk_stored_bytes_total": 15, "edge_disk_kept_total": 16,
		"edge_disk_promoted_total": 17, "edge_disk_quarantined_total": 18,
		"edge_disk_shards": 3, "edge_disk_shards_loaded": 2, "edge_disk_shards_in_trouble": 1,
		"edge_disk_deferred_objects": 4, "edge_disk_deferred_bytes": 44, "edge_disk_longest_commit_seconds": 0.0025,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s is %v (there: %t), want %v", name, v, ok, want)
		}
	}
}

func TestNoDiskNoMetricsOfIt(t *testing.T) {
	for name := range scrapeAll(t, newTestEngine(t).metrics) {
		if strings.HasPrefix(name, "edge_disk_") || strings.Contains(name, "tier=disk") {
			t.Errorf("%s is there without a disk tier", name)
		}
	}
}

func TestTopShowsTheDisk(t *testing.T) {
	e := newShelvedEngine(t)
	e.metrics.observe(&Record{Cache: CacheHit, Tier: TierDisk, Status: 200})
	top := e.Top(1)
	if top.Disk == nil || *top.Disk != (TopTier{Bytes: 900, Limit: 1000, Objects: 7}) || top.Hits["disk"] != 1 || top.Hits["memory"] != 0 {
		t.Errorf("disk %v, hits %v", top.Disk, top.Hits)
	}
}

// TestMetricsAreDocumented: the reference names each family that is exposed.
func TestMetricsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/reference.md")
	if err != nil {
		t.Fatal(err)
	}
	_, page, _ := strings.Cut(string(text), "\n## Metrics\n")
	page, _, _ = strings.Cut(page, "\n## ")
	listed := map[string]bool{}
	for _, word := range strings.FieldsFunc(page, func(r rune) bool { return !(r == '_' || r >= 'a' && r <= 'z') }) {
		listed[word] = true
	}
	e := newShelvedEngine(t)
	e.metrics.WatchWires(func() WireStats { return WireStats{Events: map[string]int64{"x": 1}} })
	e.metrics.WatchLog(func() LogStats { return LogStats{} })
	e.metrics.observe(&Record{Cache: CacheHit, Tier: TierDisk, Status: 200, Error: "x", Unstored: policy.NoStore})
	e.metrics.observe(&Record{Kind: KindRefresh, Status: 200})
	e.metrics.upstreamDone(e.cfg.Upstreams["main"].Peers()[0], 200, 1)
	for name := range scrapeAll(t, e.metrics) {
		name, _, _ = strings.Cut(name, " ")
		short := strings.TrimPrefix(name, "edge_")
		if !listed[short] && !listed[strings.TrimPrefix(short, "disk_")] {
			t.Errorf("docs/reference.md does not list %s", name)
		}
	}
}
