package cachestore

import (
	"context"

	"edgecache/policy"
)

// Presence says where a resource is.
type Presence uint8

// A resource is nowhere, on disk and must be loaded, or in memory.
const (
	Absent Presence = iota
	OnDisk
	InMemory
)

// Store keeps resources by key. All methods may be called from any goroutine.
// Whoever got a Resource may read it for as long as it likes and must not
// change it; eviction does not touch what is in use.
type Store interface {
	// Peek says what is there, as far as the key's hash tells, and hands out what is in memory. It never blocks
	// on disk or network, takes no exclusive lock, and counts nothing.
	Peek(k policy.Key) (*Resource, Presence)
	// Load is Peek that may wait for the disk. It answers ErrAbsent when
	// nothing is stored.
	Load(ctx context.Context, k policy.Key) (*Resource, error)
	// Chunk returns chunk i of a body: an immutable view.
	Chunk(ctx context.Context, b *Body, i int) ([]byte, error)
	// Open begins to read the body of v, found in r, wherever it is. The loan
	// must be closed.
	Open(r *Resource, v *Variant) *Loan
	// Hit marks v, found in r, as used. It allocates nothing.
	Hit(r *Resource, v *Variant)
	// Begin starts to take a body for k; k is copied.
	Begin(k policy.Key, m Meta) Writer
	// Replace puts new in the place of old if old is still what is stored;
	// old nil: nothing must be stored; new nil or without variants deletes.
	// new must not be changed any more, whatever the answer is.
	Replace(k policy.Key, old, new *Resource) (swapped bool)
	// Delete removes what is stored under k.
	Delete(k policy.Key)
	// Each calls f for what is stored until f says false. Weakly consistent: a
	// resource that is swapped meanwhile may be seen in either form, or not at
	// all when it is new. No lock is held while f runs.
	Each(f func(*Resource) (more bool))
	// Account counts the bytes of bodies that stream by without being stored.
	Account() Account
	// Stats is a snapshot of the counters.
	Stats() Stats
	// Close ends the store's goroutines and waits for them.
	Close() error
}

// Meta is what is known of a body before its first byte.
type Meta struct {
	Length int64 // bytes; -1 when unknown
}

// Writer takes one body while it arrives, from one goroutine.
type Writer interface {
	// Chunk takes the next chunk. Every chunk but the last holds ChunkSize
	// bytes. The writer keeps p, which nobody may change from now on. An empty
	// p takes nothing and only asks whether the writer would go on. After an
	// error the caller must call Abort; ErrTooLarge: the body is over what the
	// tier stores.
	Chunk(p []byte) error
	// Commit makes v visible under the key at once and as a whole: it replaces
	// the variant with the same Vary and Selector, becomes the newest, and
	// drops the oldest over the limit of variants. When v.Body is nil it is
	// made of the chunks, otherwise it must consist of exactly them; it gets
	// its id here. v must not be changed any more.
	Commit(v *Variant) error
	// Abort forgets the chunks. After Commit it does nothing.
	Abort()
}

// Spiller is a Writer whose chunks may leave memory before the commit: it can
// give back what it was handed. The fill that keeps it calls all of this; who
// aborts it before a fill has it need not release it.
type Spiller interface {
	Writer
	// Spilled is how many bytes from the body's start need not be held by
	// anybody else any more: Read gives them back. 0 while all must stay in
	// memory. It only grows, in whole chunks; it is asked by the writer's
	// goroutine, after each Chunk and after Commit.
	Spilled() int64
	// Read returns chunk i, which lies below Spilled, into dst if that is large
	// enough. It may wait for the disk. It is called from any goroutine, beside
	// Chunk, Commit and Abort, too, and after Commit. It fails with ErrChunkGone
	// when the chunk cannot be had any more: after Abort, or a fault of the disk.
	Read(ctx context.Context, i int, dst []byte) ([]byte, error)
	// Release says that nobody will call Read again. It is called exactly once,
	// by any goroutine, after Commit or Abort. A body that is not stored after all
	// is aborted right before it, once the last reader has left that needs what was
	// spilled: also one whose Chunk was refused goes on to be read until then.
	Release()
}

// Account counts bytes that are held on behalf of clients but are not stored.
type Account interface {
	// Reserve counts n bytes, if there is room for them.
	Reserve(n int64) (ok bool)
	// Force counts n bytes that are held in any case.
	Force(n int64)
	// Release gives n bytes back.
	Release(n int64)
	// Dropped counts a reader or a body that was given up.
	Dropped(why Drop)
}
