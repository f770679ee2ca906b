package policy

import (
	"testing"
	"time"
)

const s = time.Second

// at is a moment so many seconds into a life that was born at 1,000 s.
func at(seconds float64) int64 { return int64(1000*s) + int64(seconds*float64(s)) }

// life is one with a lifetime and windows in seconds.
func life(fresh, swr, sie, dead int) Life {
	return Life{Born: at(0), Fresh: time.Duration(fresh) * s, SWR: time.Duration(swr) * s,
		SIE: time.Duration(sie) * s, Dead: time.Duration(dead) * s}
}

func must(l Life) Life { l.MustRevalidate, l.SWR, l.SIE, l.Dead = true, 0, 0, 0; return l }

func TestAt(t *testing.T) {
	for _, c := range []struct {
		name          string
		life          Life
		now           float64
		want          State
		onErr, onDead bool
	}{
		{"the zero value must be validated", Life{}, 0, Lapsed, false, false},
		{"new", life(60, 0, 0, 0), 0, StateFresh, true, true},
		{"before it was born", life(60, 0, 0, 0), -5, StateFresh, true, true},
		{"just before its end", life(60, 0, 0, 0), 59.9, StateFresh, true, true},
		{"at its end (4.2: lifetime > age)", life(60, 0, 0, 0), 60, Lapsed, false, false},
		{"within stale-while-revalidate", life(60, 30, 0, 0), 60, StateRefresh, false, false},
		{"at the window's end", life(60, 30, 0, 0), 90, Lapsed, false, false},
		{"within stale-if-error", life(60, 0, 30, 0), 70, StateOnError, true, true},
		{"behind the first window, in the second", life(60, 10, 30, 0), 75, StateOnError, true, true},
		{"if dead", life(60, 10, 30, 100), 100, StateOnDead, false, true},
		{"behind all", life(60, 10, 30, 100), 160, Lapsed, false, false},
		{"never without validation", Life{Born: at(0), Fresh: 60 * s, NoCache: true, SWR: s, SIE: s, Dead: s}, 1, Lapsed, false, false},
		{"no lifetime, but a window", life(0, 30, 0, 0), 0, StateRefresh, false, false},
	} {
		l := c.life
		if got := l.At(at(c.now)); got != c.want {
			t.Errorf("%s: state %d, want %d", c.name, got, c.want)
		}
		if got := l.UsableOnError(at(c.now)); got != c.onErr {
			t.Errorf("%s: usable on an error %v", c.name, got)
		}
		if got := l.UsableOnDead(at(c.now)); got != c.onDead {
			t.Errorf("%s: usable when dead %v", c.name, got)
		}
	}
}

func TestSoften(t *testing.T) {
	for _, c := range []struct {
		name   string
		life   Life
		purge  float64
		window int
		until  float64 // served stale until then
	}{
		{"served for the window", life(600, 0, 0, 0), 100, 30, 130},
		{"not longer than it would have lived", life(110, 0, 0, 0), 100, 30, 110},
		{"nor than its own window", life(105, 10, 0, 0), 100, 30, 115},
		{"already stale, within its window", life(60, 100, 0, 0), 100, 30, 130},
		{"already stale, near its window's end", life(60, 50, 0, 0), 100, 30, 110},
		{"already over", life(60, 0, 0, 0), 100, 30, 100},
		{"must-revalidate has no window", must(life(600, 0, 0, 0)), 100, 30, 100},
		{"no window", life(600, 60, 0, 0), 100, 0, 100},
		{"a negative window", life(600, 60, 0, 0), 100, -5, 100},
	} {
		l := c.life.Soften(at(c.purge), time.Duration(c.window)*s)
		if !l.Soft || l.At(at(c.purge)) == StateFresh {
			t.Errorf("%s: still fresh", c.name)
		}
		if c.until > c.purge && l.At(at(c.until-.1)) != StateRefresh {
			t.Errorf("%s: not served shortly before its end", c.name)
		}
		if got := l.At(at(c.until)); got != Lapsed {
			t.Errorf("%s: state %d at its end", c.name, got)
		}
		for now := c.purge; now < c.purge+700; now++ {
			before, after := c.life.At(at(now)), l.At(at(now))
			if after == StateFresh || after == StateRefresh && before != StateFresh && before != StateRefresh {
				t.Fatalf("%s: at %v %d became %d", c.name, now, before, after)
			}
		}
	}
	l := life(600, 0, 50, 100).Soften(at(100), 30*s)
	if !l.UsableOnError(at(149)) || l.UsableOnError(at(150)) || !l.UsableOnDead(at(199)) || l.UsableOnDead(at(200)) {
		t.Error("the windows for errors do not run from the purge")
	}
	twice := l.Soften(at(110), 30*s)
	if twice.At(at(130)) != StateOnError {
		t.Error("a second purge lengthened the window of the first")
	}
}

func TestReuse(t *testing.T) {
	honor, ignore := Rules{HonorClient: true}, Rules{}
	shared, soft, noCache := life(60, 0, 0, 0), life(60, 0, 0, 0).Soften(at(10), 30*s), life(60, 0, 0, 0)
	shared.SharedMaxAge, noCache.NoCache = true, true
	fixed := life(60, 30, 0, 0)
	fixed.Immutable = true
	fixedSoft := fixed.Soften(at(10), 30*s)
	for _, c := range []struct {
		name  string
		rules *Rules
		cc    string
		life  Life
		now   float64
		use   Use
		why   Reason
	}{
		{"fresh", &ignore, "", life(60, 0, 0, 0), 59, UseServe, Fresh},
		{"stale", &ignore, "", life(60, 0, 0, 0), 60, UseValidate, Expired},
		{"stale inside the window is served and refreshed", &ignore, "", life(60, 30, 0, 0), 70, UseRefresh, StaleWhileRevalidate},
		{"must-revalidate closes the window", &ignore, "", must(life(60, 30, 0, 0)), 70, UseValidate, Expired},
		{"a window for errors is none for now", &ignore, "", life(60, 0, 30, 0), 70, UseValidate, Expired},
		{"softly purged", &ignore, "", soft, 20, UseRefresh, SoftPurged},
		{"softly purged, over", &ignore, "", soft, 50, UseValidate, Expired},
		{"no-cache answers are validated", &ignore, "", noCache, 1, UseValidate, NoCache},
		{"the client's no-cache", &honor, "no-cache", life(60, 0, 0, 0), 1, UseValidate, ClientNoCache},
		{"the client's no-cache, ignored", &ignore, "no-cache", life(60, 0, 0, 0), 1, UseServe, Fresh},
		{"max-age=0", &honor, "max-age=0", life(60, 0, 0, 0), 1, UseValidate, ClientMaxAge},
		{"young enough", &honor, "max-age=10", life(60, 0, 0, 0), 10, UseServe, Fresh},
		{"too old", &honor, "max-age=10", life(60, 0, 0, 0), 10.5, UseValidate, ClientMaxAge},
		{"fresh long enough", &honor, "min-fresh=10", life(60, 0, 0, 0), 50, UseServe, Fresh},
		{"not fresh long enough", &honor, "min-fresh=10", life(60, 0, 0, 0), 51, UseValidate, ClientMinFresh},
		{"stale enough for max-stale", &honor, "max-stale=10", life(60, 0, 0, 0), 70, UseServe, ClientStale},
		{"too stale for max-stale", &honor, "max-stale=10", life(60, 0, 0, 0), 71, UseValidate, Expired},
		{"any stale", &honor, "max-stale", life(60, 0, 0, 0), 1e6, UseServe, ClientStale},
		{"any stale, ignored", &ignore, "max-stale", life(60, 0, 0, 0), 61, UseValidate, Expired},
		{"must-revalidate forbids max-stale", &honor, "max-stale", must(life(60, 0, 0, 0)), 61, UseValidate, Expired},
		{"so does s-maxage (5.2.2.10)", &honor, "max-stale", shared, 61, UseValidate, Expired},
		{"so does a soft purge", &honor, "max-stale", soft, 60, UseValidate, Expired},
		{"a reload of what is immutable (RFC 8246)", &honor, "max-age=0", fixed, 59, UseServe, Fresh},
		{"any max-age of it", &honor, "max-age=10", fixed, 59, UseServe, Fresh},
		{"but no-cache", &honor, "no-cache, max-age=0", fixed, 1, UseValidate, ClientNoCache},
		{"and min-fresh", &honor, "min-fresh=10", fixed, 51, UseValidate, ClientMinFresh},
		{"a reload of it when it is stale", &honor, "max-age=0", fixed, 60, UseValidate, ClientMaxAge},
		{"a reload of it after a soft purge", &honor, "max-age=0", fixedSoft, 10, UseValidate, ClientMaxAge},
		{"stale in its window, and young enough for max-age", &honor, "max-age=100", life(60, 30, 0, 0), 60, UseValidate, ClientMaxAge},
		{"which the client may allow", &honor, "max-age=100, max-stale", life(60, 30, 0, 0), 70, UseRefresh, StaleWhileRevalidate},
		{"or the route, which ignores it", &ignore, "max-age=100", life(60, 30, 0, 0), 70, UseRefresh, StaleWhileRevalidate},
		{"softly purged, and young enough for max-age", &honor, "max-age=100", soft, 20, UseValidate, ClientMaxAge},
		{"max-age beside max-stale", &honor, "max-stale, max-age=65", life(60, 0, 0, 0), 66, UseValidate, ClientMaxAge},
		{"no-cache beside all else", &honor, "max-age=0, no-cache, min-fresh=90", life(60, 0, 0, 0), 1, UseValidate, ClientNoCache},
		{"no-cache of what is stale in any case", &honor, "no-cache", life(60, 0, 0, 0), 70, UseValidate, Expired},
		{"no-cache within a window", &honor, "no-cache", life(60, 30, 0, 0), 70, UseValidate, ClientNoCache},
		{"the answer's no-cache beside the client's", &honor, "no-cache", noCache, 1, UseValidate, NoCache},
	} {
		lines := []string{}
		if c.cc != "" {
			lines = append(lines, "Cache-Control: "+c.cc)
		}
		use, why := Reuse(ask(c.rules, "GET", lines...), c.rules, &c.life, at(c.now))
		if use != c.use || why != c.why {
			t.Errorf("%s: %d %v, want %d %v", c.name, use, why, c.use, c.why)
		}
	}
}
