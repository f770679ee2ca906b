package policy

import (
	"reflect"
	"testing"
)

func TestMerge(t *testing.T) {
	old := headers("Date: {-100}", "Age: 50", "Content-Length: 5", "Content-Encoding: gzip", "Content-Type: text/plain",
		"ETag: \"a\"", "Cache-Control: max-age=1", "X-Test: old", "X-Kept: old", "Set-Cookie: a=b")
	fresh := headers("Date: {0}", "Content-Length: 10", "Content-Encoding: br", "Content-Range: bytes 0-1/2",
		"Transfer-Encoding: chunked", "Connection: close, X-Hop, Cache-Control", "X-Hop: 1", "Keep-Alive: 5",
		"Content-Type: text/html", "Content-Location: /bar", "Cache-Control: max-age=3600", "X-Test: new", "X-Test: too",
		"Content-Foo: new", "Set-Cookie: a=c", "ETag: \"a\"")
	want := headers("Date: {0}", "Content-Length: 5", "Content-Encoding: gzip", "Content-Type: text/html",
		"Content-Location: /bar", "ETag: \"a\"", "Cache-Control: max-age=3600", "X-Test: new", "X-Test: too",
		"Content-Foo: new", "X-Kept: old", "Set-Cookie: a=b")
	before := [...]any{old.Clone(), fresh.Clone()}
	if got := Merge(old, fresh, &Rules{}); !reflect.DeepEqual(got, want) {
		t.Errorf("merged is\n%v, want\n%v", got, want)
	}
	want.Set("Set-Cookie", "a=c")
	if got := Merge(old, fresh, &Rules{SetCookie: SetCookieStore}); !reflect.DeepEqual(got, want) {
		t.Errorf("with cookies stored merged is\n%v, want\n%v", got, want)
	}
	if !reflect.DeepEqual(before, [...]any{old, fresh}) {
		t.Error("the arguments were changed")
	}
}

func TestAgeAndDateCountFromThe304(t *testing.T) {
	old := headers("Date: {-100}", "Age: 50", "Cache-Control: max-age=10", "ETag: \"a\"")
	for _, c := range []struct {
		name  string
		fresh []string
		age   int
	}{
		{"a 304 without either", nil, 0},
		{"a 304 with a Date", lines("Date: {0}"), 0},
		{"a 304 with an Age", lines("Age: 7"), 7},
	} {
		merged := Merge(old, headers(c.fresh...), &Rules{})
		d := Judge(ask(&Rules{}, "GET"), &Rules{}, &Response{Status: 200, Header: merged}, here, answered)
		if got := int(d.Life.Age(answered.ResponseAt) / s); !d.Store || got != c.age {
			t.Errorf("%s: %d s old, want %d", c.name, got, c.age)
		}
	}
}

func TestFreshens(t *testing.T) {
	for _, c := range []struct {
		name  string
		v     *Validators
		fresh []string
		want  bool
	}{
		{"no validators", stored(`"a"`, 60), nil, true},
		{"the same tag", stored(`"a"`, 60), lines(`ETag: "a"`), true},
		{"the same tag, weak", stored(`"a"`, 60), lines(`ETag: W/"a"`), true},
		{"another tag", stored(`"a"`, 60), lines(`ETag: "b"`, "Last-Modified: {-60}"), false},
		{"a tag where none is stored", stored("", 60), lines(`ETag: "b"`), false},
		{"a tag where none is stored, the same date", stored("", 60), lines(`ETag: "b"`, "Last-Modified: {-60}"), true},
		{"the same date", stored("", 60), lines("Last-Modified: {-60}"), true},
		{"another date", stored("", 60), lines("Last-Modified: {-59}"), false},
		{"the same tag comes before another date", stored(`"a"`, 60), lines(`ETag: "a"`, "Last-Modified: {-59}"), true},
		{"a bad date", stored("", 60), lines("Last-Modified: x"), true},
	} {
		if got := Freshens(c.v, headers(c.fresh...)); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// TestConnectionCannotListAway: what a cache lives by stays.
func TestConnectionCannotListAway(t *testing.T) {
	got := ConnectionNames(headers("Connection: x-a, cdn-cache-control, Surrogate-Control", "Connection: Edge-Cache-Control, cache-control"))
	if len(got) != 1 || !got["X-A"] {
		t.Errorf("%v, want X-A alone", got)
	}
}
