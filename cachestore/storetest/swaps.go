package storetest

import (
	"fmt"
	"net/http"
	"testing"

	"edgecache/cachestore"
	"edgecache/policy"
)

func replacesVariant(t *testing.T, s cachestore.Store) {
	k := Key(1)
	put(t, s, k, "a", Content(1, 100))
	b := put(t, s, k, "b", Content(2, 100))
	a := put(t, s, k, "a", Content(3, 100))
	r := load(t, s, k)
	if len(r.Variants) != 2 || r.Variants[0] != a || r.Variants[1] != b {
		t.Fatalf("variants %v, want the new a, then b", r.Variants)
	}
	for x, want := range map[string]*cachestore.Variant{"a": a, "b": b, "c": nil} {
		if got, _ := r.Select(asking(x), nil); got != want {
			t.Errorf("select x=%s: %p, want %p", x, got, want)
		}
	}
	mustRead(t, s, a, Content(3, 100))
	y := Variant("b")
	y.Vary = []string{"y"} // the same bytes, of another field
	if err := Put(s, k, y, nil); err != nil {
		t.Fatal(err)
	}
	asked := &policy.Ask{Fields: policy.Fields{{Name: []byte("Y"), Value: []byte("a")}}}
	if got, _ := load(t, s, k).Select(asked, nil); got != nil {
		t.Errorf("the newest varies by y: y=a selected %p, which varies by x", got)
	}
	plain := put(t, s, k, "", Content(4, 100))
	if got, _ := load(t, s, k).Select(asking("b"), nil); got != plain {
		t.Errorf("after an answer without Vary: selected %p, want that one", got)
	}
}

func variantLimit(t *testing.T, s cachestore.Store) {
	k := Key(1)
	for i := range cachestore.MaxVariants + 3 {
		put(t, s, k, fmt.Sprint("v", i), Content(i, 10))
	}
	r := load(t, s, k)
	if len(r.Variants) != cachestore.MaxVariants {
		t.Fatalf("%d variants, want %d", len(r.Variants), cachestore.MaxVariants)
	}
	for i, present := range map[int]bool{0: false, 2: false, 3: true, cachestore.MaxVariants + 2: true} {
		if v, _ := r.Select(asking(fmt.Sprint("v", i)), nil); (v != nil) != present {
			t.Errorf("variant %d is there: %v, want %v", i, v != nil, present)
		}
	}
	st := s.Stats()
	if st.Evicted[cachestore.EvictedVariants] != 3 || st.Variants != cachestore.MaxVariants || st.Resources != 1 {
		t.Errorf("stats %+v, want 3 evicted, %d variants, 1 resource", st, cachestore.MaxVariants)
	}
}

func compareAndSwap(t *testing.T, s cachestore.Store) {
	k := Key(1)
	put(t, s, k, "a", Content(1, 10))
	old := load(t, s, k)
	b := put(t, s, k, "b", Content(2, 10))
	now := load(t, s, k)
	if s.Replace(k, old, nil) || s.Replace(k, nil, cachestore.NewResource(k, b)) {
		t.Fatalf("replaced what was not stored any more")
	}
	if load(t, s, k) != now {
		t.Fatalf("a failed swap changed the resource")
	}
	if !s.Replace(k, now, now.Without(b)) {
		t.Fatalf("swap refused")
	}
	if r := load(t, s, k); len(r.Variants) != 1 || r.Variants[0] == b {
		t.Errorf("variants %v, want a alone", r.Variants)
	}
	if now = load(t, s, k); !s.Replace(k, now, now.Without(now.Variants[0])) {
		t.Fatalf("swap refused")
	}
	absent(t, s, k)
	if s.Replace(Key(2), now, nil) {
		t.Errorf("replaced an absent resource")
	}
	if !s.Replace(Key(2), nil, cachestore.NewResource(Key(2), b)) {
		t.Fatalf("swap into an absent place refused")
	}
	mustRead(t, s, load(t, s, Key(2)).Variants[0], Content(2, 10))
	s.Delete(Key(2))
	s.Delete(Key(2))
	absent(t, s, Key(2))
}

func renewed(t *testing.T, s cachestore.Store) {
	k := Key(1)
	v := put(t, s, k, "a", Content(1, 5000))
	r := load(t, s, k)
	for range 5 {
		s.Hit(r, v)
	}
	before := s.Stats()
	n := v.With(cachestore.Renewal{Head: cachestore.NewHead(200, http.Header{"Etag": {`"2"`}}, nil), PurgeSeq: 7})
	if !s.Replace(k, r, r.With(n)) {
		t.Fatal("swap refused")
	}
	got, _ := load(t, s, k).Select(asking("a"), nil)
	if got != n || got.Body != v.Body || got.Hits() != 5 || got.Checked() != 7 {
		t.Errorf("renewed: same body %v, %d hits, checked to %d, want 5 hits and 7", got.Body == v.Body, got.Hits(), got.Checked())
	}
	after := s.Stats()
	if after.Variants != before.Variants || after.Bytes-before.Bytes > 100 {
		t.Errorf("stats after renewal %+v, before %+v", after, before)
	}
	mustRead(t, s, got, Content(1, 5000))
}

func collision(t *testing.T, s cachestore.Store) {
	a, b := Key(1), Key(2)
	b.Hash = a.Hash
	put(t, s, a, "", Content(1, 10))
	unloadable(t, s, b)
	if s.Replace(b, load(t, s, a), nil) {
		t.Errorf("a resource was replaced under another key")
	}
	s.Delete(b)
	if load(t, s, a) == nil {
		t.Errorf("a resource was deleted under another key")
	}
	v := put(t, s, b, "", Content(2, 10))
	unloadable(t, s, a)
	mustRead(t, s, v, Content(2, 10))
	if st := s.Stats(); st.Resources != 1 || st.Variants != 1 {
		t.Errorf("stats %+v, want one resource", st)
	}
	s.Delete(b)
	if st := s.Stats(); st.Bytes != st.Fixed || st.Evicted[cachestore.EvictedCollision] != 1 {
		t.Errorf("after deleting: %+v, want no bytes and one eviction", st)
	}
}

func eachSees(t *testing.T, s cachestore.Store) {
	want := map[string]bool{}
	for i := range 30 {
		put(t, s, Key(i), "", Content(i, 10))
		want[string(Key(i).Full)] = true
	}
	s.Each(func(r *cachestore.Resource) bool {
		if !want[string(r.Key.Full)] {
			t.Errorf("saw %q twice, or it is not stored", r.Key.Full)
		}
		delete(want, string(r.Key.Full))
		return true
	})
	if len(want) != 0 {
		t.Errorf("did not see %d resources", len(want))
	}
	n := 0
	s.Each(func(*cachestore.Resource) bool { n++; return n < 3 })
	if n != 3 {
		t.Errorf("called %d times, want it to stop at 3", n)
	}
}

func eachHoldsNoLock(t *testing.T, s cachestore.Store) {
	for i := range 30 {
		put(t, s, Key(i), "", Content(i, 10))
	}
	i := 0
	s.Each(func(r *cachestore.Resource) bool {
		s.Delete(r.Key)
		put(t, s, Key(1000+i), "", Content(i, 10))
		i++
		return i < 100
	})
	if i < 30 {
		t.Errorf("saw %d resources, want the 30 that were there", i)
	}
}
