package cachestore

import "path/filepath"

// Trouble says what a person should know of shards that do not store, a line
// each.
func (d *Disk) Trouble() []string {
	var lines []string
	for _, s := range d.Stats().Shards {
		if s.Trouble != "" {
			lines = append(lines, filepath.Base(s.File)+": "+s.Trouble)
		}
	}
	return lines
}

// Stats is a snapshot.
func (d *Disk) Stats() DiskStats {
	st := DiskStats{
		Dir: d.config.Dir, Limit: d.config.Size, Most: d.config.Size + d.config.Size/4 + fileSlack,
		QueueLimit: d.config.Queue, Reads: d.reads.Load(), ReadWaits: d.readWaits.Load(), ReadBytes: d.readBytes.Load(), Commits: d.commits.Load(),
		Stored: d.storedN.Load(), StoredBytes: d.storedBytes.Load(), Kept: d.kept.Load(), Compactions: d.compactions.Load(),
		Promoted: d.promoted.Load(), Quarantined: d.quarantined.Load(), LongestCommit: d.longest.Load(),
	}
	for i := range st.Evicted {
		st.Evicted[i] = d.evicted[i].Load()
	}
	for i := range st.Dropped {
		st.Dropped[i] = d.dropped[i].Load()
	}
	for n := range d.shards {
		st.add(d.shardStats(n))
	}
	return st
}

// shardStats is one shard's part.
func (d *Disk) shardStats(n int) (one ShardStats, more shardMore) {
	one.File = shardPath(d.config.Dir, n)
	s := d.shards[n].Load()
	if s == nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		one.Trouble = "out of service"
		if d.troubles[n] != nil {
			one.Trouble = d.troubles[n].Error()
		}
		return one, more
	}
	_, more.queued, _ = s.queue.state()
	s.mu.RLock()
	defer s.mu.RUnlock()
	one.Bytes, one.Live, one.Objects = s.file.size(), s.writtenLocked(), int64(s.index.len())
	one.Loaded = !s.loading
	if s.trouble != nil {
		one.Trouble = s.trouble.Error()
	}
	more.index, more.leases = s.index.memory(), int64(len(s.leases))
	more.deferred, more.deferredBytes = int64(len(s.deferred)), s.held
	return one, more
}

// writtenLocked is live without what waits to be written: room is made for that
// when its turn comes.
func (s *diskShard) writtenLocked() int64 {
	live := s.liveLocked()
	for _, c := range s.pending {
		if c.kind == changePut && c.bytes > 0 {
			live -= diskBytes(c.body.Size, putBytes)
		}
	}
	return max(live, 0)
}

// shardMore is what only the sum of all shards shows.
type shardMore struct{ queued, index, leases, deferred, deferredBytes int64 }

func (st *DiskStats) add(one ShardStats, more shardMore) {
	st.Shards = append(st.Shards, one)
	st.Live += one.Live
	st.File += one.Bytes
	st.Objects += one.Objects
	st.Queued += more.queued
	st.Index += more.index
	st.Leases += more.leases
	st.Deferred += more.deferred
	st.DeferredBytes += more.deferredBytes
}
