package policy

import (
	"bytes"
	"strings"
	"testing"
)

func TestSelectorsMatchWhatMeansTheSame(t *testing.T) {
	for _, c := range []struct {
		name string
		vary string
		a, b []string
		same bool
	}{
		{"nothing varies", "", lines("Foo: 1"), lines("Foo: 2"), true},
		{"one value", "foo", lines("Foo: 1", "Other: 2"), lines("foo: 1", "Other: 3"), true},
		{"two values", "foo", lines("Foo: 1"), lines("Foo: 2"), false},
		{"case of a value counts", "foo", lines("Foo: a"), lines("Foo: A"), false},
		{"absent and there", "foo", nil, lines("Foo: 1"), false},
		{"absent and empty", "foo", nil, lines("Foo:"), false},
		{"both absent", "bar baz foo", lines("Foo: 1", "Baz: 789"), lines("Baz: 789", "Foo: 1"), true},
		{"a value under another name", "bar foo", lines("Foo: 1"), lines("Bar: 1"), false},
		{"values do not run together", "bar foo", lines("Foo: 1", "Bar: 11"), lines("Foo: 11", "Bar: 1"), false},
		{"lines are combined", "foo", lines("Foo: 1, 2"), lines("Foo: 1", "Foo: 2"), true},
		{"the order of lines counts", "foo", lines("Foo: 1", "Foo: 2"), lines("Foo: 2", "Foo: 1"), false},
		{"blanks around commas", "foo", lines("Foo: 1,2"), lines("Foo:  1 ,  2 "), true},
		{"blanks within a value count", "foo", lines("Foo: 1 2"), lines("Foo: 12"), false},
		{"blanks in quotes count", "foo", lines(`Foo: "1,2"`), lines(`Foo: "1, 2"`), false},
		{"an escaped mark does not end quotes", "foo", lines(`Foo: "\"1,2"`), lines(`Foo: "\"1, 2"`), false},
		{"languages in another order", "accept-language", lines("Accept-Language: en, de"), lines("Accept-Language: de, en"), false},
		{"with other weights in another order", "accept-language", lines("Accept-Language: en, de;q=0.5"), lines("Accept-Language: de;q=0.5, en"), false},
		{"languages in another case", "accept-language", lines("Accept-Language: en, de"), lines("Accept-Language: eN, De"), true},
		{"languages with blanks", "accept-language", lines("Accept-Language: en, de"), lines("Accept-Language:  en ,   de"), true},
		{"q=1 is the default", "accept-language", lines("Accept-Language: en, de"), lines("Accept-Language: en;q=1.0, de; q=1"), true},
		{"another weight", "accept-language", lines("Accept-Language: en, de;q=0.5"), lines("Accept-Language: en, de;q=0.6"), false},
		{"weights the other way round", "accept-language", lines("Accept-Language: en, de;q=0.5"), lines("Accept-Language: de, en;q=0.5"), false},
		{"another language", "accept-language", lines("Accept-Language: en"), lines("Accept-Language: en-gb"), false},
		{"odd languages are taken as they are", "accept-language", lines("Accept-Language: en;x=1"), lines("Accept-Language: en;x=2"), false},
		{"an odd one is no good one", "accept-language", lines("Accept-Language: en;q=x"), lines("Accept-Language: en;q=0"), false},
		{"no language and an empty list of them", "accept-language", nil, lines("Accept-Language:"), false},
		{"codings in another order", "accept-encoding", lines("Accept-Encoding: gzip, br"), lines("Accept-Encoding: br;q=0.1, GZIP"), true},
		{"a refused coding", "accept-encoding", lines("Accept-Encoding: gzip"), lines("Accept-Encoding: gzip;q=0"), false},
	} {
		vary := strings.Fields(c.vary)
		a, b := AppendSelector(nil, vary, askOf(fields(c.a...))), AppendSelector(nil, vary, askOf(fields(c.b...)))
		if bytes.Equal(a, b) != c.same {
			t.Errorf("%s: %q and %q", c.name, a, b)
		}
	}
}

// TestLanguagesByWeight: the route says that order means nothing.
func TestLanguagesByWeight(t *testing.T) {
	for _, c := range []struct {
		name, a, b string
		same       bool
	}{
		{"another order", "en, de", "de, en", true},
		{"another order, blanks and case", "en,  DE;q=0.5 , fr", "fr, EN, de; q=0.50", true},
		{"another weight", "en, de;q=0.5", "en, de;q=0.6", false},
		{"weights the other way round", "en, de;q=0.5", "de, en;q=0.5", false},
		{"another language", "en, de", "en, fr", false},
		{"an odd one is taken as it is", "en;x=1, de", "de, en;x=1", false},
		{"16 in another order", strings.Repeat("b,", 15) + "a", "a," + strings.Repeat("b,", 15), true},
		{"17 are taken as they are", strings.Repeat("b,", 16) + "a", "a," + strings.Repeat("b,", 16), false},
	} {
		vary := lines("accept-language")
		a := AppendSelector(nil, vary, &Ask{Fields: fields("Accept-Language: " + c.a), Languages: LanguagesByWeight})
		b := AppendSelector(nil, vary, &Ask{Fields: fields("Accept-Language: " + c.b), Languages: LanguagesByWeight})
		if bytes.Equal(a, b) != c.same {
			t.Errorf("%s: %q and %q", c.name, a, b)
		}
	}
}

// TestLanguagesOfAnotherRule: what a disk has kept under one rule is never
// selected by the other, even if the list is the same.
func TestLanguagesOfAnotherRule(t *testing.T) {
	vary := lines("accept-language")
	for _, list := range []string{"en", "en, de", ""} {
		f := fields("Accept-Language: " + list)
		sent := AppendSelector(nil, vary, &Ask{Fields: f})
		if weighed := AppendSelector(nil, vary, &Ask{Fields: f, Languages: LanguagesByWeight}); bytes.Equal(sent, weighed) {
			t.Errorf("%q is %q by both rules", list, sent)
		}
	}
}

// FuzzSelector: one byte more in a value that is no blank is another variant,
// and a value never reaches into the next.
func FuzzSelector(f *testing.F) {
	f.Add([]byte("1, 2"), []byte(`"a,b`), true)
	f.Add([]byte(""), []byte("x"), false)
	f.Fuzz(func(t *testing.T, a, b []byte, bothFoo bool) {
		vary := []string{"bar", "foo"}
		one := AppendSelector(nil, vary, askOf(Fields{{[]byte("foo"), a}, {[]byte("bar"), b}}))
		if two := AppendSelector(nil, vary, askOf(Fields{{[]byte("Bar"), b}, {[]byte("Foo"), a}})); !bytes.Equal(one, two) {
			t.Errorf("the order of fields counts: %q %q", one, two)
		}
		longer := append(bytes.Clone(a), 'x')
		if two := AppendSelector(nil, vary, askOf(Fields{{[]byte("foo"), longer}, {[]byte("bar"), b}})); bytes.Equal(one, two) {
			t.Errorf("%q and %q are one variant", a, longer)
		}
		for _, name := range []string{"accept-language", "accept-encoding"} {
			got := AppendSelector(nil, []string{name}, askOf(Fields{{[]byte(name), a}, {[]byte(name), b}}))
			if len(got) < 4 {
				t.Errorf("%s %q %q: %q", name, a, b, got)
			}
		}
	})
}

func TestCanonicalEncodings(t *testing.T) {
	const all = "zstd, br, gzip"
	seen := map[string]bool{}
	for in, want := range map[string]string{
		"": "", "identity": "", "gzip": "gzip", "GZip": "gzip", "x-gzip": "gzip", "deflate": "",
		"gzip, deflate, br": "br, gzip", "br, gzip": "br, gzip", "br;q=1.0, gzip;q=0.1": "br, gzip",
		"gzip, deflate, br, zstd": all, "zstd, gzip": "gzip", "br": "", "zstd": "", "br, zstd": "",
		"*": all, "*;q=0": "", "*, gzip;q=0": "", "*, br;q=0": "gzip", "gzip, *;q=0": "gzip", "*;q=0.5, zstd;q=0": "br, gzip",
		"gzip;q=0": "", "gzip;q=0.000": "", "gzip;q=0.001": "gzip", "gzip;q=0, br": "",
		"gzip;q=x": "", "gzip;q=2": "", "gzip;q=1.5": "", "gzip;q=0.1234": "", "gzip;q": "", "gzip;foo=1": "",
		"gzip ; q=0.5": "gzip", "gzip;Q=1": "gzip", ",,gzip,": "gzip",
	} {
		got := string(CanonicalEncodings(nil, fields("Accept-Encoding: "+in)))
		if got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
		seen[got] = true
		if again := string(CanonicalEncodings(nil, fields("Accept-Encoding: "+got))); again != got {
			t.Errorf("%q is %q, that again %q", in, got, again)
		}
	}
	if len(seen) != 4 {
		t.Errorf("%d different values, want 4", len(seen))
	}
	if got := CanonicalEncodings(nil, fields("Accept-Encoding: br", "accept-encoding: gzip")); string(got) != "br, gzip" {
		t.Errorf("two lines are %q", got)
	}
	if got := CanonicalEncodings(nil, nil); len(got) != 0 {
		t.Errorf("no line is %q", got)
	}
}

func askOf(f Fields) *Ask { return &Ask{Fields: f} }
