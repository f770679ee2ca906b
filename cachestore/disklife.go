package cachestore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// start begins to write and to load what has an id below until.
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
	s.file.broken.Store(true)
	go s.uncount() // whoever holds the mutex may be stuck
	d.shards[s.n].CompareAndSwap(s, nil)
	d.lives[s.life].Store(nil)
	d.quarantined.Add(1)
	d.log.Error("disk shard is broken: it begins anew", "file", s.file.path, "set_aside_as", s.file.path+badSuffix, "err", why)
	d.mu.Lock()
	d.troubles[s.n] = why
	closed := d.closed
	if !closed {
		d.keeper.Go(func() {
			if err := os.Rename(s.file.path, s.file.path+badSuffix); err != nil && !errors.Is(err, os.ErrNotExist) {
				return // keep tries again
			}
			d.install(s.n)
		})
	}
	d.mu.Unlock()
}

// keep opens again what could not be opened, until Close.
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
			if d.shards[n].Load() == nil {
				d.install(n)
			}
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
func (d *Disk) Sync(ctx context.Context) error { return d.mark(ctx, 0) }

// mark waits for the writers of all shards. swept is noted if it is not 0.
func (d *Disk) mark(ctx context.Context, swept uint64) error {
	answers := make([]chan error, len(d.shards))
	shards := make([]*diskShard, len(d.shards))
	for n := range d.shards {
		answer := make(chan error, 1)
		s := d.shards[n].Load()
		if s != nil && s.queue.offer(&change{kind: changeMark, swept: swept, done: func(err error) { answer <- err }}) {
			shards[n], answers[n] = s, answer
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
		case <-s.gone: // what it had is not stored any more
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
