package cachestore

import (
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// The size of a transaction: so many bytes, so many changes, and how long the
// first of them waits for company.
const (
	commitBytes   = 4 << 20
	commitChanges = 4096
	commitWait    = 5 * time.Millisecond
	commitDeletes = 2048 // chunks; what is left of a larger body goes in the next one
)

// A shard that could not commit writes nothing for a while, twice as long each
// time. Reads go on.
const (
	firstRest   = time.Second
	longestRest = time.Minute
)

// resting says until when a shard does not write.
type resting struct {
	until int64 // Unix nanoseconds
	span  time.Duration
}

func (s *diskShard) restingLocked() bool { return s.restLeftLocked() > 0 }

// restLeftLocked is how much of the rest is left. A clock that went back ends it.
func (s *diskShard) restLeftLocked() time.Duration {
	left := time.Duration(s.rest.until - s.d.now())
	if left > s.rest.span {
		return 0
	}
	return left
}

// resting says why a shard does not write now; nil when it does.
func (s *diskShard) resting() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if !s.restingLocked() {
		return nil
	}
	return fmt.Errorf("disk shard %s does not store for now: %w", s.file.path, s.trouble)
}

// work is the goroutine that writes the file.
func (s *diskShard) work() {
	for {
		changes, bytes, closed := s.queue.state()
		switch {
		case s.isGone():
			return
		case changes == 0 && closed:
			return
		case changes == 0:
			s.pause(0)
			continue
		}
		if wait := s.restLeft(); wait > 0 {
			if closed {
				return // what was not written by now is not written
			}
			s.pause(wait)
			continue
		}
		if bytes < commitBytes && changes < commitChanges && !closed {
			s.linger(commitWait)
		}
		s.commit(s.queue.take(min(commitBytes, s.quota/4), commitChanges))
	}
}

func (s *diskShard) isGone() bool {
	select {
	case <-s.gone:
		return true
	default:
		return false
	}
}

func (s *diskShard) restLeft() time.Duration {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.restLeftLocked()
}

// pause waits for something to do, or at most so long; 0 is for ever.
func (s *diskShard) pause(most time.Duration) {
	var over <-chan time.Time
	if most > 0 {
		t := time.NewTimer(most)
		defer t.Stop()
		over = t.C
	}
	select {
	case <-s.queue.wake:
	case <-over:
	case <-s.gone:
	}
}

// linger lets company come.
func (s *diskShard) linger(span time.Duration) {
	t := time.NewTimer(span)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.gone:
	}
}

// commit carries out a batch in one transaction. What fails is taken back: a
// put is not stored on disk, a record that could not be brought up to date is
// dropped, a deletion is tried again.
func (s *diskShard) commit(batch []*change) {
	j := s.prepare(batch)
	began := time.Now()
	err := s.apply(j)
	for range widenTimes {
		if !errors.Is(err, bolterrors.ErrMaxSizeReached) {
			break
		}
		if err = s.widen(j); err == nil {
			err = s.apply(j)
		}
	}
	if err == nil {
		s.sinceCompact += j.need
		s.d.committed(time.Since(began))
	}
	s.compactAsked(j)
	s.settle(j, err)
	s.fitAsked(j, err)
	if errors.Is(err, errBroken) {
		s.d.retire(s, err)
	}
}

// compactAsked compacts after a batch in which somebody asked for it.
func (s *diskShard) compactAsked(j *job) {
	for _, c := range j.batch {
		if c.kind == changeCompact {
			c.done(s.compact())
			c.done = nil
		}
	}
}

// job is one transaction's work.
type job struct {
	batch []*change
	puts  []*change // puts, revisions and chunks that are still wanted, in order
	metas [][]byte  // for each of them: its record; nil for a chunk
	drops []*change // wanted ones and those that make room
	state shardState
	need  int64 // bytes that the puts take

	refused []*change // puts whose records are over the limits
}

// prepare takes what is still wanted of a batch, and makes room for it.
func (s *diskShard) prepare(batch []*change) *job {
	j := &job{batch: batch}
	s.recordAll(j, s.collect(j))
	s.makeRoom(j)
	s.mu.Lock()
	s.state.PurgeHigh = max(s.state.PurgeHigh, s.d.lastPurge())
	j.state = s.state
	s.mu.Unlock()
	for _, c := range batch {
		if c.kind == changeMark && c.swept > 0 {
			j.state.Swept = max(j.state.Swept, c.swept)
		}
	}
	return j
}

// collect takes what is still wanted of a batch, and returns what the records of
// the job's puts say; that of a chunk says nothing.
func (s *diskShard) collect(j *job) (records []metaRecord) {
	s.mu.Lock()
	s.revokeLocked()
	s.mu.Unlock()
	s.sliced(len(j.batch), func(i int) {
		c := j.batch[i]
		switch c.kind {
		case changePut, changeRevise:
			in, ok := s.index.get(c.ref)
			if !ok || s.pending[c.ref] != c || s.deferredLocked(c.ref) {
				s.looseLocked(c.spill) // its deletion follows
				return
			}
			c.taken, c.id = true, in.ID // it may have moved since
			j.puts = append(j.puts, c)
			records = append(records, metaRecord{
				Order: c.order, PurgeGen: s.state.PurgeGen, Variant: c.v, BodySize: c.v.Body.Size, Trailer: c.v.Body.Trailer, Full: c.key.Full,
			})
		case changeChunk:
			if c.spill.over.Load() && !c.spill.stored.Load() {
				return // its deletion follows
			}
			j.puts = append(j.puts, c)
			records = append(records, metaRecord{})
		case changeDrop, changeUnlist:
			j.drops = append(j.drops, c)
		}
	})
	return records
}

// sliced calls do for n things under the mutex, and lets go of it in between:
// look-ups wait for it, and so does a change of the table.
func (s *diskShard) sliced(n int, do func(i int)) {
	for from := 0; from < n; from += lockSlice {
		s.mu.Lock()
		for i := from; i < min(n, from+lockSlice); i++ {
			do(i)
		}
		s.mu.Unlock()
	}
}

// lockSlice is how many objects are dealt with while the mutex is held.
const lockSlice = 256

// recordAll builds the records of a job and counts the bytes that it needs. What
// is over a record's limits is refused.
func (s *diskShard) recordAll(j *job, records []metaRecord) {
	puts := j.puts
	j.puts = nil
	for i, c := range puts {
		var meta []byte
		if c.kind != changeChunk {
			var err error
			if meta, err = appendMeta(nil, s.seal, c.id, &records[i]); err != nil {
				j.refused = append(j.refused, c)
				continue
			}
		}
		j.puts, j.metas = append(j.puts, c), append(j.metas, meta)
		switch {
		case c.kind == changeChunk:
			j.need += int64(len(c.p)) + chunkBytes
		case c.spill != nil: // its chunks are there
			j.need += objectBytes + int64(len(meta))
		case c.kind == changePut:
			j.need += diskBytes(c.body.Size, uint32(len(meta)))
		}
	}
}

// apply writes the transaction.
func (s *diskShard) apply(j *job) error {
	s.warm(j.drops)
	write := s.file.update
	if len(j.puts) == 0 {
		write = s.file.shrink
	}
	defer s.d.turn(s.gone)()
	return write(func(tx *bbolt.Tx) error {
		w := newPen(tx, s.seal)
		for _, c := range j.drops {
			if err := w.drop(c); err != nil {
				return err
			}
		}
		for i, c := range j.puts {
			if err := w.put(c, j.metas[i]); err != nil {
				return err
			}
		}
		return w.state.Put(stateKey, j.state.append(nil))
	})
}

// settle says what became of a job.
func (s *diskShard) settle(j *job, err error) {
	s.mu.Lock()
	s.restLocked(err)
	bytes := int64(0)
	for _, c := range j.batch {
		bytes += c.bytes
	}
	for _, c := range j.refused {
		s.settlePutLocked(c, 0, errRecord)
	}
	if err == nil {
		s.state.Swept = max(s.state.Swept, j.state.Swept)
	}
	s.mu.Unlock()
	s.sliced(len(j.puts), func(i int) { s.settlePutLocked(j.puts[i], len(j.metas[i]), err) })
	s.settleDrops(j.drops, err)
	s.queue.free(bytes)
	told := j.batch
	if err != nil {
		told = append(told, s.queue.marks()...)
	}
	for _, c := range told {
		if c.done != nil {
			c.done(err)
		}
	}
}

// settleDrops frees what was deleted, and queues what was not again.
func (s *diskShard) settleDrops(drops []*change, err error) {
	var again []*change
	s.sliced(len(drops), func(i int) {
		switch c := drops[i]; {
		case err == nil && c.kind == changeUnlist:
		case err != nil || c.left:
			again = append(again, c)
		default:
			s.index.free(c.ref)
			s.looseLocked(c.spill)
		}
	})
	s.queue.back(again)
}

func (s *diskShard) settlePutLocked(c *change, meta int, err error) {
	switch {
	case c.kind == changeChunk:
		if err == nil {
			s.loose += int64(len(c.p)) + chunkBytes
			c.spill.loose += int64(len(c.p)) + chunkBytes
		}
		return
	case err != nil:
		s.looseLocked(c.spill)
		s.d.drop(DiskDropWrite)
		s.dropLocked(c.ref) // a deletion of what is not there does no harm
		return
	}
	if c.kind == changePut {
		s.savedLocked(c.ref)
		s.d.stored(c.body.Size + int64(meta))
		s.looseLocked(c.spill)
	}
	if s.pending[c.ref] == c {
		delete(s.pending, c.ref)
		s.index.revise(c.ref, uint32(meta), expiresOf(c.v))
	}
	if c.kind == changePut {
		s.index.rank(c.ref)
	}
}

// looseLocked says that the chunks of a spilt body do not count by themselves
// any more: it has a record now, or is being deleted.
func (s *diskShard) looseLocked(sp *spilling) {
	if sp != nil {
		s.loose -= sp.loose
		sp.loose = 0
	}
}

// restLocked makes the shard rest after an error, or ends its rest.
func (s *diskShard) restLocked(err error) {
	if errors.Is(err, bolterrors.ErrMaxSizeReached) {
		return // room is made with every batch: the next one may find it
	}
	if err == nil {
		if s.trouble != nil {
			s.d.log.Info("disk shard stores again", "file", s.file.path)
		}
		s.rest, s.trouble = resting{}, nil
		return
	}
	if s.trouble == nil {
		s.d.log.Error("disk shard does not store for now", "file", s.file.path, "err", err)
	}
	s.trouble = err
	s.rest.span = min(max(2*s.rest.span, firstRest), longestRest)
	s.rest.until = s.d.now() + int64(s.rest.span)
}
