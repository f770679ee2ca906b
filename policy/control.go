package policy

import (
	"bytes"
	"time"

	"github.com/pquerna/cachecontrol/cacheobject"
)

// Control are the directives of a request's Cache-Control (RFC 9111, 5.2.1). A
// span counts only with its flag.
type Control struct {
	NoCache, NoStore, OnlyIfCached      bool
	HasMaxAge, HasMinFresh, HasMaxStale bool
	AnyStale                            bool // max-stale without a value: of any age
	MaxAge, MinFresh, MaxStale          time.Duration
	HasStaleIfError                     bool
	StaleIfError                        time.Duration // RFC 5861, 4
}

// readControl reads Cache-Control and, only without it, Pragma (RFC 9111,
// 5.4). Unknown directives change nothing.
func readControl(has Has, f Fields) (c Control) {
	if has&HasCacheControl == 0 {
		for i := f.Next("pragma", 0); i >= 0; i = f.Next("pragma", i+1) {
			c.NoCache = c.NoCache || hasMember(f[i].Value, "no-cache")
		}
		return c
	}
	for i := f.Next("cache-control", 0); i >= 0; i = f.Next("cache-control", i+1) {
		if mayHold(f[i].Value) {
			for _, d := range splitDirectives(string(f[i].Value)) {
				c.add(d)
			}
		}
	}
	return c
}

// mayHold says whether a line can hold a directive of ours, so that a line of
// unknown ones costs no allocation.
func mayHold(line []byte) bool {
	for len(line) > 0 {
		var member []byte
		member, line = cutMember(line)
		name, _, _ := bytes.Cut(member, equals)
		switch name = trim(name); len(name) {
		case 7, 8, 9, 14: // no-cache, max-age and no-store, max-stale and min-fresh, only-if-cached and stale-if-error
			return true
		}
		if bytes.ContainsAny(member, " \t") {
			return true
		}
	}
	return false
}

var equals = []byte{'='}

// hasMember says whether a comma-separated list has a member, without regard
// to case.
func hasMember(list []byte, s string) bool {
	for len(list) > 0 {
		var m []byte
		if m, list = cutMember(list); EqualFold(m, s) {
			return true
		}
	}
	return false
}

// cutMember takes the first member off a comma-separated list.
func cutMember(list []byte) (member, rest []byte) {
	if i := bytes.IndexByte(list, ','); i >= 0 {
		return trim(list[:i]), list[i+1:]
	}
	return trim(list), nil
}

// add takes one directive in. A span that is malformed gets the value that
// asks more of the cache: max-age 0, no max-stale.
func (c *Control) add(d directive) {
	got, err := cacheobject.ParseRequestCacheControl(d.text)
	if err != nil || d.bad {
		got = &cacheobject.RequestCacheDirectives{MaxAge: -1, MinFresh: -1, MaxStale: -1, StaleIfError: -1}
	}
	switch d.name {
	case "no-cache":
		c.NoCache = true
	case "no-store":
		c.NoStore = true
	case "only-if-cached":
		c.OnlyIfCached = c.OnlyIfCached || got.OnlyIfCached
	case "max-age":
		if !c.HasMaxAge {
			c.HasMaxAge, c.MaxAge = true, seconds(got.MaxAge)
		}
	case "min-fresh":
		if !c.HasMinFresh && got.MinFresh >= 0 {
			c.HasMinFresh, c.MinFresh = true, seconds(got.MinFresh)
		}
	case "stale-if-error":
		if !c.HasStaleIfError && got.StaleIfError >= 0 {
			c.HasStaleIfError, c.StaleIfError = true, seconds(got.StaleIfError)
		}
	case "max-stale":
		anyAge := got.MaxStaleSet && d.bare()
		if !c.HasMaxStale && (anyAge || got.MaxStale >= 0) {
			c.HasMaxStale, c.AnyStale, c.MaxStale = true, anyAge, seconds(got.MaxStale)
		}
	}
}

// seconds turns delta-seconds (RFC 9111, 1.2.2) into a span; what could not be
// read, -1, is 0.
func seconds(n cacheobject.DeltaSeconds) time.Duration {
	return time.Duration(max(n, 0)) * time.Second
}
