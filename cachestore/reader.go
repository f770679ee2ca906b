package cachestore

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/valyala/bytebufferpool"
)

// Reader follows a fill. It belongs to one goroutine.
type Reader struct {
	f    *Fill
	wake chan struct{} // one token: look again; nil until it waits

	// Guarded by the fill's mutex.
	pos     int64    // bytes before it were consumed
	out     int64    // bytes of the view that Next returned last
	lent    *segment // that view's segment; nil when the bytes are the reader's
	err     error    // why it was dropped
	waiting bool
	index   int // its place in the fill's list
	closed  bool

	buffer *bytebufferpool.ByteBuffer // for chunks that are read back; only while it is behind
}

// Join follows the fill from its first byte. It gives ErrGone once that byte is
// gone, or the fill was aborted.
func (f *Fill) Join() (*Reader, error) { return f.JoinAt(0) }

// JoinAt follows the fill from offset off, which may be still to come. It gives
// ErrGone when that byte is gone or the fill was aborted.
func (f *Fill) JoinAt(off int64) (*Reader, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.state == aborted || off < f.held.first(f.written) && (!f.spill.covers() || f.spill.until > 0) {
		return nil, ErrGone
	}
	r := &f.lead
	if r.f != nil {
		r = new(Reader)
	}
	*r = Reader{f: f, pos: off, index: len(f.readers)}
	f.readers = append(f.readers, r)
	return r, nil
}

// Next returns the next bytes as soon as there are any: a view that is valid
// until the next call of Next, Skip or Close. It ends with io.EOF at the clean end,
// ErrSlow when the reader fell too far behind, the fill's error when that was
// aborted, the error of a Spiller that cannot give the bytes back, or the
// context's.
func (r *Reader) Next(ctx context.Context) ([]byte, error) {
	f := r.f
	f.mu.Lock()
	r.consumeLocked()
	if f.spill.until > 0 && f.state != aborted {
		f.dropSlowLocked() // it may have come to where the window has moved on
	}
	if f.passedLocked() {
		f.mu.Unlock()
		f.letGo()
		f.mu.Lock()
	}
	for {
		if i, n := r.behindLocked(); n > 0 {
			f.spill.reading++
			from := f.spill.from
			f.mu.Unlock()
			return r.fetch(ctx, from, i, n)
		}
		p, err := r.lookLocked()
		if p != nil || err != nil {
			f.mu.Unlock()
			return p, err
		}
		r.waiting = true
		if r.wake == nil {
			r.wake = make(chan struct{}, 1)
		}
		f.mu.Unlock()
		select {
		case <-r.wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		f.mu.Lock()
	}
}

// behindLocked says which chunk must be read back for the next byte, and how many
// bytes that chunk has; none when the byte is held, or not to be had.
func (r *Reader) behindLocked() (i int, n int64) {
	f := r.f
	next, first := r.pos+r.out, f.held.first(f.written)
	if f.spill.until > 0 {
		first = min(first, f.spill.until)
	}
	if r.closed || r.err != nil || f.state == aborted || next >= min(first, f.visible) || !f.spill.covers() {
		return 0, 0
	}
	at := next - next%ChunkSize
	return int(at / ChunkSize), min(ChunkSize, first-at)
}

// fetch reads chunk i of n bytes back and returns what may be seen of it.
func (r *Reader) fetch(ctx context.Context, from Spiller, i int, n int64) ([]byte, error) {
	if r.buffer == nil {
		r.f.config.Account.Force(chunkBufferBytes)
		r.buffer = takeChunkBuffer()
	}
	p, err := from.Read(ctx, i, r.buffer.B)
	if err == nil && int64(len(p)) != n {
		err = fmt.Errorf("%w: %d bytes of %d were read back", ErrChunkGone, len(p), n)
	}
	f := r.f
	defer f.letGo()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.spill.reading--
	switch {
	case f.state == aborted:
		err = f.err
	case r.err != nil:
		err = r.err
	}
	if err != nil {
		r.returnBuffer()
		return nil, err
	}
	at := int64(i) * ChunkSize
	p = p[r.pos-at : min(n, f.visible-at)]
	r.out = int64(len(p))
	return p[:len(p):len(p)], nil
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
		r.returnBuffer()
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

// Skip goes on at offset off, which may be still to come. It gives the last view
// back, and nobody reads what lies between. There is no way back.
func (r *Reader) Skip(off int64) {
	r.f.mu.Lock()
	defer r.f.mu.Unlock()
	r.consumeLocked()
	if off > r.pos {
		r.pos = off
		r.f.movedLocked()
	}
}

// consumeLocked gives the last view back.
func (r *Reader) consumeLocked() {
	if r.out == 0 {
		return
	}
	if r.lent != nil {
		r.lent.lent--
		r.lent = nil
	}
	r.pos += r.out
	r.out = 0
	r.f.movedLocked()
}

// returnBuffer gives the buffer back once no view of it is out.
func (r *Reader) returnBuffer() {
	if r.buffer != nil {
		chunkBuffers.Put(r.buffer)
		r.f.config.Account.Release(chunkBufferBytes)
		r.buffer = nil
	}
}

// Ready says whether Next would answer at once. What must be read back may have
// to wait for the disk.
func (r *Reader) Ready() bool {
	r.f.mu.Lock()
	defer r.f.mu.Unlock()
	if _, n := r.behindLocked(); n > 0 {
		return false
	}
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
	if r.closed {
		f.mu.Unlock()
		return
	}
	r.consumeLocked()
	r.closed = true
	r.returnBuffer()
	f.leaveLocked(r)
	f.movedLocked()
	f.mu.Unlock()
	f.letGo()
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
