package cachestore_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"edgecache/cachestore"
)

// TestSpillModel lets random readers, faults and ends loose on fills that spill,
// in a bubble: a lost wake-up is a deadlock there. Whatever happens, no reader
// sees a byte that is not the body's, only those break that may, the Writer is
// ended once and released once, by the last, and no byte stays accounted.
func TestSpillModel(t *testing.T) {
	runs := 400
	if testing.Short() {
		runs = 150
	}
	ends := map[string]int{}
	for seed := range runs {
		synctest.Test(t, func(t *testing.T) {
			m := newSpillModel(t, seed)
			m.run()
			m.check()
			ends[m.ending]++
			for _, more := range []struct {
				name string
				n    int
			}{{"reader at a fault", m.faulted}, {"slow reader", m.slow}, {"clean end", m.clean}, {"read back", m.reads}} {
				if more.n > 0 {
					ends[more.name]++
				}
			}
		})
	}
	for _, what := range []string{"stored", "discarded", "failed", "refused", "aborted", "reader at a fault", "slow reader", "clean end", "read back"} {
		if ends[what] == 0 {
			t.Errorf("no run of %d had: %s", runs, what)
		}
	}
	t.Logf("%v", ends)
}

// spillModel is one run.
type spillModel struct {
	*spilling
	t       *testing.T
	seed    int
	random  *rand.Rand
	fault   int    // the chunk that cannot be read back; -1 none
	end     string // what the fetch does with a whole body
	ending  string // what became of it
	readers sync.WaitGroup
	follows int // readers that were started

	mu                          sync.Mutex
	faulted, slow, clean, reads int
}

var errFault = errors.New("fault")

func newSpillModel(t *testing.T, seed int) *spillModel {
	random := rand.New(rand.NewPCG(uint64(seed), 9))
	m := &spillModel{t: t, seed: seed, random: random, fault: -1}
	size := 1 + random.IntN(9*chunk)
	if random.IntN(4) == 0 {
		size = (1 + random.IntN(8)) * chunk
	}
	pauses := [3]time.Duration{m.pause(3), m.pause(3), m.pause(3)}
	d := &disk{queue: random.IntN(4), lazy: random.IntN(2) == 0}
	if random.IntN(3) == 0 {
		d.small = int64(random.IntN(size + 1))
	}
	if random.IntN(3) == 0 {
		d.limit = int64(1 + random.IntN(size))
	}
	if random.IntN(5) == 0 {
		m.fault = random.IntN(4)
	}
	m.end = []string{"stored", "stored", "discarded", "failed"}[random.IntN(4)]
	d.onChunk = func() { time.Sleep(pauses[0]) }
	d.onEnd = func() error {
		time.Sleep(pauses[1])
		if m.end == "failed" {
			return errFault
		}
		return nil
	}
	d.onRead = func(i int) error {
		time.Sleep(pauses[2])
		m.count(&m.reads)
		if i == m.fault {
			return cachestore.ErrChunkGone
		}
		return nil
	}
	m.spilling = spillTo(d, size, random.IntN(2) == 0)
	return m
}

// pause is 0 most often, at most n ms.
func (m *spillModel) pause(n int) time.Duration {
	return time.Duration(max(0, m.random.IntN(2*n)-n)) * time.Millisecond
}

func (m *spillModel) run() {
	for range m.random.IntN(7) {
		m.follow()
	}
	if m.random.IntN(4) == 0 {
		after := time.Duration(m.random.IntN(40_000)) * time.Microsecond
		m.readers.Go(func() {
			time.Sleep(after)
			m.Abort(errBroken)
		})
	}
	m.ending = m.write()
	m.readers.Wait()
}

// write is the fetch: it returns what became of the body.
func (m *spillModel) write() string {
	pause := m.pause(4)
	for rest := m.content; len(rest) > 0; {
		n := min(len(rest), 1+m.random.IntN(100_000))
		if err := m.Write(ctx, rest[:n]); err != nil {
			m.Abort(err)
			return "aborted"
		}
		rest = rest[n:]
		time.Sleep(pause)
	}
	if _, err := m.Finish(nil); err != nil {
		return "aborted"
	}
	time.Sleep(pause)
	if kept, _ := m.Kept(); kept && m.end == "discarded" {
		m.Discard()
		return "discarded"
	}
	switch err := m.Commit(&cachestore.Variant{}); {
	case err == nil:
		return "stored"
	case errors.Is(err, errFault):
		return "failed"
	case errors.Is(err, errBroken):
		return "aborted"
	case errors.Is(err, cachestore.ErrTooLarge):
		return "refused"
	default:
		return err.Error()
	}
}

// follow starts a reader, at once or later, from anywhere, that may leave early.
func (m *spillModel) follow() {
	after, pause := time.Duration(0), m.pause(30)
	if m.random.IntN(2) == 0 {
		after = time.Duration(m.random.IntN(60)) * time.Millisecond
	}
	off, leave := 0, len(m.content)+1
	if m.random.IntN(3) == 0 {
		off = m.random.IntN(len(m.content) + 10)
	}
	if m.random.IntN(4) == 0 {
		leave = m.random.IntN(len(m.content))
	}
	m.follows++
	m.readers.Go(func() {
		time.Sleep(after)
		first := off
		if leave%2 == 0 {
			first = off / 2
		}
		r, err := m.JoinAt(int64(first))
		if err != nil {
			return
		}
		defer r.Close()
		r.Skip(int64(off))
		m.read(r, off, leave, pause)
	})
}

func (m *spillModel) read(r *cachestore.Reader, off, leave int, pause time.Duration) {
	for off < leave {
		p, err := r.Next(ctx)
		switch {
		case err == io.EOF:
			if off < len(m.content) {
				m.t.Errorf("seed %d: the clean end at %d of %d", m.seed, off, len(m.content))
			}
			m.count(&m.clean)
			return
		case errors.Is(err, cachestore.ErrChunkGone):
			if off/chunk != m.fault {
				m.t.Errorf("seed %d: chunk %d is gone, the fault is in %d", m.seed, off/chunk, m.fault)
			}
			m.count(&m.faulted)
			return
		case errors.Is(err, cachestore.ErrSlow):
			if m.disk.limit == 0 {
				m.t.Errorf("seed %d: slow at %d, nobody refused", m.seed, off)
			}
			m.count(&m.slow)
			return
		case err != nil:
			return
		}
		time.Sleep(pause)
		if off+len(p) > len(m.content) || !bytes.Equal(p, m.content[off:off+len(p)]) {
			m.t.Errorf("seed %d: wrong bytes at %d", m.seed, off)
			return
		}
		off += len(p)
	}
}

func (m *spillModel) count(n *int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	*n++
}

func (m *spillModel) check() {
	stored, aborts, released := m.disk.state()
	if released != 1 || aborts > 1 || stored == (aborts == 1) {
		m.t.Errorf("seed %d, %s: stored %v, aborted %d times, released %d times", m.seed, m.ending, stored, aborts, released)
	}
	if m.ending == "stored" && !stored {
		m.t.Errorf("seed %d: not stored", m.seed)
	}
	if stored {
		var all []byte
		for i := range len(m.disk.stored) {
			all = append(all, m.disk.stored[i]...)
		}
		if !bytes.Equal(all, m.content) {
			m.t.Errorf("seed %d: stored %d bytes of %d", m.seed, len(all), len(m.content))
		}
	}
	for _, f := range m.disk.faults() {
		m.t.Errorf("seed %d, %s: %s", m.seed, m.ending, f)
	}
	held, most := m.account.now()
	if held != 0 {
		m.t.Errorf("seed %d: %d bytes stay accounted, ended as %s", m.seed, held, m.ending)
	}
	// The queue or all of a small body, one that is handed over, one that grows,
	// and one for each reader that is behind. A window has its own bound, from a
	// refusal on.
	bound := int64(max(m.disk.queue, int(m.disk.small/chunk)+1)+2+m.follows) * 65536
	if m.disk.limit == 0 && most > bound {
		m.t.Errorf("seed %d: %d bytes were accounted, the bound is %d", m.seed, most, bound)
	}
	if n := m.account.dropped[cachestore.DropSlowReader]; n < m.slow {
		m.t.Errorf("seed %d: %d slow readers counted, %d were", m.seed, n, m.slow)
	}
}
