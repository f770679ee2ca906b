package cachestore

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
)

// pages reads the tree of a bbolt bucket by system calls, not through the
// mapping: a read that has to wait for the disk parks its goroutine, where a page
// fault would stop a whole processor, and a file that was cut is an error, not a
// signal. It is used within a read transaction of bbolt, which keeps the pages
// from being written anew; the transaction knows the root of the bucket
// (Bucket.Root). A bucket whose root is 0 lies inline in its parent and is not
// for pages.
//
// Nothing that the file says is trusted: whatever cannot be is errBroken.
type pages struct {
	file io.ReaderAt
	size int // bytes of a page
}

// pageScratch is what one call after another needs room for. Its zero value is
// ready; one goroutine uses it at a time.
type pageScratch struct {
	// entry is where find puts key and value, one behind the other; it is made
	// anew, just large enough, when it has too little room. Who wants to keep a
	// value sets entry to nil, or to another buffer, before the next find.
	entry []byte

	path  []node // from the root to a leaf
	key   []byte // that was read by itself
	last  []byte // key that was walked: the next must come after it
	spare node   // beside the path
	waste []byte // what is read for the page cache alone
}

const (
	maxDepth      = 64
	maxEntryBytes = 64 << 20 // of what is read at once
	doubtBytes    = 1 << 20  // more than this is allocated only after its last byte was read
	warmBytes     = 64 << 10 // read at once by warm
)

// find returns the key that begins with prefix, ErrAbsent when there is none and
// any of them when there are several. Key and value lie in s.entry. A leaf of few
// large values, as one of chunks is, takes two reads: its first page, and key and
// value at once.
func (p pages) find(root uint64, prefix []byte, s *pageScratch) (key, value []byte, err error) {
	if err := p.seek(root, prefix, bytes.HasPrefix, s); err != nil {
		return nil, nil, err
	}
	i, err := p.guess(prefix, s)
	if err != nil {
		return nil, nil, err
	}
	n := s.leaf()
	if i < n.count {
		if key, value, err = p.take(n, i, prefix, s); err != nil {
			return nil, nil, err
		}
		if c := bytes.Compare(key, prefix); c >= 0 {
			return begins(key, value, prefix)
		}
	}
	// All keys of this leaf are before prefix: one that begins with it can only
	// be the first of the next leaf.
	more, err := p.next(s)
	if err != nil {
		return nil, nil, err
	}
	if !more {
		return nil, nil, ErrAbsent
	}
	n = s.leaf()
	if key, value, err = p.take(n, 0, prefix, s); err != nil {
		return nil, nil, err
	}
	if bytes.Compare(key, prefix) < 0 {
		return nil, nil, broken("keys of page %d are out of order", n.id)
	}
	return begins(key, value, prefix)
}

func begins(key, value, prefix []byte) ([]byte, []byte, error) {
	if !bytes.HasPrefix(key, prefix) {
		return nil, nil, ErrAbsent
	}
	return key, value, nil
}

// guess is the index in the leaf at which the first key from prefix on stands,
// count when all are before it. The first key is in the page that was read; of
// the last one it only says that it is not excluded, for its value is most
// likely wanted, and a read of the key alone would be one for nothing.
func (p pages) guess(prefix []byte, s *pageScratch) (int, error) {
	n := s.leaf()
	if n.count == 0 {
		return 0, nil
	}
	first, err := p.key(n, 0, s)
	if err != nil || bytes.Compare(first, prefix) >= 0 {
		return 0, err
	}
	if n.count == 1 {
		return 1, nil
	}
	return p.search(n, 1, n.count-1, prefix, s)
}

// take reads key and value of a leaf's entry i into s.entry. Where the key is at
// hand and does not begin with prefix, the value is nil: it is not read.
func (p pages) take(n *node, i int, prefix []byte, s *pageScratch) (key, value []byte, err error) {
	e, err := n.extent(i)
	if err != nil {
		return nil, nil, err
	}
	held := e.at+e.key <= len(n.buf)
	if held && !bytes.HasPrefix(n.buf[e.at:e.at+e.key], prefix) {
		return n.buf[e.at : e.at+e.key], nil, nil
	}
	size := e.key + e.value
	if size > maxEntryBytes {
		return nil, nil, broken("entry of %d bytes on page %d", size, n.id)
	}
	if cap(s.entry) < size {
		if err := p.believe(n.at+int64(e.at), size); err != nil {
			return nil, nil, err
		}
		s.entry = make([]byte, size)
	}
	s.entry = s.entry[:size]
	if e.at+size <= len(n.buf) {
		copy(s.entry, n.buf[e.at:])
	} else if err := p.read(s.entry, n.at+int64(e.at)); err != nil {
		return nil, nil, err
	}
	return s.entry[:e.key:e.key], s.entry[e.key:size:size], nil
}

// walk calls f for all keys from from on, in order, until f says false. Each leaf
// is read as a whole: for buckets of small values. Key and value are views that
// hold for the call of f.
func (p pages) walk(root uint64, from []byte, f func(key, value []byte) (more bool)) error {
	var s pageScratch
	return p.eachLeaf(root, from, &s, func(n *node, i int) (bool, error) {
		end, err := n.end()
		if err != nil {
			return false, err
		}
		if end > maxEntryBytes {
			return false, broken("%d bytes on page %d", end, n.id)
		}
		if err := p.extend(n, end); err != nil {
			return false, err
		}
		for ; i < n.count; i++ {
			e, err := n.extent(i)
			if err != nil {
				return false, err
			}
			if e.at+e.key+e.value > len(n.buf) {
				return false, broken("entry %d of page %d lies behind the last", i, n.id)
			}
			key, rest := n.buf[e.at:e.at+e.key], n.buf[e.at+e.key:]
			if err := s.rises(n, key); err != nil {
				return false, err
			}
			if !f(key, rest[:e.value:e.value]) {
				return false, nil
			}
		}
		return true, nil
	})
}

// walkKeys is walk without the values, of which f gets the length; only the
// parts of a leaf are read where its keys lie.
func (p pages) walkKeys(root uint64, from []byte, f func(key []byte, size int) (more bool)) error {
	var s pageScratch
	return p.eachLeaf(root, from, &s, func(n *node, i int) (bool, error) {
		for ; i < n.count; i++ {
			e, err := n.extent(i)
			if err != nil {
				return false, err
			}
			key, err := p.key(n, i, &s)
			if err != nil {
				return false, err
			}
			if err := s.rises(n, key); err != nil {
				return false, err
			}
			if !f(key, e.value) {
				return false, nil
			}
		}
		return true, nil
	})
}

// eachLeaf calls f for the leaves from from on, the first time with the index of
// the first key that is not before from, later with 0. f must ask rises for
// every key: this is what ends a walk over a tree that leads in circles.
func (p pages) eachLeaf(root uint64, from []byte, s *pageScratch, f func(n *node, i int) (more bool, err error)) error {
	if err := p.seek(root, from, bytes.Equal, s); err != nil {
		return err
	}
	n := s.leaf()
	i, err := p.search(n, 0, n.count, from, s)
	s.last = s.last[:0]
	for more := true; err == nil; i = 0 {
		if more, err = f(s.leaf(), i); err != nil || !more {
			return err
		}
		if more, err = p.next(s); !more {
			return err
		}
	}
	return err
}

// rises remembers key, which must come after the one before it.
func (s *pageScratch) rises(n *node, key []byte) error {
	if bytes.Compare(key, s.last) <= 0 { // no key is empty
		return broken("keys of page %d are out of order", n.id)
	}
	s.last = append(s.last[:0], key...)
	return nil
}

// seek makes s.path lead to the leaf in which from stands or would stand. A
// branch's key is the first one of a leaf; hit says that it is the one sought:
// bytes.Equal, or bytes.HasPrefix where at most one key begins with from.
func (p pages) seek(root uint64, from []byte, hit func(key, from []byte) bool, s *pageScratch) error {
	s.path = s.path[:0]
	for id := root; ; {
		n, err := p.push(id, s)
		if err != nil || n.leaf {
			return err
		}
		i, err := p.search(n, 0, n.count, from, s)
		if err != nil {
			return err
		}
		if i < n.count {
			key, err := p.key(n, i, s)
			if err != nil {
				return err
			}
			if hit(key, from) {
				i++
			}
		}
		n.pick = max(i-1, 0)
		id = n.child(n.pick)
	}
}

// next moves s.path to the leaf behind; there may be none.
func (p pages) next(s *pageScratch) (more bool, err error) {
	for len(s.path) > 1 {
		s.path = s.path[:len(s.path)-1]
		n := &s.path[len(s.path)-1]
		if n.pick+1 == n.count {
			continue
		}
		n.pick++
		for id := n.child(n.pick); ; id = n.child(0) {
			if n, err = p.push(id, s); err != nil || n.leaf {
				return err == nil, err
			}
		}
	}
	return false, nil
}

// push reads a page as the next of s.path.
func (p pages) push(id uint64, s *pageScratch) (*node, error) {
	depth := len(s.path)
	if depth == maxDepth {
		return nil, broken("tree is deeper than %d pages", maxDepth)
	}
	if depth < cap(s.path) {
		s.path = s.path[:depth+1] // a node of an earlier path, with its buffer
	} else {
		s.path = append(s.path, node{})
	}
	n := &s.path[depth]
	if err := p.load(n, id); err != nil {
		return nil, err
	}
	if n.count == 0 && (depth > 0 || !n.leaf) {
		return nil, broken("page %d is empty", id)
	}
	return n, nil
}

func (s *pageScratch) leaf() *node { return &s.path[len(s.path)-1] }

// search returns the first index of [lo,hi) at which a key is not before key, hi
// when there is none.
func (p pages) search(n *node, lo, hi int, key []byte, s *pageScratch) (int, error) {
	for lo < hi {
		mid := (lo + hi) / 2
		at, err := p.key(n, mid, s)
		if err != nil {
			return 0, err
		}
		if bytes.Compare(at, key) < 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, nil
}

// key returns key i: a view of the page that was read, or of s.key.
func (p pages) key(n *node, i int, s *pageScratch) ([]byte, error) {
	e, err := n.extent(i)
	if err != nil {
		return nil, err
	}
	if e.at+e.key <= len(n.buf) {
		return n.buf[e.at : e.at+e.key], nil
	}
	s.key = grown(s.key, e.key)
	return s.key, p.read(s.key, n.at+int64(e.at))
}

// grown returns n bytes, those of b if it has room for them. What was in it may
// be lost.
func grown(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n)
	}
	return b[:n]
}

// believe checks before a large allocation that the file has the bytes for it.
func (p pages) believe(at int64, size int) error {
	if size <= doubtBytes {
		return nil
	}
	var last [1]byte
	return p.read(last[:], at+int64(size)-1)
}

// read fills b from the file. What the file is too short for is errBroken; an
// error of the disk is left as it is.
func (p pages) read(b []byte, at int64) error {
	if at < 0 || at > math.MaxInt64-int64(len(b)) {
		return broken("bytes at %d", at)
	}
	n, err := p.file.ReadAt(b, at)
	switch {
	case n == len(b):
		return nil
	case err == nil || errors.Is(err, io.EOF):
		return broken("file ends within %d bytes at %d", len(b), at)
	}
	return fmt.Errorf("read %d bytes at %d: %w", len(b), at, err)
}
