package cachestore

import "bytes"

// warm reads what bbolt's writer will touch through its mapping when it deletes
// all keys in [from,to), so that its page faults need no disk: the branches, of
// each leaf the elements and the keys, and the whole of a leaf that keeps some
// of its keys, because it is written anew. The pages beside the way are read too:
// bbolt merges into them what has become too small.
func (p pages) warm(root uint64, from, to []byte) error {
	var s pageScratch
	if err := p.seek(root, from, bytes.Equal, &s); err != nil {
		return err
	}
	merges := false // a leaf is left so small that a neighbour is written anew
	for more := true; more; {
		last, small, err := p.warmLeaf(&s, from, to)
		if err != nil {
			return err
		}
		merges = merges || small
		if last {
			break
		}
		if more, err = p.next(&s); err != nil {
			return err
		}
	}
	if err := p.warmBeside(&s, sideBehind, merges); err != nil {
		return err
	}
	if err := p.seek(root, from, bytes.Equal, &s); err != nil {
		return err
	}
	return p.warmBeside(&s, sideBefore, merges)
}

// warmLeaf reads what is needed of the leaf at the end of the path. last: it has
// a key from to on. merges: it is left with too little to stand alone.
func (p pages) warmLeaf(s *pageScratch, from, to []byte) (last, merges bool, err error) {
	n := s.leaf()
	lo, err := p.search(n, 0, n.count, from, s)
	if err != nil {
		return false, false, err
	}
	hi, err := p.search(n, 0, n.count, to, s)
	if err != nil {
		return false, false, err
	}
	for i := range n.count {
		key, err := p.key(n, i, s)
		if err != nil {
			return false, false, err
		}
		if err := s.rises(n, key); err != nil {
			return false, false, err
		}
	}
	if lo < hi && hi-lo < n.count {
		merges, err = p.warmRest(n, lo, hi, s)
	}
	return hi < n.count, merges, err
}

// warmRest reads a leaf as a whole and says whether what it is left with when
// the entries [lo,hi) are gone is little enough to be merged.
func (p pages) warmRest(n *node, lo, hi int, s *pageScratch) (merges bool, err error) {
	left := n.elements()
	for i := range n.count {
		e, err := n.extent(i)
		if err != nil {
			return false, err
		}
		if i < lo || i >= hi {
			left += e.key + e.value
		}
	}
	return n.count-(hi-lo) <= 1 || left <= p.size/2, p.warmRun(n, s)
}

// warmEnd reads what bbolt's writer will touch through its mapping when it adds keys
// behind all others: the branches to the last leaf, and the whole of that leaf,
// which is written anew.
func (p pages) warmEnd(root uint64) error {
	var s pageScratch
	n := &s.spare
	if err := p.load(n, root); err != nil {
		return err
	}
	return p.warmEdge(&s, sideBefore, true)
}

// side is where a page lies beside the path.
type side int

const (
	sideBefore side = -1
	sideBehind side = 1
)

// warmBeside reads the page beside each page of the path, and the leaf beside the
// path's, which may hang on another branch: branches merge, too. That leaf is
// read as a whole when something will be merged into it.
func (p pages) warmBeside(s *pageScratch, at side, whole bool) error {
	if n := s.leaf(); whole && n.leaf { // it may itself be the neighbour
		if err := p.warmRun(n, s); err != nil {
			return err
		}
	}
	found := false
	for i := len(s.path) - 2; i >= 0; i-- {
		b := &s.path[i]
		beside := b.pick + int(at)
		if beside < 0 || beside >= b.count {
			continue
		}
		if err := p.load(&s.spare, b.child(beside)); err != nil {
			return err
		}
		if found {
			continue
		}
		found = true
		if err := p.warmEdge(s, at, whole); err != nil {
			return err
		}
	}
	return nil
}

// warmEdge goes from s.spare to the leaf of it that is next to the path.
func (p pages) warmEdge(s *pageScratch, at side, whole bool) error {
	n := &s.spare
	for depth := 0; !n.leaf; depth++ {
		if n.count == 0 || depth == maxDepth {
			return broken("page %d leads to no leaf", n.id)
		}
		edge := 0
		if at == sideBefore {
			edge = n.count - 1
		}
		if err := p.load(n, n.child(edge)); err != nil {
			return err
		}
	}
	if !whole {
		return nil
	}
	return p.warmRun(n, s)
}

// warmRun reads what is used of a run, piece by piece, and throws it away.
func (p pages) warmRun(n *node, s *pageScratch) error {
	end, err := n.end()
	if err != nil {
		return err
	}
	s.waste = grown(s.waste, min(warmBytes, end))
	for at := len(n.buf); at < end; {
		b := s.waste[:min(len(s.waste), end-at)]
		if err := p.read(b, n.at+int64(at)); err != nil {
			return err
		}
		at += len(b)
	}
	return nil
}
