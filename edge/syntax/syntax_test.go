package syntax

import "testing"

func TestValidHost(t *testing.T) {
	for host, want := range map[string]bool{
		"example.com": true, "EXAMPLE.com:8080": true, "127.0.0.1": true, "[::1]:443": true, "a_b-c.d~e": true,
		"": false, ":80": false, "a:": false, "a:65536": false, "a:080808": false, "a b": false, "a@b": false, "a/b": false,
		"[::1": false, "[::1%eth0]": false, "[1.2.3.4]": false, "a%41": false, "a,b": false, "a\x00": false,
	} {
		if got := ValidHost([]byte(host)); got != want {
			t.Errorf("ValidHost(%q) is %v", host, got)
		}
	}
}

func TestSameAuthority(t *testing.T) {
	for _, c := range []struct {
		a, b, scheme string
		want         bool
	}{
		{"a.test", "A.TEST:80", "http", true},
		{"a.test:443", "a.test", "https", true},
		{"a.test:80", "a.test", "https", false},
		{"a.test", "b.test", "http", false},
	} {
		if got := SameAuthority([]byte(c.a), []byte(c.b), c.scheme); got != c.want {
			t.Errorf("%s and %s over %s: %v", c.a, c.b, c.scheme, got)
		}
	}
}
