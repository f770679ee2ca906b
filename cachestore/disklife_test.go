package cachestore

import (
	"runtime"
	"testing"
	"time"
)

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

// TestSyncEndsWithItsShard: who waits for a shard that is retired does not wait
// for ever. A sweep was stuck like that until the end of the process.
func TestSyncEndsWithItsShard(t *testing.T) {
	d := openBareDisk(t, t.TempDir(), false)
	defer d.Close()
	s := d.shards[0].Load()
	s.mu.Lock()
	s.rest = resting{until: d.now() + int64(time.Hour), span: time.Hour}
	s.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		_ = d.Sync(t.Context())
		close(ended)
	}()
	for waiting := 0; waiting == 0; waiting, _, _ = s.queue.state() {
		runtime.Gosched()
	}
	d.retire(s, errBroken)
	<-ended
}
