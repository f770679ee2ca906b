package cachestore

import "github.com/valyala/bytebufferpool"

// spill is what a fill knows of a Writer that gives back what it was handed: the
// bytes before the first that the fill holds. It is guarded by the fill's mutex.
type spill struct {
	from    Spiller // nil when the Writer is none, and once it was released
	shut    bool    // the Writer refused: nothing is read back any more
	reading int     // readers that are inside Read
	done    bool    // Commit or Abort has returned
	owed    bool    // Abort is still to be called, before Release
	until   int64   // of a fill that stopped to be kept: readers behind it may read back up to here; 0: no bound
}

// covers says whether what the fill does not hold can be read back.
func (s *spill) covers() bool { return s.from != nil && !s.shut }

// spilledBy is how many bytes of a body a Writer gives back.
func spilledBy(w Writer) int64 {
	if s, ok := w.(Spiller); ok {
		return s.Spilled()
	}
	return 0
}

// spilledLocked says whether some of the body is not held any more.
func (f *Fill) spilledLocked() bool { return f.held.first(f.written) > 0 }

// behindLocked says whether a reader needs what comes before at.
func (f *Fill) behindLocked(at int64) bool {
	for _, r := range f.readers {
		if r.pos+r.out < at {
			return true
		}
	}
	return false
}

// backLocked says whether the byte at a place can be read back.
func (f *Fill) backLocked(at int64) bool { return f.spill.covers() && at < f.spill.until }

// passedLocked says whether all have passed what a Writer that refused had
// spilled.
func (f *Fill) passedLocked() bool {
	return f.spill.from != nil && f.spill.until > 0 && !f.behindLocked(f.spill.until)
}

// writerDone says that the Writer's Abort has returned.
func (f *Fill) writerDone() {
	f.mu.Lock()
	f.spill.done = true
	f.mu.Unlock()
	f.letGo()
}

// letGo releases the Writer once nobody will read from it any more: the fill was
// aborted or the Writer refused, or the fill has ended and its last reader left.
func (f *Fill) letGo() {
	f.mu.Lock()
	s := &f.spill
	over := s.shut || f.state == aborted || f.state == ended && len(f.readers) == 0 || f.passedLocked()
	if s.from == nil || !over || s.reading > 0 || !s.done && !s.owed {
		f.mu.Unlock()
		return
	}
	from, owed := s.from, s.owed
	s.from = nil
	f.movedLocked()
	f.mu.Unlock()
	if owed {
		from.Abort()
	}
	from.Release()
}

// chunkBufferBytes is what a chunk takes that is read from disk for one reader.
const chunkBufferBytes = 64 << 10

// chunkBuffers are for chunks that are read back.
var chunkBuffers bytebufferpool.Pool

func takeChunkBuffer() *bytebufferpool.ByteBuffer {
	b := chunkBuffers.Get()
	if cap(b.B) < ChunkSize {
		b.B = make([]byte, ChunkSize)
	}
	b.B = b.B[:ChunkSize]
	return b
}
