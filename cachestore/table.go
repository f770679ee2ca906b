package cachestore

import (
	"sync"

	"edgecache/policy"
)

const tableShards = 256

// table is the one map of all that is stored. The tiers decide who stays; what
// is not in here is not stored. Look-ups share a lock with those of one shard
// only, and only for reading.
type table struct {
	shards [tableShards]shard
}

// shard is one part of the table.
type shard struct {
	mu     sync.RWMutex
	byHash map[policy.Hash]*Resource
	closed bool // Ristretto must not be touched any more
	_      [24]byte
}

func (t *table) shard(h policy.Hash) *shard { return &t.shards[h.Hi%tableShards] }

// get returns what is stored under k. An equal hash with another key is absent.
func (t *table) get(k policy.Key) *Resource {
	s := t.shard(k.Hash)
	s.mu.RLock()
	r := s.byHash[k.Hash]
	s.mu.RUnlock()
	if r == nil || !r.Key.Equal(k) {
		return nil
	}
	return r
}

// swap puts new in the place of old, nil for nothing, if old is what is there.
// publish runs under the shard's lock just before, and may still refuse. A
// resource of another key with the same hash makes way; it is returned.
func (t *table) swap(k policy.Key, old, new *Resource, publish func() bool) (displaced *Resource, swapped bool) {
	s := t.shard(k.Hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	cur := s.byHash[k.Hash]
	if cur != nil && !cur.Key.Equal(k) {
		displaced, cur = cur, nil
	}
	if cur != old {
		return nil, false
	}
	if new == nil && displaced != nil {
		return nil, true // there was nothing, and nothing of another key goes
	}
	if !publish() {
		return nil, false
	}
	if new == nil {
		delete(s.byHash, k.Hash)
		return nil, true
	}
	if s.byHash == nil {
		s.byHash = make(map[policy.Hash]*Resource)
	}
	s.byHash[k.Hash] = new
	return displaced, true
}

// during calls f if r is what is stored under k, and lets nobody change that meanwhile.
func (t *table) during(k policy.Key, r *Resource, f func()) {
	s := t.shard(k.Hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byHash[k.Hash] == r {
		f()
	}
}

// each calls f for what is stored, without a lock.
func (t *table) each(f func(*Resource) bool) {
	var some []*Resource
	for i := range t.shards {
		some = t.shards[i].appendTo(some[:0])
		for _, r := range some {
			if !f(r) {
				return
			}
		}
		clear(some)
	}
}

// appendTo appends all resources, in no order.
func (s *shard) appendTo(dst []*Resource) []*Resource {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, r := range s.byHash {
		dst = append(dst, r)
	}
	return dst
}

// close waits until no look-up is under way that began before.
func (t *table) close() {
	for i := range t.shards {
		t.shards[i].mu.Lock()
		t.shards[i].closed = true
		t.shards[i].mu.Unlock()
	}
}
