package policy

import (
	"slices"
	"testing"
)

func TestInvalidates(t *testing.T) {
	for _, c := range []struct {
		method string
		status int
		want   bool
	}{
		{"POST", 200, true}, {"PUT", 201, true}, {"DELETE", 204, true}, {"PATCH", 303, true}, {"M-SEARCH", 200, true},
		{"get", 200, true}, {"FOO", 302, true}, {"POST", 199, false}, {"POST", 400, false}, {"PUT", 500, false},
		{"GET", 200, false}, {"HEAD", 200, false}, {"OPTIONS", 200, false}, {"TRACE", 200, false}, {"PROPFIND", 207, false},
	} {
		if got := Invalidates(c.method, c.status); got != c.want {
			t.Errorf("%s %d: %v", c.method, c.status, got)
		}
	}
}

func TestInvalidatedURLs(t *testing.T) {
	const self = "http://a.test/dir/x?q=1"
	for _, c := range []struct {
		name  string
		lines []string
		want  []string
	}{
		{"itself", nil, nil},
		{"Location and Content-Location", lines("Location: /l", "Content-Location: /c"), lines("http://a.test/l", "http://a.test/c")},
		{"absolute", lines("Location: HTTP://A.test:80/%6c"), lines("http://a.test/l")},
		{"relative to the path", lines("Location: l?z"), lines("http://a.test/dir/l?z")},
		{"up", lines("Location: ../l"), lines("http://a.test/l")},
		{"only a query", lines("Location: ?z"), lines("http://a.test/dir/x?z")},
		{"without a scheme", lines("Location: //a.test/l"), lines("http://a.test/l")},
		{"with a fragment", lines("Location: /l#f"), lines("http://a.test/l")},
		{"a colon in a segment", lines("Location: ./l:1"), lines("http://a.test/dir/l:1")},
		{"itself again", lines("Location: x?q=1", "Content-Location: "), nil},
		{"another host", lines("Location: http://b.test/l", "Content-Location: //b.test/c"), nil},
		{"another scheme", lines("Location: https://a.test/l"), nil},
		{"another port", lines("Location: http://a.test:81/l"), nil},
		{"no http", lines("Location: mailto:a@a.test"), nil},
		{"malformed", lines("Location: /%zz", "Content-Location: http://a.test@b.test/"), nil},
	} {
		var got []string
		for _, u := range InvalidatedURLs(here, headers(c.lines...)) {
			got = append(got, u.String())
		}
		if want := append(lines(self), c.want...); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", c.name, got, want)
		}
	}
}

func FuzzResolve(f *testing.F) {
	f.Add("../x?y#z")
	f.Add("//b/c")
	f.Fuzz(func(t *testing.T, ref string) {
		u, ok := here.Resolve(ref)
		if !ok {
			return
		}
		again, ok := here.Resolve(u.String())
		if !ok || !again.Equal(u) {
			t.Errorf("%q is %q, that again %q", ref, u, again)
		}
	})
}
