package cachestore

import (
	"context"
	"io"
	"net/http"
)

// Reader follows a fill. It belongs to one goroutine.
type Reader struct {
	f    *Fill
	wake chan struct{} // one token: look again

	// Guarded by the fill's mutex.
	pos     int64    // bytes before it were consumed
	out     int64    // bytes of the view that Next returned last
	lent    *segment // that view's segment
	err     error    // why it was dropped
	waiting bool
	index   int // its place in the fill's list
	closed  bool
}

// Join follows the fill from its first byte. It gives ErrGone once that byte is
// gone or the fill was aborted.
func (f *Fill) Join() (*Reader, error) { return f.JoinAt(0) }

// JoinAt follows the fill from offset off, which may be still to come. It gives
// ErrGone when that byte is gone or the fill was aborted.
func (f *Fill) JoinAt(off int64) (*Reader, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.state == aborted || off < f.held.first(f.written) {
		return nil, ErrGone
	}
	r := &Reader{f: f, pos: off, wake: make(chan struct{}, 1), index: len(f.readers)}
	f.readers = append(f.readers, r)
	return r, nil
}

// Next returns the next bytes as soon as there are any: a view that is valid
// until the next call of Next or Close. It ends with io.EOF at the clean end,
// ErrSlow when the reader fell too far behind, the fill's error when that was
// aborted, or the context's.
func (r *Reader) Next(ctx context.Context) ([]byte, error) {
	f := r.f
	f.mu.Lock()
	r.consumeLocked()
	for {
		p, err := r.lookLocked()
		if p != nil || err != nil {
			f.mu.Unlock()
			return p, err
		}
		r.waiting = true
		f.mu.Unlock()
		select {
		case <-r.wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		f.mu.Lock()
	}
}

// lookLocked returns what is there now, or nothing.
func (r *Reader) lookLocked() ([]byte, error) {
	f := r.f
	switch {
	case r.closed:
		return nil, io.ErrClosedPipe
	case f.state == aborted:
		return nil, f.err
	case r.err != nil:
		return nil, r.err
	case r.pos < f.visible:
		s := f.held.find(r.pos)
		p := s.buf[r.pos-s.at : min(int64(len(s.buf)), f.visible-s.at)]
		r.out, r.lent = int64(len(p)), s
		s.lent++
		return p[:len(p):len(p)], nil
	case f.state == ended:
		return nil, io.EOF
	}
	return nil, nil
}

// consumeLocked gives the last view back.
func (r *Reader) consumeLocked() {
	if r.lent == nil {
		return
	}
	r.lent.lent--
	r.lent = nil
	r.pos += r.out
	r.out = 0
	r.f.movedLocked()
}

// Ready says whether Next would answer at once.
func (r *Reader) Ready() bool {
	r.f.mu.Lock()
	defer r.f.mu.Unlock()
	return r.pos+r.out < r.f.visible || r.f.state >= ended || r.err != nil || r.closed
}

// Offset is where the next view begins, or where the last one began until it is
// given back.
func (r *Reader) Offset() int64 {
	r.f.mu.Lock()
	defer r.f.mu.Unlock()
	return r.pos
}

// Trailer returns the fields that followed the body; they are known at io.EOF.
func (r *Reader) Trailer() http.Header {
	r.f.mu.Lock()
	defer r.f.mu.Unlock()
	return r.f.trailer
}

// Close ends the reading. It may be called twice.
func (r *Reader) Close() {
	f := r.f
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.closed {
		return
	}
	r.consumeLocked()
	r.closed = true
	f.leaveLocked(r)
	f.movedLocked()
}

// wakeLocked tells a waiting reader to look again.
func (r *Reader) wakeLocked() {
	if !r.waiting {
		return
	}
	r.waiting = false
	select {
	case r.wake <- struct{}{}:
	default:
	}
}
