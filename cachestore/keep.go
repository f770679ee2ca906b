package cachestore

import "net/http"

// This file is the other half of Fill: how its chunks get to a Writer, and how
// it ends.

// ask runs a call of the fill's Writer without the lock, and then, when the
// writer agreed, thenLocked. When it refuses, the fill is a window from then on;
// when the fill was aborted meanwhile, the writer is, too.
func (f *Fill) ask(call func(Writer) error, thenLocked func()) (ok bool) {
	f.mu.Lock()
	w := f.writer
	if w == nil {
		f.mu.Unlock()
		return false
	}
	f.busy = true
	f.mu.Unlock()
	err := call(w)
	f.mu.Lock()
	f.busy = false
	if f.state == aborted {
		f.writer = nil
		f.mu.Unlock()
		w.Abort()
		f.writerDone()
		return false
	}
	if err == nil {
		thenLocked()
	}
	f.mu.Unlock()
	if err != nil {
		f.stopKeeping(err)
	}
	return err == nil
}

// handFull hands the chunk that got full to the Writer.
func (f *Fill) handFull() {
	f.mu.Lock()
	l := f.held.last()
	full := f.writer != nil && l != nil && !l.handed && len(l.buf) == ChunkSize && f.written == l.end()
	f.mu.Unlock()
	if full {
		f.hand(l)
	}
}

// hand hands a chunk to the Writer, who counts it from then on, and forgets what
// the Writer gives back.
func (f *Fill) hand(l *segment) (ok bool) {
	var spilled int64
	return f.ask(func(w Writer) error {
		err := w.Chunk(l.buf)
		if err == nil {
			spilled = spilledBy(w)
		}
		return err
	}, func() {
		f.held.hand(l)
		f.held.drop(min(spilled, l.end()))
	})
}

// stopKeeping makes the fill a window. The bytes that it holds become its own
// account's, in full: none that its fastest reader needs is dropped. To those who
// are behind what is held the Writer gives back what it has spilled, until they
// have passed it or left.
func (f *Fill) stopKeeping(why error) {
	f.mu.Lock()
	w := f.writer
	if w == nil {
		f.mu.Unlock()
		return
	}
	f.writer, f.why = nil, why
	first := f.held.first(f.written)
	f.spill.owed = f.spill.covers() && first > 0 && (f.state == finished || f.behindLocked(first))
	if f.spill.owed && f.state == finished {
		f.mu.Unlock()
		return
	}
	owed := f.spill.owed
	f.spill.shut, f.spill.until = !owed, first
	f.dropSlowLocked()
	mine := f.held.uncounted()
	f.mu.Unlock()
	if !owed {
		w.Abort()
	}
	f.config.Account.Force(mine)
	f.takeBack(mine)
	if !owed {
		f.writerDone()
	}
}

// takeBack says that the fill's account counts all that is held: mine bytes more.
func (f *Fill) takeBack(mine int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.state == aborted { // and has forgotten them
		f.config.Account.Release(mine)
		return
	}
	f.held.count()
	f.showLocked()
}

// Finish says that the origin ended the body, with trailer. A body that
// disagrees with its announced length is aborted with ErrLength. The readers of
// a body that is not kept see the end now, those of a kept one after Commit or
// Discard, one of which must follow. The Body is nil when it is not kept, and
// has no chunks in memory when the Writer has spilled some.
func (f *Fill) Finish(trailer http.Header) (*Body, error) {
	f.mu.Lock()
	if f.state != filling {
		defer f.mu.Unlock()
		if f.state == aborted {
			return nil, f.err
		}
		return nil, ErrWriterDone
	}
	if f.config.Length >= 0 && f.written != f.config.Length {
		f.mu.Unlock()
		f.Abort(ErrLength)
		return nil, ErrLength
	}
	defer f.mu.Unlock()
	f.trailer = trailer
	if f.writer == nil {
		f.endLocked()
		return nil, nil
	}
	f.state = finished
	f.fitLocked()
	f.body = f.bodyLocked()
	return f.body, nil
}

// bodyLocked is the whole body, of what is held if that is all of it.
func (f *Fill) bodyLocked() *Body {
	if f.spilledLocked() {
		b := bodyOf(nil, f.trailer)
		b.Size = f.written
		return b
	}
	chunks := make([][]byte, 0, len(f.held.segs))
	for _, s := range f.held.segs {
		chunks = append(chunks, s.buf)
	}
	return bodyOf(chunks, f.trailer)
}

// fitLocked cuts the last chunk to what came; it is copied when more than an
// eighth of its memory would be wasted.
func (f *Fill) fitLocked() {
	l := f.held.last()
	if l == nil || l.end() == f.written {
		return
	}
	used := f.written - l.at
	if used == 0 { // the body ended where a chunk would have begun
		f.held.segs = f.held.segs[:len(f.held.segs)-1]
		l.handed = true // it is no spare: nothing more comes
		f.held.forget(l)
		return
	}
	if rounded(int64(cap(l.buf)))-rounded(used) <= rounded(int64(cap(l.buf)))/8 {
		l.buf = l.buf[:used]
		return
	}
	buf := make([]byte, used)
	copy(buf, l.buf)
	f.config.Account.Release(l.held() - rounded(used))
	l.buf = buf
}

// Commit hands the last chunk to the Writer and makes v, whose Body it sets,
// visible in the store. Whatever comes of it, the readers see the end.
func (f *Fill) Commit(v *Variant) error {
	f.mu.Lock()
	l, state, kept := f.held.last(), f.state, f.writer != nil
	f.mu.Unlock()
	switch {
	case state == filling:
		return ErrUnfinished
	case state == aborted || !kept:
		return f.reason()
	}
	defer f.Discard()
	if l != nil && !l.handed && !f.hand(l) {
		return f.reason()
	}
	v.Body = f.whole()
	if !f.commit(v) {
		return f.reason()
	}
	return nil
}

// whole is the body to store: without chunks if its last one made the Writer
// spill the others.
func (f *Fill) whole() *Body {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.body.chunks != nil && f.spilledLocked() {
		f.body = f.bodyLocked()
	}
	return f.body
}

// commit has the Writer store v, and ends the fill when it has.
func (f *Fill) commit(v *Variant) (ok bool) {
	var spilled int64
	return f.ask(func(w Writer) error {
		err := w.Commit(v)
		if err == nil {
			spilled = spilledBy(w)
		}
		return err
	}, func() {
		f.writer, f.spill.done = nil, true
		f.held.drop(min(spilled, f.written))
		f.endLocked()
	})
}

// reason is why the fill is aborted or not kept.
func (f *Fill) reason() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.state == aborted {
		return f.err
	}
	return f.why
}

// Discard ends a finished fill without storing it. The readers see a clean end;
// the Writer of one that has spilled is aborted when they have left.
func (f *Fill) Discard() {
	f.stopKeeping(ErrNotKept)
	f.mu.Lock()
	if f.state == finished {
		f.endLocked()
	}
	f.mu.Unlock()
	f.letGo()
}

// endLocked lets the readers see the end.
func (f *Fill) endLocked() {
	f.state = ended
	f.showLocked()
	f.movedLocked()
}

// Abort breaks the fill: its readers get err at once, those who wait for a
// Spiller when it answers, and nothing is stored. It does nothing when the
// readers have seen the end.
func (f *Fill) Abort(err error) {
	f.mu.Lock()
	w := f.writer
	if f.busy || f.state >= ended {
		w = nil
	}
	f.abortLocked(err)
	f.mu.Unlock()
	if w != nil {
		w.Abort()
		f.writerDone()
		return
	}
	f.letGo()
}

func (f *Fill) abortLocked(err error) {
	if f.state >= ended {
		return
	}
	f.state, f.err = aborted, err
	if f.writer != nil {
		f.config.Account.Dropped(DropAborted)
	}
	if !f.busy {
		f.writer = nil
	}
	f.held.dropAll()
	for _, r := range f.readers {
		r.wakeLocked()
	}
	f.pokeLocked()
}

// movedLocked looks after the fill when a reader has moved or left.
func (f *Fill) movedLocked() {
	if f.state == ended && f.why != nil && !f.spill.covers() {
		f.drainLocked()
	}
	f.pokeLocked()
}

// drainLocked forgets what no reader needs after the end.
func (f *Fill) drainLocked() {
	if len(f.readers) == 0 {
		f.held.dropAll()
		return
	}
	slowest := f.written
	for _, r := range f.readers {
		slowest = min(slowest, r.pos)
	}
	f.held.drop(slowest)
}

// pokeLocked makes a waiting writer look again.
func (f *Fill) pokeLocked() {
	if !f.waiting {
		return
	}
	f.waiting = false
	select {
	case f.room <- struct{}{}:
	default:
	}
}

// leaveLocked takes a reader out of the list.
func (f *Fill) leaveLocked(r *Reader) {
	last := len(f.readers) - 1
	if r.index > last || f.readers[r.index] != r {
		return
	}
	f.readers[r.index] = f.readers[last]
	f.readers[r.index].index = r.index
	f.readers[last] = nil
	f.readers = f.readers[:last]
}
