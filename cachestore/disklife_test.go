package cachestore

import "testing"

// openBareDisk opens a disk of one shard that nothing stands above.
func openBareDisk(t *testing.T, dir string, noSync bool) *Disk {
	t.Helper()
	d, err := OpenDisk(DiskConfig{
		Dir: dir, Size: MinDisk, Shards: 1, Queue: 1 << 20, NoSync: noSync, Seed: 1,
		PurgeSeq: func() uint64 { return 1 }, LastPurge: func() uint64 { return 0 },
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}
