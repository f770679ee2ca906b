package cachestore

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"go.etcd.io/bbolt"
)

// snapshot is what a file holds after a commit. The writer opens it: a read
// transaction of bbolt, which keeps the pages from being written anew, and the
// roots of the trees. Who reads uses system calls alone and touches neither bbolt
// nor the mapping: a reader takes no lock of bbolt's that a fault could leave
// held, and none waits for another.
type snapshot struct {
	db      *openDB
	tx      *bbolt.Tx
	pages   pages // as db's, through its branches
	trees   map[string]tree
	readers int // guarded by its snapshots
}

// tree is a bucket of a snapshot: the page of its root, or, where bbolt keeps it
// within another page, a copy of what is in it.
type tree struct {
	root   uint64
	inline []pair
}

type pair struct{ key, value []byte }

// snapshots are the one that is read now, and older ones that still have readers.
type snapshots struct {
	mu   sync.Mutex
	left sync.Cond // a snapshot lost its last reader
	now  *snapshot
	old  []*snapshot
}

// take makes a snapshot of the last commit. It touches the mapping.
func (db *openDB) take() (*snapshot, error) {
	tx, err := db.Begin(false)
	if err != nil {
		return nil, err
	}
	s := &snapshot{db: db, tx: tx, trees: map[string]tree{}}
	s.pages = pages{file: &branches{file: db.pages.file, size: db.pages.size}, size: db.pages.size}
	for _, name := range [][]byte{bucketState, bucketObjects, bucketChunks, bucketFills} {
		b := tx.Bucket(name)
		if b == nil {
			continue
		}
		t := tree{root: uint64(b.Root())}
		if t.root == 0 {
			err := b.ForEach(func(k, v []byte) error {
				t.inline = append(t.inline, pair{bytes.Clone(k), bytes.Clone(v)})
				return nil
			})
			if err != nil {
				return nil, errors.Join(err, tx.Rollback())
			}
		}
		s.trees[string(name)] = t
	}
	return s, nil
}

// renew lets later readers see the last commit, and ends older snapshots that
// nobody reads. It is the writer's.
func (f *diskFile) renew() error {
	s, err := f.open.Load().take()
	if err != nil {
		return err
	}
	p := &f.shots
	p.mu.Lock()
	if p.now != nil {
		p.old = append(p.old, p.now)
	}
	p.now = s
	p.mu.Unlock()
	return f.endOld()
}

// endOld ends the snapshots that are old and not read any more.
func (f *diskFile) endOld() error {
	p := &f.shots
	p.mu.Lock()
	var over []*snapshot
	kept := p.old[:0]
	for _, s := range p.old {
		if s.readers > 0 {
			kept = append(kept, s)
		} else {
			over = append(over, s)
		}
	}
	clear(p.old[len(kept):])
	p.old = kept
	p.mu.Unlock()
	var failed error
	for _, s := range over {
		failed = errors.Join(failed, s.tx.Rollback())
	}
	return failed
}

// swapAll puts next in the place of all snapshots, and returns these when nobody
// reads them any more.
func (p *snapshots) swapAll(next *snapshot) []*snapshot {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.old
	if p.now != nil {
		all = append(all, p.now)
	}
	p.now, p.old = next, nil
	for _, s := range all {
		for s.readers > 0 {
			p.left.Wait()
		}
	}
	return all
}

// begin starts a read; nil when the file is closed.
func (p *snapshots) begin() *snapshot {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now != nil {
		p.now.readers++
	}
	return p.now
}

// end ends a read.
func (p *snapshots) end(s *snapshot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.readers--; s.readers == 0 {
		p.left.Broadcast()
	}
}

// find reads the value whose key begins with prefix, into scratch.
func (f *diskFile) find(bucket, prefix []byte, scratch *pageScratch) (key, value []byte, err error) {
	err = f.read(bucket, func(s *snapshot, t tree) error {
		if t.root != 0 {
			key, value, err = s.pages.find(t.root, prefix, scratch)
			return err
		}
		for _, p := range t.inline {
			if bytes.HasPrefix(p.key, prefix) {
				scratch.entry = append(append(scratch.entry[:0], p.key...), p.value...)
				n := len(p.key)
				key, value = scratch.entry[:n:n], scratch.entry[n:]
				return nil
			}
		}
		return ErrAbsent
	})
	return key, value, err
}

// read runs do over a bucket as it is now.
func (f *diskFile) read(bucket []byte, do func(*snapshot, tree) error) error {
	if why := f.broken.Load(); why != nil {
		return *why
	}
	s := f.shots.begin()
	if s == nil {
		return errRetired
	}
	defer f.shots.end(s)
	t, ok := s.trees[string(bucket)]
	err := error(nil)
	if !ok {
		err = broken("no bucket %s", bucket)
	} else {
		err = do(s, t)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: %w", errBroken, err)
	}
	if errors.Is(err, errBroken) {
		f.lose(err)
	}
	return err
}

// walk hands out keys and values of a bucket from a key on. Both are valid
// during the call only.
func (f *diskFile) walk(bucket, from []byte, each func(key, value []byte) (more bool)) error {
	return f.read(bucket, func(s *snapshot, t tree) error {
		if t.root != 0 {
			return s.db.pages.walk(t.root, from, each)
		}
		for _, p := range t.inline {
			if bytes.Compare(p.key, from) >= 0 && !each(p.key, p.value) {
				return nil
			}
		}
		return nil
	})
}

// walkIDs is walk in a bucket whose keys are ids. A key that is none makes the
// file broken: what stands behind it must not be passed over in silence.
func (f *diskFile) walkIDs(bucket []byte, from uint64, each func(id uint64, value []byte) (more bool)) error {
	var wrong error
	err := f.walk(bucket, idKey(nil, from), func(key, value []byte) bool {
		id, err := readIDKey(key)
		if wrong = err; wrong != nil {
			return false
		}
		return each(id, value)
	})
	if err == nil && wrong != nil {
		f.lose(wrong)
		err = wrong
	}
	return err
}

// walkKeys is walk with the lengths of the values only.
func (f *diskFile) walkKeys(bucket, from []byte, each func(key []byte, size int) (more bool)) error {
	return f.read(bucket, func(s *snapshot, t tree) error {
		if t.root != 0 {
			return s.db.pages.walkKeys(t.root, from, each)
		}
		for _, p := range t.inline {
			if bytes.Compare(p.key, from) >= 0 && !each(p.key, len(p.value)) {
				return nil
			}
		}
		return nil
	})
}

// warm brings into the page cache what the deletion of the ids [from, to) will
// touch through the mapping.
func (f *diskFile) warm(from, to uint64) error {
	return f.eachTree(func(p pages, root uint64) error { return p.warm(root, idKey(nil, from), idKey(nil, to)) })
}

// warmEnd brings into the page cache what adding the next ids will touch through
// the mapping.
func (f *diskFile) warmEnd() error { return f.eachTree(pages.warmEnd) }

// eachTree calls do for the trees that writes go into.
func (f *diskFile) eachTree(do func(p pages, root uint64) error) error {
	for _, name := range [][]byte{bucketObjects, bucketChunks} {
		err := f.read(name, func(s *snapshot, t tree) error {
			if t.root == 0 {
				return nil
			}
			return do(s.db.pages, t.root)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
