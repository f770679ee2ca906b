package cachestore

// DiskEviction is the reason why something had to leave the disk tier.
type DiskEviction uint8

// Reasons for an eviction from disk.
const (
	DiskEvictedExpired DiskEviction = iota // of no use any more: beyond every stale window, no validator
	DiskEvictedLeast                       // live bytes were over the quota, it was worth least
	DiskEvictedFile                        // the file was at its largest
	DiskEvictedBroken                      // its bytes disagreed with their checksum

	diskEvictions
)

// DiskEvictions is the number of reasons for an eviction from disk.
const DiskEvictions = int(diskEvictions)

// String gives the reason as metrics print it.
func (e DiskEviction) String() string {
	return [...]string{"expired", "least", "file", "broken"}[e]
}

// DiskDrop is the reason why something was not written, or not read.
type DiskDrop uint8

// Reasons for a drop.
const (
	DiskDropTooLarge DiskDrop = iota // over the largest object that a shard stores
	DiskDropQueue                    // the writer's queue was full
	DiskDropResting                  // the shard does not write for now, after an error
	DiskDropWrite                    // the commit failed
	DiskDropRead                     // a read failed: the shard is broken or the file is cut
	DiskDropLease                    // a reader was cut off: what it read had to make room
	DiskDropChoice                   // not chosen: what is there is worth more
	DiskDropLoading                  // replaced or deleted before the start had read its record
	DiskDropLeaving                  // it left memory after hits there, and could not be written then

	diskDrops
)

// DiskDrops is the number of reasons for a drop.
const DiskDrops = int(diskDrops)

// String gives the reason as metrics print it.
func (d DiskDrop) String() string {
	return [...]string{"too_large", "queue", "resting", "write_error", "read_error", "lease", "not_chosen", "loading", "leaving"}[d]
}

// DiskStats is a snapshot of the disk tier. Bytes are bytes on disk unless said
// otherwise.
type DiskStats struct {
	Dir   string
	Limit int64 // the quota: live bytes stay below it; 0 when there is no disk tier
	Live  int64 // what stored objects take that are written
	File  int64 // the files as they are
	Most  int64 // the files are never larger

	Objects    int64
	Index      int64 // bytes of memory that the index takes, and what is known of others
	Queued     int64 // bytes that wait for the writers
	QueueLimit int64
	Leases     int64 // bodies that are being read now

	Reads, ReadBytes        uint64 // chunks read from disk
	ReadWaits               uint64 // reads that waited because as many ran at once as may
	Commits                 uint64 // synced transactions
	Stored, StoredBytes     uint64 // objects written, and the bytes of their bodies and records
	Kept                    uint64 // objects that were written as they left memory
	Compactions             uint64 // of files whose pages were half empty, by the tier itself
	Promoted                uint64 // bodies that came up to memory
	Quarantined             uint64 // shards set aside as broken
	Evicted                 [DiskEvictions]uint64
	Dropped                 [DiskDrops]uint64
	Shards                  []ShardStats
	LongestCommit           int64 // nanoseconds
	Deferred, DeferredBytes int64 // deleted objects that wait for their readers, and their bytes
}

// ShardStats is one shard of it.
type ShardStats struct {
	File    string
	Bytes   int64 // of the file
	Live    int64
	Objects int64
	Loaded  bool   // its index is complete
	Trouble string // why it does not store, "" when it does
}

// CheckReport is what a check of the disk tier found.
type CheckReport struct {
	Objects int64 `json:"objects"`
	Bytes   int64 `json:"bytes"`   // of bodies read
	Broken  int64 `json:"broken"`  // objects that disagreed with a checksum; they were taken out
	Orphans int64 `json:"orphans"` // chunks without an object; they were taken out
}

// CompactReport is what a compaction did.
type CompactReport struct {
	Before int64 `json:"before"` // bytes of the files
	After  int64 `json:"after"`
}
