package cachestore_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"edgecache/cachestore"
	"edgecache/cachestore/storetest"
)

// TestFillModel lets random writers and readers loose on fills, in a bubble: a
// lost wake-up is a deadlock there, which the bubble reports. Whatever happens,
// no reader sees a byte that is not the body's, whoever sees the clean end has
// seen all of it, the window stays within its bound, and no byte stays accounted.
func TestFillModel(t *testing.T) {
	runs := 300
	if testing.Short() {
		runs = 50
	}
	ends := map[string]int{}
	for seed := range runs {
		synctest.Test(t, func(t *testing.T) {
			m := newFillModel(seed)
			m.run(t)
			m.check(t)
			ends[m.ending()]++
		})
	}
	for _, ending := range []string{"stored", "streamed", "aborted", "refused"} {
		if ends[ending] == 0 {
			t.Errorf("no run of %d was %s: %v", runs, ending, ends)
		}
	}
	t.Logf("endings: %v", ends)
}

// fillModel is one run: a body, its fill, and what became of it.
type fillModel struct {
	seed    int
	random  *rand.Rand
	content []byte
	ahead   int64
	account *tally
	fill    *cachestore.Fill
	store   *recorder // nil: not kept
	err     error     // of the writer
	readers sync.WaitGroup
	mu      sync.Mutex
	slow    int
	clean   int
}

var errBroken = errors.New("broken")

// recorder is a Writer that takes up to limit bytes, slowly.
type recorder struct {
	delay   time.Duration
	limit   int
	chunks  [][]byte // as they were handed over: nobody may change them
	content []byte   // the same, copied
	stored  []byte
	aborts  int
}

func (w *recorder) Chunk(p []byte) error {
	time.Sleep(w.delay)
	if len(w.content)+len(p) > w.limit {
		return cachestore.ErrTooLarge
	}
	w.chunks = append(w.chunks, p)
	w.content = append(w.content, p...)
	return nil
}

func (w *recorder) Commit(v *cachestore.Variant) error {
	time.Sleep(w.delay)
	w.stored = w.content
	return nil
}

func (w *recorder) Abort() {
	if w.stored == nil {
		w.aborts++
	}
}

func newFillModel(seed int) *fillModel {
	random := rand.New(rand.NewPCG(uint64(seed), 4))
	m := &fillModel{
		seed: seed, random: random, account: &tally{},
		content: storetest.Content(seed, 1+random.IntN(600_000)),
		ahead:   int64(1 + random.IntN(200_000)),
	}
	if random.IntN(4) == 0 {
		m.account.room = int64(1 + random.IntN(200_000))
	}
	c := cachestore.FillConfig{Length: -1, Ahead: m.ahead, Account: m.account}
	if random.IntN(2) == 0 {
		c.Length = int64(len(m.content))
	}
	m.fill = cachestore.NewFill(c)
	if random.IntN(3) > 0 {
		m.store = &recorder{delay: m.pause(2), limit: 1 << 30}
		if random.IntN(2) == 0 {
			m.store.limit = random.IntN(len(m.content) + 1)
		}
		m.fill.Keep(m.store)
	}
	return m
}

// pause is 0 most often, at most n ms.
func (m *fillModel) pause(n int) time.Duration {
	if m.random.IntN(2) == 0 {
		return 0
	}
	return time.Duration(m.random.IntN(n)) * time.Millisecond
}

func (m *fillModel) run(t *testing.T) {
	for range 1 + m.random.IntN(6) {
		m.join(t, 0)
	}
	for range m.random.IntN(4) {
		m.join(t, 1+m.random.IntN(100))
	}
	if m.random.IntN(4) == 0 {
		after := time.Duration(m.random.IntN(100)) * time.Millisecond
		m.readers.Go(func() {
			time.Sleep(after)
			m.fill.Abort(errBroken)
		})
	}
	m.err = m.write()
	m.readers.Wait()
}

func (m *fillModel) write() error {
	rest := m.content
	for len(rest) > 0 {
		n := min(len(rest), 1+m.random.IntN(100_000))
		if err := m.fill.Write(ctx, rest[:n]); err != nil {
			m.fill.Abort(err)
			return err
		}
		rest = rest[n:]
		time.Sleep(m.pause(5))
	}
	if _, err := m.fill.Finish(nil); err != nil {
		return err
	}
	time.Sleep(m.pause(5))
	err := m.fill.Commit(&cachestore.Variant{})
	if kept, _ := m.fill.Kept(); kept {
		m.fill.Discard()
	}
	return err
}

// join starts a reader after ms.
func (m *fillModel) join(t *testing.T, ms int) {
	delay, leave := m.pause(8), -1
	off := 0
	if m.random.IntN(3) == 0 {
		leave = m.random.IntN(len(m.content))
	}
	if m.random.IntN(4) == 0 {
		off = m.random.IntN(len(m.content) + 10)
	}
	start := func() (*cachestore.Reader, error) { return m.fill.JoinAt(int64(off)) }
	var r *cachestore.Reader
	if ms == 0 {
		r, _ = start()
	}
	m.readers.Go(func() {
		time.Sleep(time.Duration(ms) * time.Millisecond)
		if r == nil {
			var err error
			if r, err = start(); err != nil {
				return
			}
		}
		defer r.Close()
		m.read(t, r, off, leave, delay)
	})
}

func (m *fillModel) read(t *testing.T, r *cachestore.Reader, off, leave int, delay time.Duration) {
	for leave < 0 || off < leave {
		p, err := r.Next(ctx)
		switch {
		case err == io.EOF:
			if off < len(m.content) {
				t.Errorf("seed %d: the clean end at %d of %d", m.seed, off, len(m.content))
			}
			m.count(&m.clean)
			return
		case errors.Is(err, cachestore.ErrSlow):
			m.count(&m.slow)
			return
		case err != nil:
			return
		}
		time.Sleep(delay)
		if off+len(p) > len(m.content) || !bytes.Equal(p, m.content[off:off+len(p)]) {
			t.Errorf("seed %d: wrong bytes at %d", m.seed, off)
			return
		}
		off += len(p)
	}
}

func (m *fillModel) count(n *int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	*n++
}

func (m *fillModel) ending() string {
	switch {
	case m.store != nil && m.store.stored != nil:
		return "stored"
	case m.store != nil && m.err != nil && errors.Is(m.err, cachestore.ErrTooLarge):
		return "refused"
	case errors.Is(m.err, errBroken):
		return "aborted"
	case errors.Is(m.err, cachestore.ErrNoReaders):
		return "left alone"
	}
	return "streamed"
}

func (m *fillModel) check(t *testing.T) {
	if m.store != nil {
		if !bytes.Equal(bytes.Join(m.store.chunks, nil), m.store.content) {
			t.Errorf("seed %d: chunks changed after they were handed over", m.seed)
		}
		if m.store.stored != nil && !bytes.Equal(m.store.stored, m.content) {
			t.Errorf("seed %d: stored %d bytes, not the content", m.seed, len(m.store.stored))
		}
		if stored := m.store.stored != nil; stored == (m.store.aborts > 0) || m.store.aborts > 1 {
			t.Errorf("seed %d: stored %v, aborted %d times", m.seed, stored, m.store.aborts)
		}
	}
	if m.err == nil && m.fill.Written() != int64(len(m.content)) {
		t.Errorf("seed %d: %d bytes came of %d", m.seed, m.fill.Written(), len(m.content))
	}
	if got := m.account.dropped[cachestore.DropSlowReader]; got < m.slow {
		t.Errorf("seed %d: %d slow readers counted, %d were", m.seed, got, m.slow)
	}
	held, most := m.account.now()
	if held != 0 {
		t.Errorf("seed %d: %d bytes stay accounted, ended as %s", m.seed, held, m.ending())
	}
	// A chunk on either end, the spare, and one in growth.
	if bound := m.ahead + 4*65536; m.store == nil && most > bound {
		t.Errorf("seed %d: held %d bytes, the bound is %d", m.seed, most, bound)
	}
}

// TestFillManyReadersAtOnce is the same for the race detector: real time, real
// parallelism.
func TestFillManyReadersAtOnce(t *testing.T) {
	content := storetest.Content(1, 2_000_000)
	m := openMemory(t, 32<<20)
	f := cachestore.NewFill(cachestore.FillConfig{Length: -1, Account: m.Account()})
	f.Keep(m.Begin(storetest.Key(1), cachestore.Meta{Length: -1}))
	var all sync.WaitGroup
	for range 50 {
		r := join(t, f)
		all.Go(func() {
			if got, err := readAll(r); err != nil || !bytes.Equal(got, content) {
				t.Errorf("read %d bytes, %v", len(got), err)
			}
		})
	}
	write(t, f, content)
	if _, err := f.Finish(nil); err != nil {
		t.Fatal(err)
	}
	if err := f.Commit(storetest.Variant("")); err != nil {
		t.Fatal(err)
	}
	all.Wait()
}

// TestFillAbortWhileItsWriterWorks aborts from another goroutine in the middle
// of a call of the store's writer, which must then be aborted once.
func TestFillAbortWhileItsWriterWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &recorder{delay: time.Second, limit: 1 << 30}
		account := &tally{}
		f := cachestore.NewFill(cachestore.FillConfig{Length: -1, Account: account})
		f.Keep(w)
		result := make(chan error, 1)
		go func() { result <- f.Write(context.Background(), make([]byte, 2*cachestore.ChunkSize)) }()
		time.Sleep(500 * time.Millisecond) // inside the first chunk
		f.Abort(errBroken)
		if err := <-result; !errors.Is(err, errBroken) {
			t.Errorf("write: %v, want broken", err)
		}
		if held, _ := account.now(); w.aborts != 1 || held != 0 {
			t.Errorf("aborted %d times, %d bytes held", w.aborts, held)
		}
	})
}
