package policy

import "strings"

// SurrogateDirectives reads Surrogate-Control (the W3C note "Edge Architecture
// Specification"): max-age=60+30 is 60 s fresh and then 30 s that it may be
// served stale; no-store forbids, and so does no-store-remote, because an edge
// is far from its origin. content is not for caches. A directive with a
// parameter is for the surrogate of that name, and we have none.
//
// It is false, and the field as if it were absent, when it is malformed or says
// nothing to a cache. A no-store that was understood holds in any case.
func SurrogateDirectives(lines []string) (d Directives, ok bool) {
	ok = true
	for _, line := range lines {
		for line != "" && ok {
			var one surrogateMember
			if one, line, ok = cutSurrogate(line); ok && !one.targeted {
				ok = d.surrogate(one)
			}
		}
	}
	if !ok {
		return Directives{NoStore: d.NoStore}, d.NoStore
	}
	return d, d.NoStore || d.MaxAge.Set
}

// surrogate takes one member in, and is false for a known one that is malformed.
func (d *Directives) surrogate(one surrogateMember) bool {
	switch one.name {
	case "no-store", "no-store-remote":
		d.NoStore = true
	case "max-age":
		fresh, more, extended := strings.Cut(one.value, "+")
		lifetime, ok := deltaSeconds(fresh)
		window, fine := deltaSeconds(more)
		if !ok || extended && !fine {
			return false
		}
		if !d.MaxAge.Set {
			d.MaxAge = lifetime
			d.StaleWhileRevalidate, d.StaleIfError = window, window
		}
	}
	return true
}

// deltaSeconds reads RFC 9111, 1.2.2: digits alone.
func deltaSeconds(s string) (Delta, bool) {
	n, ok := decimal(s)
	return Delta{Set: ok, Span: clampSeconds(min(n, maxDelta))}, ok
}

// decimal reads digits alone; a number that is larger than maxDelta is one more.
func decimal(s string) (n int64, ok bool) {
	for i := 0; i < len(s); i++ {
		if !isDigit(s[i]) {
			return 0, false
		}
		n = min(n*10+int64(s[i]-'0'), maxDelta+1)
	}
	return n, s != ""
}

// surrogateMember is one directive: its name in lower case, its value without
// quotation marks.
type surrogateMember struct {
	name, value string
	targeted    bool
}

// cutSurrogate takes the first member off a list; an empty one has no name.
func cutSurrogate(line string) (one surrogateMember, rest string, ok bool) {
	rest = skipBlanks(line)
	if rest == "" || rest[0] == ',' {
		return one, strings.TrimPrefix(rest, ","), true
	}
	if one.name, one.value, rest, ok = cutPair(rest); !ok {
		return one, "", false
	}
	for rest = skipBlanks(rest); rest != "" && rest[0] == ';'; rest = skipBlanks(rest) {
		one.targeted = true
		if _, _, rest, ok = cutPair(skipBlanks(rest[1:])); !ok {
			return one, "", false
		}
	}
	if rest == "" {
		return one, "", true
	}
	return one, rest[1:], rest[0] == ','
}

// cutPair takes name, name=value or name="value" off.
func cutPair(s string) (name, value, rest string, ok bool) {
	end := tokenEnd(s)
	name, rest = strings.ToLower(s[:end]), s[end:]
	if end == 0 || rest == "" || rest[0] != '=' {
		return name, "", rest, end > 0
	}
	rest = rest[1:]
	if rest == "" || rest[0] != '"' {
		end = tokenEnd(rest)
		return name, rest[:end], rest[end:], end > 0
	}
	if end = quotedEnd(rest, 0); end < 0 {
		return name, "", "", false
	}
	return name, rest[1 : end-1], rest[end:], true
}

func tokenEnd(s string) int {
	for i := 0; i < len(s); i++ {
		if !isTokenByte(s[i]) {
			return i
		}
	}
	return len(s)
}

func skipBlanks(s string) string { return strings.TrimLeft(s, " \t") }
