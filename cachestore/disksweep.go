package cachestore

import (
	"context"
	"errors"
	"fmt"

	"edgecache/policy"
)

// Deep is a Store that keeps more than Each shows.
type Deep interface {
	// Sweep shows judge everything that is stored below memory, a variant at a
	// time, and stores what it returns: the same, another form, or nothing. When
	// Sweep returns nil, what judge decided is durable, and it is noted for a
	// later start that purges up to number have been dealt with.
	Sweep(ctx context.Context, number uint64, judge func(*Resource) *Resource) error
}

// Sweep shows judge what is on disk.
func (t *Tiers) Sweep(ctx context.Context, number uint64, judge func(*Resource) *Resource) error {
	if err := t.disk.Loaded(ctx); err != nil {
		return err
	}
	if err := t.disk.Sync(ctx); err != nil { // what was stored before is seen from here on
		return err
	}
	shards := t.disk.inUse()
	for _, s := range shards {
		if s == nil {
			continue
		}
		select {
		case <-s.loaded: // it may have come since
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := t.sweepShard(ctx, s, judge); err != nil {
			return err
		}
	}
	if err := t.disk.mark(ctx, shards, number); err != nil {
		return err
	}
	return t.disk.swept(shards, number)
}

// errAway says that a shard came or went while all were needed.
var errAway = errors.New("cachestore: a disk shard came into or went out of service meanwhile")

// swept notes that all that is stored was judged up to a purge number, when
// shards are those that were: the log may forget what led to it. A shard that is
// out of service is not trusted any more when it returns; the numbers of the
// others tell that also after a restart.
func (d *Disk) swept(shards []*diskShard, number uint64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	some := false
	for n, s := range shards {
		some = some || s != nil
		if d.shards[n].Load() != s {
			return errAway
		}
	}
	if !some {
		return errAway
	}
	d.sweptTo = max(d.sweptTo, number)
	return nil
}

// catchUpLocked makes a shard that was out of service during a sweep distrust
// what it holds.
func (d *Disk) catchUpLocked(s *diskShard) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.Swept >= d.sweptTo {
		return
	}
	if s.state.NextID > 1 { // it has ever held something
		d.distrust(&s.state)
	}
	s.state.Swept = d.sweptTo
}

// sweepBatch is how many records a sweep reads in one transaction.
const sweepBatch = 256

func (t *Tiers) sweepShard(ctx context.Context, s *diskShard, judge func(*Resource) *Resource) error {
	from := uint64(0)
	for {
		batch, next, err := s.records(ctx, from, sweepBatch)
		if err != nil {
			return err
		}
		for i := range batch {
			if err := t.judgeOne(s, &batch[i], judge); err != nil {
				return err
			}
		}
		if next == 0 {
			return nil
		}
		from = next
	}
}

// judgeOne asks judge about one object and carries out what it says.
func (t *Tiers) judgeOne(s *diskShard, o *object, judge func(*Resource) *Resource) error {
	for range loadTries {
		if r := t.mem.table.get(o.key); r != nil {
			next := judge(r)
			if next == r || t.mem.Replace(r.Key, r, next) {
				return nil
			}
			continue
		}
		r := &Resource{Key: o.key, Variants: []*Variant{o.v}}
		next := judge(r)
		if next == r {
			return nil
		}
		if t.mem.table.without(o.key, func() { s.judged(o, next) }) {
			return nil
		}
	}
	return fmt.Errorf("cachestore: object %d changes all the time", o.id)
}

// without runs f under the lock of k's shard if nothing is stored there for it.
func (t *table) without(k policy.Key, f func()) (ran bool) {
	s := t.shard(k.Hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.byHash[k.Hash]; r != nil && r.Key.Equal(k) {
		return false
	}
	f()
	return true
}

// judged puts what a sweep decided in the place of an object.
func (s *diskShard) judged(o *object, next *Resource) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if in, ok := s.index.get(o.ref); !ok || in.ID != o.id || s.deferredLocked(o.ref) {
		return // it is gone, or newer than what was judged
	}
	*s.slotLocked(o.key.Hash)++
	if next == nil || len(next.Variants) == 0 {
		s.dropLocked(o.ref)
		return
	}
	s.reviseLocked(o.ref, o.key, next.Variants[0])
}

// records reads objects from an id on, complete but for their bodies. next is
// where to go on; 0: there are no more. What is not in the index is left out.
func (s *diskShard) records(ctx context.Context, from uint64, most int) (list []object, next uint64, err error) {
	if err := s.enter(ctx); err != nil {
		return nil, 0, err
	}
	defer s.leave()
	type raw struct {
		id  uint64
		rec metaRecord
	}
	var raws []raw
	var damaged []uint64
	seen := 0
	err = s.file.walkIDs(bucketObjects, from, func(id uint64, value []byte) bool {
		if seen++; seen > most {
			next = id
			return false
		}
		rec, err := readMeta(s.seal, id, value)
		if err != nil {
			damaged = append(damaged, id)
			return true
		}
		raws = append(raws, raw{id, rec})
		return true
	})
	if err != nil {
		return nil, 0, s.failed(0, err)
	}
	for _, id := range damaged {
		s.d.evicted[DiskEvictedBroken].Add(1)
		s.forgetID(id)
	}
	for i := range raws {
		if o, ok := s.complete(raws[i].id, &raws[i].rec); ok {
			list = append(list, o)
		}
	}
	return list, next, nil
}

// complete makes an object of a record, if the index has it.
func (s *diskShard) complete(id uint64, rec *metaRecord) (o object, ok bool) {
	key, err := policy.ReadKey(s.d.config.Seed, rec.Full)
	if err != nil {
		return o, false
	}
	o = object{id: id, order: rec.Order, key: key}
	s.mu.RLock()
	o.ref = s.refLocked(key.Hash, id)
	s.mu.RUnlock()
	if o.ref == 0 {
		return o, false
	}
	o.v = s.dress(o.ref, rec)
	return o, true
}

// refLocked finds the object under a hash that has this id; 0 is none.
func (s *diskShard) refLocked(h policy.Hash, id uint64) ref {
	for _, r := range s.index.of(h, nil) {
		if in, _ := s.index.get(r); in.ID == id {
			return r
		}
	}
	return 0
}

// forgetID takes out an object whose record cannot be read: its place in the
// index is found by its id.
func (s *diskShard) forgetID(id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := ref(0)
	s.index.each(func(r ref) (more bool) {
		if in, _ := s.index.get(r); in.ID == id {
			found = r
		}
		return found == 0
	})
	if found != 0 {
		s.dropLocked(found)
		return
	}
	s.dropID(id)
}
