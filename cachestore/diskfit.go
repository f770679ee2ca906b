package cachestore

import "time"

// fitAgain is the pause after a file could not be made to fit.
const fitAgain = 10 * time.Minute

// fit asks the writer to bring a file below its most that was written under a
// larger quota: it evicts down to the quota, then it compacts. The index must be
// complete, or what is in no index would stay.
func (s *diskShard) fit() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.loading || s.fitting || s.retired.Load() || s.d.now() < s.fitAt || !s.file.over() {
		return
	}
	s.fitting = s.queue.offer(&change{kind: changeFit})
	s.d.log.Info("disk shard is larger than it may be now: it is made to fit", "file", s.file.path, "bytes", s.file.size(), "most", s.file.most)
}

// pacedLocked says whether a job evicts enough for one transaction. Only who
// makes the file fit has so much to evict.
func (s *diskShard) pacedLocked(j *job) bool { return s.fitting && len(j.drops) >= commitChanges }

// fitAsked goes on after a batch in which the file was to be made to fit: with
// another batch while there is something to delete, then with the compaction. It
// is the writer's.
func (s *diskShard) fitAsked(j *job, err error) {
	for _, c := range j.batch {
		if c.kind != changeFit {
			continue
		}
		if err != nil || s.mustShed(j) {
			s.queue.offer(c)
			continue
		}
		err := s.compact()
		s.mu.Lock()
		s.fitting = false
		if err != nil {
			s.fitAt = s.d.now() + int64(fitAgain)
		}
		s.mu.Unlock()
		if err != nil && !s.d.stopping() {
			s.d.log.Error("disk shard stays larger than it may be now", "file", s.file.path, "bytes", s.file.size(), "most", s.file.most, "err", err)
		}
	}
}

// mustShed says whether more must be deleted before the file can fit.
func (s *diskShard) mustShed(j *job) bool {
	for _, c := range j.drops {
		if c.left {
			return true
		}
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.usedLocked() > s.quota && s.evictableLocked()
}

// evictableLocked says whether anything is stored that the next batch could evict.
func (s *diskShard) evictableLocked() bool {
	any := false
	s.index.each(func(r ref) (more bool) {
		any = s.pending[r] == nil
		return !any
	})
	return any
}
