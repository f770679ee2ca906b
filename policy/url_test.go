package policy

import (
	"bytes"
	"testing"
)

func TestNormalizeHost(t *testing.T) {
	for _, c := range []struct{ name, scheme, raw, want string }{
		{"a plain name stays", "http", "a.test", "a.test"},
		{"upper case is folded", "http", "A.Test", "a.test"},
		{"the default port of http goes", "http", "a.test:80", "a.test"},
		{"the default port of https goes", "https", "a.test:443", "a.test"},
		{"another scheme's default port stays", "https", "a.test:80", "a.test:80"},
		{"another port stays", "http", "a.test:81", "a.test:81"},
		{"an empty port goes", "http", "a.test:", "a.test"},
		{"leading zeros of a port go", "http", "a.test:0081", "a.test:81"},
		{"a default port with zeros goes", "http", "a.test:080", "a.test"},
		{"one trailing dot goes", "http", "a.test.", "a.test"},
		{"a trailing dot before a port goes", "http", "A.test.:81", "a.test:81"},
		{"an address of version 4", "http", "127.0.0.1:8080", "127.0.0.1:8080"},
		{"an address of version 6 is canonical", "http", "[0:0:0:0:0:0:0:1]:80", "[::1]"},
		{"an address of version 6 with a port", "http", "[2001:DB8::1]:8080", "[2001:db8::1]:8080"},
		{"an underscore is let through", "http", "my_app.test", "my_app.test"},
		{"nothing", "http", "", "!"},
		{"only a port", "http", ":80", "!"},
		{"user information", "http", "a@b.test", "!"},
		{"a port that is no number", "http", "a.test:8o", "!"},
		{"a port that is signed", "http", "a.test:+80", "!"},
		{"a port too large", "http", "a.test:65536", "!"},
		{"port 0", "http", "a.test:0", "!"},
		{"two ports", "http", "a.test:80:80", "!"},
		{"two trailing dots", "http", "a.test..", "!"},
		{"only a dot", "http", ".", "!"},
		{"a leading dot", "http", ".a.test", "!"},
		{"a blank", "http", "a test", "!"},
		{"a slash", "http", "a.test/b", "!"},
		{"a comma, as of two Host lines", "http", "a.test,b.test", "!"},
		{"a percent sign", "http", "a%2etest", "!"},
		{"NUL", "http", "a\x00.test", "!"},
		{"bytes above ASCII", "http", "\xc3\xa4.test", "!"},
		{"an open bracket", "http", "[::1", "!"},
		{"text behind a bracket", "http", "[::1]x", "!"},
		{"version 4 in brackets", "http", "[127.0.0.1]", "!"},
		{"a zone", "http", "[fe80::1%eth0]", "!"},
		{"empty brackets", "http", "[]", "!"},
		{"a name that is too long", "http", string(bytes.Repeat([]byte("a"), maxHost+1)), "!"},
	} {
		got, _, err := NormalizeHost(nil, []byte(c.raw), c.scheme)
		if err != nil {
			got = []byte("!")
		}
		if string(got) != c.want {
			t.Errorf("%s: %q is %q, want %q", c.name, c.raw, got, c.want)
		}
	}
	if _, _, err := NormalizeHost(nil, bytes.Repeat([]byte("a"), maxHost), "http"); err != nil {
		t.Errorf("a host at the limit: %v", err)
	}
}

func TestNormalFormIsAViewAndTheRestIsAppended(t *testing.T) {
	dst := []byte("kept")
	raw := []byte("a.test")
	host, buf, _ := NormalizeHost(dst, raw, "http")
	if &host[0] != &raw[0] || string(buf) != "kept" {
		t.Errorf("a normal host was copied: %q", buf)
	}
	host, buf, _ = NormalizeHost(buf, []byte("B.test"), "http")
	path, buf, _ := NormalizePath(buf, []byte("/%61"))
	if string(host) != "b.test" || string(path) != "/a" || string(buf) != "keptb.test/a" {
		t.Errorf("host %q path %q buffer %q", host, path, buf)
	}
	raw = []byte("/a//b%2F")
	if path, buf, _ = NormalizePath(buf, raw); &path[0] != &raw[0] || string(buf) != "keptb.test/a" {
		t.Errorf("a normal path was copied: %q", buf)
	}
}

func FuzzNormalizeHost(f *testing.F) {
	for _, s := range []string{"a.test", "A.Test.:80", "[::1]:443", "a@b", "a:0", "[fe80::1%25a]"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		host, _, err := NormalizeHost(nil, raw, "http")
		if err != nil {
			return
		}
		again, _, err := NormalizeHost(nil, host, "http")
		if err != nil || !bytes.Equal(again, host) {
			t.Errorf("%q is %q, that again %q %v", raw, host, again, err)
		}
		if bytes.ContainsAny(host, "@/\\?# ,%") || !bytes.Equal(host, bytes.ToLower(host)) {
			t.Errorf("%q is %q", raw, host)
		}
	})
}

func TestParseURL(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"http://A.test:80/%61?q", "http://a.test/a?q"},
		{"HTTPS://a.test", "https://a.test/"},
		{"https://a.test?x", "https://a.test/?x"},
		{"http://a.test/x#frag", "http://a.test/x"},
		{"/p?q", "/p?q"}, {"/p?", "/p?"}, {"/p", "/p"}, {"//p", "//p"},
		{"ftp://a.test/", "!"}, {"a.test/x", "!"}, {"", "!"}, {"http://", "!"},
		{"http://u:p@a.test/", "!"}, {"http://a.test/%zz", "!"}, {"/a b", "!"}, {"/a?b c", "!"},
	} {
		u, err := ParseURL(c.in)
		got := u.String()
		if err != nil {
			got = "!"
		}
		if got != c.want {
			t.Errorf("%q is %q, want %q (%v)", c.in, got, c.want, err)
		}
	}
}

func FuzzParseURL(f *testing.F) {
	f.Add("http://a.test/x?y")
	f.Add("/..//%2e?")
	f.Fuzz(func(t *testing.T, s string) {
		u, err := ParseURL(s)
		if err != nil {
			return
		}
		again, err := ParseURL(u.String())
		if err != nil || !again.Equal(u) {
			t.Errorf("%q is %q, that again %q %v", s, u, again, err)
		}
	})
}
