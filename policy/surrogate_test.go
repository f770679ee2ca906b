package policy

import (
	"reflect"
	"testing"
)

func TestSurrogateDirectives(t *testing.T) {
	age := func(fresh, stale int) Directives {
		d := Directives{MaxAge: sec(fresh)}
		if stale > 0 {
			d.StaleWhileRevalidate, d.StaleIfError = sec(stale), sec(stale)
		}
		return d
	}
	for _, c := range []struct {
		name  string
		lines []string
		want  Directives
		ok    bool
	}{
		{"none", nil, Directives{}, false},
		{"empty", []string{"", " , "}, Directives{}, false},
		{"a lifetime", []string{"max-age=60"}, age(60, 0), true},
		{"a lifetime and a window", []string{"max-age=60+30"}, age(60, 30), true},
		{"names in any case", []string{"Max-Age=60, NO-STORE"}, Directives{NoStore: true, MaxAge: sec(60)}, true},
		{"no-store", []string{"no-store"}, Directives{NoStore: true}, true},
		{"no-store-remote: we are", []string{"no-store-remote, max-age=5"}, Directives{NoStore: true, MaxAge: sec(5)}, true},
		{"content is not for caches", []string{`content="ESI/1.0, max-age=1 ESI-Inline/1.0", max-age=60`}, age(60, 0), true},
		{"content alone says nothing", []string{`content="ESI/1.0"`}, Directives{}, false},
		{"lines are one list", []string{`content="ESI/1.0"`, "max-age=60"}, age(60, 0), true},
		{"the first of two holds", []string{"max-age=60, max-age=600+5"}, age(60, 0), true},
		{"what is for another is not for us", []string{"no-store;abc, max-age=60, max-age=9;def, max-age=8 ; x=\"y;,\""}, age(60, 0), true},
		{"nothing is for us", []string{"max-age=60;abc"}, Directives{}, false},
		{"unknown ones are ignored", []string{"foo, bar=1, baz=\"a\\\"b\", max-age=60"}, age(60, 0), true},
		{"huge is 2^31-1", []string{"max-age=99999999999999999999+5"}, age(1<<31-1, 5), true},
		{"zero", []string{"max-age=0"}, age(0, 0), true},

		{"no number", []string{"max-age=x"}, Directives{}, false},
		{"no value", []string{"max-age"}, Directives{}, false},
		{"no window behind the sign", []string{"max-age=60+"}, Directives{}, false},
		{"no lifetime before it", []string{"max-age=+60"}, Directives{}, false},
		{"two windows", []string{"max-age=1+2+3"}, Directives{}, false},
		{"a negative one", []string{"max-age=-1"}, Directives{}, false},
		{"a bad one behind a good one", []string{"max-age=60, max-age=x"}, Directives{}, false},
		{"an open quotation mark", []string{`max-age=60, content="a`}, Directives{}, false},
		{"a blank in the middle", []string{"max-age=60 foo"}, Directives{}, false},
		{"a blank at the sign", []string{"max-age =60"}, Directives{}, false},
		{"an empty parameter", []string{"max-age=60;"}, Directives{}, false},
		{"no name", []string{"=60"}, Directives{}, false},
		{"what forbids holds beside what is malformed", []string{"no-store, max-age=x"}, Directives{NoStore: true}, true},
	} {
		got, ok := SurrogateDirectives(c.lines)
		if ok != c.ok || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %q is\n%+v %v, want\n%+v %v", c.name, c.lines, got, ok, c.want, c.ok)
		}
	}
}

// FuzzSurrogateDirectives: no span is negative, what is ignored says nothing, a
// no-store in front of anything holds, and what is for another changes nothing.
func FuzzSurrogateDirectives(f *testing.F) {
	for _, s := range []string{"max-age=60+30;a, no-store", `content="ESI/1.0";x="y"`, "max-age=+", `a="\`, ";,=", `max-age="60"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		d, ok := SurrogateDirectives([]string{line})
		if !ok && !reflect.DeepEqual(d, Directives{}) {
			t.Errorf("%q is ignored but gives %+v", line, d)
		}
		for _, span := range []Delta{d.MaxAge, d.StaleWhileRevalidate, d.StaleIfError} {
			if span.Span < 0 || span.Span > maxSpan || !span.Set && span.Span != 0 {
				t.Errorf("%q has %+v", line, span)
			}
		}
		if d, ok := SurrogateDirectives([]string{"no-store", line}); !ok || !d.NoStore {
			t.Errorf("%q hides a no-store", line)
		}
		if also, fine := SurrogateDirectives([]string{line, "no-store;other, max-age=7;other"}); fine != ok || !reflect.DeepEqual(d, also) {
			t.Errorf("%q: what is for another made %+v of %+v", line, also, d)
		}
	})
}
