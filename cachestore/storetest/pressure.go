package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"edgecache/cachestore"
)

func withinLimit(t *testing.T, s cachestore.Store) {
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 2000 {
		k := Key(random.IntN(500))
		err := Put(s, k, Variant(fmt.Sprint(random.IntN(3))), Content(i, size(random.IntN)))
		if err != nil && !errors.Is(err, cachestore.ErrNoRoom) {
			t.Fatal(err)
		}
		within(t, s)
	}
	if s.Stats().Resources == 0 {
		t.Errorf("nothing is stored")
	}
}

// concurrentLimit does everything at once, with fills that hold what they have.
func concurrentLimit(t *testing.T, s cachestore.Store) {
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() { pressure(t, s, uint64(g)) })
	}
	all.Wait()
	s.Each(func(r *cachestore.Resource) bool { s.Delete(r.Key); return true })
	if st := s.Stats(); st.Bytes != st.Fixed || st.FillBytes != 0 || st.Variants != 0 || st.Window != 0 {
		t.Errorf("after deleting all: %+v, want the fixed bytes alone", st)
	}
}

func pressure(t *testing.T, s cachestore.Store, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 3))
	for i := range 400 {
		k := Key(random.IntN(300))
		switch random.IntN(8) {
		case 0:
			s.Delete(k)
		case 1:
			held := s.Begin(k, cachestore.Meta{Length: -1})
			_ = held.Chunk(make([]byte, cachestore.ChunkSize))
			defer held.Abort()
		case 2, 3, 4:
			if r, _ := s.Peek(k); r != nil {
				v := r.Variants[random.IntN(len(r.Variants))]
				s.Hit(r, v)
				s.Replace(k, r, r.With(v.With(cachestore.Renewal{Head: v.Head})))
			}
		default:
			_ = Put(s, k, Variant(fmt.Sprint(random.IntN(3))), Content(i, size(random.IntN)))
		}
		if st := s.Stats(); st.Bytes > st.Limit+st.Limit/20 {
			t.Errorf("%d bytes, the limit is %d", st.Bytes, st.Limit)
			return
		}
	}
}

// concurrentCommits has writers and readers on one key: whoever reads sees one
// of the bodies, whole, and in the end every selection has its last commit.
func concurrentCommits(t *testing.T, s cachestore.Store) {
	k := Key(1)
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for i := range 50 {
				content := bytes.Repeat([]byte{byte(g*50 + i)}, 1000+i)
				if err := Put(s, k, Variant(fmt.Sprint(g)), content); err != nil {
					t.Errorf("put: %v", err)
				}
			}
		})
		all.Go(func() {
			for range 200 {
				r, _ := s.Peek(k)
				if r == nil {
					continue
				}
				for _, v := range r.Variants {
					wholeOf(t, s, v)
				}
			}
		})
	}
	all.Wait()
	r := load(t, s, k)
	if len(r.Variants) != 4 {
		t.Fatalf("%d variants, want 4", len(r.Variants))
	}
	for g := range 4 {
		v, _ := r.Select(asking(fmt.Sprint(g)), nil)
		if v == nil || v.Body.Chunk(0)[0] != byte(g*50+49) {
			t.Errorf("selection %d: not its last commit", g)
		}
	}
}

func wholeOf(t *testing.T, s cachestore.Store, v *cachestore.Variant) {
	got, err := read(s, v.Body)
	if err != nil || len(got) < 1000 {
		t.Errorf("read %d bytes, error %v", len(got), err)
		return
	}
	if want := 1000 + int(got[0])%50; len(got) != want || bytes.Count(got, got[:1]) != want {
		t.Errorf("body %d: %d bytes, want %d equal ones", got[0], len(got), want)
	}
}
