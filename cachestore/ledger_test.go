package cachestore_test

import (
	"testing"

	"edgecache/cachestore"
	"edgecache/cachestore/storetest"
)

// Bodies that stream by may hold half of what there is for objects; what is held in any case is
// counted honestly, evicts what is stored, and gives its room back.
func TestAccountGivesFillsHalfOfTheTier(t *testing.T) {
	m := openMemory(t, 8<<20)
	a := m.Account()
	for i := range 500 {
		if err := storetest.Put(m, storetest.Key(i), storetest.Variant(""), storetest.Content(i, 20_000)); err != nil {
			t.Fatal(err)
		}
	}
	const piece = 64 << 10
	var held int64
	for a.Reserve(piece) {
		held += piece
		if st := m.Stats(); st.Bytes > st.Limit+st.Limit/20 || st.FillBytes != held {
			t.Fatalf("%+v with %d bytes reserved", st, held)
		}
	}
	if st := m.Stats(); held != (st.Limit-st.Fixed)/2/piece*piece {
		t.Errorf("reserved %d bytes of %d, want half of what there is for objects", held, st.Limit-st.Fixed)
	}
	a.Force(20 << 20)
	if st := m.Stats(); st.FillBytes != held+20<<20 || st.Resources != 0 || st.Bytes != st.Fixed+st.FillBytes {
		t.Errorf("forced over all bounds: %+v, want every byte counted and nothing stored", st)
	}
	if err := storetest.Put(m, storetest.Key(1), storetest.Variant(""), storetest.Content(1, 10)); err != cachestore.ErrNoRoom {
		t.Errorf("a body without room: %v, want ErrNoRoom", err)
	}
	a.Release(20 << 20)
	a.Release(held)
	if err := storetest.Put(m, storetest.Key(1), storetest.Variant(""), storetest.Content(1, 10)); err != nil {
		t.Errorf("a body with room again: %v", err)
	}
}

func TestReasonsHaveNames(t *testing.T) {
	seen := map[string]bool{}
	check := func(name string) {
		if name == "" || seen[name] {
			t.Errorf("%q is empty or twice", name)
		}
		seen[name] = true
	}
	for i := range cachestore.Evictions {
		check(cachestore.Eviction(i).String())
	}
	for i := range cachestore.Drops {
		check(cachestore.Drop(i).String())
	}
}
