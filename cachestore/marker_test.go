package cachestore_test

import (
	"testing"

	"edgecache/cachestore"
	"edgecache/cachestore/storetest"
	"edgecache/policy"
)

func marker(x string, until int64) cachestore.Marker {
	vary := []string{"x"}
	return cachestore.Marker{Vary: vary, Selector: policy.AppendSelector(nil, vary, asking(x)), Until: until, PurgeSeq: 7}
}

func asking(x string) *policy.Ask {
	return &policy.Ask{Fields: policy.Fields{{Name: []byte("X"), Value: []byte(x)}}}
}

func marked(m *cachestore.Markers, i int, x string, now int64) bool {
	_, ok, _ := m.Has(storetest.Key(i), asking(x), now, nil)
	return ok
}

func TestMarkers(t *testing.T) {
	var m cachestore.Markers
	m.Put(storetest.Key(1), marker("a", 100))
	for _, c := range []struct {
		name string
		key  int
		x    string
		now  int64
		want bool
	}{
		{"the same values are marked", 1, "a", 99, true},
		{"until, and no longer", 1, "a", 100, false},
		{"other values are not", 1, "b", 0, false},
		{"another key is not", 2, "a", 0, false},
	} {
		if got := marked(&m, c.key, c.x, c.now); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	if mk, _, _ := m.Has(storetest.Key(1), asking("a"), 0, nil); mk.PurgeSeq != 7 {
		t.Errorf("purge number %d, want 7", mk.PurgeSeq)
	}
	m.Put(storetest.Key(1), marker("a", 200))
	if !marked(&m, 1, "a", 150) || m.Len() != 1 {
		t.Errorf("put again: %d markers, want one until 200", m.Len())
	}
	m.Put(storetest.Key(1), cachestore.Marker{Until: 100})
	if !marked(&m, 1, "b", 0) {
		t.Errorf("a marker without Vary holds for all values")
	}
	m.Remove(storetest.Key(1))
	m.Remove(storetest.Key(1))
	if marked(&m, 1, "a", 0) || m.Len() != 0 {
		t.Errorf("removed: still %d", m.Len())
	}
}

func TestMarkersAreBounded(t *testing.T) {
	m := cachestore.Markers{Limit: 100}
	for i := range 150 {
		m.Put(storetest.Key(i), marker("a", 10))
	}
	if m.Len() != 100 || m.Dropped() != 50 || marked(&m, 49, "a", 0) || !marked(&m, 50, "a", 0) {
		t.Errorf("%d markers, %d dropped, want the last 100 and 50", m.Len(), m.Dropped())
	}
	for i := range 10_000 { // puts and removes leave nothing behind
		m.Put(storetest.Key(1000+i%7), marker("a", 10))
		m.Remove(storetest.Key(1000 + i%7))
	}
	if m.Len() > 100 {
		t.Errorf("%d markers", m.Len())
	}
	one := cachestore.Markers{}
	for i := range 40 {
		one.Put(storetest.Key(1), marker(string(rune('a'+i)), 10))
	}
	if one.Len() != 32 || one.Dropped() != 8 || marked(&one, 1, "a", 0) || !marked(&one, 1, string(rune('a'+39)), 0) {
		t.Errorf("%d markers of one key, %d dropped, want 32 and 8", one.Len(), one.Dropped())
	}
}
