package policy

import (
	"testing"
	"time"
)

func TestLifetime(t *testing.T) {
	const day = 24 * time.Hour
	byStatus := map[int]time.Duration{404: 10 * s, 500: 5 * s, 200: 7 * s}
	for _, c := range []struct {
		name string
		judged
		want     time.Duration
		explicit bool
	}{
		// RFC 9111, 4.2.1.
		{"max-age", judged{answer: lines("Cache-Control: max-age=60")}, 60 * s, true},
		{"s-maxage before max-age", judged{answer: lines("Cache-Control: max-age=60, s-maxage=5")}, 5 * s, true},
		{"s-maxage before max-age, longer", judged{answer: lines("Expires: {-10}", "Cache-Control: max-age=0, s-maxage=3600")}, 3600 * s, true},
		{"max-age before Expires", judged{answer: lines("Cache-Control: max-age=60", "Expires: {-7200}")}, 60 * s, true},
		{"max-age=0 before Expires", judged{answer: lines("Cache-Control: max-age=0", "Expires: {7200}", "ETag: \"a\"")}, 0, true},
		{"a bad max-age before Expires", judged{answer: lines("Cache-Control: max-age=a", "Expires: {7200}", "ETag: \"a\"")}, 0, true},
		{"Expires less Date", judged{answer: lines("Expires: {300}", "Date: {100}")}, 200 * s, true},
		{"Expires before Date", judged{answer: lines("Expires: {300}", "Date: {400}", "ETag: \"a\"")}, 0, true},
		{"Expires without Date", judged{answer: lines("Expires: {300}")}, 300 * s, true},
		{"Expires with a bad Date", judged{answer: lines("Expires: {300}", "Date: foo")}, 300 * s, true},
		{"Expires: 0", judged{answer: lines("Expires: 0", "Last-Modified: {-100000}"), rules: Rules{Heuristic: true}}, 0, true},
		{"an Expires that is nearly a date", judged{answer: lines("Expires: Thu, 18 Aug 2050 2:01:18 GMT", "ETag: \"a\"")}, 0, true},
		{"an Expires with a zone in mixed case", judged{answer: lines("Expires: Thu, 18 Aug 2050 02:01:18 gMT"), rules: Rules{TTLMax: time.Hour}}, time.Hour, true},
		{"two lines of Expires", judged{answer: lines("Expires: {300}", "Expires: {300}", "ETag: \"a\"")}, 0, true},
		{"an Expires of the year 9999", judged{answer: lines("Expires: Fri, 31 Dec 9999 23:59:59 GMT")}, 365 * day, true},
		{"a year at most", judged{answer: lines("Cache-Control: max-age=99999999999")}, 365 * day, true},
		{"the route's most", judged{answer: lines("Cache-Control: max-age=99999"), rules: Rules{TTLMax: time.Minute}}, time.Minute, true},

		// RFC 9213.
		{"CDN-Cache-Control first", judged{answer: lines("CDN-Cache-Control: max-age=5", "Cache-Control: no-store, max-age=60", "Expires: {7200}")}, 5 * s, true},
		{"s-maxage in it", judged{answer: lines("CDN-Cache-Control: max-age=5, s-maxage=6")}, 6 * s, true},
		{"without a lifetime Expires does not count", judged{answer: lines("CDN-Cache-Control: foo", "Expires: {7200}", "ETag: \"a\"")}, 0, false},
		{"of a wrong type it is ignored", judged{answer: lines(`CDN-Cache-Control: max-age="5"`, "Cache-Control: max-age=60")}, 60 * s, true},

		// RFC 9111, 4.2.2.
		{"a tenth of the age", judged{rules: Rules{Heuristic: true}, answer: lines("Last-Modified: {-1000}", "Date: {0}")}, 100 * s, false},
		{"a day at most", judged{rules: Rules{Heuristic: true}, answer: lines("Last-Modified: {-100000000}")}, day, false},
		{"the route's most of it", judged{rules: Rules{Heuristic: true, HeuristicMax: time.Minute}, answer: lines("Last-Modified: {-100000}")}, time.Minute, false},
		{"modified in the future", judged{rules: Rules{Heuristic: true}, answer: lines("Last-Modified: {1000}")}, 0, false},
		{"a bad Date is ignored", judged{rules: Rules{Heuristic: true}, answer: lines("Last-Modified: {-1000}", "Date: foo")}, 100 * s, false},
		{"not where it is switched off", judged{answer: lines("Last-Modified: {-1000}")}, 0, false},
		{"for any status that is public", judged{rules: Rules{Heuristic: true}, status: 599, answer: lines("Last-Modified: {-1000}", "Cache-Control: public")}, 100 * s, false},
		{"public=1 is not public", judged{rules: Rules{Heuristic: true}, status: 200, answer: lines("Last-Modified: {-1000}", "Cache-Control: public=1")}, 100 * s, false},

		// The route's lifetimes.
		{"the default", judged{rules: Rules{TTL: time.Hour}}, time.Hour, false},
		{"the default before the heuristic", judged{rules: Rules{TTL: time.Hour, Heuristic: true}, answer: lines("Last-Modified: {-1000}")}, time.Hour, false},
		{"what the origin says before the default", judged{rules: Rules{TTL: time.Hour}, answer: lines("Cache-Control: max-age=5")}, 5 * s, true},
		{"by status before the default", judged{rules: Rules{TTL: time.Hour, TTLStatus: byStatus}, status: 404}, 10 * s, false},
		{"by status for any status", judged{rules: Rules{TTLStatus: byStatus}, status: 500}, 5 * s, false},
		{"what the origin says before that by status", judged{rules: Rules{TTLStatus: byStatus}, answer: lines("Cache-Control: max-age=60")}, 60 * s, true},
		{"the override before all", judged{rules: Rules{TTLOverride: time.Hour, TTL: time.Minute}, answer: lines("Cache-Control: max-age=5")}, time.Hour, true},
		{"the override without a word of the origin", judged{rules: Rules{TTLOverride: time.Hour}}, time.Hour, false},
		{"the override has a most, too", judged{rules: Rules{TTLOverride: time.Hour, TTLMax: time.Minute}}, time.Minute, false},
	} {
		d := c.decide()
		if !d.Store && c.want > 0 || d.Store && d.Life.Fresh != c.want || d.Explicit != c.explicit {
			t.Errorf("%s: %v, %v, explicit %v; want %v, %v", c.name, d.Why, d.Life.Fresh, d.Explicit, c.want, c.explicit)
		}
		if d.Store && d.Life.Explicit != d.Explicit {
			t.Errorf("%s: the life says otherwise", c.name)
		}
	}
}

// TestHeuristicStatuses goes through RFC 9110, 15.1, and the statuses that the
// conformance suite asks for beside it.
func TestHeuristicStatuses(t *testing.T) {
	for status, want := range map[int]bool{
		200: true, 203: true, 204: true, 300: true, 301: true, 308: true, 404: true, 405: true, 410: true, 414: true, 501: true,
		201: false, 202: false, 302: false, 303: false, 307: false, 403: false, 500: false, 502: false, 503: false, 504: false, 599: false,
	} {
		d := judged{rules: Rules{Heuristic: true}, status: status, answer: lines("Last-Modified: {-86400}")}.decide()
		if d.Store != want || want && d.Life.Fresh != 8640*s {
			t.Errorf("%d: %v, %v", status, d.Why, d.Life.Fresh)
		}
	}
}

func TestInitialAge(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer []string
		sent   float64 // seconds before the answer
		want   time.Duration
	}{
		{"none", nil, 0, 0},
		{"Age", lines("Age: 30"), 0, 30 * s},
		{"Age and the delay", lines("Age: 30"), 2, 32 * s},
		{"the delay alone", nil, 2, 2 * s},
		{"the apparent age (4.2.3)", lines("Date: {-7200}"), 0, 7200 * s},
		{"the larger of both", lines("Date: {-10}", "Age: 25"), 0, 25 * s},
		{"a Date in the future", lines("Date: {10}", "Age: 15"), 0, 15 * s},
		{"a Date of this second", lines("Date: {0}"), 0, 0},
		{"the first member", lines("Age: 7200, 0"), 0, 7200 * s},
		{"the first member, smaller", lines("Age: 0, 7200"), 0, 0},
		{"the first line", lines("Age: 0", "Age: 7200"), 0, 0},
		{"no number", lines("Age: abc"), 0, 0},
		{"negative", lines("Age: -7200"), 0, 0},
		{"a fraction", lines("Age: 7200.0"), 0, 0},
		{"empty", lines("Age:"), 0, 0},
		{"above 2^31", lines("Age: 99999999999999999999"), 0, maxSpan},
		{"a request sent in the future", nil, -5, 0},
	} {
		j := judge{res: &Response{Header: headers(c.answer...)},
			t: Times{asked.UnixNano() - int64(c.sent*float64(s)), asked.UnixNano()}}
		if got := j.initialAge(); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		life := j
		life.a, life.r = &Ask{}, &Rules{}
		if l := life.life(); l.Age(asked.UnixNano()) != c.want || l.Age(asked.UnixNano()+int64(s)) != c.want+s {
			t.Errorf("%s: the life is %v old", c.name, l.Age(asked.UnixNano()))
		}
	}
}

func TestAClockThatIsRightGivesNoAge(t *testing.T) {
	arrived := asked.UnixNano() + int64(s) - 1 // the end of the second that Date names
	j := judge{res: &Response{Header: headers("Date: {0}")}, t: Times{arrived, arrived}}
	if got := j.initialAge(); got != 0 {
		t.Errorf("%v, want 0", got)
	}
}

func TestWindows(t *testing.T) {
	const all = "max-age=60, stale-while-revalidate=5, stale-if-error=6"
	dead := Rules{StaleIfDead: time.Hour}
	strict := Rules{StaleIfDead: time.Hour, StrictSMaxAge: true}
	fixed := Rules{StaleWhileRevalidate: Window{Fixed: true, For: 50 * s}, StaleIfError: Window{Fixed: true}}
	for _, c := range []struct {
		name          string
		rules         Rules
		cc            string
		swr, sie, ifd time.Duration
	}{
		{"none", Rules{}, "max-age=60", 0, 0, 0},
		{"the header's", dead, all, 5 * s, 6 * s, time.Hour},
		{"if dead needs no directive", dead, "max-age=60", 0, 0, time.Hour},
		{"must-revalidate forbids all", dead, all + ", must-revalidate", 0, 0, 0},
		{"proxy-revalidate forbids all", dead, all + ", proxy-revalidate", 0, 0, 0},
		{"no-cache forbids all", dead, all + ", no-cache", 0, 0, 0},
		{"s-maxage forbids what no directive allows", dead, all + ", s-maxage=60", 5 * s, 6 * s, 0},
		{"s-maxage alone", dead, "s-maxage=60", 0, 0, 0},
		{"s-maxage by the letter", strict, all + ", s-maxage=60", 0, 0, 0},
		{"by the letter without s-maxage", strict, all, 5 * s, 6 * s, time.Hour},
		{"the route's", fixed, all, 50 * s, 0, 0},
		{"the route's under must-revalidate", fixed, all + ", must-revalidate", 0, 0, 0},
	} {
		d := judged{rules: c.rules, answer: lines("Cache-Control: "+c.cc, "ETag: \"a\"")}.decide()
		if l := d.Life; !d.Store || l.SWR != c.swr || l.SIE != c.sie || l.Dead != c.ifd {
			t.Errorf("%s: %v, %v %v %v, want %v %v %v", c.name, d.Why, l.SWR, l.SIE, l.Dead, c.swr, c.sie, c.ifd)
		}
	}
	d := judged{answer: lines("CDN-Cache-Control: max-age=60, stale-while-revalidate=7", "Cache-Control: must-revalidate, stale-if-error=9")}.decide()
	if d.Life.SWR != 7*s || d.Life.SIE != 0 {
		t.Errorf("a targeted field: %v %v", d.Life.SWR, d.Life.SIE)
	}
}

// TestNoSpanOverflows holds sums of the largest spans against their limits.
func TestNoSpanOverflows(t *testing.T) {
	const forever = time.Duration(1<<63 - 1)
	r := Rules{TTLMax: forever, TTLOverride: forever, StaleIfDead: forever,
		StaleWhileRevalidate: Window{true, forever}, StaleIfError: Window{true, forever}}
	d := judged{rules: r, answer: lines("Cache-Control: max-age=1", "Age: 99999999999")}.decide()
	l := d.Life
	for _, span := range []time.Duration{l.Fresh, l.SWR, l.SIE, l.Dead} {
		if span != maxSpan {
			t.Errorf("a span of %v", span)
		}
	}
	if got := l.At(answered.ResponseAt); got != StateRefresh {
		t.Errorf("as old as it lives: state %d", got)
	}
	if soft := l.Soften(answered.ResponseAt, forever); soft.SWR != maxSpan || soft.Fresh != maxSpan {
		t.Errorf("softened: %+v", soft)
	}
}
