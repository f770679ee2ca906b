package purge

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"edgecache/cachestore"
)

// A book is the file of the log. One goroutine writes it. A book that panicked
// is abandoned and never closed, because bbolt still holds its locks.
type book struct {
	db    *bbolt.DB
	head  head
	fresh bool // nothing was there before
}

var (
	entriesBucket = []byte("entries")
	stateBucket   = []byte("state")
	historyBucket = []byte("history")
)

// lockWait is how long another process may take to let go of the file.
const lockWait = time.Second

// openBook opens or makes the file. errCorrupt, under whatever it wraps, means
// that the file is there and cannot be trusted.
func openBook(path string) (b *book, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	err = guarded(func() error {
		db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockWait, FreelistType: bbolt.FreelistMapType})
		if err != nil {
			return openError(err)
		}
		b = &book{db: db}
		if err = b.db.Update(b.prepare); err != nil {
			return errors.Join(err, db.Close())
		}
		return nil
	})
	return b, err
}

// openError tells a broken file from one that cannot be had now: what the
// system refuses says nothing about the bytes.
func openError(err error) error {
	var errno syscall.Errno
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return ErrHeld
	case errors.As(err, &errno):
		return err
	}
	return fmt.Errorf("%w: %w", errCorrupt, err)
}

// guarded is cachestore.Guard; what it caught is errCorrupt.
func guarded(f func() error) error {
	err := cachestore.Guard(f)
	var fault *cachestore.Fault
	if errors.As(err, &fault) {
		return fmt.Errorf("%w: %w", errCorrupt, err)
	}
	return err
}

// prepare reads the head, or makes a new one in an empty file.
func (b *book) prepare(tx *bbolt.Tx) error {
	state := tx.Bucket(stateBucket)
	if state != nil {
		var err error
		b.head, err = decodeHead(state.Get(headKey))
		if err == nil && (tx.Bucket(entriesBucket) == nil || tx.Bucket(historyBucket) == nil) {
			err = errCorrupt
		}
		return err
	}
	b.fresh = true
	for _, name := range [][]byte{stateBucket, entriesBucket, historyBucket} {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	rand.Read(b.head.epoch[:])
	return tx.Bucket(stateBucket).Put(headKey, b.head.encode())
}

// read hands out all that is in the book, oldest first.
func (b *book) read(entry func(stored), record func(Record)) error {
	return guarded(func() error {
		return b.db.View(func(tx *bbolt.Tx) error {
			err := tx.Bucket(entriesBucket).ForEach(func(k, v []byte) error {
				s, err := decodeStored(k, v)
				if err == nil {
					entry(s)
				}
				return err
			})
			if err != nil {
				return err
			}
			return tx.Bucket(historyBucket).ForEach(func(k, v []byte) error {
				r, err := decodeRecord(k, v)
				if err == nil {
					record(r)
				}
				return err
			})
		})
	})
}

// A page of work for one transaction.
type page struct {
	puts     []stored // new entries; commit gives them their ids
	sure     int      // so many of them, the first ones, have their final numbers
	fixes    []stored // entries again, with the numbers that they really got
	records  []Record // new history, by index into puts of each call's last entry
	lasts    []int
	again    []Record // records again, with the numbers that their entries really got
	raise    uint64   // the new ceiling, if higher
	lossy    uint64   // invalidations up to here are lost to the book
	forget   uint64   // entries up to this number may go
	from     uint64   // forgetting goes on at this log id
	trim     int      // so many of the oldest records go
	toForget int      // how many entries are looked at in this transaction, at most
}

// A done says what commit did.
type done struct {
	next      uint64 // where forgetting goes on; 0: it is through
	purges    int    // entries forgotten, by origin
	volatiles int
}

// commit writes a page, synced, or nothing of it.
func (b *book) commit(p *page) (d done, err error) {
	next := b.head
	err = guarded(func() error {
		return b.db.Update(func(tx *bbolt.Tx) error {
			entries := tx.Bucket(entriesBucket)
			entries.FillPercent = 0.9 // ids rise
			if err := p.write(entries, tx.Bucket(historyBucket)); err != nil {
				return err
			}
			if d, err = p.prune(entries); err != nil {
				return err
			}
			next = p.headAfter(next, entries.Sequence())
			return tx.Bucket(stateBucket).Put(headKey, next.encode())
		})
	})
	if err == nil {
		b.head = next
	}
	return d, err
}

// headAfter is the head once p is written: what this page put is unsure until
// the next one.
func (p *page) headAfter(h head, last uint64) head {
	h.ceiling = max(h.ceiling, p.raise)
	h.unsure = last + 1
	if p.sure < len(p.puts) {
		h.unsure = p.puts[p.sure].id
	}
	h.lossy = max(h.lossy, p.lossy)
	if h.lossy <= p.forget {
		h.lossy = 0
	}
	return h
}

// write puts entries and records, and trims the history.
func (p *page) write(entries, history *bbolt.Bucket) error {
	for i := range p.puts {
		id, err := entries.NextSequence()
		if err != nil {
			return err
		}
		p.puts[i].id = id
		if err := entries.Put(idKey(id), p.puts[i].encode()); err != nil {
			return err
		}
	}
	for i := range p.fixes {
		if err := entries.Put(idKey(p.fixes[i].id), p.fixes[i].encode()); err != nil {
			return err
		}
	}
	for i := range p.records {
		p.records[i].id = p.puts[p.lasts[i]].id
	}
	for _, r := range slices.Concat(p.again, p.records) {
		if err := history.Put(idKey(r.id), r.encode()); err != nil {
			return err
		}
	}
	return deleteFirst(history, p.trim)
}

// deleteFirst deletes the n lowest keys.
func deleteFirst(b *bbolt.Bucket, n int) error {
	var keys [][]byte
	c := b.Cursor()
	for k, _ := c.First(); k != nil && len(keys) < n; k, _ = c.Next() {
		keys = append(keys, bytes.Clone(k))
	}
	return deleteAll(b, keys)
}

func deleteAll(b *bbolt.Bucket, keys [][]byte) error {
	for _, k := range keys {
		if err := b.Delete(k); err != nil {
			return err
		}
	}
	return nil
}

// prune deletes a bounded part of the entries that may be forgotten.
func (p *page) prune(entries *bbolt.Bucket) (d done, err error) {
	if p.forget == 0 {
		return d, nil
	}
	var keys [][]byte
	seen := 0
	c := entries.Cursor()
	for k, v := c.Seek(idKey(p.from)); k != nil; k, v = c.Next() {
		if seen++; seen > p.toForget {
			d.next = binary.BigEndian.Uint64(k)
			break
		}
		s, err := decodeStored(k, v)
		if err != nil {
			return d, err
		}
		if s.Seq > p.forget {
			continue
		}
		keys = append(keys, bytes.Clone(k))
		if s.volatile {
			d.volatiles++
		} else {
			d.purges++
		}
	}
	return d, deleteAll(entries, keys)
}

// close ends a book that is well.
func (b *book) close() error { return guarded(b.db.Close) }

// setAside renames a broken file, so that a new one can take its place. What
// was set aside before it is lost.
func setAside(path string) error { return os.Rename(path, path+".bad") }
