package cachestore_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"edgecache/cachestore"
	"edgecache/cachestore/storetest"
)

const chunk = cachestore.ChunkSize

// disk is a Spiller by script, which watches that its own contract is kept.
type disk struct {
	account cachestore.Account
	small   int64             // bodies up to so many bytes stay in memory
	queue   int               // chunks that stay in memory behind the last
	limit   int64             // bytes that it takes; 0 = all
	lazy    bool              // a commit leaves in memory what is there
	onChunk func()            // before a chunk is taken
	onEnd   func() error      // before a commit
	onRead  func(i int) error // before a chunk is read back

	mu       sync.Mutex
	inside   string         // what its one goroutine calls
	stored   map[int][]byte // copies of what was handed over
	waiting  [][]byte       // what it holds in memory, the last ones
	size     int64
	spilled  int64
	reading  int
	body     *cachestore.Body // of the commit
	aborts   int
	released int
	wrong    []string
}

var _ cachestore.Spiller = (*disk)(nil)

// enter says that its goroutine calls it, and returns what says that it left.
func (d *disk) enter(call string) (leave func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.inside != "" {
		d.blameLocked("%s during %s", call, d.inside)
	}
	if d.released > 0 || d.aborts > 0 || d.body != nil && call != "Spilled" && call != "Abort" {
		d.blameLocked("%s when it was ended", call)
	}
	d.inside = call
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.inside = ""
	}
}

func (d *disk) blameLocked(format string, args ...any) {
	d.wrong = append(d.wrong, fmt.Sprintf(format, args...))
}

// Chunk takes a chunk, and spills those that came before the queue.
func (d *disk) Chunk(p []byte) error {
	defer d.enter("Chunk")()
	if len(p) == 0 {
		return nil
	}
	if d.onChunk != nil {
		d.onChunk()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.limit > 0 && d.size+int64(len(p)) > d.limit {
		return cachestore.ErrTooLarge
	}
	if d.stored == nil {
		d.stored = map[int][]byte{}
	}
	d.stored[len(d.stored)] = slices.Clone(p)
	d.account.Force(int64(cap(p)))
	d.waiting = append(d.waiting, p)
	if d.size += int64(len(p)); d.size > d.small {
		d.spillLocked(d.queue)
	}
	return nil
}

// spillLocked lets all but the last few chunks leave memory.
func (d *disk) spillLocked(queue int) {
	for len(d.waiting) > queue {
		p := d.waiting[0]
		d.waiting = slices.Delete(d.waiting, 0, 1)
		d.spilled += int64(len(p))
		d.account.Release(int64(cap(p)))
	}
}

func (d *disk) Spilled() int64 {
	defer d.enter("Spilled")()
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.spilled
}

func (d *disk) Read(ctx context.Context, i int, dst []byte) ([]byte, error) {
	d.mu.Lock()
	d.reading++
	switch {
	case d.released > 0:
		d.blameLocked("Read of chunk %d after Release", i)
	case int64(i)*chunk >= d.spilled:
		d.blameLocked("Read of chunk %d, %d bytes are spilled", i, d.spilled)
	case len(dst) < chunk:
		d.blameLocked("Read into %d bytes", len(dst))
	}
	d.mu.Unlock()
	err := ctx.Err()
	if err == nil && d.onRead != nil {
		err = d.onRead(i)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reading--
	if err != nil {
		return nil, err
	}
	if d.aborts > 0 {
		return nil, cachestore.ErrChunkGone
	}
	return dst[:copy(dst, d.stored[i])], nil
}

func (d *disk) Commit(v *cachestore.Variant) error {
	defer d.enter("Commit")()
	if d.onEnd != nil {
		if err := d.onEnd(); err != nil {
			return err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if v.Body.Size != d.size || v.Body.InMemory() != (d.spilled == 0) {
		d.blameLocked("commit of %d bytes, in memory %v; %d came, %d spilled", v.Body.Size, v.Body.InMemory(), d.size, d.spilled)
	}
	d.body = v.Body
	if !d.lazy {
		d.spillLocked(0)
	}
	for _, p := range d.waiting {
		d.account.Release(int64(cap(p)))
	}
	d.waiting = nil
	return nil
}

func (d *disk) Abort() {
	defer d.enter("Abort")()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.body != nil {
		return
	}
	d.aborts++
	for _, p := range d.waiting {
		d.account.Release(int64(cap(p)))
	}
	d.waiting = nil
}

func (d *disk) Release() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.reading > 0 || d.inside != "" || d.body == nil && d.aborts == 0 {
		d.blameLocked("Release with %d inside Read, during %q, committed %v", d.reading, d.inside, d.body != nil)
	}
	d.released++
}

// state is what became of it so far.
func (d *disk) state() (stored bool, aborts, released int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.body != nil, d.aborts, d.released
}

// faults is what was done to it that must not be.
func (d *disk) faults() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.wrong
}

// is checks what became of it.
func (d *disk) is(t *testing.T, stored bool, aborts, released int) {
	t.Helper()
	s, a, r := d.state()
	if s != stored || a != aborts || r != released {
		t.Errorf("stored %v, aborted %d times, released %d times, want %v, %d, %d", s, a, r, stored, aborts, released)
	}
	for _, f := range d.faults() {
		t.Error(f)
	}
}

// spilling is a fill of n bytes on its way to a disk.
type spilling struct {
	*cachestore.Fill
	disk    *disk
	account *tally
	content []byte
}

// spillTo makes a fill that d keeps, of n bytes that are announced or not, and
// maybe with a limit.
func spillTo(d *disk, n int, announced bool, limit ...int64) *spilling {
	s := &spilling{disk: d, account: &tally{}, content: storetest.Content(n, n)}
	d.account = s.account
	c := cachestore.FillConfig{Length: -1, Ahead: 4 * chunk, Account: s.account}
	if announced {
		c.Length = int64(n)
	}
	if limit != nil {
		c.Limit = limit[0]
	}
	s.Fill = cachestore.NewFill(c)
	s.Keep(d)
	return s
}

// come writes the bytes up to offset to, and asks for more as a fetch does.
func (s *spilling) come(t *testing.T, to int) {
	t.Helper()
	write(t, s.Fill, s.content[s.Written():to])
	if _, err := s.Space(ctx); err != nil {
		t.Fatalf("space at %d: %v", to, err)
	}
}

// end finishes and commits.
func (s *spilling) end(t *testing.T) {
	t.Helper()
	if _, err := s.Finish(nil); err != nil {
		t.Fatalf("finish: %v", err)
	}
	if err := s.Commit(&cachestore.Variant{}); err != nil {
		t.Fatalf("commit: %v", err)
	}
}

// holds checks how many bytes are accounted now.
func (s *spilling) holds(t *testing.T, want int64) {
	t.Helper()
	if held, _ := s.account.now(); held != want {
		t.Errorf("%d bytes are accounted, want %d", held, want)
	}
}
