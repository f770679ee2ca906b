package policy

import (
	"testing"
	"time"
)

// ask reads a request of "Name: value" lines.
func ask(r *Rules, method string, lines ...string) *Ask {
	var a Ask
	a.Read(method, fields(lines...), r)
	return &a
}

func TestReadSeesWhatMatters(t *testing.T) {
	all := map[string]Has{
		"Authorization": HasAuthorization, "COOKIE": HasCookie, "range": HasRange, "If-Range": HasIfRange,
		"If-None-Match": HasIfNoneMatch, "If-Modified-Since": HasIfModifiedSince, "If-Match": HasIfMatch,
		"If-Unmodified-Since": HasIfUnmodifiedSince, "Cache-Control": HasCacheControl, "Pragma": HasPragma,
		"Expect": HasExpect, "Upgrade": HasUpgrade,
		"Host": 0, "Origin": 0, "Accept": 0, "Referer": 0, "X-Real-Ip": 0, "If-Something-Else": 0, "": 0,
	}
	var every Has
	for name, want := range all {
		if a := ask(&Rules{}, "GET", name+": x"); a.Has != want {
			t.Errorf("%s sets %b, want %b", name, a.Has, want)
		}
		every |= want
	}
	if a := ask(&Rules{}, "GET", "Range: x", "Cookie: y"); a.Has != HasRange|HasCookie {
		t.Errorf("two fields set %b", a.Has)
	}
	if every != HasUpgrade<<1-1 {
		t.Errorf("bits without a field: %b", every)
	}
	a := Ask{Body: true}
	a.Read("GET", fields("Host: a.test"), &Rules{})
	if a.HeadBytes != len("Host")+len("a.test")+4 || a.Body {
		t.Errorf("head of %d bytes, body %v", a.HeadBytes, a.Body)
	}
}

func TestLookup(t *testing.T) {
	honor := Rules{HonorClient: true}
	for _, c := range []struct {
		name   string
		rules  Rules
		method string
		line   string
		want   Reason
	}{
		{"GET may be answered", Rules{}, "GET", "Host: a", None},
		{"HEAD may be answered", Rules{}, "HEAD", "Host: a", None},
		{"POST may not", Rules{}, "POST", "Host: a", BypassRequest},
		{"methods are case-sensitive", Rules{}, "get", "Host: a", BypassRequest},
		{"an unknown method may not", Rules{}, "M-SEARCH", "Host: a", BypassRequest},
		{"a bypassed route", Rules{Bypass: true}, "GET", "Host: a", BypassRule},
		{"a cookie is no obstacle", Rules{}, "GET", "Cookie: a=b", None},
		{"but where the route says so", Rules{Cookies: CookiesBypass}, "GET", "Cookie: a=b", BypassRule},
		{"which needs a cookie", Rules{Cookies: CookiesBypass}, "GET", "Host: a", None},
		{"no-store, honoured", honor, "GET", "Cache-Control: no-store", ClientNoStore},
		{"no-store, ignored", Rules{}, "GET", "Cache-Control: no-store", None},
		{"no-cache still looks", honor, "GET", "Cache-Control: no-cache", None},
	} {
		ok, why := ask(&c.rules, c.method, c.line).Lookup(&c.rules)
		if why != c.want || ok != (c.want == None) {
			t.Errorf("%s: %v %v, want %v", c.name, ok, why, c.want)
		}
	}
}

func TestClientDirectives(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		name  string
		lines []string
		want  Control
	}{
		{"unknown ones change nothing", []string{"Cache-Control: nothing-to-see-here", "Pragma: foo"}, Control{}},
		{"each of RFC 9111, 5.2.1", []string{"Cache-Control: no-cache, no-store, only-if-cached"},
			Control{NoCache: true, NoStore: true, OnlyIfCached: true}},
		{"the spans", []string{"Cache-Control: max-age=5, min-fresh=6", "Cache-Control: max-stale=7"},
			Control{HasMaxAge: true, MaxAge: 5 * s, HasMinFresh: true, MinFresh: 6 * s, HasMaxStale: true, MaxStale: 7 * s}},
		{"max-age=0", []string{"Cache-Control: max-age=0"}, Control{HasMaxAge: true}},
		{"max-stale alone is any", []string{"Cache-Control: max-stale"}, Control{HasMaxStale: true, AnyStale: true}},
		{"case", []string{"cAcHe-cOnTrOl: No-CaChE, MAX-AGE=1"}, Control{NoCache: true, HasMaxAge: true, MaxAge: s}},
		{"a bad max-age is 0", []string{"Cache-Control: max-age=x"}, Control{HasMaxAge: true}},
		{"a bad max-stale or min-fresh is none", []string{"Cache-Control: max-stale=x, min-fresh=-1"}, Control{}},
		{"an empty max-stale is none", []string{"Cache-Control: max-stale= 5"}, Control{}},
		{"a bad one harms no other", []string{"Cache-Control: max-stale=x, no-store"}, Control{NoStore: true}},
		{"a quoted one is none", []string{`Cache-Control: a="no-store, no-cache"`}, Control{}},
		{"behind a torn string only what forbids", []string{`Cache-Control: a="b, no-store, max-stale`}, Control{NoStore: true}},
		{"blanks for commas", []string{"Cache-Control: foo no-store"}, Control{NoStore: true}},
		{"a blank behind a value", []string{`Cache-Control: foo="a" no-cache`}, Control{NoCache: true}},
		{"Pragma of others", []string{"Pragma: x, y"}, Control{}},
		{"the first of two", []string{"Cache-Control: max-age=1, max-age=9"}, Control{HasMaxAge: true, MaxAge: s}},
		{"Pragma counts", []string{"Pragma: no-cache"}, Control{NoCache: true}},
		{"Pragma in a list", []string{"Pragma: x, No-Cache"}, Control{NoCache: true}},
		{"Pragma beside Cache-Control does not (5.4)", []string{"Pragma: no-cache", "Cache-Control: foo"}, Control{}},
	} {
		if got := ask(&Rules{HonorClient: true}, "GET", c.lines...).Control; got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
		if got := ask(&Rules{}, "GET", c.lines...).Control; got != (Control{}) {
			t.Errorf("%s: %+v although the route ignores clients", c.name, got)
		}
	}
}

func FuzzControl(f *testing.F) {
	f.Add(`no-cache, max-age="5", max-stale, x="a,b`)
	f.Fuzz(func(t *testing.T, line string) {
		a := Ask{}
		a.Read("GET", Fields{{[]byte("Cache-Control"), []byte(line)}}, &Rules{HonorClient: true})
		c := a.Control
		if c.MaxAge < 0 || c.MinFresh < 0 || c.MaxStale < 0 || c.AnyStale && !c.HasMaxStale {
			t.Errorf("%q is %+v", line, c)
		}
	})
}
