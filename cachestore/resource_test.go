package cachestore_test

import (
	"sync"
	"testing"

	"edgecache/cachestore"
	"edgecache/cachestore/storetest"
	"edgecache/policy"
)

func TestVariantIsCheckedUpToTheHighestNumber(t *testing.T) {
	v := &cachestore.Variant{PurgeSeq: 50}
	for _, c := range []struct{ set, want uint64 }{{0, 50}, {10, 50}, {60, 60}, {55, 60}, {61, 61}} {
		v.SetChecked(c.set)
		if got := v.Checked(); got != c.want {
			t.Errorf("set to %d: %d, want %d", c.set, got, c.want)
		}
	}
	var all sync.WaitGroup
	for i := range uint64(8) {
		all.Go(func() {
			for n := range uint64(1000) {
				v.SetChecked(n*8 + i)
			}
		})
	}
	all.Wait()
	if got := v.Checked(); got != 7999 {
		t.Errorf("set from many goroutines: %d, want the highest, 7999", got)
	}
}

func TestResourceSelect(t *testing.T) {
	var none *cachestore.Resource
	if v, _ := none.Select(nil, nil); v != nil {
		t.Errorf("nothing stored: selected %p", v)
	}
	a, b := storetest.Variant("a"), storetest.Variant("b")
	r := cachestore.NewResource(storetest.Key(1), b, a)
	for x, want := range map[string]*cachestore.Variant{"a": a, "b": b, "c": nil} {
		scratch := make([]byte, 3, 64)
		v, back := r.Select(asking(x), scratch)
		if v != want || &back[:1][0] != &scratch[:1][0] {
			t.Errorf("x=%s: %p, want %p, in the same scratch", x, v, want)
		}
	}
	if v, _ := r.Select(&policy.Ask{}, nil); v != nil {
		t.Errorf("without x: selected %p", v)
	}
}

func TestResourceWithAndWithout(t *testing.T) {
	k := storetest.Key(1)
	a, b, a2 := storetest.Variant("a"), storetest.Variant("b"), storetest.Variant("a")
	r := cachestore.NewResource(k, a).With(b).With(a2)
	if len(r.Variants) != 2 || r.Variants[0] != a2 || r.Variants[1] != b {
		t.Errorf("variants %v, want the second a, then b", r.Variants)
	}
	if r = r.With(b); len(r.Variants) != 2 || r.Variants[0] != b {
		t.Errorf("variants %v, want b first, once", r.Variants)
	}
	if r = r.Without(b).Without(a); len(r.Variants) != 1 || r.Variants[0] != a2 {
		t.Errorf("variants %v, want the second a alone", r.Variants)
	}
	if r.Size() <= 0 || (*cachestore.Resource)(nil).Size() != 0 {
		t.Errorf("size %d", r.Size())
	}
}

// A key that came as a view into a buffer is owned by what is stored.
func TestResourceOwnsItsKey(t *testing.T) {
	m := openMemory(t, 8<<20)
	view := storetest.Key(1)
	full := view.Full
	w := m.Begin(view, cachestore.Meta{Length: -1})
	clear(full)
	if err := w.Commit(storetest.Variant("")); err != nil {
		t.Fatal(err)
	}
	if r, p := m.Peek(storetest.Key(1)); p != cachestore.InMemory || !r.Key.Equal(storetest.Key(1)) {
		t.Errorf("presence %d: the key changed with the buffer", p)
	}
	n := cachestore.NewResource(policy.Key{Hash: view.Hash, Full: full})
	full[0] = 1
	if n.Key.Full[0] == 1 {
		t.Errorf("NewResource keeps a view")
	}
}

// Bodies that two variants share count once.
func TestResourceCountsASharedBodyOnce(t *testing.T) {
	m := openMemory(t, 8<<20)
	a := storetest.Variant("a")
	if err := storetest.Put(m, storetest.Key(1), a, storetest.Content(1, 100_000)); err != nil {
		t.Fatal(err)
	}
	r, _ := m.Peek(storetest.Key(1))
	b := a.With(cachestore.Renewal{Head: a.Head})
	b.Selector = policy.AppendSelector(nil, b.Vary, asking("b"))
	before := m.Stats().Bytes
	if !m.Replace(storetest.Key(1), r, r.With(b)) {
		t.Fatal("swap refused")
	}
	if grown := m.Stats().Bytes - before; grown > 5000 {
		t.Errorf("%d bytes more for a second head", grown)
	}
	m.Delete(storetest.Key(1))
	if st := m.Stats(); st.Bytes != st.Fixed || st.Window != 0 {
		t.Errorf("%+v, want nothing held", st)
	}
}
