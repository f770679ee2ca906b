package policy

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestParseDate(t *testing.T) {
	want := time.Date(2050, 8, 18, 2, 1, 18, 0, time.UTC)
	for _, c := range []struct {
		name, in string
		ok       bool
	}{
		{"the preferred form", "Thu, 18 Aug 2050 02:01:18 GMT", true},
		{"RFC 850", "Thursday, 18-Aug-50 02:01:18 GMT", true},
		{"asctime", "Thu Aug 18 02:01:18 2050", true},
		{"weekday in upper case", "THU, 18 Aug 2050 02:01:18 GMT", true},
		{"month in upper case", "Thu, 18 AUG 2050 02:01:18 GMT", true},
		{"zone in mixed case", "Thu, 18 Aug 2050 02:01:18 gMT", true},
		{"a weekday that does not fit", "Mon, 18 Aug 2050 02:01:18 GMT", true},
		{"UTC", "Thu, 18 Aug 2050 02:01:18 UTC", false},
		{"another zone", "Thu, 18 Aug 2050 02:01:18 AEST", false},
		{"a year of two digits", "Thu, 18 Aug 50 02:01:18 GMT", false},
		{"no comma", "Thu 18 Aug 2050 02:01:18 GMT", false},
		{"two blanks", "Thu, 18  Aug  2050 02:01:18 GMT", false},
		{"dashes", "Thu, 18-Aug-2050 02:01:18 GMT", false},
		{"full stops", "Thu, 18 Aug 2050 02.01.18 GMT", false},
		{"an hour of one digit", "Thu, 18 Aug 2050 2:01:18 GMT", false},
		{"a short weekday with RFC 850", "Thu, 18-Aug-50 02:01:18 GMT", false},
		{"no such weekday", "Foo, 18 Aug 2050 02:01:18 GMT", false},
		{"no such month", "Thu, 18 Foo 2050 02:01:18 GMT", false},
		{"hour 24", "Thu, 18 Aug 2050 24:01:18 GMT", false},
		{"minute 60", "Thu, 18 Aug 2050 02:60:18 GMT", false},
		{"second 61", "Thu, 18 Aug 2050 02:01:61 GMT", false},
		{"day 0", "Thu, 00 Aug 2050 02:01:18 GMT", false},
		{"31 April", "Thu, 31 Apr 2050 02:01:18 GMT", false},
		{"a sign", "Thu, 18 Aug +050 02:01:18 GMT", false},
		{"text behind it", "Thu, 18 Aug 2050 02:01:18 GMT ", false},
		{"a number", "0", false}, {"-1", "-1", false}, {"nothing", "", false}, {"a comma", ",", false},
		{"too long", strings.Repeat("x", 1000), false},
	} {
		got, ok := ParseDate(c.in)
		if ok != c.ok || ok && !got.Equal(want) {
			t.Errorf("%s: %q is %v %v, want %v", c.name, c.in, got, ok, c.ok)
		}
	}
	for in, want := range map[string]int64{
		"Sun Nov  6 08:49:37 1994":         784111777,
		"Sunday, 06-Nov-94 08:49:37 GMT":   784111777,
		"Thu, 01 Jan 1970 00:00:00 GMT":    0,
		"Thursday, 01-Jan-70 00:00:00 GMT": 0,
		"Sat, 31 Dec 2016 23:59:60 GMT":    1483228800,
		"Thu, 29 Feb 2024 00:00:00 GMT":    1709164800,
	} {
		if got, ok := ParseDate(in); !ok || got.Unix() != want {
			t.Errorf("%q is %d %v, want %d", in, got.Unix(), ok, want)
		}
	}
}

// FuzzDate: what we take, and has no leap second, is written back as the same
// moment; what http.TimeFormat writes we take.
func FuzzDate(f *testing.F) {
	f.Add("Thu, 18 Aug 2050 02:01:18 GMT", int64(0))
	f.Add("Sunday, 06-Nov-94 08:49:37 GMT", int64(784111777))
	f.Add("Sun Nov  6 08:49:37 1994", int64(1<<32))
	f.Fuzz(func(t *testing.T, s string, unix int64) {
		if got, ok := ParseDate(s); ok {
			again, ok := ParseDate(got.UTC().Format(http.TimeFormat))
			if !ok || !again.Equal(got) {
				t.Errorf("%q is %v, that again %v", s, got, again)
			}
		}
		unix &= 1<<37 - 1 // up to the year 6325
		want := time.Unix(unix, 0)
		if got, ok := ParseDate(want.UTC().Format(http.TimeFormat)); !ok || !got.Equal(want) {
			t.Errorf("%v is %v %v", want, got, ok)
		}
	})
}
