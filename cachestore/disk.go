package cachestore

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"edgecache/policy"
)

// DiskConfig says where a disk tier is and how large. A zero is its default.
type DiskConfig struct {
	// Dir is the directory of the shards' files; it must be there, and nobody
	// else may use it. No default.
	Dir string
	// Size is the quota in bytes: what is stored, with records and keys, takes
	// no more; the files together stay below 1.25 of it and 32 MiB. No default;
	// the least is MinDisk.
	Size int64
	// Shards is how many files share it, each with a writer of its own; 4, at
	// most 32. Another number than last time begins anew.
	Shards int
	// NoSync lets commits return before they are on the disk: faster, and all
	// that is stored is lost when the machine, not only edge, goes down.
	NoSync bool
	// Queue is how many bytes may wait for all writers together; 32 MiB. What
	// finds its shard's part full is not written.
	Queue int64
	// Admission says what is written: all that comes, or what sz2 chooses.
	Admission Admission
	// Objective is what the choice of what goes is to make small.
	Objective Objective
	// NoReturners leaves out of sz2 what its like did.
	NoReturners bool
	// Reads is how many chunks a shard reads at once; 32.
	Reads int
	// Seed keys the hashes of primary keys.
	Seed policy.Seed
	// PurgeEpoch names the purge log that the objects' purge numbers belong to.
	PurgeEpoch [16]byte
	// PurgeSeq is the purge number now, LastPurge that of the last purge that
	// the log will know after a crash. No default.
	PurgeSeq, LastPurge func() uint64
	// Now tells the time in Unix nanoseconds; nil is the system's.
	Now func() int64
	// Log hears what a person should act on; nil is nobody.
	Log *slog.Logger
	// Committed hears how long each transaction took, with the room that had to be
	// made for it; nil is nobody. It is called by the writers and may not block.
	Committed func(time.Duration)

	open func(string, int, os.FileMode) (*os.File, error) // for tests that break files
}

// MinDisk is the smallest disk tier in bytes.
const MinDisk = 4 << 20

const (
	defaultShards = 4
	maxShards     = 32
	defaultQueue  = 32 << 20
	defaultReads  = 32
	maxLives      = 127              // openings of shards that BodyIDs can tell apart
	reopenEvery   = 30 * time.Second // when a shard's file could not be had
	closeWait     = 10 * time.Second // for what waits to be written
)

// Disk is the tier that keeps objects over a restart: bbolt files, a shard
// each. It stores what memory hands to it, and is asked by Tiers when memory
// has nothing. Whatever goes wrong in it costs hits, never an answer.
type Disk struct {
	config DiskConfig
	log    *slog.Logger
	boot   string // of this run of the machine while writing without sync

	shards []atomic.Pointer[diskShard] // nil where a file cannot be had
	lives  [maxLives + 1]atomic.Pointer[diskShard]

	opening sync.Mutex // one shard is opened at a time; taken before mu

	mu       sync.Mutex
	lastLife uint64
	troubles []error // by shard: why it is not there
	aside    []bool  // by shard: its file is broken and still to be renamed
	sweptTo  uint64  // the purge number that the last sweep of all came to
	closed   bool
	stop     chan struct{}
	keeper   sync.WaitGroup

	turns   chan struct{}                     // a token for each writer that commits; see turn
	account atomic.Pointer[func(bytes int64)] // hears of the memory that indexes take
	memory  int64                             // bytes of the tier above; guarded by mu
	all     atomic.Pointer[duel]              // of both tiers; nil while there is none above

	readWaits                 atomic.Uint64
	reads, readBytes, commits atomic.Uint64
	storedN, storedBytes      atomic.Uint64
	promoted, kept            atomic.Uint64
	compactions               atomic.Uint64
	quarantined               atomic.Uint64
	longest                   atomic.Int64
	evicted                   [DiskEvictions]atomic.Uint64
	dropped                   [DiskDrops]atomic.Uint64
}

// OpenDisk opens the tier. A shard that is broken is set aside as FILE.bad and
// begun anew, one that cannot be opened is left out and tried again. The error
// tells a directory that cannot be used at all. Close ends it.
func OpenDisk(c DiskConfig) (*Disk, error) {
	if c.Shards == 0 {
		c.Shards = defaultShards
	}
	if c.Queue == 0 {
		c.Queue = defaultQueue
	}
	if c.Reads == 0 {
		c.Reads = defaultReads
	}
	if c.Now == nil {
		c.Now = func() int64 { return time.Now().UnixNano() }
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	switch {
	case c.Size < MinDisk:
		return nil, fmt.Errorf("cachestore: disk of %d bytes is too small, the least is %d", c.Size, int64(MinDisk))
	case c.Shards < 1 || c.Shards > maxShards:
		return nil, fmt.Errorf("cachestore: %d shards, give 1 to %d", c.Shards, maxShards)
	case c.PurgeSeq == nil || c.LastPurge == nil:
		return nil, errors.New("cachestore: a disk needs the purge numbers")
	}
	d := &Disk{config: c, log: c.Log, shards: make([]atomic.Pointer[diskShard], c.Shards), troubles: make([]error, c.Shards), aside: make([]bool, c.Shards), stop: make(chan struct{}), turns: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))}
	if c.NoSync {
		d.boot = bootID()
	}
	if err := d.usable(); err != nil {
		return nil, fmt.Errorf("open disk tier in %s: %w", c.Dir, err)
	}
	d.removeStrays()
	d.openAll()
	d.keeper.Go(d.keep)
	return d, nil
}

// usable says whether files can be made in the directory.
func (d *Disk) usable() error {
	f, err := os.CreateTemp(d.config.Dir, ".probe-*")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// removeStrays removes the files of shards that are no more, and what a
// compaction left that did not come to its end.
func (d *Disk) removeStrays() {
	found, _ := filepath.Glob(filepath.Join(d.config.Dir, "shard-*.db*"))
	ours := map[string]bool{}
	for n := range d.shards {
		ours[shardPath(d.config.Dir, n)] = true
		ours[shardPath(d.config.Dir, n)+badSuffix] = true
	}
	for _, path := range found {
		if !ours[path] {
			d.log.Info("removed a stray file of the disk tier", "file", path, "err", os.Remove(path))
		}
	}
}

// shard is the one for a hash, nil when it is out of service.
func (d *Disk) shard(h policy.Hash) *diskShard {
	return d.shards[h.Lo>>40%uint64(len(d.shards))].Load()
}

// owner is the shard that gave out a body's ID, nil when it is gone.
func (d *Disk) owner(id BodyID) *diskShard {
	if id&diskBodyBit == 0 {
		return nil
	}
	return d.lives[uint64(id)>>lifeShift&0x7f].Load()
}

func (d *Disk) now() int64        { return d.config.Now() }
func (d *Disk) lastPurge() uint64 { return d.config.LastPurge() }
func (d *Disk) drop(why DiskDrop) { d.dropped[why].Add(1) }

func (d *Disk) stored(bytes int64) {
	d.storedN.Add(1)
	d.storedBytes.Add(uint64(bytes))
}

func (d *Disk) committed(took time.Duration) {
	if d.config.Committed != nil {
		d.config.Committed(took)
	}
	d.commits.Add(1)
	for {
		old := d.longest.Load()
		if int64(took) <= old || d.longest.CompareAndSwap(old, int64(took)) {
			return
		}
	}
}

// under says how large the tier above is, and who hears of the memory that the
// indexes take.
func (d *Disk) under(memory int64, account func(bytes int64)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.memory = memory
	d.account.Store(&account)
	for n := range d.shards {
		if s := d.shards[n].Load(); s != nil {
			s.mu.Lock()
			s.choice.size(d.memory, d.config.Size, len(d.shards))
			s.countLocked()
			s.mu.Unlock()
		}
	}
}
