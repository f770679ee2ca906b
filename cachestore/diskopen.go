package cachestore

import (
	"errors"
	"fmt"
	"os"

	"edgecache/policy"
)

// This file is how the shards of a Disk come into their places.

const badSuffix = ".bad" // of a shard that is set aside

// install opens shard n and puts it in its place. A broken file is set aside
// once; what fails then is tried again later.
func (d *Disk) install(n int) {
	d.opening.Lock()
	defer d.opening.Unlock()
	if d.shards[n].Load() != nil {
		return // somebody was faster
	}
	s, err := d.openOrReplace(n)
	d.place(n, s, err)
}

// openAll opens all shards, and puts them in their places when it is known what
// the last sweep of any of them was.
func (d *Disk) openAll() {
	shards, errs := make([]*diskShard, len(d.shards)), make([]error, len(d.shards))
	for n := range shards {
		if shards[n], errs[n] = d.openOrReplace(n); errs[n] == nil {
			d.sweptTo = max(d.sweptTo, shards[n].state.Swept)
		}
	}
	for n := range shards {
		d.place(n, shards[n], errs[n])
	}
}

// place puts a shard that was opened in its place, or notes why there is none.
func (d *Disk) place(n int, s *diskShard, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		if d.troubles[n] == nil {
			d.log.Error("disk shard cannot be used for now", "file", shardPath(d.config.Dir, n), "err", err)
		}
		d.troubles[n] = err
		return
	}
	if d.closed {
		s.end()
		_ = s.file.close() // nothing was written to it
		return
	}
	d.catchUpLocked(s)
	d.troubles[n] = nil
	found := s.state.NextID // before anybody can store in it
	d.lives[s.life].Store(s)
	d.shards[n].Store(s)
	s.start(found)
}

// openOrReplace opens the file of shard n, or an empty one in the place of one
// that is broken.
func (d *Disk) openOrReplace(n int) (*diskShard, error) {
	if err := d.setAside(n); err != nil {
		return nil, err
	}
	s, err := d.openShard(n)
	if !errors.Is(err, errBroken) {
		return s, err
	}
	d.condemn(n, err)
	if err := d.setAside(n); err != nil {
		return nil, err
	}
	return d.openShard(n)
}

// condemn says that the file of shard n is broken. It may be open: nobody must
// open it again.
func (d *Disk) condemn(n int, why error) {
	path := shardPath(d.config.Dir, n)
	d.quarantined.Add(1)
	d.log.Error("disk shard is broken: it begins anew", "file", path, "set_aside_as", path+badSuffix, "err", why)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.aside[n] = true
}

// setAside renames the file of shard n if it was condemned.
func (d *Disk) setAside(n int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.aside[n] {
		return nil
	}
	path := shardPath(d.config.Dir, n)
	if err := os.Rename(path, path+badSuffix); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("set a broken shard aside: %w", err)
	}
	d.aside[n] = false
	return nil
}

// openShard opens the file of shard n and makes what belongs to it.
func (d *Disk) openShard(n int) (*diskShard, error) {
	if d.livesLeft() == 0 {
		return nil, errLives
	}
	share := d.config.Size / int64(d.config.Shards)
	f, err := openFile(shardPath(d.config.Dir, n), fileOptions{
		most: share + share/4 + fileSlack/int64(d.config.Shards) - deletionRoom, noSync: d.config.NoSync, open: d.config.open,
	})
	if err != nil {
		return nil, err
	}
	state, loose, err := d.prepareFile(f, n)
	if err != nil {
		if !errors.Is(err, errBroken) {
			err = errors.Join(err, f.close())
		}
		return nil, err
	}
	life := d.nextLife()
	sealed := newSeal(state.Epoch)
	s := &diskShard{
		d: d, n: n, life: life, file: f, seal: &sealed, quota: share, sinceCompact: share, most: largestIn(share),
		queue: newQueue(d.config.Queue / int64(d.config.Shards)), reads: make(chan struct{}, d.config.Reads),
		gone: make(chan struct{}), loaded: make(chan struct{}),
		index:  &index{order: worthOrder{power: d.config.Objective.power()}},
		choice: chooser(d.config.Admission, d.config.NoReturners), state: state, loading: true, touched: map[policy.Hash]struct{}{},
		pending: map[ref]*change{}, unsaved: map[ref]int64{}, leases: map[ref]*lease{}, deferred: map[ref]deferral{},
	}
	for _, id := range loose {
		s.dropID(id)
	}
	return s, nil
}

// fileSlack is what all files may have over 1.25 of the quota.
const fileSlack = 32 << 20

// errLives says that there is no number left to tell another opening apart.
var errLives = errors.New("cachestore: shards broke too often; restart to use the disk again")

func (d *Disk) livesLeft() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maxLives - d.lastLife
}

// nextLife numbers an opening. One shard is opened at a time, so one is left
// where one was.
func (d *Disk) nextLife() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lastLife++
	return d.lastLife
}
