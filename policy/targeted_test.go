package policy

import (
	"slices"
	"testing"
	"time"
)

// TestWhichFieldDecides: the first that says something stands in place of all
// that come behind it.
func TestWhichFieldDecides(t *testing.T) {
	two := Rules{Targeted: []string{"Edge-Cache-Control", "Cdn-Cache-Control"}}
	none := Rules{Targeted: []string{}}
	for _, c := range []struct {
		name string
		judged
		want  time.Duration
		store bool
	}{
		{"before Cache-Control", judged{answer: lines("CDN-Cache-Control: max-age=5", "Cache-Control: no-store")}, 5 * s, true},
		{"and before Expires", judged{answer: lines("CDN-Cache-Control: foo", "Expires: {60}", `ETag: "a"`)}, 0, true},
		{"it can forbid, too", judged{answer: lines("CDN-Cache-Control: no-store", "Cache-Control: max-age=60")}, 0, false},
		{"and stand behind private", judged{answer: lines("CDN-Cache-Control: max-age=5", "Cache-Control: private")}, 5 * s, true},
		{"an empty one is none", judged{answer: lines("CDN-Cache-Control:", "Cache-Control: max-age=60")}, 60 * s, true},
		{"nor is a malformed one", judged{answer: lines("CDN-Cache-Control: max-age=5,", "Cache-Control: max-age=60")}, 60 * s, true},
		{"nor one with a wrong type", judged{answer: lines("CDN-Cache-Control: max-age=\"5\"", "Cache-Control: max-age=60")}, 60 * s, true},
		{"the first of the list", judged{rules: two, answer: lines("CDN-Cache-Control: max-age=5", "Edge-Cache-Control: max-age=7")}, 7 * s, true},
		{"the second when the first is absent", judged{rules: two, answer: lines("CDN-Cache-Control: max-age=5", "Cache-Control: no-store")}, 5 * s, true},
		{"or malformed", judged{rules: two, answer: lines("Edge-Cache-Control: no-store=1", "CDN-Cache-Control: max-age=5")}, 5 * s, true},
		{"the first even if it names no lifetime", judged{rules: two, answer: lines("Edge-Cache-Control: public", "CDN-Cache-Control: max-age=5", `ETag: "a"`)}, 0, true},
		{"no list", judged{rules: none, answer: lines("CDN-Cache-Control: max-age=5", "Cache-Control: max-age=60")}, 60 * s, true},
		{"one that is not in the list", judged{answer: lines("Edge-Cache-Control: no-store", "Cache-Control: max-age=60")}, 60 * s, true},

		{"Surrogate-Control before Cache-Control", judged{answer: lines("Surrogate-Control: max-age=5", "Cache-Control: private, max-age=60")}, 5 * s, true},
		{"and before Expires", judged{answer: lines("Surrogate-Control: max-age=5", "Expires: {60}")}, 5 * s, true},
		{"but behind a targeted field", judged{answer: lines("Surrogate-Control: no-store", "CDN-Cache-Control: max-age=7")}, 7 * s, true},
		{"and when that is malformed", judged{answer: lines("Surrogate-Control: max-age=5", "CDN-Cache-Control: max-age", "Cache-Control: no-store")}, 5 * s, true},
		{"it can forbid", judged{answer: lines("Surrogate-Control: no-store", "Cache-Control: max-age=60")}, 0, false},
		{"a malformed one is none", judged{answer: lines("Surrogate-Control: max-age=x", "Cache-Control: max-age=60")}, 60 * s, true},
		{"nor one that speaks of content alone", judged{answer: lines(`Surrogate-Control: content="ESI/1.0"`, "Cache-Control: max-age=60")}, 60 * s, true},
		{"it is no permission for Set-Cookie", judged{answer: lines("Surrogate-Control: max-age=5", "Set-Cookie: a=b")}, 0, false},
		{"nor for Authorization", judged{request: lines("Authorization: x"), answer: lines("Surrogate-Control: max-age=5", "Cache-Control: public")}, 0, false},
		{"a configured field is one for Set-Cookie", judged{rules: two, answer: lines("Edge-Cache-Control: max-age=7", "Set-Cookie: a=b")}, 7 * s, true},
		{"unless it names no lifetime", judged{rules: two, answer: lines("Edge-Cache-Control: public", "Set-Cookie: a=b", `ETag: "a"`)}, 0, false},
		{"a field that decides cannot be left out", judged{rules: two, answer: lines(`Edge-Cache-Control: max-age=7, private="edge-cache-control"`)}, 0, false},
	} {
		d := c.decide()
		if d.Store != c.store || d.Life.Fresh != c.want {
			t.Errorf("%s: stored %v (%v) for %v, want %v for %v", c.name, d.Store, d.Why, d.Life.Fresh, c.store, c.want)
		}
	}
}

// TestAgeCountsAgainstEverySource: RFC 9213, 2.2 leaves age as it is.
func TestAgeCountsAgainstEverySource(t *testing.T) {
	for _, field := range []string{"CDN-Cache-Control", "Surrogate-Control", "Cache-Control"} {
		d := judged{answer: lines(field+": max-age=60", "Age: 50")}.decide()
		if got := d.Life.Age(answered.ResponseAt); got != 50*s {
			t.Errorf("%s: an age of %v, want 50 s", field, got)
		}
		if d.Life.At(answered.ResponseAt+int64(9*s)) != StateFresh || d.Life.At(answered.ResponseAt+int64(10*s)) == StateFresh {
			t.Errorf("%s: not fresh for 10 s: %+v", field, d.Life)
		}
	}
	d := judged{answer: lines("Surrogate-Control: max-age=60+30")}.decide()
	if at := answered.ResponseAt; d.Life.At(at+int64(89*s)) != StateRefresh || d.Life.At(at+int64(90*s)) != Lapsed || !d.Life.UsableOnError(at+int64(89*s)) {
		t.Errorf("max-age=60+30 is %+v", d.Life)
	}
}

func TestHiddenFields(t *testing.T) {
	r := Rules{Targeted: []string{"X-Edge"}, TagHeaders: []string{"cache-tag", "Cache-Groups", "x-tags"}}
	if got, want := r.Hidden(), lines("Surrogate-Key", "Cache-Tag", "Surrogate-Control", "X-Edge", "X-Tags"); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := (&Rules{}).Hidden(); !slices.Contains(got, "Cdn-Cache-Control") {
		t.Errorf("by default %q", got)
	}
	for name, want := range map[string]bool{
		"Cdn-Cache-Control": true, "Edge-Control": true, "Cache-Control": false, "Content-Type": false, "Surrogate-Control": false,
		"Set-Cookie": false, "Connection": false, "Etag": false, "Vary": false, "a b": false, "": false,
	} {
		if got := MayTarget(name); got != want {
			t.Errorf("may target %q: %v", name, got)
		}
	}
}
