package edge

import (
	"time"

	"edgecache/cachestore"
)

var (
	descDiskFile       = desc("disk_file_bytes", "Bytes of the disk tier's files as they are.")
	descDiskFileLimit  = desc("disk_file_limit_bytes", "Bytes that the disk tier's files never exceed.")
	descDiskIndex      = desc("disk_index_bytes", "Bytes of memory that the disk tier's index takes.")
	descDiskQueue      = desc("disk_queue_bytes", "Bytes that wait to be written to disk.")
	descDiskQueueLimit = desc("disk_queue_limit_bytes", "Bytes that may wait to be written to disk.")
	descDiskLeases     = desc("disk_leases", "Bodies that are being read from disk now.")

	descDiskReads       = desc("disk_reads_total", "Chunks read from disk.")
	descDiskReadBytes   = desc("disk_read_bytes_total", "Bytes of chunks read from disk.")
	descDiskCommits     = desc("disk_commits_total", "Transactions of the disk tier's writers.")
	descDiskStored      = desc("disk_stored_total", "Objects written to disk.")
	descDiskStoredBytes = desc("disk_stored_bytes_total", "Bytes of bodies and records written to disk.")
	descDiskReadWaits   = desc("disk_read_waits_total", "Reads that waited because as many ran at once as may.")
	descDiskCompactions = desc("disk_compactions_total", "Files that were written anew because their pages were half empty.")
	descDiskKept        = desc("disk_kept_total", "Objects that were written to disk as they left memory.")
	descDiskPromoted    = desc("disk_promoted_total", "Bodies that came up from disk to memory.")
	descDiskQuarantined = desc("disk_quarantined_total", "Shards that were set aside as broken.")

	descDiskShards        = desc("disk_shards", "Shards of the disk tier.")
	descDiskLoaded        = desc("disk_shards_loaded", "Shards whose index is complete.")
	descDiskTroubled      = desc("disk_shards_in_trouble", "Shards that store nothing for now, after an error.")
	descDiskDeferred      = desc("disk_deferred_objects", "Deleted objects that wait for their readers.")
	descDiskDeferredBytes = desc("disk_deferred_bytes", "Bytes of deleted objects that wait for their readers.")
	descDiskCommitTime    = desc("disk_longest_commit_seconds", "The longest transaction since the start.")
)

// disk sends what is known of a disk tier. The readings that other tiers have,
// too, bear their names.
func (s scrape) disk(d *cachestore.DiskStats) {
	disk := TierDisk.String()
	s.value(descCacheBytes, float64(d.Live), disk)
	s.value(descCacheLimit, float64(d.Limit), disk)
	s.value(descCacheObjects, float64(d.Objects), disk)
	for why, n := range d.Evicted {
		s.count(descEvictions, float64(n), disk, cachestore.DiskEviction(why).String())
	}
	for why, n := range d.Dropped {
		s.count(descDrops, float64(n), disk, cachestore.DiskDrop(why).String())
	}
	s.value(descDiskFile, float64(d.File))
	s.value(descDiskFileLimit, float64(d.Most))
	s.value(descDiskIndex, float64(d.Index))
	s.value(descDiskQueue, float64(d.Queued))
	s.value(descDiskQueueLimit, float64(d.QueueLimit))
	s.value(descDiskLeases, float64(d.Leases))
	s.value(descDiskDeferred, float64(d.Deferred))
	s.value(descDiskDeferredBytes, float64(d.DeferredBytes))
	s.value(descDiskCommitTime, time.Duration(d.LongestCommit).Seconds())
	s.count(descDiskReads, float64(d.Reads))
	s.count(descDiskReadBytes, float64(d.ReadBytes))
	s.count(descDiskCommits, float64(d.Commits))
	s.count(descDiskStored, float64(d.Stored))
	s.count(descDiskStoredBytes, float64(d.StoredBytes))
	s.count(descDiskReadWaits, float64(d.ReadWaits))
	s.count(descDiskKept, float64(d.Kept))
	s.count(descDiskCompactions, float64(d.Compactions))
	s.count(descDiskPromoted, float64(d.Promoted))
	s.count(descDiskQuarantined, float64(d.Quarantined))
	s.shards(d.Shards)
}

func (s scrape) shards(list []cachestore.ShardStats) {
	loaded, troubled := 0, 0
	for i := range list {
		if list[i].Loaded {
			loaded++
		}
		if list[i].Trouble != "" {
			troubled++
		}
	}
	s.value(descDiskShards, float64(len(list)))
	s.value(descDiskLoaded, float64(loaded))
	s.value(descDiskTroubled, float64(troubled))
}
