package cachestore_test

import (
	"net/http"
	"testing"

	"edgecache/cachestore"
	"edgecache/cachestore/storetest"
	"edgecache/policy"
)

func accepting(codings, x string) *policy.Ask {
	return &policy.Ask{Fields: policy.Fields{
		{Name: []byte("X"), Value: []byte(x)}, {Name: []byte("Accept-Encoding"), Value: []byte(codings)},
	}}
}

// coded is a variant that varies by Accept-Encoding and X.
func coded(a *policy.Ask, codings ...string) *cachestore.Variant {
	h := http.Header{"Etag": {`"1"`}}
	if len(codings) > 0 {
		h["Content-Encoding"] = codings
	}
	v := &cachestore.Variant{Head: cachestore.NewHead(200, h, nil), Vary: []string{"accept-encoding", "x"}}
	v.Selector = policy.AppendSelector(nil, v.Vary, a)
	return v
}

// TestSelectByChoice: what the origin chose out of more serves a request with
// fewer codings, and an exact variant goes before it.
func TestSelectByChoice(t *testing.T) {
	const all = "zstd, br, gzip"
	gzip, plain := coded(accepting(all, "1"), "gzip"), coded(accepting("br, gzip", "1"))
	exact, brotli := coded(accepting("gzip", "1"), "gzip"), coded(accepting(all, "1"), "br")
	other, twice := coded(accepting(all, "2"), "gzip"), coded(accepting(all, "1"), "gzip", "br")
	narrow := coded(accepting("gzip", "1"))
	by := storetest.Variant("1") // varies by x alone
	for _, c := range []struct {
		name        string
		stored      []*cachestore.Variant // newest first
		codings, x  string
		want        *cachestore.Variant
		wantNothing bool
	}{
		{"gzip for gzip", []*cachestore.Variant{gzip}, "gzip", "1", gzip, false},
		{"gzip for br and gzip", []*cachestore.Variant{gzip}, "br, gzip", "1", gzip, false},
		{"plain for all who take less", []*cachestore.Variant{plain}, "", "1", plain, false},
		{"the newest of two", []*cachestore.Variant{plain, gzip}, "gzip", "1", plain, false},
		{"an older exact one goes before", []*cachestore.Variant{plain, gzip, exact}, "gzip", "1", exact, false},
		{"past one that it does not take", []*cachestore.Variant{brotli, gzip}, "gzip", "1", gzip, false},
		{"of another value of X", []*cachestore.Variant{other}, "gzip", "1", nil, true},
		{"a coding that it does not take", []*cachestore.Variant{brotli}, "gzip", "1", nil, true},
		{"two codings", []*cachestore.Variant{twice}, "gzip", "1", nil, true},
		{"chosen out of fewer", []*cachestore.Variant{narrow}, "br, gzip", "1", nil, true},
		{"identity refused", []*cachestore.Variant{plain}, "gzip, identity;q=0", "1", nil, true},
		{"of another Vary than the newest", []*cachestore.Variant{brotli, by}, "gzip", "1", nil, true},
		{"the newest does not vary by it", []*cachestore.Variant{by, gzip}, "gzip", "2", nil, true},
	} {
		r := cachestore.NewResource(storetest.Key(1), c.stored...)
		got, _ := r.Select(accepting(c.codings, c.x), nil)
		if got != c.want || c.wantNothing != (got == nil) {
			t.Errorf("%s: %p, want %p", c.name, got, c.want)
		}
	}
}

func TestSelectAllocatesNothing(t *testing.T) {
	stored := []*cachestore.Variant{coded(accepting("zstd, br, gzip", "1"), "gzip")}
	for i := range 30 {
		stored = append(stored, coded(accepting("br, gzip", string(rune('a'+i))), "br"))
	}
	r := cachestore.NewResource(storetest.Key(1), stored...)
	found, none := accepting("gzip", "1"), accepting("gzip", "9")
	buf := make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() {
		if v, _ := r.Select(found, buf); v == nil {
			t.Fatal("nothing selected")
		}
		if v, _ := r.Select(none, buf); v != nil {
			t.Fatal("selected")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
