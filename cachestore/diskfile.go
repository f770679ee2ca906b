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

// diskFile is one bbolt file. Readers read pages by system calls, of a snapshot
// that keeps them from being used again; only the writer touches the mapping. A
// file that met a fault is broken for good: it must be abandoned, because bbolt
// still holds its locks.
type diskFile struct {
	path   string
	most   int                    // bytes; bbolt's MaxSize between two deletions
	widest int                    // bytes; most, or how long the file was when it was opened with a smaller most
	open   atomic.Pointer[openDB] // a compaction puts another in its place
	broken atomic.Pointer[error]  // why it is lost; an errBroken
	shots  snapshots
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
	f = &diskFile{path: path, most: int(o.most)}
	f.shots.left.L = &f.shots.mu
	db := &openDB{}
	err = Guard(func() error {
		db.DB, err = bbolt.Open(path, 0o600, &bbolt.Options{
			// The array gives the first free pages that suffice. The map gives any, and so
			// takes what is large to pieces: objects leave here and there.
			Timeout: lockWait, FreelistType: bbolt.FreelistArrayType, NoStatistics: true,
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

// view runs read in a read transaction, for who opens the file; readers have
// snapshots.
func (f *diskFile) view(read func(*bbolt.Tx) error) error {
	return f.guard(func() error { return f.open.Load().View(read) })
}

// lose gives the file up.
func (f *diskFile) lose(why error) {
	if !errors.Is(why, errBroken) {
		why = fmt.Errorf("%w: %w", errBroken, why)
	}
	f.broken.CompareAndSwap(nil, &why)
}

// update runs write in a write transaction, synced when it returns nil, and lets
// later readers see it.
func (f *diskFile) update(write func(*bbolt.Tx) error) error {
	return f.guard(func() error {
		if err := f.endOld(); err != nil {
			return err
		}
		if err := f.open.Load().Update(write); err != nil {
			return err
		}
		return f.renew()
	})
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

// sync brings to the disk what was written without.
func (f *diskFile) sync() error { return f.guard(f.open.Load().Sync) }

// become makes f the file that other is; other must not be used any more. It
// waits for those who read from what f was.
func (f *diskFile) become(other *diskFile) error {
	f.widest = other.widest
	old := f.open.Swap(other.open.Load())
	return f.guard(func() error { return old.end(f.shots.swapAll(other.shots.now)) })
}

// end closes the file once its snapshots are.
func (db *openDB) end(shots []*snapshot) error {
	var failed error
	for _, s := range shots {
		failed = errors.Join(failed, s.tx.Rollback())
	}
	return errors.Join(failed, db.Close())
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
	return f.guard(func() error { return f.open.Load().end(f.shots.swapAll(nil)) })
}
