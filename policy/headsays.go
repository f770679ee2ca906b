package policy

import (
	"net/http"
	"strconv"
	"strings"
)

// HeadSays is what the answer to a HEAD tells about a stored answer to GET that
// could have been chosen for it (RFC 9111, 4.3.5).
type HeadSays uint8

// What it can tell. Nothing is the safe one.
const (
	HeadNothing HeadSays = iota // it is about another form of it, or has no validator
	HeadSame                    // all that both have is equal
	HeadOther                   // it is not what the origin has any more
)

// ReadHead compares the fields of a 200 to HEAD with a stored answer: its
// validators, its length in bytes (-1 unknown) and its Content-Encoding. Without
// a validator equal lengths tell nothing, while different ones do.
func ReadHead(v *Validators, size int64, coding string, h http.Header) HeadSays {
	if h.Get("Content-Encoding") != coding {
		return HeadNothing
	}
	if n, err := strconv.ParseInt(strings.Trim(h.Get("Content-Length"), " \t"), 10, 64); err == nil && size >= 0 && n != size {
		return HeadOther
	}
	says := HeadNothing
	if tag := h.Get("Etag"); tag != "" {
		if !weakEqual([]byte(tag), v.ETag) {
			return HeadOther
		}
		says = HeadSame
	}
	if t, ok := ParseDate(h.Get("Last-Modified")); ok {
		switch {
		case v.Modified != 0 && t.Unix() != v.Modified, v.Modified == 0 && says == HeadNothing:
			return HeadOther
		}
		says = HeadSame
	}
	return says
}
