package policy

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func sec(n int) Delta { return Delta{Set: true, Span: time.Duration(n) * time.Second} }

// bad is a span that is malformed.
var bad = Delta{Set: true, Bad: true}

func TestReadDirectives(t *testing.T) {
	for _, c := range []struct {
		name  string
		lines []string
		want  Directives
	}{
		{"nothing", nil, Directives{}},
		{"all that stand alone",
			[]string{"no-store, no-cache, private, public, must-revalidate, proxy-revalidate, must-understand, no-transform, immutable"},
			Directives{NoStore: true, NoCache: true, Private: true, Public: true, MustRevalidate: true,
				ProxyRevalidate: true, MustUnderstand: true, NoTransform: true, Immutable: true}},
		{"all spans", []string{"max-age=1, s-maxage=2, stale-while-revalidate=3, stale-if-error=4"},
			Directives{MaxAge: sec(1), SMaxAge: sec(2), StaleWhileRevalidate: sec(3), StaleIfError: sec(4)}},
		{"case does not matter", []string{"No-StOrE, MaX-aGe=5"}, Directives{NoStore: true, MaxAge: sec(5)}},
		{"unknown ones are ignored", []string{"foobar, max-age=3600, x=y, z=\"a\""}, Directives{MaxAge: sec(3600)}},

		// One bad directive takes no other with it.
		{"a bad s-maxage leaves no-store", []string{"max-age=100, s-maxage=abc, no-store"},
			Directives{MaxAge: sec(100), SMaxAge: bad, NoStore: true}},
		{"a bad max-age is 0", []string{"max-age=a"}, Directives{MaxAge: bad}},
		{"a negative one is 0", []string{"max-age=-1"}, Directives{MaxAge: bad}},
		{"a signed one is 0", []string{"max-age=+5"}, Directives{MaxAge: bad}},
		{"a semicolon makes it bad", []string{"max-age=60;"}, Directives{MaxAge: bad}},
		{"a semicolon hides nothing", []string{"max-age=60; no-store"}, Directives{MaxAge: bad, NoStore: true}},
		{"a fraction is 0", []string{"max-age=3600.0"}, Directives{MaxAge: bad}},
		{"single quotes are 0", []string{"max-age='3600'"}, Directives{MaxAge: bad}},
		{"without a value it is 0", []string{"max-age"}, Directives{MaxAge: bad}},
		{"with an empty value it is 0", []string{"max-age="}, Directives{MaxAge: bad}},
		{"a blank before the sign", []string{"max-age =3600"}, Directives{MaxAge: bad}},
		{"a blank behind the sign", []string{"max-age= 3600"}, Directives{MaxAge: bad}},
		{"a bad window is none", []string{"stale-while-revalidate=x, stale-if-error"},
			Directives{StaleWhileRevalidate: bad, StaleIfError: bad}},
		{"a quoted span counts", []string{`max-age="60"`}, Directives{MaxAge: sec(60)}},
		{"leading zeros count", []string{"max-age=003600"}, Directives{MaxAge: sec(3600)}},
		{"a huge one is 2^31-1", []string{"max-age=18446744073709551616"}, Directives{MaxAge: sec(1<<31 - 1)}},
		{"a huge one that is no number is 0", []string{"max-age=18446744073709551616;, s-maxage=\"18446744073709551616a\""},
			Directives{MaxAge: bad, SMaxAge: bad}},
		{"what forbids does so with a value, too", []string{"no-store=1, must-revalidate=x, proxy-revalidate=\"\""},
			Directives{NoStore: true, MustRevalidate: true, ProxyRevalidate: true}},
		{"junk behind a name hides nothing that forbids", []string{`no-store; private" must-revalidate;x`},
			Directives{NoStore: true, Private: true, MustRevalidate: true}},
		{"and shows nothing that allows", []string{`public; immutable" must-understand;`}, Directives{}},
		{"nor with an empty one", []string{"public=, immutable=, must-understand="}, Directives{}},
		{"what allows does not", []string{"public=1, immutable=x, must-understand=1"}, Directives{}},

		// All lines are one list.
		{"a second line counts", []string{"max-age=100", "private"}, Directives{MaxAge: sec(100), Private: true}},

		// RFC 9111, 4.2.1: the first of two.
		{"the first of two", []string{"max-age=1, max-age=1800"}, Directives{MaxAge: sec(1)}},
		{"the first of two lines", []string{"max-age=1800", "max-age=1"}, Directives{MaxAge: sec(1800)}},
		{"even a bad first", []string{"s-maxage=x, s-maxage=5"}, Directives{SMaxAge: bad}},

		// Names of fields.
		{"an unquoted name ends at the comma", []string{"no-cache=a,no-store"},
			Directives{NoCacheFields: []string{"A"}, NoStore: true}},
		{"quoted names", []string{`private="set-cookie, X-b", no-cache="a"`},
			Directives{PrivateFields: []string{"Set-Cookie", "X-B"}, NoCacheFields: []string{"A"}}},
		{"no-cache itself sets a flag", []string{"no-cache"}, Directives{NoCache: true}},
		{"with and without names", []string{`no-cache="a", no-cache`}, Directives{NoCache: true, NoCacheFields: []string{"A"}}},
		{"no names at all forbid all", []string{`private=""`}, Directives{Private: true}},
		{"what is no name forbids all", []string{`private="a b"`}, Directives{Private: true}},
		{"junk behind a list forbids all", []string{`private="a"; no-cache="b"x, max-age="5"`},
			Directives{Private: true, NoCache: true, MaxAge: sec(5)}},

		// Quotation marks.
		{"a quoted directive is none", []string{`extension="max-age=3600, no-store", max-age=1`}, Directives{MaxAge: sec(1)}},
		{"an escaped mark does not close", []string{`x="a\", no-store", max-age=1`}, Directives{MaxAge: sec(1)}},
		{"a mark within a value opens nothing", []string{`x=a"b, no-store, y="`}, Directives{NoStore: true}},
		{"an open mark hides nothing that forbids", []string{`x="a, no-store, private`}, Directives{NoStore: true, Private: true}},
		{"and shows nothing that allows", []string{`x="a, max-age=60, public, must-understand`}, Directives{MaxAge: bad}},
		{"empty members", []string{",, ,no-store,,"}, Directives{NoStore: true}},
		{"blanks for commas", []string{"public no-store"}, Directives{Public: true, NoStore: true}},
	} {
		if got := ReadDirectives(c.lines); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %q is\n%+v, want\n%+v", c.name, c.lines, got, c.want)
		}
	}
}

func TestTargetedDirectives(t *testing.T) {
	for _, c := range []struct {
		name  string
		lines []string
		want  Directives
		ok    bool
	}{
		{"none", nil, Directives{}, false},
		{"empty", []string{""}, Directives{}, false},
		{"the usual", []string{"max-age=60, stale-while-revalidate=5, must-revalidate"},
			Directives{MaxAge: sec(60), StaleWhileRevalidate: sec(5), MustRevalidate: true}, true},
		{"lines are one dictionary", []string{"max-age=60", "no-store"}, Directives{MaxAge: sec(60), NoStore: true}, true},
		{"the last of two holds", []string{"max-age=60, max-age=5"}, Directives{MaxAge: sec(5)}, true},
		{"parameters are ignored", []string{"max-age=60;x=1, foo;bar"}, Directives{MaxAge: sec(60)}, true},
		{"false is not there", []string{"no-store=?0, max-age=1"}, Directives{MaxAge: sec(1)}, true},
		{"negative is 0", []string{"max-age=-5"}, Directives{MaxAge: sec(0)}, true},
		{"huge is 2^31-1", []string{"s-maxage=999999999999999"}, Directives{SMaxAge: sec(1<<31 - 1)}, true},
		{"names in a string", []string{`private="a, b", no-cache`},
			Directives{PrivateFields: []string{"A", "B"}, NoCache: true}, true},
		{"names in an inner list", []string{`no-cache=("b" a)`}, Directives{NoCacheFields: []string{"A", "B"}}, true},
		{"unknown members have any type", []string{`foo="x", bar=1.5, max-age=1`}, Directives{MaxAge: sec(1)}, true},
		{"upper case is malformed", []string{"Max-Age=60"}, Directives{}, false},
		{"a string for a span", []string{`max-age="60"`}, Directives{}, false},
		{"a fraction for a span", []string{"max-age=60.0"}, Directives{}, false},
		{"nothing for a span", []string{"max-age"}, Directives{}, false},
		{"a span for a flag", []string{"no-store=1, max-age=5"}, Directives{}, false},
		{"a number for names", []string{"private=1"}, Directives{}, false},
		{"numbers in a list of names", []string{"private=(1)"}, Directives{}, false},
		{"malformed", []string{"max-age=60, &&&"}, Directives{}, false},
		{"an empty member", []string{"max-age=60,"}, Directives{}, false},
	} {
		got, ok := TargetedDirectives(c.lines)
		if ok != c.ok || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %q is\n%+v %v, want\n%+v %v", c.name, c.lines, got, ok, c.want, c.ok)
		}
	}
}

// FuzzDirectives: whatever stands around it, a no-store of its own is seen
// unless it is inside a quoted string, and no span is negative.
func FuzzDirectives(f *testing.F) {
	for _, s := range []string{`max-age="60"`, `no-cache=a,no-store`, `x="\`, `private="a,b`, "=", `"`, `a=""b`, "max-age=\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		d := ReadDirectives([]string{line})
		for _, span := range []Delta{d.MaxAge, d.SMaxAge, d.StaleWhileRevalidate, d.StaleIfError} {
			if span.Span < 0 || !span.Set && span.Span != 0 {
				t.Errorf("%q has %+v", line, span)
			}
		}
		if !ReadDirectives([]string{line, "no-store"}).NoStore || !ReadDirectives([]string{"no-store," + line}).NoStore {
			t.Errorf("%q hides no-store", line)
		}
		if !strings.Contains(line, `"`) && !ReadDirectives([]string{line + ",no-store"}).NoStore {
			t.Errorf("%q hides a no-store behind it", line)
		}
	})
}

func FuzzTargetedDirectives(f *testing.F) {
	f.Add(`max-age=60, private=("a" b), x;y=1`)
	f.Fuzz(func(t *testing.T, line string) {
		d, ok := TargetedDirectives([]string{line})
		if !ok && !reflect.DeepEqual(d, Directives{}) {
			t.Errorf("%q is ignored but gives %+v", line, d)
		}
		if d.MaxAge.Span < 0 || d.SMaxAge.Span < 0 {
			t.Errorf("%q is %+v", line, d)
		}
	})
}
