package policy

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

func place(scheme, host, path, query string) URL {
	u := URL{Scheme: scheme, Host: []byte(host), Path: []byte(path)}
	if query != "" {
		u.Query, u.HasQuery = []byte(query[1:]), true
	}
	return u
}

func TestKeysOfDifferentRequestsDiffer(t *testing.T) {
	const seed = Seed(7)
	all := []struct {
		u     URL
		extra string
	}{
		{place("http", "a.test", "/x", ""), ""},
		{place("https", "a.test", "/x", ""), ""},
		{place("http", "b.test", "/x", ""), ""},
		{place("http", "a.test:81", "/x", ""), ""},
		{place("http", "a.test", "/x", "?"), ""},
		{place("http", "a.test", "/x", "?&"), ""},
		{place("http", "a.test", "/x", "?a=1&b=2"), ""},
		{place("http", "a.test", "/x", "?b=2&a=1"), ""},
		{place("http", "a.test", "/x", "?a"), ""},
		{place("http", "a.test", "/x", ""), "?a"},
		{place("http", "a.test", "/x", ""), "a"},
		{place("http", "a.test/x", "", ""), ""},
		{place("http", "a.test", "//x", ""), ""},
		{place("http", "a.tes", "t/x", ""), ""},
		{place("http", "a", "/b:x", ""), ""},
		{place("http", "a/b", ":x", ""), ""},
		{place("http", "a.test", "/a%2Fb", ""), ""},
		{place("http", "a.test", "/a/b", ""), ""},
	}
	for i, a := range all {
		ka, _ := NewKey(nil, seed, a.u, []byte(a.extra))
		for j, b := range all {
			kb, _ := NewKey(nil, seed, b.u, []byte(b.extra))
			if got := ka.Equal(kb); got != (i == j) {
				t.Errorf("%s + %q and %s + %q: equal is %v", a.u, a.extra, b.u, b.extra, got)
			}
			if (ka.Hash == kb.Hash) != (i == j) {
				t.Errorf("%s + %q and %s + %q: hashes say otherwise", a.u, a.extra, b.u, b.extra)
			}
		}
	}
}

func TestAHashDependsOnTheSeedAndACollisionIsNoMatch(t *testing.T) {
	u := place("http", "a.test", "/x", "")
	a, _ := NewKey(nil, 1, u, nil)
	b, _ := NewKey(nil, 2, u, nil)
	if a.Hash == b.Hash {
		t.Error("two seeds give one hash")
	}
	c, _ := NewKey(nil, 1, place("http", "a.test", "/y", ""), nil)
	c.Hash = a.Hash
	if a.Equal(c) {
		t.Error("two places with one hash are equal")
	}
}

func TestAKeyIsAViewAndAClone(t *testing.T) {
	buf := make([]byte, 0, 256)
	k, buf := NewKey(buf, 1, place("https", "a.test", "/x", "?q"), []byte("extra"))
	c := k.Clone()
	if !k.Equal(c) {
		t.Error("the clone differs")
	}
	clear(buf)
	if k.Equal(c) {
		t.Error("the clone is a view, too")
	}
	if got := c.URL().String(); got != "https://a.test/x?q" {
		t.Errorf("the place is %q", got)
	}
	if got := (Key{}).URL(); !got.Equal(URL{}) {
		t.Errorf("the place of no key is %q", got)
	}
}

// roundTrip checks that the full form gives back all that went into it, which
// proves that no two different requests share one.
func roundTrip(t *testing.T, u URL, extra []byte) {
	t.Helper()
	const seed = 3
	k, _ := NewKey([]byte("before"), seed, u, extra)
	read, err := ReadKey(seed, k.Full)
	if err != nil {
		t.Fatalf("%v of %q", err, k.Full)
	}
	if !read.Equal(k) || !read.URL().Equal(u) || !k.URL().Equal(u) {
		t.Errorf("%q became %q", u, read.URL())
	}
	if got := read.Full[read.extraAt:]; !bytes.Equal(got, extra) {
		t.Errorf("extra %q became %q", extra, got)
	}
}

func TestRandomKeysKeepTheirParts(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	some := func() []byte {
		b := make([]byte, r.IntN(5))
		for i := range b {
			b[i] = "\x00\x01/:?&a"[r.IntN(7)]
		}
		return b
	}
	for range 100_000 {
		u := URL{Scheme: "http", Host: some(), Path: some()}
		if r.IntN(2) == 0 {
			u.Scheme = "https"
		}
		if r.IntN(2) == 0 {
			u.Query, u.HasQuery = some(), true
		}
		roundTrip(t, u, some())
	}
}

func FuzzKey(f *testing.F) {
	f.Add(false, []byte("a"), []byte("/b:x"), true, []byte(""), []byte("e"))
	f.Fuzz(func(t *testing.T, tls bool, host, path []byte, has bool, query, extra []byte) {
		u := URL{Scheme: "http", Host: host, Path: path, HasQuery: has}
		if tls {
			u.Scheme = "https"
		}
		if has {
			u.Query = query
		}
		roundTrip(t, u, extra)
	})
}

func TestReadKeyRefusesWhatIsNoKey(t *testing.T) {
	good, _ := NewKey(nil, 1, place("http", "a.test", "/x", "?q"), nil)
	change := func(at int, to byte) []byte {
		full := bytes.Clone(good.Full)
		full[at] = to
		return full
	}
	for name, full := range map[string][]byte{
		"nothing": nil, "a head cut short": good.Full[:keyHead-1], "a body cut short": good.Full[:len(good.Full)-1],
		"an unknown flag": change(0, 0x80), "a query that is none": change(0, 0), "a host that is too long": change(1, 0xff),
	} {
		if _, err := ReadKey(1, full); err == nil {
			t.Errorf("%s is a key", name)
		}
	}
}

func FuzzReadKey(f *testing.F) {
	k, _ := NewKey(nil, 1, place("http", "a", "/", "?q"), []byte("x"))
	f.Add(k.Full)
	f.Add(make([]byte, keyHead))
	f.Fuzz(func(t *testing.T, full []byte) {
		k, err := ReadKey(1, full)
		if err != nil {
			return
		}
		again, _ := NewKey(nil, 1, k.URL(), k.Full[k.extraAt:])
		if !again.Equal(k) {
			t.Errorf("%q is read as %q", full, again.Full)
		}
	})
}

func TestTagsAndGroupsAreApart(t *testing.T) {
	if HashTag("a") == HashTag("b") || HashTag("a") != HashTag("a") {
		t.Error("tags are confused")
	}
	all := map[uint64]bool{HashTag("a"): true}
	for _, g := range [][3]string{{"http", "h", "a"}, {"https", "h", "a"}, {"http", "ha", ""}, {"http", "", "ha"}, {"", "", "a"}} {
		all[HashGroup(g[0], g[1], g[2])] = true
	}
	if len(all) != 6 {
		t.Errorf("%d different hashes, want 6", len(all))
	}
}
