package cachestore

import (
	"encoding/binary"
	"math"
	"slices"
)

// node is a page of bbolt with the pages of its overflow, which follow it: the
// run. Only its first bytes are read, as far as they are needed.
//
//	page            id 8 | flags 2 | count 2 | overflow 4
//	branch element  position 4 | length of key 4 | page 8
//	leaf element    flags 4 | position 4 | length of key 4 | length of value 4
//
// Numbers are in the order of the machine. A position counts from the element.
type node struct {
	id    uint64
	at    int64  // where the run starts in the file
	run   int64  // bytes of it
	buf   []byte // of the run, from its start: all elements, the whole of a branch
	count int
	leaf  bool
	pick  int // the child of a branch that the path takes
}

// Of bbolt's format, and what a page of it can be at most: a branch is split at
// the size of a page unless it has four keys or fewer.
const (
	pageHeadBytes  = 16
	elementBytes   = 16
	flagBranch     = 1
	flagLeaf       = 2
	firstPage      = 2 // 0 and 1 are bbolt's own
	maxKeyBytes    = 32 << 10
	maxBranchBytes = 1 << 20
	maxLeafBytes   = 1 << 30
)

// load reads page id into n, whose buffer is used again.
func (p pages) load(n *node, id uint64) error {
	if id < firstPage || id > math.MaxInt64/uint64(p.size) {
		return broken("page %d", id)
	}
	*n = node{id: id, at: int64(id) * int64(p.size), buf: n.buf[:0]}
	if err := p.extend(n, p.size); err != nil {
		return err
	}
	flags := binary.NativeEndian.Uint16(n.buf[8:])
	n.leaf = flags == flagLeaf
	n.count = int(binary.NativeEndian.Uint16(n.buf[10:]))
	n.run = (int64(binary.NativeEndian.Uint32(n.buf[12:])) + 1) * int64(p.size)
	switch own := binary.NativeEndian.Uint64(n.buf); {
	case own != id:
		return broken("page %d says that it is %d", id, own)
	case !n.leaf && flags != flagBranch:
		return broken("page %d has flags %#x", id, flags)
	case n.run > maxLeafBytes, !n.leaf && n.run > maxBranchBytes:
		return broken("page %d has %d bytes", id, n.run)
	case int64(n.elements()) > n.run:
		return broken("page %d has %d elements", id, n.count)
	}
	if n.leaf {
		return p.extend(n, n.elements())
	}
	end, err := n.end()
	if err != nil {
		return err
	}
	return p.extend(n, end)
}

// extend reads on until n.buf has the first end bytes of the run.
func (p pages) extend(n *node, end int) error {
	have := len(n.buf)
	if end <= have {
		return nil
	}
	if cap(n.buf) < end {
		if err := p.believe(n.at, end); err != nil {
			return err
		}
		n.buf = slices.Grow(n.buf, end-have)
	}
	if err := p.read(n.buf[have:end], n.at+int64(have)); err != nil {
		return err
	}
	n.buf = n.buf[:end]
	return nil
}

// elements is where the elements end and keys may begin.
func (n *node) elements() int { return pageHeadBytes + n.count*elementBytes }

// extent is where a key lies in the run, and how long it and its value are.
type extent struct{ at, key, value int }

// extent returns that of entry i: within the run, behind the elements.
func (n *node) extent(i int) (extent, error) {
	from := pageHeadBytes + i*elementBytes
	if i < 0 || i >= n.count || from+elementBytes > len(n.buf) {
		return extent{}, broken("page %d has no entry %d", n.id, i)
	}
	b := n.buf[from : from+elementBytes]
	var flags, value uint32
	if n.leaf {
		flags, value = binary.NativeEndian.Uint32(b), binary.NativeEndian.Uint32(b[12:])
		b = b[4:]
	}
	at := int64(from) + int64(binary.NativeEndian.Uint32(b))
	key := binary.NativeEndian.Uint32(b[4:])
	if flags != 0 || key == 0 || key > maxKeyBytes ||
		at < int64(n.elements()) || at+int64(key)+int64(value) > n.run {
		return extent{}, broken("entry %d of page %d", i, n.id)
	}
	return extent{int(at), int(key), int(value)}, nil
}

// end is where the last entry ends, which lies behind all others.
func (n *node) end() (int, error) {
	if n.count == 0 {
		return n.elements(), nil
	}
	e, err := n.extent(n.count - 1)
	return e.at + e.key + e.value, err
}

// child is the page that entry i of a branch leads to.
func (n *node) child(i int) uint64 {
	return binary.NativeEndian.Uint64(n.buf[pageHeadBytes+i*elementBytes+8:])
}
