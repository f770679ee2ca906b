package admin

import (
	"time"

	"edgecache/cachestore"
)

// DiskView is the answer of GET /v1/disk: the disk tier's statistics. Bytes
// are bytes on disk unless said otherwise.
type DiskView struct {
	Dir           string            `json:"dir"`
	Limit         int64             `json:"limit"` // live bytes stay below it
	Live          int64             `json:"live"`
	File          int64             `json:"file"` // the files as they are
	Most          int64             `json:"most"` // the files are never larger
	Objects       int64             `json:"objects"`
	Index         int64             `json:"index"`  // bytes of memory
	Queued        int64             `json:"queued"` // bytes that wait for the writers
	QueueLimit    int64             `json:"queue_limit"`
	Leases        int64             `json:"leases"` // bodies that are being read now
	Reads         uint64            `json:"reads"`  // chunks
	ReadBytes     uint64            `json:"read_bytes"`
	Commits       uint64            `json:"commits"`
	Stored        uint64            `json:"stored"` // objects
	StoredBytes   uint64            `json:"stored_bytes"`
	ReadWaits     uint64            `json:"read_waits"`
	Kept          uint64            `json:"kept"`
	Compactions   uint64            `json:"compactions"`
	Promoted      uint64            `json:"promoted"`
	Quarantined   uint64            `json:"quarantined"` // shards
	Evicted       map[string]uint64 `json:"evicted"`     // objects by reason
	Dropped       map[string]uint64 `json:"dropped"`     // by reason
	LongestCommit float64           `json:"longest_commit_ms"`
	Deferred      int64             `json:"deferred"` // deleted objects that wait for their readers
	DeferredBytes int64             `json:"deferred_bytes"`
	Shards        []ShardView       `json:"shards"`
}

// ShardView is one shard of it.
type ShardView struct {
	File    string `json:"file"`
	Bytes   int64  `json:"bytes"` // of the file
	Live    int64  `json:"live"`
	Objects int64  `json:"objects"`
	Loaded  bool   `json:"loaded"`  // its index is complete
	Trouble string `json:"trouble"` // why it does not store, "" when it does
}

func viewDisk(d cachestore.DiskStats) DiskView {
	v := DiskView{
		Dir: d.Dir, Limit: d.Limit, Live: d.Live, File: d.File, Most: d.Most,
		Objects: d.Objects, Index: d.Index, Queued: d.Queued, QueueLimit: d.QueueLimit, Leases: d.Leases,
		Reads: d.Reads, ReadBytes: d.ReadBytes, Commits: d.Commits, Stored: d.Stored, StoredBytes: d.StoredBytes,
		ReadWaits: d.ReadWaits, Kept: d.Kept, Compactions: d.Compactions, Promoted: d.Promoted, Quarantined: d.Quarantined,
		Evicted: map[string]uint64{}, Dropped: map[string]uint64{},
		LongestCommit: float64(d.LongestCommit) / float64(time.Millisecond),
		Deferred:      d.Deferred, DeferredBytes: d.DeferredBytes,
		Shards: make([]ShardView, len(d.Shards)),
	}
	for why, n := range d.Evicted {
		v.Evicted[cachestore.DiskEviction(why).String()] = n
	}
	for why, n := range d.Dropped {
		v.Dropped[cachestore.DiskDrop(why).String()] = n
	}
	for i, s := range d.Shards {
		v.Shards[i] = ShardView(s)
	}
	return v
}
