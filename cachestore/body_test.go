package cachestore_test

import (
	"bytes"
	"testing"

	"edgecache/cachestore"
	"edgecache/cachestore/storetest"
)

func TestBodyGivesWhatItIsMadeOf(t *testing.T) {
	const chunk = cachestore.ChunkSize
	for _, size := range []int64{0, 1, chunk - 1, chunk, chunk + 1, 2 * chunk, 3*chunk + 7} {
		content := storetest.Content(int(size), int(size))
		b := cachestore.NewBody(content)
		if b.Size != size || b.Chunks() != int((size+chunk-1)/chunk) || !b.InMemory() {
			t.Errorf("%d bytes: size %d, %d chunks, in memory %v", size, b.Size, b.Chunks(), b.InMemory())
		}
		if b.Held() < size || b.Held() > size+size/8+1000 {
			t.Errorf("%d bytes: takes %d", size, b.Held())
		}
		for _, i := range []int{-1, b.Chunks()} {
			if b.Chunk(i) != nil {
				t.Errorf("%d bytes: there is a chunk %d", size, i)
			}
		}
		for _, off := range []int64{0, 1, chunk - 1, chunk, chunk + 1, size - 1} {
			if off < 0 || off >= size {
				continue
			}
			want := content[off:min(size, (off/chunk+1)*chunk)]
			if got := b.At(off); !bytes.Equal(got, want) {
				t.Errorf("%d bytes at %d: %d, want %d", size, off, len(got), len(want))
			}
		}
		for _, off := range []int64{-1, size, size + chunk} {
			if b.At(off) != nil {
				t.Errorf("%d bytes: there is something at %d", size, off)
			}
		}
	}
}

func TestBodySpans(t *testing.T) {
	const chunk = cachestore.ChunkSize
	content := storetest.Content(1, 3*chunk+7)
	b := cachestore.NewBody(content)
	for _, c := range []struct {
		name     string
		from, to int64
		want     []byte
		spans    int
	}{
		{"nothing", 5, 5, nil, 0},
		{"the wrong way round", 9, 5, nil, 0},
		{"behind the end", b.Size, b.Size + 5, nil, 0},
		{"within a chunk", 1, 3, content[1:3], 1},
		{"over a border", chunk - 1, chunk + 1, content[chunk-1 : chunk+1], 2},
		{"all", 0, b.Size, content, 4},
		{"more than all", 0, 1 << 40, content, 4},
	} {
		got := b.AppendSpans(nil, c.from, c.to)
		if !bytes.Equal(bytes.Join(got, nil), c.want) || len(got) != c.spans {
			t.Errorf("%s: %d spans, want %d", c.name, len(got), c.spans)
		}
	}
	dst := make([][]byte, 0, 8)
	if n := testing.AllocsPerRun(100, func() { dst = b.AppendSpans(dst[:0], 0, b.Size) }); n != 0 {
		t.Errorf("%v allocations with room, want none", n)
	}
}
