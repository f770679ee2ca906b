package policy

import (
	"bytes"
	"strings"
	"testing"
)

func TestNormalizePath(t *testing.T) {
	for _, c := range []struct{ name, raw, want string }{
		{"an empty path is the root", "", "/"},
		{"a normal path stays", "/a/b.css", "/a/b.css"},
		{"an unreserved byte is decoded", "/%61%2D%5f%7e", "/a-_~"},
		{"hex is upper case", "/a%2fb%5c", "/a%2Fb%5C"},
		{"an encoded slash is not a slash", "/a%2Fb", "/a%2Fb"},
		{"two slashes stay", "//x//y", "//x//y"},
		{"reserved bytes stay bare", "/a;b=c,d@e:f!$&'()*+", "/a;b=c,d@e:f!$&'()*+"},
		{"an encoded reserved byte stays encoded", "/account%3bx.css", "/account%3Bx.css"},
		{"an encoded hash stays", "/x%23y", "/x%23y"},
		{"an encoded question mark stays", "/x%3Fy", "/x%3Fy"},
		{"a double escape is decoded once", "/%2541", "/%2541"},
		{"an encoded line feed stays", "/a%0ax", "/a%0Ax"},
		{"dot segments are resolved", "/static/../account", "/account"},
		{"encoded dots are dots", "/static/%2e%2E/account", "/account"},
		{"dots before an encoded slash are none", "/static/..%2faccount", "/static/..%2Faccount"},
		{"a single dot goes", "/a/./b", "/a/b"},
		{"a dot at the end leaves a slash", "/a/.", "/a/"},
		{"two dots at the end leave a slash", "/a/b/..", "/a/"},
		{"nothing is above the root", "/../../x", "/x"},
		{"the root alone", "/..", "/"},
		{"two dots take an empty segment", "/a//../b", "/a/b"},
		{"three dots are a name", "/.../x", "/.../x"},
		{"dots in a name stay", "/a..b/..c/d..", "/a..b/..c/d.."},
		{"bytes above ASCII are encoded", "/\xc3\xa4", "/%C3%A4"},
		{"bytes that no path has are encoded", "/a\\b\"<>^`{|}", "/a%5Cb%22%3C%3E%5E%60%7B%7C%7D"},
		{"a bad escape", "/a%zz", "!"},
		{"a cut escape", "/a%4", "!"},
		{"a lone percent sign", "/a%", "!"},
		{"an encoded NUL", "/account%00.css", "!"},
		{"a control", "/a\x01", "!"},
		{"a blank", "/a b", "!"},
		{"DEL", "/a\x7f", "!"},
		{"a fragment", "/x#y", "!"},
		{"a query", "/x?y", "!"},
		{"no slash in front", "a/b", "!"},
		{"an asterisk", "*", "!"},
	} {
		got, _, err := NormalizePath(nil, []byte(c.raw))
		if err != nil {
			got = []byte("!")
		}
		if string(got) != c.want {
			t.Errorf("%s: %q is %q, want %q", c.name, c.raw, got, c.want)
		}
	}
}

func FuzzNormalizePath(f *testing.F) {
	for _, s := range []string{"/", "/a/%2e%2E//..%2f%61", "/%00", "/../..", "/%2541", "/a/./", "/\xff"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		dst := []byte("before")
		path, buf, err := NormalizePath(dst, raw)
		if !strings.HasPrefix(string(buf), "before") {
			t.Fatalf("the buffer lost what it had: %q", buf)
		}
		if err != nil {
			return
		}
		if len(path) == 0 || path[0] != '/' {
			t.Fatalf("%q is %q", raw, path)
		}
		again, _, err := NormalizePath(nil, path)
		if err != nil || !bytes.Equal(again, path) {
			t.Errorf("%q is %q, that again %q %v", raw, path, again, err)
		}
		for segment := range bytes.SplitSeq(path[1:], []byte("/")) {
			if s := string(segment); s == "." || s == ".." {
				t.Errorf("%q is %q, with dots", raw, path)
			}
		}
		if before, after := bytes.Count(raw, []byte("%2F"))+bytes.Count(raw, []byte("%2f")),
			bytes.Count(path, []byte("%2F")); after > before {
			t.Errorf("%q is %q: an escape appeared", raw, path)
		}
	})
}
