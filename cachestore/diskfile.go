package cachestore

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

var (
	bucketState   = []byte("state")   // one key, head
	bucketObjects = []byte("objects") // id → meta record
	bucketChunks  = []byte("chunks")  // id, number, checksum → payload
	bucketFills   = []byte("fills")   // id of a body without a record: begun, or not yet all deleted
)

const (
	allocStep = 1 << 20         // bytes by which a file grows
	lockWait  = 2 * time.Second // for another process to let go of a file
)

// diskFile is one bbolt file. Reads go through system calls (pages), within a
// transaction that keeps their pages from being used again; only what finds the
// roots of the trees, and writes, touch the mapping. A file that met a fault is
// broken for good: it must be abandoned, because bbolt still holds its locks.
type diskFile struct {
	path   string
	most   int                    // bytes; bbolt's MaxSize between two deletions
	widest int                    // bytes; most, or how long the file was when it was opened with a smaller most
	open   atomic.Pointer[openDB] // a compaction puts another in its place
	broken atomic.Pointer[error]  // why it is lost; an errBroken
	lost   chan struct{}          // closed when broken is set
}

// openDB is the file as it is open.
type openDB struct {
	*bbolt.DB
	file  *os.File // bbolt's own
	pages pages
}

// fileOptions say how a file is opened.
type fileOptions struct {
	most   int64 // the file never gets larger, in bytes
	noSync bool
	open   func(string, int, os.FileMode) (*os.File, error) // nil is os.OpenFile
}

// openFile opens or makes a file. errBroken, under whatever it wraps, means that
// it is there and cannot be trusted.
func openFile(path string, o fileOptions) (f *diskFile, err error) {
	if o.open == nil {
		o.open = os.OpenFile
	}
	f = &diskFile{path: path, most: int(o.most), lost: make(chan struct{})}
	db := &openDB{}
	err = Guard(func() error {
		db.DB, err = bbolt.Open(path, 0o600, &bbolt.Options{
			Timeout: lockWait, FreelistType: bbolt.FreelistMapType, NoStatistics: true,
			InitialMmapSize: int(2 * o.most), MaxSize: int(o.most), NoSync: o.noSync,
			OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
				db.file, err = o.open(name, flag, mode)
				return db.file, err
			},
		})
		if err != nil {
			return err
		}
		db.AllocSize = allocStep
		db.pages = pages{file: db.file, size: db.Info().PageSize}
		f.open.Store(db)
		f.widest = max(f.most, int(f.size()))
		return db.whole()
	})
	if err == nil {
		return f, nil
	}
	return nil, openError(err)
}

// openError tells a broken file from one that cannot be had now: what the
// system refuses says nothing about the bytes.
func openError(err error) error {
	var errno syscall.Errno
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return fmt.Errorf("another process holds it: %w", err)
	case errors.As(err, &errno):
		return err
	}
	return fmt.Errorf("%w: %w", errBroken, err)
}

// whole says whether the file is as long as its own pages say.
func (db *openDB) whole() error {
	return db.View(func(tx *bbolt.Tx) error {
		info, err := db.file.Stat()
		if err != nil {
			return err
		}
		if info.Size() < tx.Size() {
			return fmt.Errorf("%w: %d bytes, its pages need %d", errBroken, info.Size(), tx.Size())
		}
		return nil
	})
}

// view runs read in a read transaction; it must be short. Another reader that
// meets a fault may take bbolt's locks with it, so read runs on a goroutine of its
// own: when the file is lost view returns errBroken, and read may be stuck or
// still at work. What it touches must be its own until view returns nil. It runs
// again when a compaction closed the file before it began.
func (f *diskFile) view(read func(*openDB, *bbolt.Tx) error) error {
	done := make(chan error, 1)
	go func() { done <- f.viewHere(read) }()
	select {
	case err := <-done:
		return err
	case <-f.lost:
		return *f.broken.Load()
	}
}

// viewHere is view on this goroutine.
func (f *diskFile) viewHere(read func(*openDB, *bbolt.Tx) error) error {
	for {
		db := f.open.Load()
		err := f.guard(func() error {
			return db.View(func(tx *bbolt.Tx) error { return read(db, tx) })
		})
		if !errors.Is(err, bolterrors.ErrDatabaseNotOpen) || f.open.Load() == db {
			return err
		}
	}
}

// lose gives the file up.
func (f *diskFile) lose(why error) {
	if !errors.Is(why, errBroken) {
		why = fmt.Errorf("%w: %w", errBroken, why)
	}
	if f.broken.CompareAndSwap(nil, &why) {
		close(f.lost)
	}
}

// update runs write in a write transaction, synced when it returns nil.
func (f *diskFile) update(write func(*bbolt.Tx) error) error {
	return f.guard(func() error { return f.open.Load().Update(write) })
}

// shrink is update for what only deletes. It may use the last pages, which
// nothing else gets: a deletion needs some itself. In a file that was longer once
// there may be no other free ones.
func (f *diskFile) shrink(write func(*bbolt.Tx) error) error {
	db := f.open.Load()
	db.MaxSize = f.widest + deletionRoom
	defer func() { db.MaxSize = f.most }()
	return f.update(write)
}

// deletionRoom is how many bytes over its largest a file may get by deletions.
const deletionRoom = 2 << 20

func (f *diskFile) guard(do func() error) error {
	if why := f.broken.Load(); why != nil {
		return *why
	}
	err := Guard(do)
	var fault *Fault
	if errors.As(err, &fault) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: %w", errBroken, err)
	}
	if errors.Is(err, errBroken) {
		f.lose(err)
	}
	return err
}

// found is what one find works with and comes to.
type found struct {
	scratch    pageScratch
	key, value []byte
}

// find reads the value whose key begins with prefix, into scratch.
func (f *diskFile) find(bucket, prefix []byte, scratch *pageScratch) (key, value []byte, err error) {
	w := &found{scratch: *scratch}
	*scratch = pageScratch{} // w's, and lost with it when the file is
	err = f.view(func(db *openDB, tx *bbolt.Tx) (err error) {
		b := tx.Bucket(bucket)
		if b == nil {
			return fmt.Errorf("%w: no bucket %s", errBroken, bucket)
		}
		if root := uint64(b.Root()); root != 0 {
			w.key, w.value, err = db.pages.find(root, prefix, &w.scratch)
			return err
		}
		k, v := b.Cursor().Seek(prefix) // a bucket so small that it is part of another page
		if len(k) < len(prefix) || string(k[:len(prefix)]) != string(prefix) {
			return ErrAbsent
		}
		w.scratch.entry = append(append(w.scratch.entry[:0], k...), v...)
		w.key, w.value = w.scratch.entry[:len(k):len(k)], w.scratch.entry[len(k):]
		return nil
	})
	if errors.Is(err, errBroken) {
		return nil, nil, err
	}
	*scratch = w.scratch
	return w.key, w.value, err
}

// walk hands out keys and values of a bucket from a key on. Both are valid
// during the call only.
func (f *diskFile) walk(bucket, from []byte, each func(key, value []byte) (more bool)) error {
	return f.view(func(db *openDB, tx *bbolt.Tx) error {
		b := tx.Bucket(bucket)
		if b == nil {
			return fmt.Errorf("%w: no bucket %s", errBroken, bucket)
		}
		if root := uint64(b.Root()); root != 0 {
			return db.pages.walk(root, from, each)
		}
		c := b.Cursor()
		for k, v := c.Seek(from); k != nil && each(k, v); k, v = c.Next() {
		}
		return nil
	})
}

// walkIDs is walk in a bucket whose keys are ids. A key that is none makes the
// file broken: what stands behind it must not be passed over in silence.
func (f *diskFile) walkIDs(bucket []byte, from uint64, each func(id uint64, value []byte) (more bool)) error {
	return f.guard(func() error {
		var wrong error
		err := f.walk(bucket, idKey(nil, from), func(key, value []byte) bool {
			id, err := readIDKey(key)
			if wrong = err; wrong != nil {
				return false
			}
			return each(id, value)
		})
		if err != nil {
			return err // the walk may not have ended
		}
		return wrong
	})
}

// walkKeys is walk with the lengths of the values only.
func (f *diskFile) walkKeys(bucket, from []byte, each func(key []byte, size int) (more bool)) error {
	return f.view(func(db *openDB, tx *bbolt.Tx) error {
		b := tx.Bucket(bucket)
		if b == nil {
			return fmt.Errorf("%w: no bucket %s", errBroken, bucket)
		}
		if root := uint64(b.Root()); root != 0 {
			return db.pages.walkKeys(root, from, each)
		}
		c := b.Cursor()
		for k, v := c.Seek(from); k != nil && each(k, len(v)); k, v = c.Next() {
		}
		return nil
	})
}

// warm brings into the page cache what the deletion of the ids [from, to) will
// touch through the mapping.
func (f *diskFile) warm(from, to uint64) error {
	return f.view(func(db *openDB, tx *bbolt.Tx) error {
		for _, name := range [][]byte{bucketObjects, bucketChunks} {
			b := tx.Bucket(name)
			if b == nil || b.Root() == 0 {
				continue
			}
			if err := db.pages.warm(uint64(b.Root()), idKey(nil, from), idKey(nil, to)); err != nil {
				return err
			}
		}
		return nil
	})
}

// warmEnd brings into the page cache what adding the next ids will touch through
// the mapping.
func (f *diskFile) warmEnd() error {
	return f.view(func(db *openDB, tx *bbolt.Tx) error {
		for _, name := range [][]byte{bucketObjects, bucketChunks} {
			if b := tx.Bucket(name); b != nil && b.Root() != 0 {
				if err := db.pages.warmEnd(uint64(b.Root())); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// sync brings to the disk what was written without.
func (f *diskFile) sync() error { return f.guard(f.open.Load().Sync) }

// become makes f the file that other is; other must not be used any more. It
// waits for those who read from what f was.
func (f *diskFile) become(other *diskFile) error {
	f.widest = other.widest
	old := f.open.Swap(other.open.Load())
	return f.guard(old.Close)
}

// over says whether the file is longer than it may ever get, which it is when its
// most was larger once.
func (f *diskFile) over() bool { return f.size() > int64(f.most)+deletionRoom }

// size is the file's length in bytes; 0 when it cannot be told.
func (f *diskFile) size() int64 {
	info, err := f.open.Load().file.Stat()
	if err != nil {
		return 0
	}
	return info.Size()
}

// finish closes a file for a later run. What was written without sync is synced,
// and the mark that it was not is taken away.
func (f *diskFile) finish(noSync bool) error {
	if noSync && f.broken.Load() == nil {
		err := f.shrink(func(tx *bbolt.Tx) error {
			b := tx.Bucket(bucketState)
			state, err := readState(b.Get(stateKey))
			if err != nil {
				return err
			}
			state.Boot = ""
			if err := f.open.Load().Sync(); err != nil {
				return err
			}
			return b.Put(stateKey, state.append(nil))
		})
		if err != nil {
			return err
		}
		if err := f.sync(); err != nil {
			return err
		}
	}
	return f.close()
}

// close ends a file that is well, and waits for its readers.
func (f *diskFile) close() error {
	if f.broken.Load() != nil {
		return nil // abandoned
	}
	return f.guard(f.open.Load().Close)
}
