package cachestore_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"
	"weak"

	"edgecache/cachestore"
)

// Readers of any speed get the body, while only what the disk has not yet is in
// memory.
func TestSpillServesReadersOfAnySpeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{queue: 2, onChunk: func() { time.Sleep(time.Millisecond) }}
		s := spillTo(d, 50*chunk+777, false)
		var all sync.WaitGroup
		follow := func(after, pause time.Duration, off int) {
			all.Go(func() {
				time.Sleep(after)
				r, err := s.JoinAt(int64(off))
				if err != nil {
					t.Errorf("join at %d after %v: %v", off, after, err)
					return
				}
				defer r.Close()
				if got, err := readSlowly(r, pause); err != nil || !bytes.Equal(got, s.content[off:]) {
					t.Errorf("from %d, every %v: %d bytes, %v", off, pause, len(got), err)
				}
			})
		}
		follow(0, 0, 0)
		follow(0, 3*time.Millisecond, 0)
		follow(0, time.Second, 0)
		follow(40*time.Millisecond, 0, 0)
		follow(40*time.Millisecond, time.Millisecond, 20*chunk+5)
		follow(40*time.Millisecond, 0, 50*chunk+776)
		follow(time.Second, 10*time.Millisecond, 0)
		s.come(t, len(s.content))
		const readers = 7
		if _, most := s.account.now(); most > (4+readers)*65536 {
			t.Errorf("%d bytes were accounted, want two chunks in the queue, one that is handed over, one that grows, and one a reader", most)
		}
		time.Sleep(2 * time.Second)
		s.end(t)
		if held, _ := s.account.now(); held > readers*65536 {
			t.Errorf("%d bytes are accounted after the end, want at most one chunk a reader", held)
		}
		d.is(t, true, 0, 0)
		all.Wait()
		d.is(t, true, 0, 1)
		s.holds(t, 0)
	})
}

// readSlowly reads to the end, with a pause before each view is given back, which
// must still be the same then.
func readSlowly(r *cachestore.Reader, pause time.Duration) (all []byte, err error) {
	for {
		p, err := r.Next(ctx)
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		before := len(all)
		all = append(all, p...)
		time.Sleep(pause)
		if !bytes.Equal(all[before:], p) {
			return all, errors.New("a view changed while it was lent")
		}
	}
}

// What has spilled is really gone from memory, but for what a reader was lent.
func TestSpillLeavesNothingInMemory(t *testing.T) {
	d := &disk{queue: 3}
	s := spillTo(d, 30*chunk+5, true)
	behind := join(t, s.Fill)
	var chunks []weak.Pointer[byte]
	var lent []byte
	for n := s.Written(); n < 30*chunk; n = s.Written() {
		space, err := s.Space(ctx)
		if err != nil {
			t.Fatal(err)
		}
		chunks = append(chunks, weak.Make(unsafe.SliceData(space)))
		s.Advance(copy(space, s.content[n:]))
		if n == 10*chunk {
			lent, _ = at(t, s.Fill, n).Next(ctx)
		}
	}
	s.come(t, len(s.content))
	if n := alive(chunks); n != d.queue+1 {
		t.Errorf("%d chunks of %d are in memory, want those in the queue and the one that is lent", n, len(chunks))
	}
	s.end(t)
	if n := alive(chunks); n != 1 {
		t.Errorf("%d chunks are in memory after the commit, want the one that is lent", n)
	}
	if len(lent) != chunk || !bytes.HasPrefix(s.content[10*chunk:], lent) {
		t.Error("the view that was lent has changed")
	}
	if got, err := readAll(behind); err != nil || !bytes.Equal(got, s.content) {
		t.Errorf("read %d bytes, %v", len(got), err)
	}
	runtime.KeepAlive(s)
}

// alive is how many of the chunks are still in memory.
func alive(chunks []weak.Pointer[byte]) (n int) {
	runtime.GC()
	for _, c := range chunks {
		if c.Value() != nil {
			n++
		}
	}
	return n
}

func TestSpillBodyHasNoChunksInMemory(t *testing.T) {
	for name, c := range map[string]struct {
		size      int
		small     int64
		announced bool
		inMemory  bool
	}{
		"it has spilled":                    {5*chunk + 1, 0, false, false},
		"of announced length":               {5*chunk + 1, 0, true, false},
		"it ends on the grid":               {5 * chunk, 0, false, false},
		"announced, it ends on the grid":    {5 * chunk, 0, true, false},
		"its last chunk makes it spill":     {5*chunk + 1, 5 * chunk, false, false},
		"it is small enough to stay":        {5*chunk + 1, 6 * chunk, true, true},
		"it is small and spills at its end": {100, 0, true, true},
		"it is empty":                       {0, 0, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			d := &disk{small: c.small, queue: 1}
			s := spillTo(d, c.size, c.announced)
			r := join(t, s.Fill)
			s.come(t, c.size)
			trailer := map[string][]string{"X": {"y"}}
			body, err := s.Finish(trailer)
			if err != nil || body.Size != int64(c.size) {
				t.Fatalf("finish: %v, %v", body, err)
			}
			v := &cachestore.Variant{}
			if err := s.Commit(v); err != nil {
				t.Fatalf("commit: %v", err)
			}
			b := v.Body
			if b.Size != int64(c.size) || b.Trailer.Get("X") != "y" || b.InMemory() != c.inMemory {
				t.Errorf("%d bytes, trailer %v, in memory %v", b.Size, b.Trailer, b.InMemory())
			}
			if !c.inMemory && (b.Chunk(0) != nil || b.Chunks() != (c.size+chunk-1)/chunk || b.Held() > 1024) {
				t.Errorf("%d chunks, the first has %d bytes, %d held", b.Chunks(), len(b.Chunk(0)), b.Held())
			}
			if got, err := readAll(r); err != nil || !bytes.Equal(got, s.content) {
				t.Errorf("read %d bytes, %v", len(got), err)
			}
			r.Close()
			d.is(t, true, 0, 1)
			s.holds(t, 0)
		})
	}
}

// A fault of the disk breaks who needs the chunk, and nobody else.
func TestSpillReadThatFailsBreaksOneReader(t *testing.T) {
	d := &disk{queue: 1}
	failing := 2
	d.onRead = func(i int) error {
		if i == failing {
			return cachestore.ErrChunkGone
		}
		return nil
	}
	s := spillTo(d, 6*chunk, false)
	unlucky, other := join(t, s.Fill), join(t, s.Fill)
	s.come(t, 5*chunk)
	if got, err := readAll(unlucky); !errors.Is(err, cachestore.ErrChunkGone) || len(got) != 2*chunk {
		t.Errorf("read %d bytes, %v, want ErrChunkGone after two chunks", len(got), err)
	}
	unlucky.Close()
	failing = -1
	s.come(t, 6*chunk)
	s.end(t)
	if got, err := readAll(other); err != nil || !bytes.Equal(got, s.content) {
		t.Errorf("the other read %d bytes, %v", len(got), err)
	}
	other.Close()
	d.is(t, true, 0, 1)
}

// A chunk that comes back with the wrong length is none.
func TestSpillReadThatIsShortIsGone(t *testing.T) {
	d := &disk{}
	s := spillTo(d, 3*chunk, false)
	r := join(t, s.Fill)
	s.come(t, 2*chunk)
	d.stored[0] = d.stored[0][:chunk-1]
	nextFails(t, r, cachestore.ErrChunkGone)
	s.Abort(errBroken)
}

func TestSpillReadEndsWithTheContext(t *testing.T) {
	d := &disk{}
	s := spillTo(d, 3*chunk, false)
	r := join(t, s.Fill)
	s.come(t, 3*chunk)
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := r.Next(gone); !errors.Is(err, context.Canceled) {
		t.Errorf("next: %v, want canceled", err)
	}
	s.end(t)
	if got, err := readAll(r); err != nil || !bytes.Equal(got, s.content) {
		t.Errorf("afterwards it read %d bytes, %v", len(got), err)
	}
}

// Nobody waits for the disk on behalf of bytes that are not wanted.
func TestReaderSkipsWhatItDoesNotWant(t *testing.T) {
	reads := 0
	d := &disk{onRead: func(int) error { reads++; return nil }}
	s := spillTo(d, 5*chunk+9, false)
	r, soon := join(t, s.Fill), join(t, s.Fill)
	s.come(t, 3*chunk)
	next(t, r, string(s.content[:chunk]))
	r.Skip(2*chunk + 5)
	r.Skip(chunk) // there is no way back
	next(t, r, string(s.content[2*chunk+5:3*chunk]))
	if reads != 2 {
		t.Errorf("%d chunks were read back, want 2", reads)
	}
	soon.Skip(5*chunk + 1)
	if soon.Ready() {
		t.Error("ready for what is to come")
	}
	s.come(t, len(s.content))
	s.end(t)
	if got, err := readAll(soon); err != nil || string(got) != string(s.content[5*chunk+1:]) {
		t.Errorf("read %q, %v", got, err)
	}
}

func TestReaderIsNotReadyForWhatIsOnDisk(t *testing.T) {
	d := &disk{}
	s := spillTo(d, 3*chunk, false)
	r := join(t, s.Fill)
	write(t, s.Fill, s.content[:100])
	if !r.Ready() {
		t.Error("not ready for what is in memory")
	}
	s.come(t, 2*chunk)
	if r.Ready() {
		t.Error("ready for what must be read back")
	}
	if p, err := r.Next(ctx); err != nil || len(p) != chunk || r.Ready() {
		t.Errorf("%d bytes, %v, ready %v", len(p), err, r.Ready())
	}
	write(t, s.Fill, s.content[2*chunk:2*chunk+100])
	if p, err := r.Next(ctx); err != nil || len(p) != chunk || !r.Ready() {
		t.Errorf("%d bytes, %v, ready %v", len(p), err, r.Ready())
	}
	s.Abort(errBroken)
	if !r.Ready() {
		t.Error("not ready for the abort")
	}
}

// The bytes that complete a body are shown when it is stored, on disk or not.
func TestSpillHoldsTheEndBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		s := spillTo(d, 3*chunk, true)
		write(t, s.Fill, s.content[:3*chunk-10])
		s.come(t, 3*chunk) // all of it is on disk now
		if n := s.disk.spilled; n != 3*chunk {
			t.Fatalf("%d bytes are on disk", n)
		}
		r := at(t, s.Fill, 2*chunk+1)
		next(t, r, string(s.content[2*chunk+1:3*chunk-10]))
		got := make(chan []byte, 1)
		go func() {
			p, _ := r.Next(ctx)
			got <- p
		}()
		synctest.Wait()
		if len(got) > 0 {
			t.Fatal("the end was seen before the commit")
		}
		s.end(t)
		if p := <-got; !bytes.Equal(p, s.content[3*chunk-10:]) {
			t.Errorf("the end has %d bytes", len(p))
		}
	})
}

// TestSpillManyReadersAtOnce is for the race detector: real time.
func TestSpillManyReadersAtOnce(t *testing.T) {
	d := &disk{queue: 2}
	s := spillTo(d, 20*chunk+1, false)
	var all sync.WaitGroup
	for i := range 30 {
		off := int64(i % 3 * 7 * chunk)
		r, err := s.JoinAt(off)
		if err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			defer r.Close()
			if got, err := readAll(r); err != nil || !bytes.Equal(got, s.content[off:]) {
				t.Errorf("read %d bytes, %v", len(got), err)
			}
		})
	}
	s.come(t, len(s.content))
	s.end(t)
	all.Wait()
	d.is(t, true, 0, 1)
	s.holds(t, 0)
}
