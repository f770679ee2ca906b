package main

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
)

const sieveShards = 256

// sieve is the simplest cache that scales: a map of 256 shards, a lock each, that
// evicts by SIEVE (Zhang and others, NSDI 2024; bench/policies has it to the
// letter). A hit takes its shard's lock for reading and sets a bit.
type sieve struct {
	seed   maphash.Seed
	shards [sieveShards]sieveShard
}

var _ cache = (*sieve)(nil)

type sieveShard struct {
	most int // objects

	mu         sync.RWMutex
	byURL      map[string]*sieved
	head, tail *sieved // new ones enter at the head
	hand       *sieved // the next that may go; nil is the tail
	_          [64]byte
}

// sieved is one object. Its body never changes: a new one is a new sieved.
type sieved struct {
	url          string
	body         []byte
	newer, older *sieved
	visited      atomic.Bool
}

// openSieve makes one whose shards have equal parts of the bound.
func openSieve(objects int, _ string) (cache, error) {
	s := &sieve{seed: maphash.MakeSeed()}
	for i := range s.shards {
		s.shards[i].most = max(objects/sieveShards, 1)
		s.shards[i].byURL = make(map[string]*sieved, s.shards[i].most)
	}
	return s, nil
}

func (s *sieve) worker() worker { return s }

func (s *sieve) shard(url string) *sieveShard {
	return &s.shards[maphash.String(s.seed, url)%sieveShards]
}

func (s *sieve) get(url string) ([]byte, place) {
	h := s.shard(url)
	h.mu.RLock()
	o := h.byURL[url]
	h.mu.RUnlock()
	if o == nil {
		return nil, nowhere
	}
	if !o.visited.Load() {
		o.visited.Store(true)
	}
	return o.body, inMemory
}

func (s *sieve) put(url string, body []byte) bool {
	h, o := s.shard(url), &sieved{url: url, body: body}
	h.mu.Lock()
	defer h.mu.Unlock()
	if old := h.byURL[url]; old != nil {
		h.removeLocked(old)
	}
	for len(h.byURL) >= h.most {
		h.evictLocked()
	}
	h.byURL[url] = o
	if o.older = h.head; o.older != nil {
		o.older.newer = o
	} else {
		h.tail = o
	}
	h.head = o
	return true
}

// evictLocked moves the hand from the tail to the head until it stands at one
// that was not visited, which goes.
func (h *sieveShard) evictLocked() {
	o := h.hand
	for {
		if o == nil {
			o = h.tail
		}
		if !o.visited.Swap(false) {
			break
		}
		o = o.newer
	}
	h.hand = o
	h.removeLocked(o)
}

// removeLocked takes an object out; the hand does not stay at it.
func (h *sieveShard) removeLocked(o *sieved) {
	if h.hand == o {
		h.hand = o.newer
	}
	if o.newer != nil {
		o.newer.older = o.older
	} else {
		h.head = o.older
	}
	if o.older != nil {
		o.older.newer = o.newer
	} else {
		h.tail = o.newer
	}
	delete(h.byURL, o.url)
}

func (s *sieve) objects() (memory, disk int) {
	for i := range s.shards {
		h := &s.shards[i]
		h.mu.RLock()
		memory += len(h.byURL)
		h.mu.RUnlock()
	}
	return memory, 0
}

func (s *sieve) close() error { return nil }
