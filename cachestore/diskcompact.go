package cachestore

import (
	"context"
	"errors"
	"fmt"
	"os"

	"go.etcd.io/bbolt"
)

const newSuffix = ".new" // of a file that a compaction writes

// Compact writes every shard into a new file without holes, one after another,
// and removes what was set aside as broken. While a shard is written it stores
// nothing new beyond its queue; reads go on.
func (d *Disk) Compact(ctx context.Context) (CompactReport, error) {
	var report CompactReport
	var failed error
	for n := range d.shards {
		if s := d.shards[n].Load(); s != nil {
			report.Before += s.bytes()
			failed = errors.Join(failed, s.askCompact(ctx))
		}
		if s := d.shards[n].Load(); s != nil {
			report.After += s.bytes()
		}
		if err := os.Remove(shardPath(d.config.Dir, n) + badSuffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			failed = errors.Join(failed, err)
		}
		if ctx.Err() != nil {
			return report, ctx.Err()
		}
	}
	return report, failed
}

func (s *diskShard) bytes() int64 { return s.file.size() }

// askCompact lets the writer compact its file, and waits for it.
func (s *diskShard) askCompact(ctx context.Context) error {
	done := make(chan error, 1)
	if !s.queue.offer(&change{kind: changeCompact, done: func(err error) { done <- err }}) {
		return ErrClosed
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-s.gone:
		return errRetired
	}
}

// compact copies the file into a new one, which takes its place. It runs on the
// writer's goroutine. What fails leaves the old file as it was.
func (s *diskShard) compact() error {
	path := s.file.path + newSuffix
	to, err := s.copyTo(path)
	if err == nil {
		if err = os.Rename(path, s.file.path); err != nil {
			err = errors.Join(err, to.close(), os.Remove(path))
		}
	}
	if err != nil {
		return fmt.Errorf("compact %s: %w", s.file.path, err)
	}
	to.open.Load().NoSync = s.d.config.NoSync
	return errors.Join(s.file.become(to), syncDir(s.d.config.Dir)) // there is no way back from here
}

// copyTo copies what is in the file to a new one, and syncs it.
func (s *diskShard) copyTo(path string) (to *diskFile, err error) {
	_ = os.Remove(path)
	to, err = openFile(path, fileOptions{most: int64(s.file.most), noSync: true, open: s.d.config.open})
	if err != nil {
		return nil, errors.Join(err, removed(path))
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, to.close(), removed(path))
		}
	}()
	for _, name := range [][]byte{bucketState, bucketObjects, bucketChunks, bucketFills} {
		if err := s.copyBucket(to, name); err != nil {
			return to, err
		}
	}
	return to, to.sync()
}

// removed removes a file that may be there.
func removed(path string) error {
	if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// copyBucket copies one bucket, a few MiB a transaction.
func (s *diskShard) copyBucket(to *diskFile, name []byte) error {
	err := to.update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(name)
		return err
	})
	for from := []byte{}; err == nil && from != nil; {
		var batch []pair
		bytes := 0
		next := []byte(nil)
		err = s.file.walk(name, from, func(key, value []byte) bool {
			if bytes >= commitBytes {
				next = append([]byte(nil), key...)
				return false
			}
			batch = append(batch, pair{append([]byte(nil), key...), append([]byte(nil), value...)})
			bytes += len(key) + len(value)
			return true
		})
		if err != nil {
			return err
		}
		if s.isGone() || s.d.stopping() {
			return errRetired
		}
		from = next
		err = to.update(func(tx *bbolt.Tx) error {
			b := tx.Bucket(name)
			b.FillPercent = 1
			for _, p := range batch {
				if err := b.Put(p.key, p.value); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return err
}

// syncDir makes a rename durable.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Check reads everything that is stored and takes out what is damaged. Others
// are served meanwhile.
func (d *Disk) Check(ctx context.Context) (CheckReport, error) {
	var report CheckReport
	if err := d.Loaded(ctx); err != nil {
		return report, err
	}
	if err := d.Sync(ctx); err != nil {
		return report, err
	}
	for n := range d.shards {
		s := d.shards[n].Load()
		if s == nil {
			continue
		}
		if err := s.check(ctx, &report); err != nil {
			return report, err
		}
	}
	return report, nil
}

func (s *diskShard) check(ctx context.Context, report *CheckReport) error {
	before := s.d.evicted[DiskEvictedBroken].Load()
	for from := uint64(0); ; {
		batch, next, err := s.records(ctx, from, sweepBatch)
		if err != nil {
			return err
		}
		for i := range batch {
			report.Objects++
			report.Bytes += s.checkBody(ctx, &batch[i])
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
		if next == 0 {
			break
		}
		from = next
	}
	report.Broken += int64(s.d.evicted[DiskEvictedBroken].Load() - before)
	orphans, err := s.orphans(ctx)
	report.Orphans += orphans
	return err
}

// checkBody reads a body; what is damaged is taken out by the reading.
func (s *diskShard) checkBody(ctx context.Context, o *object) (bytes int64) {
	r, l, _, ok := s.lend(o.v.Body.ID)
	if !ok {
		return 0
	}
	defer s.giveBack(r, l)
	p := &pageScratch{}
	for n := range o.v.Body.Chunks() {
		c, err := s.chunk(ctx, r, l, n, p)
		if err != nil {
			return bytes
		}
		bytes += int64(len(c))
	}
	return bytes
}

// orphans deletes chunks that no object has, and says how many there were.
func (s *diskShard) orphans(ctx context.Context) (n int64, err error) {
	var from []byte
	for {
		var next []byte
		var ids []uint64
		seen := 0
		if err := s.enter(ctx); err != nil {
			return n, err
		}
		err := s.file.walkKeys(bucketChunks, from, func(key []byte, _ int) bool {
			if seen++; seen > sweepBatch {
				next = append([]byte(nil), key...)
				return false
			}
			if id, _, _, err := readChunkKey(key); err == nil && (len(ids) == 0 || ids[len(ids)-1] != id) {
				ids = append(ids, id)
			}
			return true
		})
		s.leave()
		if err != nil {
			return n, s.failed(0, err)
		}
		for _, id := range ids {
			if s.orphaned(id) {
				n++
				s.dropID(id)
			}
		}
		if next == nil {
			return n, nil
		}
		from = next
	}
}

// orphaned says whether an id has chunks and nothing else: no record, and no
// mark of a body that is on its way or being deleted.
func (s *diskShard) orphaned(id uint64) bool {
	p := &pageScratch{}
	for _, bucket := range [][]byte{bucketObjects, bucketFills} {
		if _, _, err := s.file.find(bucket, idKey(nil, id), p); !errors.Is(err, ErrAbsent) {
			return false
		}
	}
	_, _, err := s.file.find(bucketChunks, idKey(nil, id), p) // it may have been deleted by now
	return err == nil
}
