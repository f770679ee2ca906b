package purge

import (
	"strings"
	"testing"

	"edgecache/policy"
)

func TestParseEntryNormalisesAsTheKeyDoes(t *testing.T) {
	deep := strings.Repeat("/a", MaxPrefixSegments)
	for _, c := range []struct {
		name           string
		scope          Scope
		selector, host string
		wantValue      string
		wantHost       string
		wantErr        string // a part of it
	}{
		{"absolute url", ScopeURL, "http://Example.com:80/%7ea/../b?Q=%7e", "", "/b?Q=%7e", "example.com", ""},
		{"https url", ScopeURL, "https://example.com:443/x", "", "/x", "example.com", ""},
		{"https url on port 80 keeps it", ScopeURL, "https://example.com:80/x", "", "/x", "example.com:80", ""},
		{"an empty query stays", ScopeURL, "http://h/x?", "", "/x?", "h", ""},
		{"path on all hosts", ScopeURL, "/x?a=1", "", "/x?a=1", "", ""},
		{"path on one host", ScopeURL, "/x", "H.example.", "/x", "h.example", ""},
		{"the same host twice", ScopeURL, "http://h/x", "h", "/x", "h", ""},
		{"two hosts", ScopeURL, "http://h/x", "g", "", "", "names host"},
		{"no path", ScopeURL, "x", "", "", "", "not an http"},
		{"foreign scheme", ScopeURL, "ftp://h/x", "", "", "", "not an http"},
		{"bad escape", ScopeURL, "/%zz", "", "", "", "path"},
		{"nul", ScopeURL, "/%00", "", "", "", "path"},
		{"userinfo", ScopeURL, "http://u@h/x", "", "", "", "host"},
		{"empty url", ScopeURL, "", "", "", "", "not an http"},
		{"too long", ScopeURL, "/" + strings.Repeat("x", MaxSelectorBytes), "", "", "", "longer"},
		{"prefix", ScopePrefix, "/a/b", "", "/a/b", "", ""},
		{"prefix with a slash at its end", ScopePrefix, "http://h/a/", "", "/a", "h", ""},
		{"prefix with two", ScopePrefix, "/a//", "", "/a/", "", ""},
		{"prefix of everything", ScopePrefix, "/", "h", "", "h", ""},
		{"prefix of a host", ScopePrefix, "http://h", "", "", "h", ""},
		{"prefix with a query", ScopePrefix, "/a?b", "", "", "", "no query"},
		{"deepest prefix", ScopePrefix, deep, "", deep, "", ""},
		{"too deep a prefix", ScopePrefix, deep + "/a", "", "", "", "segments"},
		{"tag", ScopeTag, " news ", "", "news", "", ""},
		{"tag on a host", ScopeTag, "news", "H:8080", "news", "h:8080", ""},
		{"empty tag", ScopeTag, " ", "", "", "", "empty"},
		{"long tag", ScopeTag, strings.Repeat("t", MaxTagBytes+1), "", "", "", "longer"},
		{"longest tag", ScopeTag, strings.Repeat("t", MaxTagBytes), "", strings.Repeat("t", MaxTagBytes), "", ""},
		{"tag with a newline", ScopeTag, "a\nb", "", "", "", "control"},
		{"tag that is not UTF-8", ScopeTag, "a\xff", "", "", "", "UTF-8"},
		{"host", ScopeHost, "Example.COM.", "", "example.com", "", ""},
		{"host with a port", ScopeHost, "h:8080", "", "h:8080", "", ""},
		{"host with one scheme's default port", ScopeHost, "h:443", "", "h:443", "", ""},
		{"host with a path", ScopeHost, "h/x", "", "", "", "host"},
		{"empty host", ScopeHost, "", "", "", "", "host"},
		{"host and another host", ScopeHost, "h", "g", "", "", "beside"},
		{"all", ScopeAll, "", "", "", "", ""},
		{"all with a star", ScopeAll, "*", "", "", "", ""},
		{"all of something", ScopeAll, "/x", "", "", "", "no selector"},
		{"all of a host", ScopeAll, "", "h", "", "", "no selector"},
		{"group of an origin", ScopeGroup, "g", "HTTPS://H:443", "g", "https://h", ""},
		{"group of both schemes", ScopeGroup, "g", "h", "g", "h", ""},
		{"group without origin", ScopeGroup, "g", "", "", "", "give host"},
		{"group of a foreign scheme", ScopeGroup, "g", "ftp://h", "", "", "scheme"},
		{"group of no host", ScopeGroup, "g", "https://", "", "", "host"},
		{"no such scope", scopes, "x", "", "", "", "scope"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, err := ParseEntry(c.scope, c.selector, c.host, Hard)
			if c.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), c.wantErr) {
					t.Fatalf("error %v, want one with %q", err, c.wantErr)
				}
				if e != (Entry{}) {
					t.Fatalf("entry %+v with an error", e)
				}
				return
			}
			want := Entry{Scope: c.scope, Value: c.wantValue, Host: c.wantHost, Strength: Hard}
			if err != nil || e != want {
				t.Fatalf("got %+v, %v, want %+v", e, err, want)
			}
		})
	}
}

func TestParseEntryWantsAStrength(t *testing.T) {
	for _, s := range []Strength{None, strengths} {
		if _, err := ParseEntry(ScopeURL, "/x", "", s); err == nil {
			t.Errorf("strength %d is taken", s)
		}
	}
}

func TestKeyerSeesHostAndQuery(t *testing.T) {
	drop := func(u policy.URL) []policy.URL {
		if string(u.Host) == "h" && string(u.Query) == "utm=1" {
			u.Query, u.HasQuery = nil, false
		}
		return []policy.URL{u}
	}
	for selector, want := range map[string]string{
		"http://h/x?utm=1": "/x", "http://g/x?utm=1": "/x?utm=1", "/x?utm=1": "/x?utm=1", "http://h/x?": "/x?",
	} {
		e, err := ParseEntry(ScopeURL, selector, "", Soft)
		if err != nil {
			t.Fatal(err)
		}
		if got := e.keyed(drop)[0].Value; got != want {
			t.Errorf("%s: %s, want %s", selector, got, want)
		}
	}
}

func TestNames(t *testing.T) {
	if got := Scope(200).String() + " " + Strength(200).String(); got != "unknown unknown" {
		t.Error(got)
	}
	seen := map[string]bool{}
	for s := range scopes {
		seen[s.String()] = true
	}
	for s := range strengths {
		seen[s.String()] = true
	}
	if len(seen) != int(scopes)+int(strengths) || seen[""] {
		t.Errorf("names are not distinct: %v", seen)
	}
}

// What parses must parse again to the same, be storable, and cover the key
// that the same text leads to.
func FuzzParseEntry(f *testing.F) {
	for _, s := range []string{"http://h/p?q", "/p?", "/a/./%7e/", "news", "h:443", "[::1]:80", "https://h:80/%2F"} {
		for scope := range scopes {
			f.Add(uint8(scope), s, "")
			f.Add(uint8(scope), s, "h")
		}
	}
	f.Fuzz(func(t *testing.T, scope uint8, selector, host string) {
		e, err := ParseEntry(Scope(scope), selector, host, Hard)
		if err != nil {
			return
		}
		s := stored{Entry: e, id: 7}
		back, err := decodeStored(idKey(7), s.encode())
		if err != nil || back != s {
			t.Fatalf("%+v comes back as %+v, %v", s, back, err)
		}
		if e.Scope != ScopeURL {
			return
		}
		var x Index
		x.apply([]Entry{e}, func() int64 { return 1 })
		u, err := policy.ParseURL(selector)
		if err != nil {
			t.Fatalf("%q is an entry and no url: %v", selector, err)
		}
		u.Host = []byte(e.Host)
		if e.Host == "" {
			u.Host = []byte("any")
		}
		for _, u.Scheme = range []string{"http", "https"} {
			if k, _ := policy.NewKey(nil, 1, u, nil); x.CoversKnown(k, 0).Strength != Hard {
				t.Fatalf("%+v does not cover %s", e, u)
			}
		}
	})
}
