package cachestore

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.etcd.io/bbolt"

	"edgecache/policy"
)

// loadBatch is how many records the start reads in one transaction, and
// touchedMost how many keys may change while it reads: beyond that the rest of
// the shard is forgotten.
const (
	loadBatch   = 2048
	touchedMost = 1 << 20
)

// shardPath is the file of shard n.
func shardPath(dir string, n int) string { return filepath.Join(dir, fmt.Sprintf("shard-%d.db", n)) }

// prepareFile reads the head of a shard's file, or makes a new one in an empty
// file. loose are the ids of bodies without a record.
func (d *Disk) prepareFile(f *diskFile, n int) (state shardState, loose []uint64, err error) {
	fresh := false
	err = f.view(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketState)
		if b == nil {
			fresh = true
			return nil
		}
		for _, name := range [][]byte{bucketObjects, bucketChunks, bucketFills} {
			if tx.Bucket(name) == nil {
				return fmt.Errorf("%w: no bucket %s", errBroken, name)
			}
		}
		if state, err = readState(b.Get(stateKey)); err != nil {
			return err
		}
		return tx.Bucket(bucketFills).ForEach(func(k, _ []byte) error {
			id, err := readIDKey(k)
			loose = append(loose, id)
			return err
		})
	})
	if err != nil {
		return state, nil, err
	}
	if fresh {
		state = d.newState(n)
	} else if err := d.fits(&state, n); err != nil {
		return state, nil, err
	}
	d.compare(&state)
	state.PurgeHigh = max(state.PurgeHigh, d.lastPurge())
	state.Boot = d.boot
	return state, loose, f.shrink(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{bucketState, bucketObjects, bucketChunks, bucketFills} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return tx.Bucket(bucketState).Put(stateKey, state.append(nil))
	})
}

func (d *Disk) newState(n int) shardState {
	return shardState{
		Epoch: newEpoch(), Shard: uint16(n), Shards: uint16(d.config.Shards), SeedMark: seedMark(d.config.Seed),
		NextID: 1, NextOrder: 1, PurgeEpoch: d.config.PurgeEpoch,
	}
}

// fits says whether a shard that was found belongs where it lies. What does not
// cannot be read, and is set aside like a broken one.
func (d *Disk) fits(s *shardState, n int) error {
	switch {
	case int(s.Shard) != n || int(s.Shards) != d.config.Shards:
		return broken("it is shard %d of %d, not %d of %d", s.Shard, s.Shards, n, d.config.Shards)
	case s.SeedMark != seedMark(d.config.Seed):
		return broken("it belongs to an installation with another seed")
	case s.Boot != "" && s.Boot != bootID():
		return broken("the machine went down while it was written without sync")
	}
	return nil
}

// compare notes when a shard's purge numbers are not those of this log: it was
// lost or replaced, or has fewer purges than the shard has seen.
func (d *Disk) compare(s *shardState) {
	if s.PurgeEpoch != d.config.PurgeEpoch || d.lastPurge() < s.PurgeHigh {
		d.distrust(s)
	}
}

// distrust has what a shard holds revalidated.
func (d *Disk) distrust(s *shardState) {
	d.log.Warn("disk shard is older or newer than the purge log: what it holds is revalidated", "shard", s.Shard)
	s.PurgeEpoch = d.config.PurgeEpoch
	s.PurgeGen++
	s.PurgeFloor = d.config.PurgeSeq()
	s.PurgeHigh = d.lastPurge()
	s.Swept = 0
}

// seedMark tells seeds apart without telling them.
func seedMark(seed policy.Seed) uint64 {
	k, _ := policy.NewKey(nil, seed, policy.URL{Scheme: "http", Host: []byte("seed.mark.invalid")}, nil)
	return k.Hash.Hi
}

// bootID names the run of the machine; "" where the system does not tell.
func bootID() string {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// loadIndex reads the index of what the file held when it was opened, while the shard
// is in use. What was stored under a key meanwhile is newer than what is found.
func (s *diskShard) loadIndex(until uint64) {
	from, objects := uint64(0), 0
	for from < until && !s.isGone() && !s.d.stopping() {
		batch := make([]indexed, 0, loadBatch)
		next := until
		err := s.file.walkIDs(bucketObjects, from, func(id uint64, value []byte) bool {
			if id >= until {
				return false
			}
			if len(batch) == loadBatch {
				next = id
				return false
			}
			batch = append(batch, s.readLoaded(id, value))
			return true
		})
		if err != nil {
			_ = s.failed(0, err)
			break
		}
		for slice := range slices.Chunk(batch, lockSlice) {
			s.addLoaded(slice)
		}
		objects += len(batch)
		from = next
	}
	s.mu.Lock()
	s.loading, s.touched = false, nil
	s.mu.Unlock()
	close(s.loaded)
	s.fit()
	s.d.log.Debug("disk shard is loaded", "file", s.file.path, "objects", objects)
}

// readLoaded is a record as the index keeps it; a Body below 0 is damaged.
func (s *diskShard) readLoaded(id uint64, value []byte) indexed {
	damaged := indexed{ID: id, Body: -1}
	front, err := readMetaFront(s.seal, id, value)
	if err != nil {
		return damaged
	}
	key, err := policy.ReadKey(s.d.config.Seed, front.Full)
	if err != nil {
		return damaged
	}
	return indexed{Hash: key.Hash, ID: id, Body: front.BodySize, Meta: uint32(len(value)), Expires: front.Expires, Uses: 1}
}

// addLoaded puts records into the index that nothing newer has replaced.
func (s *diskShard) addLoaded(batch []indexed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range batch {
		_, replaced := s.touched[o.Hash]
		switch {
		case o.Body < 0:
			s.d.evicted[DiskEvictedBroken].Add(1)
			s.dropID(o.ID)
		case replaced || len(s.touched) > touchedMost:
			s.d.drop(DiskDropLoading)
			s.dropID(o.ID)
		default:
			r := s.index.add(o)
			if r == 0 {
				s.d.drop(DiskDropQueue)
				s.dropID(o.ID)
				continue
			}
			s.index.rank(r)
		}
	}
	s.countLocked()
}

// newEpoch is a random one.
func newEpoch() (e epoch) {
	rand.Read(e[:])
	return e
}
