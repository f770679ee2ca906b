package cachestore

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// start begins to write, and to load the ids below until.
func (s *diskShard) start(until uint64) {
	s.workers.Go(s.work)
	s.workers.Go(func() { s.loadIndex(until) })
}

// end makes everybody let go of the shard.
func (s *diskShard) end() {
	if !s.retired.Swap(true) {
		close(s.gone)
	}
	s.queue.close()
}

// retire gives up a shard that met a fault, and puts an empty one in its place.
// It never waits for whoever may be stuck in the broken one.
func (d *Disk) retire(s *diskShard, why error) {
	if s.retired.Swap(true) {
		return
	}
	close(s.gone)
	s.queue.close()
	s.file.lose(why)
	go s.uncount() // whoever holds the mutex may be stuck
	d.condemn(s.n, why)
	d.shards[s.n].CompareAndSwap(s, nil)
	d.lives[s.life].Store(nil)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.troubles[s.n] = why
	if !d.closed {
		d.keeper.Go(func() { d.install(s.n) })
	}
}

// keep opens again what could not be opened, and makes fit what could not be made
// so, until Close.
func (d *Disk) keep() {
	t := time.NewTicker(reopenEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-d.stop:
			return
		}
		for n := range d.shards {
			if s := d.shards[n].Load(); s != nil {
				s.fit()
			} else {
				d.install(n)
			}
		}
		d.noteLastPurge()
	}
}

// noteLastPurge has the shards know of the last purge that write nothing else:
// they tell an older copy of the purge log by that.
func (d *Disk) noteLastPurge() {
	last := d.lastPurge()
	for _, s := range d.inUse() {
		if s == nil {
			continue
		}
		s.mu.RLock()
		known := s.state.PurgeHigh
		s.mu.RUnlock()
		if known < last {
			s.queue.offer(&change{kind: changeMark})
		}
	}
}

// Loaded waits until the index of every shard that is in use is complete.
func (d *Disk) Loaded(ctx context.Context) error {
	for n := range d.shards {
		s := d.shards[n].Load()
		if s == nil {
			continue
		}
		select {
		case <-s.loaded:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Sync waits until all that was stored and deleted before is on disk, or could
// not be brought there.
func (d *Disk) Sync(ctx context.Context) error { return d.mark(ctx, d.inUse(), 0) }

// inUse are the shards that are in service, nil where one is not.
func (d *Disk) inUse() []*diskShard {
	list := make([]*diskShard, len(d.shards))
	for n := range d.shards {
		list[n] = d.shards[n].Load()
	}
	return list
}

// mark waits for the writers of shards. swept is noted if it is not 0.
func (d *Disk) mark(ctx context.Context, shards []*diskShard, swept uint64) error {
	answers := make([]chan error, len(shards))
	for n, s := range shards {
		if s == nil {
			continue
		}
		answers[n] = make(chan error, 1)
		if err := s.resting(); err != nil {
			answers[n] <- err
			continue
		}
		if !s.queue.offer(&change{kind: changeMark, swept: swept, done: func(err error) { answers[n] <- err }}) {
			answers[n] <- ErrClosed
		}
	}
	var failed error
	for n, s := range shards {
		if s == nil {
			continue
		}
		select {
		case err := <-answers[n]:
			failed = errors.Join(failed, err)
		case <-s.gone:
			failed = errors.Join(failed, errRetired)
		case <-ctx.Done():
			return ctx.Err()
		case <-d.stop:
			return ErrClosed
		}
	}
	return failed
}

// stopping says whether Close has begun.
func (d *Disk) stopping() bool {
	select {
	case <-d.stop:
		return true
	default:
		return false
	}
}

// Close writes what waits, within ten seconds, and closes the files.
func (d *Disk) Close() error {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return ErrClosed
	}
	d.closed = true
	d.mu.Unlock()
	close(d.stop)
	d.keeper.Wait()
	d.noteLastPurge()
	var failed error
	for n := range d.shards {
		if s := d.shards[n].Load(); s != nil {
			s.revokeAll()
			s.queue.close()
		}
	}
	deadline := time.Now().Add(closeWait)
	for n := range d.shards {
		if s := d.shards[n].Load(); s != nil {
			failed = errors.Join(failed, s.close(time.Until(deadline)))
		}
	}
	return failed
}

// close waits for the writer and closes the file.
func (s *diskShard) close(most time.Duration) error {
	ended := make(chan struct{})
	go func() {
		s.workers.Wait()
		close(ended)
	}()
	t := time.NewTimer(max(most, 0))
	defer t.Stop()
	select {
	case <-ended:
	case <-t.C:
		s.end()
		return fmt.Errorf("cachestore: disk shard %s did not come to rest", s.file.path)
	}
	s.end()
	return s.file.finish(s.d.config.NoSync)
}

// turnMost is how long a writer waits for its turn: one that a fault holds up must
// not hold up the others.
const turnMost = time.Second

// turn waits until not too many writers commit at once, and returns what ends the
// turn: a commit keeps a core busy, by copying and by system calls that the
// scheduler finds out about late, and half of the cores are for memory's hits.
func (d *Disk) turn(gone <-chan struct{}) (end func()) {
	t := time.NewTimer(turnMost)
	defer t.Stop()
	select {
	case d.turns <- struct{}{}:
		return func() { <-d.turns }
	case <-t.C:
	case <-gone:
	}
	return func() {}
}
