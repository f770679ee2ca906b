package policy

// Has says which fields of a request matter to a cache are there.
type Has uint32

// The bits of Has.
const (
	HasAuthorization Has = 1 << iota
	HasCookie
	HasRange
	HasIfRange
	HasIfNoneMatch
	HasIfModifiedSince
	HasIfMatch
	HasIfUnmodifiedSince
	HasCacheControl
	HasPragma
	HasExpect
	HasUpgrade

	// HasConditional are the preconditions of RFC 9110, 13.1, but If-Range.
	HasConditional = HasIfNoneMatch | HasIfModifiedSince | HasIfMatch | HasIfUnmodifiedSince
)

// Ask is a request as a cache sees it. Method and Fields are views that the
// request's owner keeps alive.
type Ask struct {
	Method string
	Fields Fields
	Has    Has
	// Control are the directives of the client; zero unless the route honours
	// them.
	Control Control
	// HeadBytes is the size of the field section: name, value and four bytes a
	// line.
	HeadBytes int
	// Languages is the route's way to compare Accept-Language.
	Languages Languages
	// Body says that a body is forwarded with the request. Its owner sets it
	// after Read, which clears it.
	Body bool
}

// Read reads a request in one pass over its fields. It allocates nothing
// unless the route honours the client's directives and there are some we know.
func (a *Ask) Read(method string, f Fields, r *Rules) {
	*a = Ask{Method: method, Fields: f, Languages: r.Languages}
	for i := range f {
		a.HeadBytes += len(f[i].Name) + len(f[i].Value) + 4
		a.Has |= bitOf(f[i].Name)
	}
	if r.HonorClient && a.Has&(HasCacheControl|HasPragma) != 0 {
		a.Control = readControl(a.Has, f)
	}
}

// bitOf is the bit of a field name; its length decides first, so most names
// cost one comparison.
func bitOf(name []byte) Has {
	switch len(name) {
	case 5:
		return bitIf(name, "range", HasRange)
	case 6:
		return bitIf(name, "cookie", HasCookie) | bitIf(name, "pragma", HasPragma) |
			bitIf(name, "expect", HasExpect)
	case 7:
		return bitIf(name, "upgrade", HasUpgrade)
	case 8:
		return bitIf(name, "if-range", HasIfRange) | bitIf(name, "if-match", HasIfMatch)
	case 13:
		return bitIf(name, "authorization", HasAuthorization) |
			bitIf(name, "cache-control", HasCacheControl) |
			bitIf(name, "if-none-match", HasIfNoneMatch)
	case 17:
		return bitIf(name, "if-modified-since", HasIfModifiedSince)
	case 19:
		return bitIf(name, "if-unmodified-since", HasIfUnmodifiedSince)
	}
	return 0
}

func bitIf(name []byte, s string, bit Has) Has {
	if EqualFold(name, s) {
		return bit
	}
	return 0
}

// Lookup says whether the store may be asked for an answer at all: for GET and
// HEAD, where neither the route nor an honoured no-store forbids it. Else why
// says which of them it was.
func (a *Ask) Lookup(r *Rules) (ok bool, why Reason) {
	switch {
	case r.Bypass, r.Cookies == CookiesBypass && a.Has&HasCookie != 0:
		return false, BypassRule
	case a.Method != "GET" && a.Method != "HEAD":
		return false, BypassRequest
	case a.Control.NoStore:
		return false, ClientNoStore
	}
	return true, None
}

// personal says whether the answer may be meant for one person although the
// request names no variant: it carried a Cookie that went to the origin, or
// Authorization.
func (a *Ask) personal(r *Rules) bool {
	return a.Has&HasAuthorization != 0 || a.sendsCookie(r)
}

func (a *Ask) sendsCookie(r *Rules) bool {
	return a.Has&HasCookie != 0 && r.Cookies != CookiesStrip
}
