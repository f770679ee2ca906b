package policy

import (
	"net/http"
	"strings"
)

// Merge is the header of a stored answer after a 304 (RFC 9111, 3.2): the 304's
// fields replace the stored ones, but for those that belong to one connection,
// to the framing or to the bytes that are kept. Neither argument is changed.
//
// Age and Date are those of the 304 even when it has none, because both count
// from its arrival: who keeps the result adds the time of receipt as Date.
func Merge(stored, fresh http.Header, r *Rules) http.Header {
	merged := make(http.Header, len(stored)+len(fresh))
	for name, values := range stored {
		merged[name] = values
	}
	delete(merged, "Age")
	delete(merged, "Date")
	hops := ConnectionNames(fresh)
	for name, values := range fresh {
		if !keptByUpdate(name, r) && !hops[name] {
			merged[name] = values
		}
	}
	return merged
}

// Freshens says whether a 304 is about the stored answer (RFC 9111, 4.3.4): a
// validator that it has is the stored one's, and none is another's. A 304 without
// any is about the only answer whose validators were sent. Else the request must
// be repeated without a precondition.
func Freshens(v *Validators, fresh http.Header) bool {
	tag := fresh.Get("Etag")
	if tag != "" && len(v.ETag) > 0 {
		return weakEqual([]byte(tag), v.ETag)
	}
	if t, ok := ParseDate(fresh.Get("Last-Modified")); ok && v.Modified != 0 {
		return t.Unix() == v.Modified
	}
	return tag == "" // with a tag that the stored answer never had it is another's
}

// keptByUpdate says whether the stored value of a field outlives a 304.
func keptByUpdate(name string, r *Rules) bool {
	switch name {
	case "Content-Length", "Content-Encoding", "Content-Range", "Content-Digest", "Content-Md5":
		return true // of the bytes that are kept
	case "Set-Cookie", "Set-Cookie2":
		return r.SetCookie != SetCookieStore
	}
	return IsHopByHop(name)
}

// IsHopByHop says whether a field, by its canonical name, belongs to one
// connection and is neither stored nor forwarded (RFC 9110, 7.6.1; RFC 9111,
// 3.1).
func IsHopByHop(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer",
		"Transfer-Encoding", "Upgrade", "Proxy-Authenticate",
		"Proxy-Authentication-Info", "Proxy-Authorization":
		return true
	}
	return false
}

// ConnectionNames are the fields of an answer that Connection lists, by their
// canonical names: they belong to one connection (RFC 9110, 7.6.1). Those that
// a cache lives by, or that frame the message, cannot be listed away.
func ConnectionNames(h http.Header) map[string]bool {
	var names map[string]bool
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			name = http.CanonicalHeaderKey(strings.Trim(name, " \t"))
			switch name {
			case "", "Host", "Content-Length", "Cache-Control", "Age",
				"Set-Cookie", "Date", "Expires", "Surrogate-Control", "Vary":
				continue
			}
			if strings.HasSuffix(name, "-Cache-Control") {
				continue // RFC 9213, 3: so targeted fields are called
			}
			if names == nil {
				names = make(map[string]bool)
			}
			names[name] = true
		}
	}
	return names
}
