package policy

import (
	"net/http"
	"slices"
)

// TrailerField says whether a field, by its canonical name, may go on or be kept
// as a trailer (RFC 9110, 6.5.1). Those who read it may take it for a field of the
// head, so none that frames, routes, authenticates, says what the body is, or
// rules a cache, and none that belongs to one connection or to us.
func TrailerField(name string) bool {
	if IsHopByHop(name) {
		return false
	}
	_, found := slices.BinarySearch(headOnly, name)
	return !found
}

// headOnly are fields that mean something in a head alone; sorted.
var headOnly = []string{
	"Age", "Alt-Svc", "Authorization", "Cache-Control", "Cache-Group-Invalidation", "Cache-Groups",
	"Cache-Status", "Cache-Tag", "Cdn-Cache-Control", "Cdn-Loop", "Clear-Site-Data", "Content-Disposition",
	"Content-Encoding", "Content-Language", "Content-Length", "Content-Location", "Content-Range",
	"Content-Security-Policy", "Content-Type", "Cookie", "Date", "Expect", "Expires", "Host", "Link",
	"Location", "Max-Forwards", "Pragma", "Range", "Refresh", "Retry-After", "Set-Cookie", "Set-Cookie2",
	"Strict-Transport-Security", "Surrogate-Control", "Surrogate-Key", "Vary", "Via", "Warning",
	"Www-Authenticate", "X-Request-Id",
}

// Trailer gives the fields of a trailer section that go on, nil when none does.
// The names in hidden, which are canonical, do not.
func Trailer(h http.Header, hidden []string) http.Header {
	var kept http.Header
	for name, values := range h {
		canonical := http.CanonicalHeaderKey(name)
		if !TrailerField(canonical) || slices.Contains(hidden, canonical) {
			continue
		}
		if kept == nil {
			kept = make(http.Header)
		}
		kept[canonical] = append(kept[canonical], values...)
	}
	return kept
}
