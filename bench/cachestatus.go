package bench

import (
	"net/http"
	"strings"
)

// Hit says whether the cache named id gave an answer with this header from its
// store.
func Hit(h http.Header, id string) bool {
	return readCacheStatus(h.Values("Cache-Status"), id) == saidHit
}

// cacheSaid is what a cache tells of one answer.
type cacheSaid int

const (
	saidNothing cacheSaid = iota
	saidHit
	saidMiss
)

// readCacheStatus finds what the cache named id says in the lines of a
// Cache-Status field (RFC 9211, 2): a member with the parameter hit was
// answered from the store. The last member of that name is the nearest to us.
func readCacheStatus(lines []string, id string) cacheSaid {
	said := saidNothing
	for _, line := range lines {
		for member := range splitOutsideQuotes(line, ',') {
			name, params, _ := strings.Cut(strings.TrimSpace(member), ";")
			if strings.Trim(strings.TrimSpace(name), `"`) != id {
				continue
			}
			said = saidMiss
			for param := range splitOutsideQuotes(params, ';') {
				if p := strings.TrimSpace(param); p == "hit" || p == "hit=?1" {
					said = saidHit
				}
			}
		}
	}
	return said
}

// splitOutsideQuotes yields the parts of s between separators that stand
// outside quoted strings (RFC 9651, 3.3.3).
func splitOutsideQuotes(s string, separator byte) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		from, quoted := 0, false
		for i := 0; i < len(s); i++ {
			switch {
			case quoted && s[i] == '\\':
				i++
			case s[i] == '"':
				quoted = !quoted
			case s[i] == separator && !quoted:
				if !yield(s[from:i]) {
					return
				}
				from = i + 1
			}
		}
		yield(s[from:])
	}
}
