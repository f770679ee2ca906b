package cachestore

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"edgecache/policy"
)

// collidingTiers opens a store on dir; its only shard is the second result.
func collidingTiers(t *testing.T, dir string) (*Tiers, *diskShard) {
	t.Helper()
	mem, err := NewMemory(MemoryConfig{Size: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	disk, err := OpenDisk(DiskConfig{
		Dir: dir, Size: 16 << 20, Queue: 1 << 20, Shards: 1, Seed: 1,
		PurgeSeq: func() uint64 { return 1 }, LastPurge: func() uint64 { return 0 },
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewTiers(mem, disk)
	if err != nil {
		t.Fatal(err)
	}
	if err := disk.Loaded(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s, disk.shards[0].Load()
}

func collidingKey(t *testing.T, path string) policy.Key {
	t.Helper()
	u, err := policy.ParseURL("http://h.test" + path)
	if err != nil {
		t.Fatal(err)
	}
	k, _ := policy.NewKey(nil, 1, u, nil)
	return k
}

// TestCollisionOnDisk: two keys of one hash, both on disk, never swap bodies.
// Real collisions cannot be had, so what a start has loaded is filed anew.
func TestCollisionOnDisk(t *testing.T) {
	dir := t.TempDir()
	bodies := map[string][]byte{"/a": bytes.Repeat([]byte("a"), 70_000), "/b": bytes.Repeat([]byte("b"), 70_001)}
	s, _ := collidingTiers(t, dir)
	for path, body := range bodies {
		w := s.Begin(collidingKey(t, path), Meta{Length: int64(len(body))})
		for part := body; len(part) > 0; part = part[min(len(part), ChunkSize):] {
			if err := w.Chunk(part[:min(len(part), ChunkSize)]); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Commit(&Variant{Head: NewHead(200, nil, nil)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s, shard := collidingTiers(t, dir)
	defer s.Close()
	a, b, c := collidingKey(t, "/a"), collidingKey(t, "/b"), collidingKey(t, "/c")
	shard.mu.Lock()
	for _, r := range shard.index.of(b.Hash, nil) {
		in, _ := shard.index.get(r)
		shard.index.remove(r)
		in.Hash = a.Hash
		shard.index.add(in)
	}
	shard.mu.Unlock()
	b.Hash, c.Hash = a.Hash, a.Hash

	for range 3 {
		for path, k := range map[string]policy.Key{"/a": a, "/b": b} {
			got, err := storedBody(s, k)
			if err != nil || !bytes.Equal(got, bodies[path]) {
				t.Fatalf("%s: %d bytes, error %v, want its %d", path, len(got), err, len(bodies[path]))
			}
		}
		if _, err := s.Load(t.Context(), c); !errors.Is(err, ErrAbsent) {
			t.Fatalf("a third key of that hash: error %v, want that it is absent", err)
		}
	}
}

func storedBody(s Store, k policy.Key) (all []byte, err error) {
	r, err := s.Load(context.Background(), k)
	if err != nil {
		return nil, err
	}
	l := s.Open(r, r.Variants[0])
	defer l.Close()
	for i := range r.Variants[0].Body.Chunks() {
		c, err := l.Chunk(context.Background(), i)
		if err != nil {
			return all, err
		}
		all = append(all, c...)
	}
	return all, nil
}
