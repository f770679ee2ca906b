package cachestore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"
)

// countedReader counts what is read of pages.
type countedReader struct {
	*bytes.Reader
	reads int
}

func (c *countedReader) ReadAt(p []byte, at int64) (int, error) {
	c.reads++
	return c.Reader.ReadAt(p, at)
}

// TestBranchesAreKept: a branch is read from the file until it was read often
// enough; all else is read from the file each time; what is kept is bounded.
func TestBranchesAreKept(t *testing.T) {
	const size = 4096
	image := make([]byte, 300*size)
	for id := range 300 {
		binary.NativeEndian.PutUint16(image[id*size+8:], flagBranch)
		image[id*size+100] = byte(id)
	}
	binary.NativeEndian.PutUint16(image[2*size+8:], flagLeaf)
	read := func(b *branches, at int64, n int) {
		t.Helper()
		p := make([]byte, n)
		if got, err := b.ReadAt(p, at); got != n || err != nil || !bytes.Equal(p, image[at:at+int64(n)]) {
			t.Fatalf("%d bytes at %d: %d %v", n, at, got, err)
		}
	}
	for _, c := range []struct {
		name  string
		at    int64
		n     int
		times int
		want  int // reads of the file
	}{
		{"a branch", 3 * size, size, 10, keptAfter},
		{"a branch that is hardly asked for", 3 * size, size, keptAfter - 1, keptAfter - 1},
		{"a leaf", 2 * size, size, 10, 10},
		{"a part of a page", 3 * size, size - 1, 10, 10},
		{"more than a page", 3 * size, size + 1, 10, 10},
		{"beside the grid", 3*size + 8, size, 10, 10},
	} {
		from := &countedReader{Reader: bytes.NewReader(image)}
		b := &branches{file: from, size: size}
		for range c.times {
			read(b, c.at, c.n)
		}
		if from.reads != c.want {
			t.Errorf("%s: %d of %d from the file, want %d", c.name, from.reads, c.times, c.want)
		}
	}
	from := &countedReader{Reader: bytes.NewReader(image)}
	b := &branches{file: from, size: size}
	for range 2 * keptAfter {
		for id := int64(3); id < 300; id++ {
			read(b, id*size, size)
		}
	}
	kept := 0
	for i := range b.slots {
		if b.slots[i].kept.Load() != nil {
			kept++
		}
	}
	before := from.reads
	for id := int64(3); id < 300; id++ {
		read(b, id*size, size)
	}
	if again := from.reads - before; kept != keptBranches || again != 297-keptBranches {
		t.Errorf("%d kept, %d of 297 read again", kept, again)
	}
	if _, err := b.ReadAt(make([]byte, size), 300*size); !errors.Is(err, io.EOF) {
		t.Errorf("behind the end: %v", err)
	}
}
