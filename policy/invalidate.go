package policy

import (
	"bytes"
	"net/http"
	"strings"
)

// Unsafe says whether a method may change what the origin has (RFC 9110,
// 9.2.1). A method that is not known may.
func Unsafe(method string) bool {
	switch method {
	case "GET", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "REPORT", "SEARCH", "QUERY":
		return false
	}
	return true
}

// Invalidates says whether an answer makes what is stored invalid: it is no
// error, and its method is not a safe one (RFC 9111, 4.4).
func Invalidates(method string, status int) bool {
	return status >= 200 && status <= 399 && Unsafe(method)
}

// InvalidatedURLs are the places that such an answer makes invalid: the
// request's own, and those of the same origin in Location and
// Content-Location.
func InvalidatedURLs(self URL, h http.Header) []URL {
	urls := []URL{self}
	for _, name := range [...]string{"Location", "Content-Location"} {
		for _, ref := range h[name] {
			u, ok := self.Resolve(ref)
			if ok && u.SameOrigin(self) && !u.Equal(self) {
				urls = append(urls, u)
			}
		}
	}
	return urls
}

// Resolve reads a reference against u (RFC 3986, 5.2): absolute, or relative to
// u's scheme, host, path or query. It is false for what is not http or https,
// and for what is malformed.
func (u URL) Resolve(ref string) (URL, bool) {
	ref, _, _ = strings.Cut(strings.Trim(ref, " \t"), "#")
	abs := u.Scheme + "://" + string(u.Host)
	switch i := strings.IndexAny(ref, ":/?"); {
	case ref == "":
		return u, true
	case i >= 0 && ref[i] == ':':
		abs = ref
	case strings.HasPrefix(ref, "//"):
		abs = u.Scheme + ":" + ref
	case ref[0] == '/':
		abs += ref
	case ref[0] == '?':
		abs += string(u.Path) + ref
	default:
		abs += string(u.Path[:bytes.LastIndexByte(u.Path, '/')+1]) + ref
	}
	got, err := ParseURL(abs)
	return got, err == nil
}
