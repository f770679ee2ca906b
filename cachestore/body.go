package cachestore

import (
	"net/http"
	"sync/atomic"
)

// ChunkSize is the payload of one chunk in bytes: the grid on which every body
// is cut, in memory and on disk. 64 bytes less than 64 KiB, so that a chunk and
// its header fill whole pages of the disk tier.
const ChunkSize = 64<<10 - 64

// BodyID names a stored body for as long as a store lives. 0 is no id.
type BodyID uint64

// Body is the content of a variant, cut into chunks. It is immutable; variants
// that differ only in their heads share it.
type Body struct {
	ID      BodyID
	Size    int64       // bytes of content
	Trailer http.Header // fields that followed the content; nil when none did
	chunks  [][]byte    // nil entries are not in memory
	held    int64       // bytes that the chunks take, rounded as the allocator does

	length bool // it has none: of a Virtual, where its size is all that counts

	passed bool // the disk was asked before it was whole, and did not choose it

	used  *atomic.Uint32 // the disk tier's count of uses; nil when it does not hold the body
	spilt *spilling      // how its chunks came to disk before its commit; nil when they did not
}

// NewBody makes a body of content. It keeps views of p, which nobody may
// change from now on.
func NewBody(p []byte) *Body {
	var chunks [][]byte
	for len(p) > ChunkSize {
		chunks = append(chunks, p[:ChunkSize:ChunkSize])
		p = p[ChunkSize:]
	}
	if len(p) > 0 {
		chunks = append(chunks, p)
	}
	return bodyOf(chunks, nil)
}

// bodyOf makes a body of chunks that lie on the grid.
func bodyOf(chunks [][]byte, trailer http.Header) *Body {
	b := &Body{Trailer: trailer, chunks: chunks}
	for _, c := range chunks {
		b.Size += int64(len(c))
	}
	b.count()
	return b
}

// hollowBody is a body of which nothing is in memory.
func hollowBody(id BodyID, size int64, trailer http.Header) *Body {
	b := &Body{ID: id, Size: size, Trailer: trailer}
	b.count()
	return b
}

// with is b with its chunks in memory.
func (b *Body) with(chunks [][]byte) *Body {
	full := &Body{ID: b.ID, Size: b.Size, Trailer: b.Trailer, used: b.used, chunks: chunks}
	full.count()
	return full
}

// count sets held.
func (b *Body) count() {
	b.held = rounded(int64(cap(b.chunks))*sliceBytes) + rounded(bodyBytes)
	for _, c := range b.chunks {
		b.held += rounded(int64(cap(c)))
	}
	for name, values := range b.Trailer {
		b.held += stringsBytes(values) + rounded(int64(len(name))) + mapEntryBytes
	}
}

// Same says whether two bodies are the same stored one, one of them perhaps
// without what the other has in memory.
func (b *Body) Same(o *Body) bool { return b == o || b != nil && o != nil && b.ID != 0 && b.ID == o.ID }

// Chunks is how many chunks the body has.
func (b *Body) Chunks() int { return int((b.Size + ChunkSize - 1) / ChunkSize) }

// Chunk returns chunk i, nil when it is not in memory or there is none. The
// caller may keep it and must not change it.
func (b *Body) Chunk(i int) []byte {
	if i < 0 || i >= len(b.chunks) {
		return nil
	}
	return b.chunks[i]
}

// InMemory says whether every chunk is in memory.
func (b *Body) InMemory() bool {
	if b.length {
		return true
	}
	if len(b.chunks) != b.Chunks() {
		return false
	}
	for _, c := range b.chunks {
		if c == nil {
			return false
		}
	}
	return true
}

// At returns the bytes from offset off to the end of its chunk: a view, nil at
// the end of the body and where the chunk is not in memory.
func (b *Body) At(off int64) []byte {
	if off < 0 || off >= b.Size {
		return nil
	}
	c := b.Chunk(int(off / ChunkSize))
	if c == nil {
		return nil
	}
	return c[off%ChunkSize:]
}

// AppendSpans appends the views that make up bytes from (inclusive) to to
// (exclusive), for a gathering write. It stops at a chunk that is not in memory.
func (b *Body) AppendSpans(dst [][]byte, from, to int64) [][]byte {
	to = min(to, b.Size)
	for from < to {
		p := b.At(from)
		if p == nil {
			return dst
		}
		p = p[:min(int64(len(p)), to-from)]
		dst = append(dst, p)
		from += int64(len(p))
	}
	return dst
}

// Held is how many bytes of memory the body takes.
func (b *Body) Held() int64 { return b.held }

// consistsOf says whether the body is made of these very chunks.
func (b *Body) consistsOf(chunks [][]byte) bool {
	if len(b.chunks) != len(chunks) {
		return false
	}
	for i, c := range chunks {
		if len(c) != len(b.chunks[i]) || len(c) > 0 && &c[0] != &b.chunks[i][0] {
			return false
		}
	}
	return true
}
