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

// hand hands a chunk to the Writer, who counts it from then on.
func (f *Fill) hand(l *segment) (ok bool) {
	return f.ask(func(w Writer) error { return w.Chunk(l.buf) }, func() { f.held.hand(l) })
}

// stopKeeping makes the fill a window. The bytes that it holds become its own
// account's, in full: none that its fastest reader needs is dropped.
func (f *Fill) stopKeeping(why error) {
	f.mu.Lock()
	w := f.writer
	if w == nil {
		f.mu.Unlock()
		return
	}
	f.writer, f.why = nil, why
	mine := f.held.uncounted()
	f.mu.Unlock()
	w.Abort()
	f.config.Account.Force(mine)
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
// Discard, one of which must follow. The Body is nil when it is not kept.
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
	chunks := make([][]byte, 0, len(f.held.segs))
	for _, s := range f.held.segs {
		chunks = append(chunks, s.buf)
	}
	f.body = bodyOf(chunks, trailer)
	return f.body, nil
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
	l, state, body, kept := f.held.last(), f.state, f.body, f.writer != nil
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
	v.Body = body
	if !f.ask(func(w Writer) error { return w.Commit(v) }, f.storedLocked) {
		return f.reason()
	}
	return nil
}

// storedLocked says that the Writer has committed.
func (f *Fill) storedLocked() {
	f.writer = nil
	f.endLocked()
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

// Discard ends a finished fill without storing it. The readers see a clean end.
func (f *Fill) Discard() {
	f.stopKeeping(ErrNotKept)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.state == finished {
		f.endLocked()
	}
}

// endLocked lets the readers see the end.
func (f *Fill) endLocked() {
	f.state = ended
	f.showLocked()
	f.movedLocked()
}

// Abort breaks the fill: its readers get err at once, and nothing is stored. It
// does nothing when the readers have seen the end.
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
	}
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
	if f.state == ended && f.why != nil {
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
