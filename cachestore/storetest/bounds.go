package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"edgecache/cachestore"
)

func tooLarge(t *testing.T, s cachestore.Store) {
	st := s.Stats()
	huge := int(max(st.Limit, st.Disk.Limit))
	w := s.Begin(Key(1), cachestore.Meta{Length: int64(huge)})
	if err := w.Chunk(nil); !errors.Is(err, cachestore.ErrTooLarge) {
		t.Errorf("asked with an announced length: %v, want ErrTooLarge", err)
	}
	w.Abort()
	w = s.Begin(Key(1), cachestore.Meta{Length: -1})
	defer w.Abort()
	for n := 0; n < huge; n += cachestore.ChunkSize {
		if err := w.Chunk(make([]byte, cachestore.ChunkSize)); err != nil {
			if !errors.Is(err, cachestore.ErrTooLarge) {
				t.Errorf("after %d bytes: %v, want ErrTooLarge", n, err)
			}
			if err := w.Commit(Variant("")); !errors.Is(err, cachestore.ErrTooLarge) {
				t.Errorf("commit after a refusal: %v, want ErrTooLarge", err)
			}
			absent(t, s, Key(1))
			return
		}
	}
	t.Errorf("%d bytes were taken", huge)
}

func fillShare(t *testing.T, s cachestore.Store) {
	var writers []cachestore.Writer
	defer func() {
		for _, w := range writers {
			w.Abort()
		}
	}()
	limit := s.Stats().Limit
	for i := 0; int64(i)*cachestore.ChunkSize < limit; i++ {
		w := s.Begin(Key(i), cachestore.Meta{Length: -1})
		writers = append(writers, w)
		err := w.Chunk(make([]byte, cachestore.ChunkSize))
		if errors.Is(err, cachestore.ErrNoRoom) {
			if st := s.Stats(); st.Dropped[cachestore.DropNoRoom] == 0 {
				t.Errorf("refused without a count: %+v", st)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Errorf("fills took the whole store: %+v", s.Stats())
}

func bytesReturn(t *testing.T, s cachestore.Store) {
	before := s.Stats()
	for i := range 50 {
		put(t, s, Key(i%20), fmt.Sprint(i%3), Content(i, 100*i))
	}
	for i := range 20 {
		s.Delete(Key(i))
	}
	after := s.Stats()
	if after.Bytes-after.Fixed != before.Bytes-before.Fixed || after.Window != 0 || after.Resources != 0 || after.Variants != 0 || after.FillBytes != 0 {
		t.Errorf("after deleting all: %+v, want %+v", after, before)
	}
}

func evictedReadable(t *testing.T, s cachestore.Store) {
	v := put(t, s, Key(0), "", Content(0, 100_000))
	stored := func() bool { _, p := s.Peek(Key(0)); return p != cachestore.Absent } // a Load would bring it up again
	for i := 1; stored(); i++ {
		put(t, s, Key(i), "", Content(i, 100_000))
		if i > 10_000 {
			t.Fatal("never evicted")
		}
	}
	for i := 0; i*cachestore.ChunkSize < 100_000; i++ {
		want := Content(0, 100_000)[i*cachestore.ChunkSize:]
		if got := v.Body.Chunk(i); got != nil && !bytes.HasPrefix(want, got) {
			t.Errorf("chunk %d changed", i)
		}
	}
}

func hitsKeep(t *testing.T, s cachestore.Store) {
	put(t, s, Key(0), "", Content(0, 10_000))
	for i := 1; i < 3000; i++ {
		r := load(t, s, Key(0))
		if r == nil {
			t.Fatalf("evicted after %d others that nobody asked for", i)
		}
		s.Hit(r, r.Variants[0])
		put(t, s, Key(i), "", Content(i, 10_000))
	}
}

// within checks the promise of the accounted bytes.
func within(t *testing.T, s cachestore.Store) {
	t.Helper()
	if st := s.Stats(); st.Bytes > st.Limit+st.Limit/20 {
		t.Fatalf("%d bytes, the limit is %d", st.Bytes, st.Limit)
	}
}

// size is a random body size: mostly small, at times large.
func size(random func(int) int) int {
	switch random(10) {
	case 0:
		return random(500_000)
	case 1, 2:
		return random(60_000)
	}
	return random(6_000)
}
