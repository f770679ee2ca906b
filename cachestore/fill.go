package cachestore

import (
	"context"
	"net/http"
	"sync"
)

// FillConfig says how far a fill may go. A zero is its default.
type FillConfig struct {
	// Ahead is how many bytes a body that is not kept may run ahead of its
	// fastest reader, and how far a reader may fall behind; 8 MiB.
	Ahead int64
	// Limit is the largest body in bytes that is kept; over it the body only
	// streams by. 20 GiB.
	Limit int64
	// Length is the announced length in bytes; 0 or -1 when it is unknown, as
	// it is before the head: Expect may follow.
	Length int64
	// Account counts what the fill holds; nil counts nothing.
	Account Account
}

const (
	defaultAhead = 8 << 20
	defaultLimit = 20 << 30

	firstSegment = 4 << 10  // bytes, of a body of unknown length
	tightAhead   = 16 << 10 // bytes ahead while the account has no room
	tightSegment = 4 << 10  // bytes a segment then
)

// fillState is how far a fill has come.
type fillState uint8

const (
	filling  fillState = iota
	finished           // whole, but a kept one is not yet committed: readers wait for the end
	ended              // readers see the end
	aborted
)

// Fill is a body while it arrives: one writer, any number of readers, each
// woken at once. A kept fill hands its chunks to a store's Writer and holds all
// of them but those that a Spiller gives back; any other is a window that its
// fastest reader draws along.
//
// The writer's methods (Keep, Space, Advance, Write, Finish, Commit, Discard)
// are called from one goroutine, all others from any.
type Fill struct {
	config FillConfig
	room   chan struct{} // tells the waiting writer to look again; one token; nil until it waits
	probe  [1]byte       // where a byte behind the announced end goes

	mu      sync.Mutex
	held    strip     // the bytes that are still there
	written int64     // bytes that came
	visible int64     // of them: what readers may see
	state   fillState // only grows
	err     error     // why it was aborted
	writer  Writer    // nil when not kept
	busy    bool      // the writer's goroutine is inside it
	spill   spill     // how the writer gives back what is not held
	why     error     // why the fill is not kept
	tight   bool      // the account had no room for a window's last segment
	readers []*Reader
	first   [1]*Reader // where most have room
	lead    Reader     // the first one
	waiting bool       // the writer waits for its readers
	body    *Body
	trailer http.Header
}

// NewFill makes a fill that is not kept.
func NewFill(c FillConfig) *Fill {
	f := new(Fill)
	f.Prepare(c)
	return f
}

// Prepare makes the zero Fill what NewFill gives, for who has it within something else.
func (f *Fill) Prepare(c FillConfig) {
	if c.Ahead == 0 {
		c.Ahead = defaultAhead
	}
	if c.Limit == 0 {
		c.Limit = defaultLimit
	}
	if c.Length == 0 {
		c.Length = -1
	}
	if c.Account == nil {
		c.Account = uncounted{}
	}
	f.config, f.why, f.held.account = c, ErrNotKept, c.Account
	f.readers = f.first[:0]
}

// uncounted is the Account of a fill without one.
type uncounted struct{}

func (uncounted) Reserve(int64) bool { return true }
func (uncounted) Force(int64)        {}
func (uncounted) Release(int64)      {}
func (uncounted) Dropped(Drop)       {}

// Expect says how long the body was announced to be, in bytes: 0 is an empty
// one, -1 unknown. It is called before the first byte.
func (f *Fill) Expect(length int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.config.Length = length
}

// Keep makes the fill hand its chunks to w as they get full. It is called
// before the first byte. When w refuses, the fill goes on as a window and Kept
// says why. The fill ends w in any case.
func (f *Fill) Keep(w Writer) {
	f.mu.Lock()
	f.writer, f.why = w, nil
	f.spill.from, _ = w.(Spiller)
	f.mu.Unlock()
	f.ask(func(w Writer) error { return w.Chunk(nil) }, func() {})
}

// Kept says whether the fill can still be committed, and if not, why.
func (f *Fill) Kept() (kept bool, why error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.writer != nil && f.state != aborted, f.why
}

// Written is how many bytes came so far.
func (f *Fill) Written() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.written
}

// Readers is how many readers follow.
func (f *Fill) Readers() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.readers)
}

// Space returns where the next bytes go; Advance says how many came. It waits
// while a body that is not kept is Ahead of its fastest reader, and aborts the
// fill with ErrNoReaders when there is none.
func (f *Fill) Space(ctx context.Context) ([]byte, error) {
	for {
		f.handFull()
		p, more, err := f.look()
		switch {
		case p != nil || err != nil:
			return p, err
		case more > 0:
			f.grow(more)
			continue
		}
		select {
		case <-f.room:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// look says what the writer may do: fill p, add a segment of more bytes, end, or
// wait when all are nothing.
func (f *Fill) look() (p []byte, more int64, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.state == aborted:
		return nil, 0, f.err
	case f.state != filling:
		return nil, 0, ErrWriterDone
	case f.written == f.config.Length:
		return f.probe[:], 0, nil
	}
	ahead := f.config.Ahead
	if f.writer == nil {
		if len(f.readers) == 0 {
			f.abortLocked(ErrNoReaders)
			return nil, 0, ErrNoReaders
		}
		if ahead = f.pullLocked(); ahead <= 0 {
			f.waiting = true
			if f.room == nil {
				f.room = make(chan struct{}, 1)
			}
			return nil, 0, nil
		}
	}
	p = f.held.free(f.written)
	if len(p) == 0 {
		return nil, f.nextLocked(), nil
	}
	if f.writer == nil && int64(len(p)) > ahead {
		p = p[:ahead]
	}
	return p, 0, nil
}

// pullLocked moves the window as far as its readers allow, and returns how many
// bytes may come.
func (f *Fill) pullLocked() (ahead int64) {
	ahead = f.config.Ahead
	if f.tight {
		ahead = min(ahead, tightAhead)
	}
	fastest, slowest := int64(0), f.written
	for _, r := range f.readers {
		fastest = max(fastest, min(r.pos, f.written))
		slowest = min(slowest, r.pos)
	}
	off := min(f.written-ahead, fastest)
	if f.held.first(f.written) > 0 {
		off = max(off, slowest) // nobody can join any more who would need it
	}
	f.held.drop(off)
	f.dropSlowLocked()
	return ahead - (f.written - fastest)
}

// dropSlowLocked gives up the readers whose next byte is gone.
func (f *Fill) dropSlowLocked() {
	first := f.held.first(f.written)
	for i := len(f.readers) - 1; i >= 0; i-- {
		if r := f.readers[i]; r.pos+r.out < first && !f.backLocked(r.pos+r.out) {
			f.config.Account.Dropped(DropSlowReader)
			r.err = ErrSlow
			f.leaveLocked(r)
			r.wakeLocked()
		}
	}
}

// nextLocked is how large the next segment is: it ends on the grid, or at the
// announced end; where none is announced it begins small.
func (f *Fill) nextLocked() int64 {
	n := ChunkSize - f.written%ChunkSize
	switch {
	case f.config.Length >= 0:
		return min(n, f.config.Length-f.written)
	case f.written == 0:
		return firstSegment
	case f.written < ChunkSize && f.writer != nil:
		return min(4*f.written, ChunkSize) // the first one, enlarged
	}
	return n
}

// grow adds n bytes of room at the end. When the account has none, a kept fill
// becomes a window, and a window gets tight.
func (f *Fill) grow(n int64) {
	buf := f.takeSpare(n)
	if buf == nil && f.config.Account.Reserve(rounded(n)) {
		buf = make([]byte, n)
	}
	f.mu.Lock()
	if buf == nil && f.writer != nil {
		f.mu.Unlock()
		f.config.Account.Dropped(DropNoRoom)
		f.stopKeeping(ErrNoRoom)
		return
	}
	wasTight := f.tight
	f.tight = buf == nil
	f.mu.Unlock()
	if buf == nil {
		if !wasTight {
			return // look again, with the narrow window
		}
		buf = make([]byte, min(n, tightSegment))
		f.config.Account.Force(rounded(int64(len(buf))))
	}
	f.put(buf)
}

func (f *Fill) takeSpare(n int64) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.held.spare
	if p == nil || n != ChunkSize {
		return nil
	}
	f.held.spare = nil
	return p
}

// put adds a counted buffer. The first chunk of a kept body stays in one piece.
func (f *Fill) put(buf []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.state == aborted:
		f.config.Account.Release(rounded(int64(cap(buf))))
	case f.writer != nil && f.written > 0 && f.written < ChunkSize:
		f.held.enlarge(buf, f.written)
	default:
		f.held.add(f.written, buf)
	}
}

// Advance says that n bytes came into what Space returned last. A body that is
// longer than announced aborts the fill, one over the limit is not kept.
func (f *Fill) Advance(n int) {
	f.mu.Lock()
	if n == 0 || f.state != filling {
		f.mu.Unlock()
		return
	}
	f.written += int64(n)
	if f.config.Length >= 0 && f.written > f.config.Length {
		f.mu.Unlock()
		f.Abort(ErrLength)
		return
	}
	f.showLocked()
	over := f.writer != nil && f.written > f.config.Limit
	f.mu.Unlock()
	if over {
		f.config.Account.Dropped(DropTooLarge)
		f.stopKeeping(ErrTooLarge)
	}
}

// Write copies p into the fill; see Space.
func (f *Fill) Write(ctx context.Context, p []byte) error {
	for len(p) > 0 {
		space, err := f.Space(ctx)
		if err != nil {
			return err
		}
		n := copy(space, p)
		f.Advance(n)
		p = p[n:]
	}
	return nil
}

// showLocked lets readers see what came. The bytes that complete a kept body
// are shown only when it is committed: who has seen the whole answer finds it
// stored.
func (f *Fill) showLocked() {
	if f.writer != nil && f.written == f.config.Length && f.state < ended {
		return
	}
	f.visible = f.written
	for _, r := range f.readers {
		if r.pos < f.visible || f.state >= ended {
			r.wakeLocked()
		}
	}
}
