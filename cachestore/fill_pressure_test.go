package cachestore_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"

	"edgecache/cachestore"
	"edgecache/cachestore/storetest"
)

// TestFillsTogetherStayWithinTheTier runs many fills at once, more than the tier
// could hold: kept ones, streams that are not, and kept ones that turn into
// streams. Whatever is refused, every reader gets its body, and the accounted
// bytes stay within their promise.
func TestFillsTogetherStayWithinTheTier(t *testing.T) {
	m := openMemory(t, 8<<20)
	var all sync.WaitGroup
	for g := range 16 {
		all.Go(func() {
			random := rand.New(rand.NewPCG(uint64(g), 6))
			for i := range 8 {
				p := parcel{key: g*100 + i, size: 1 + random.IntN(1_500_000), kept: random.IntN(3) > 0}
				p.run(t, m)
			}
		})
	}
	all.Wait()
	st := m.Stats()
	if st.FillBytes != 0 {
		t.Errorf("%d bytes of fills are left", st.FillBytes)
	}
	if st.Dropped[cachestore.DropTooLarge] == 0 || st.Variants == 0 {
		t.Errorf("stats %+v, want bodies that were refused and others stored", st)
	}
	m.Each(func(r *cachestore.Resource) bool { m.Delete(r.Key); return true })
	if st = m.Stats(); st.Bytes != st.Fixed || st.Window != 0 {
		t.Errorf("after deleting all: %+v", st)
	}
}

// parcel is one body on its way through a fill, with one reader.
type parcel struct {
	key, size int
	kept      bool
}

func (p parcel) run(t *testing.T, m *cachestore.Memory) {
	content := storetest.Content(p.key, p.size)
	f := cachestore.NewFill(cachestore.FillConfig{Ahead: 256 << 10, Account: m.Account()})
	if p.kept {
		f.Keep(m.Begin(storetest.Key(p.key), cachestore.Meta{Length: -1}))
	}
	r, err := f.Join()
	if err != nil {
		t.Errorf("join: %v", err)
		return
	}
	var reading sync.WaitGroup
	reading.Go(func() {
		defer r.Close()
		if got, err := readAll(r); err != nil || !bytes.Equal(got, content) {
			t.Errorf("body %d: read %d of %d bytes, %v", p.key, len(got), p.size, err)
		}
	})
	defer reading.Wait()
	for rest := content; len(rest) > 0; {
		n := min(len(rest), 10_000)
		if err := f.Write(ctx, rest[:n]); err != nil {
			t.Errorf("body %d: %v", p.key, err)
			f.Abort(err)
			return
		}
		rest = rest[n:]
		if st := m.Stats(); st.Bytes > st.Limit+st.Limit/20 {
			t.Errorf("%d bytes are accounted, the limit is %d", st.Bytes, st.Limit)
		}
	}
	if _, err := f.Finish(nil); err != nil {
		t.Errorf("body %d: finish: %v", p.key, err)
	}
	if kept, _ := f.Kept(); !kept {
		return
	}
	err = f.Commit(storetest.Variant(""))
	if err != nil && !errors.Is(err, cachestore.ErrTooLarge) && !errors.Is(err, cachestore.ErrNoRoom) {
		t.Errorf("body %d: commit: %v", p.key, err)
	}
}
