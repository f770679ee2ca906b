package policy

import (
	"strconv"
	"strings"
	"testing"
	"time"
)

// keyOf is the key that a request line and its Host lead to, or "!".
func keyOf(t *testing.T, r *KeyRules, scheme, host, target string) string {
	t.Helper()
	h, _, err := NormalizeHost(nil, []byte(host), scheme)
	if err != nil {
		return "!"
	}
	path, query, has := strings.Cut(target, "?")
	p, _, err := NormalizePath(nil, []byte(path))
	if err != nil {
		return "!"
	}
	u, _ := r.Reduce(nil, URL{Scheme: scheme, Host: h, Path: p, Query: []byte(query), HasQuery: has})
	k, _ := NewKey(nil, 1, u, nil)
	return string(k.Full)
}

// TestCasesCacheKey are the cases of hostile keys that are decided here, by
// their ids.
func TestCasesCacheKey(t *testing.T) {
	type request struct{ scheme, host, target string }
	sorted := KeyRules{Sort: true}
	stripped := KeyRules{Ignore: []string{"utm_*"}}
	for _, c := range []struct {
		id    string
		rules KeyRules
		a, b  request
		same  bool
	}{
		{"key-host", KeyRules{}, request{"http", "a.test", "/x"}, request{"http", "b.test", "/x"}, false},
		{"key-host-case", KeyRules{}, request{"http", "A.Test", "/x"}, request{"http", "a.test", "/x"}, true},
		{"key-host-port", KeyRules{}, request{"http", "a.test:80", "/x"}, request{"http", "a.test", "/x"}, true},
		{"key-host-port", KeyRules{}, request{"http", "a.test:81", "/x"}, request{"http", "a.test", "/x"}, false},
		{"key-host-dot", KeyRules{}, request{"http", "a.test.", "/x"}, request{"http", "a.test", "/x"}, true},
		{"key-scheme", KeyRules{}, request{"http", "a.test", "/x"}, request{"https", "a.test", "/x"}, false},
		{"key-sep", KeyRules{}, request{"http", "a", "/b:x"}, request{"http", "a", "/b?:x"}, false},
		{"key-sep", KeyRules{}, request{"http", "a", "/\xff?b"}, request{"http", "a", "/?\xffb"}, false},
		{"key-query-order", KeyRules{}, request{"http", "a", "/?a=1&b=2"}, request{"http", "a", "/?b=2&a=1"}, false},
		{"key-query-order", sorted, request{"http", "a", "/?a=1&b=2"}, request{"http", "a", "/?b=2&a=1"}, true},
		{"key-query-semi", stripped, request{"http", "a", "/?x=1&utm_content=a;x=2"}, request{"http", "a", "/?x=1"}, true},
		{"key-query-semi", stripped, request{"http", "a", "/?x=1;utm_content=a"}, request{"http", "a", "/?x=1"}, false},
		{"key-query-empty", KeyRules{}, request{"http", "a", "/x"}, request{"http", "a", "/x?"}, false},
		{"key-query-empty", KeyRules{}, request{"http", "a", "/x?"}, request{"http", "a", "/x?&"}, false},
		{"key-pct", KeyRules{}, request{"http", "a", "/a%2Fb"}, request{"http", "a", "/a/b"}, false},
		{"key-pct", KeyRules{}, request{"http", "a", "/%61"}, request{"http", "a", "/a"}, true},
		{"key-dots", KeyRules{}, request{"http", "a", "/static/../account"}, request{"http", "a", "/account"}, true},
		{"key-dots", KeyRules{}, request{"http", "a", "/static/%2e%2e/account"}, request{"http", "a", "/account"}, true},
		{"key-dots", KeyRules{}, request{"http", "a", "/static/..%2faccount"}, request{"http", "a", "/account"}, false},
		{"key-slashes", KeyRules{}, request{"http", "a", "//x"}, request{"http", "a", "/x"}, false},
		{"key-fragment", KeyRules{}, request{"http", "a", "/x%23y"}, request{"http", "a", "/x"}, false},
	} {
		a := keyOf(t, &c.rules, c.a.scheme, c.a.host, c.a.target)
		b := keyOf(t, &c.rules, c.b.scheme, c.b.host, c.b.target)
		if a == "!" || b == "!" || (a == b) != c.same {
			t.Errorf("%s: %v and %v: same key %v", c.id, c.a, c.b, a == b)
		}
	}
	for id, target := range map[string]string{"key-pct": "/a%zz", "key-null": "/account%00.css", "key-fragment": "/x#y"} {
		if got := keyOf(t, &KeyRules{}, "http", "a.test", target); got != "!" {
			t.Errorf("%s: %q has a key", id, target)
		}
	}
}

// TestCasesDeception: whatever the path looks like, an answer to a request with
// a cookie and no word of the origin is not stored (web cache deception).
func TestCasesDeception(t *testing.T) {
	for _, r := range []Rules{{}, {Heuristic: true}, {TTL: time.Hour}, {TTLOverride: time.Hour}, {TTLStatus: map[int]time.Duration{200: time.Hour}}} {
		for _, target := range []string{"/account/x.css", "/account;x.css", "/account%3Bx.css", "/account%2Fx.css",
			"/account%0Ax.css", "/account?x.css", "/account/..%2fstatic/x.js", "/static/..%2faccount"} {
			u, err := ParseURL("http://a.test" + target)
			if err != nil {
				t.Fatal(err)
			}
			a := ask(&r, "GET", "Cookie: session=1")
			d := Judge(a, &r, &Response{Status: 200, Header: headers("Content-Type: text/html", "Last-Modified: {-10000}")}, u, answered)
			if d.Store {
				t.Errorf("%s is stored for %v", target, d.Life.Fresh)
			}
		}
	}
}

// TestCasesPoisoning are the cases of poisoning that are decided here, by their
// ids.
func TestCasesPoisoning(t *testing.T) {
	heuristic := Rules{Heuristic: true}
	for _, c := range []struct {
		id string
		judged
		want  Reason
		fresh time.Duration
	}{
		{"unkeyed-cookie", judged{rules: heuristic, request: lines("Cookie: a=<b>"), answer: lines("Last-Modified: {-10000}")}, CookieRequest, 0},
		{"unkeyed-cookie", judged{request: lines("Cookie: a=<b>"), answer: lines("Cache-Control: max-age=60")}, Stored, time.Minute},
		{"auth-request", judged{request: lines("Authorization: x"), answer: lines("Cache-Control: max-age=60")}, Authorization, 0},
		{"set-cookie", judged{answer: lines("Cache-Control: max-age=60", "Set-Cookie: a=b")}, SetCookieAnswer, 0},
		{"cpdos-hho", judged{request: lines("X: " + strings.Repeat("x", 9000)), status: 431, answer: lines("Cache-Control: max-age=60")}, ErrorToLongHead, 0},
		{"cpdos-range", judged{request: lines("Range: bytes=x"), status: 416, answer: lines("Cache-Control: max-age=60")}, ErrorToRange, 0},
		{"cpdos-accept", judged{rules: heuristic, status: 406, answer: lines("Last-Modified: {-10000}")}, Status, 0},
		{"cpdos-accept", judged{rules: heuristic, status: 302, answer: lines("Last-Modified: {-10000}")}, Status, 0},
		{"vary-names", judged{answer: lines("Cache-Control: max-age=60", "Vary: "+names(17))}, TooManyVary, 0},
		{"age-lie", judged{answer: lines("Cache-Control: max-age=60", "Age: 99999999999", "ETag: \"a\"")}, Stored, time.Minute},
		{"age-lie", judged{answer: lines("Cache-Control: max-age=60", "Age: -1", "Date: {99999}")}, Stored, time.Minute},
		{"cc-weird", judged{answer: lines("Cache-Control: max-age=18446744073709551616")}, Stored, 365 * 24 * time.Hour},
		{"cc-weird", judged{answer: lines(`Cache-Control: max-age="60"`)}, Stored, time.Minute},
		{"cc-weird", judged{answer: lines("Cache-Control: max-age=60;")}, BadFreshness, 0},
		{"cc-weird", judged{answer: lines("Cache-Control: max-age=-1")}, BadFreshness, 0},
		{"cc-weird", judged{answer: lines("Cache-Control: s-maxage=a, max-age=60")}, BadFreshness, 0},
		{"304-unasked", judged{status: 304, answer: lines("Cache-Control: max-age=60")}, Status, 0},
	} {
		d := c.decide()
		if d.Why != c.want || d.Life.Fresh != c.fresh {
			t.Errorf("%s %q: %v for %v, want %v for %v", c.id, c.answer, d.Why, d.Life.Fresh, c.want, c.fresh)
		}
	}
	old := judged{answer: lines("Cache-Control: max-age=60", "Age: 99999999999", "ETag: \"a\"")}.decide()
	if old.Life.At(answered.ResponseAt) != Lapsed {
		t.Error("age-lie: an answer of an immense age is fresh")
	}
	future := judged{answer: lines("Cache-Control: max-age=60", "Date: {99999}")}.decide()
	if future.Life.At(answered.ResponseAt+int64(61*time.Second)) == StateFresh {
		t.Error("age-lie: a Date in the future makes an answer immortal")
	}
}

// TestCaseVaryAE: however many ways there are to write it, Accept-Encoding
// selects at most four variants.
func TestCaseVaryAE(t *testing.T) {
	seen := map[string]bool{}
	codings := []string{"gzip", "br", "zstd", "deflate", "identity", "*"}
	for i := range 1 << (2 * len(codings)) {
		var accept []string
		for j, name := range codings {
			if weight := i >> (2 * j) & 3; weight > 0 {
				accept = append(accept, name+";q=0."+strconv.Itoa(weight-1))
			}
		}
		f := Fields{{[]byte("Accept-Encoding"), []byte(strings.Join(accept, ","))}}
		seen[string(AppendSelector(nil, []string{"accept-encoding"}, &Ask{Fields: f}))] = true
	}
	if len(seen) != 4 {
		t.Errorf("%d variants, want 4", len(seen))
	}
}
