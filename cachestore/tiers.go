package cachestore

import (
	"context"
	"errors"
	"fmt"

	"edgecache/policy"
)

// Tiers is memory over disk. What memory's table has under a key is all that is
// stored there; where it has nothing, what the disk has is. Every change goes to
// the table first and is followed by the disk under the table's lock, so that
// the two never disagree about a key; what memory evicts changes nothing.
type Tiers struct {
	mem  *Memory
	disk *Disk
}

var (
	_ Store = (*Tiers)(nil)
	_ Deep  = (*Tiers)(nil)
	_ lower = (*Tiers)(nil)
)

// NewTiers puts memory over disk. Nothing may be stored in either yet by others;
// both are the Tiers' to close. The disk's queue and index count in memory.
func NewTiers(mem *Memory, disk *Disk) (*Tiers, error) {
	queue := disk.config.Queue
	if queue > mem.config.Size/4 {
		return nil, fmt.Errorf("cachestore: a queue of %d bytes to the disk is more than a quarter of the memory of %d", queue, mem.config.Size)
	}
	t := &Tiers{mem: mem, disk: disk}
	mem.below = t
	mem.all = newDuel(disk.config.Size, disk.config.Objective == ObjectiveBytes)
	disk.all.Store(mem.all)
	mem.burden(queue + duelBytes)
	disk.under(mem.config.Size, mem.burden)
	return t, nil
}

// Peek says what is there. It takes no exclusive lock and reads no disk.
func (t *Tiers) Peek(k policy.Key) (*Resource, Presence) {
	if r := t.mem.table.get(k); r != nil {
		return r, InMemory
	}
	if s := t.disk.shard(k.Hash); s != nil && s.has(k.Hash) {
		return nil, OnDisk
	}
	return nil, Absent
}

// loadTries is how often Load looks again when what it read has changed.
const loadTries = 8

// Load brings what is stored under k into memory, bodies excepted, and returns it.
func (t *Tiers) Load(ctx context.Context, k policy.Key) (*Resource, error) {
	for range loadTries {
		if r := t.mem.table.get(k); r != nil {
			return r, nil
		}
		s := t.disk.shard(k.Hash)
		if s == nil {
			return nil, ErrAbsent
		}
		r, version, err := s.load(ctx, k)
		if err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return nil, ErrAbsent
		}
		still := func() bool { return s.unchanged(k.Hash, version) }
		if t.mem.swap(k, nil, r, swapping{quiet: true, still: still}) {
			return r, nil
		}
	}
	return nil, ErrAbsent
}

// raise is Load for memory's own use.
func (t *Tiers) raise(k policy.Key) *Resource {
	if _, p := t.Peek(k); p != OnDisk {
		return t.mem.table.get(k)
	}
	r, _ := t.Load(context.Background(), k) // ErrAbsent is nil
	return r
}

func (t *Tiers) follow(k policy.Key, old, new *Resource) {
	if s := t.disk.shard(k.Hash); s != nil {
		s.follow(k, old, new)
	}
}

func (t *Tiers) keep(k policy.Key, r *Resource, i int, hits uint32) *Variant {
	if s := t.disk.shard(k.Hash); s != nil {
		return s.keep(k, r, i, hits)
	}
	return nil
}

func (t *Tiers) holds(b *Body) bool {
	if b == nil {
		return false
	}
	s := t.disk.owner(b.ID)
	return s != nil && s.holds(b.ID)
}

// Chunk returns chunk i of a stored body in memory of its own.
func (t *Tiers) Chunk(ctx context.Context, b *Body, i int) ([]byte, error) {
	l := t.open(&Variant{Body: b})
	defer l.Close()
	c, err := l.Chunk(ctx, i)
	if l.scratch != nil {
		l.scratch.entry = nil // the chunk is the caller's
	}
	return c, err
}

// Hit marks v as used, in both tiers.
func (t *Tiers) Hit(r *Resource, v *Variant) { t.mem.Hit(r, v) }

// Replace puts new in the place of old, if old is what is stored.
func (t *Tiers) Replace(k policy.Key, old, new *Resource) bool {
	if old == nil && t.raise(k) != nil {
		return false
	}
	return t.mem.Replace(k, old, new)
}

// Delete removes what is stored under k. It may wait for the disk.
func (t *Tiers) Delete(k policy.Key) { t.mem.Delete(k) }

// Each calls f for what is in memory, or has some of it there. Sweep sees the
// disk.
func (t *Tiers) Each(f func(*Resource) bool) { t.mem.Each(f) }

// Account counts bodies that stream by.
func (t *Tiers) Account() Account { return t.mem }

// Stats is a snapshot of both tiers.
func (t *Tiers) Stats() Stats {
	st := t.mem.Stats()
	st.Disk = t.disk.Stats()
	return st
}

// Disk is the lower tier.
func (t *Tiers) Disk() *Disk { return t.disk }

// Close writes what waits for the disk and ends both tiers.
func (t *Tiers) Close() error { return errors.Join(t.mem.Close(), t.disk.Close()) }
