package policy

import (
	"strings"
	"time"
)

// Defaults of Rules whose zero means a default.
const (
	defaultTTLMax       = 365 * 24 * time.Hour
	defaultHeuristicMax = 24 * time.Hour

	maxSpan = (maxDelta + 1) * time.Second // no span is longer, so sums never overflow
)

// life computes when the answer was born and how long it lives.
func (j *judge) life() Life {
	l := Life{
		Born:           j.t.ResponseAt - int64(j.initialAge()),
		NoCache:        j.cc.NoCache || j.hidesEssential(),
		MustRevalidate: j.cc.MustRevalidate || j.cc.ProxyRevalidate,
		SharedMaxAge:   j.cc.SMaxAge.Set,
		Immutable:      j.cc.Immutable,
	}
	l.Fresh, l.Explicit = j.explicit()
	switch {
	case l.Explicit && j.r.TTLOverride > 0:
		l.Fresh = j.r.TTLOverride
	case !l.Explicit && !j.a.personal(j.r):
		l.Fresh = j.implicit()
	}
	most := j.r.TTLMax
	if most <= 0 {
		most = defaultTTLMax
	}
	l.Fresh = min(l.Fresh, most, maxSpan)
	j.windows(&l)
	return l
}

// hidesEssential says whether no-cache="…" lists a field that cannot be left
// out, so that nothing may be served unvalidated.
func (j *judge) hidesEssential() bool {
	for _, name := range j.cc.NoCacheFields {
		if j.essential(name) {
			return true
		}
	}
	return false
}

// explicit is the lifetime that the origin named (RFC 9111, 4.2.1): s-maxage,
// then max-age, then Expires less Date. What stands in place of Cache-Control
// stands in place of Expires, too (RFC 9213, 2.2).
func (j *judge) explicit() (ttl time.Duration, ok bool) {
	switch {
	case j.cc.SMaxAge.Set:
		j.malformed = j.cc.SMaxAge.Bad
		return j.cc.SMaxAge.Span, true
	case j.cc.MaxAge.Set:
		j.malformed = j.cc.MaxAge.Bad
		return j.cc.MaxAge.Span, true
	case j.source != fromCacheControl || len(j.res.Header["Expires"]) == 0:
		return 0, false
	}
	expires, ok := j.date("Expires")
	if !ok {
		j.malformed = true
		return 0, true // 5.3: an invalid one is in the past; so are two
	}
	return clampSeconds(expires - j.made()), true
}

// made is the answer's Date, without a valid one the time of its arrival, in
// Unix seconds.
func (j *judge) made() int64 {
	if at, ok := j.date("Date"); ok {
		return at
	}
	return floorSeconds(j.t.ResponseAt)
}

func floorSeconds(at int64) int64 { return at / second }

// clampSeconds is a span of n seconds within 0 and 2³¹ s.
func clampSeconds(n int64) time.Duration {
	return time.Duration(min(max(n, 0), maxDelta+1)) * time.Second
}

// implicit is the lifetime of an answer whose origin names none: the route's
// for its status, the route's default, or a tenth of the time since it was
// last modified (RFC 9111, 4.2.2).
func (j *judge) implicit() time.Duration {
	if ttl, ok := j.r.TTLStatus[j.res.Status]; ok {
		return max(ttl, 0)
	}
	if !cacheableByDefault(j.res.Status) && !j.cc.Public {
		return 0
	}
	switch {
	case j.r.TTLOverride > 0:
		return j.r.TTLOverride
	case j.r.TTL > 0:
		return j.r.TTL
	case !j.r.Heuristic:
		return 0
	}
	modified, ok := j.date("Last-Modified")
	if !ok {
		return 0
	}
	most := j.r.HeuristicMax
	if most <= 0 {
		most = defaultHeuristicMax
	}
	return min(clampSeconds(j.made()-modified)/10, most)
}

// initialAge is the corrected initial age (RFC 9111, 4.2.3). The apparent age
// is taken in whole seconds, as Date is, so that a right clock gives 0.
func (j *judge) initialAge() time.Duration {
	apparent := clampSeconds(floorSeconds(j.t.ResponseAt) - j.made())
	delay := time.Duration(max(j.t.ResponseAt-j.t.RequestAt, 0))
	return max(apparent, j.age()+delay)
}

// age is the answer's Age: the first member of its first line (RFC 9111, 5.1).
// An invalid one is ignored; one above 2³¹ is 2³¹.
func (j *judge) age() time.Duration {
	lines := j.res.Header["Age"]
	if len(lines) == 0 {
		return 0
	}
	first, _, _ := strings.Cut(lines[0], ",")
	n, ok := decimal(strings.Trim(first, " \t"))
	if !ok {
		return 0
	}
	return clampSeconds(n)
}

// windows sets how long the answer may be used stale. must-revalidate and the
// like forbid all of it; s-maxage forbids what no directive or route allows by
// name, and with strict_s_maxage that, too.
func (j *judge) windows(l *Life) {
	if l.NoCache || l.MustRevalidate || l.SharedMaxAge && j.r.StrictSMaxAge {
		l.MustRevalidate = true
		return
	}
	l.SWR = window(j.r.StaleWhileRevalidate, j.cc.StaleWhileRevalidate)
	l.SIE = window(j.r.StaleIfError, j.cc.StaleIfError)
	if !l.SharedMaxAge {
		l.Dead = min(max(j.r.StaleIfDead, 0), maxSpan)
	}
}

func window(route Window, header Delta) time.Duration {
	if route.Fixed {
		return min(max(route.For, 0), maxSpan)
	}
	return header.Span
}
