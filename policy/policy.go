// Package policy decides what a shared HTTP cache may keep, for how long, and
// under which key. It is pure: a request, a response, a route's rules and a
// clock reading go in; a decision with its reason comes out. Nothing here does
// I/O, and nothing reads a clock of its own.
//
// A reader needs five names: Ask (the request as a cache sees it), Rules (what
// a route's configuration says), Judge (may this answer be stored, RFC 9111
// section 3), Life (how old it is and how long it lives, section 4.2), and
// Reason (why, for every decision).
package policy

import (
	"net/http"
	"time"
)

// Field is one header field line. Both slices are views into a buffer that its
// owner may reuse once the request is over; whoever keeps a Field copies it.
type Field struct{ Name, Value []byte }

// Fields is an ordered list of header field lines, as they came.
type Fields []Field

// Rules is what one route's configuration says about caching, compiled once at
// start. It never changes after that and may be shared by all requests.
type Rules struct {
	Bypass bool // the route is never looked up and never stored

	TTL          time.Duration         // ttl.default: lifetime when the origin names none; 0 = none
	TTLMax       time.Duration         // ttl.max: no lifetime is longer; 0 = 365 d
	TTLOverride  time.Duration         // ttl.override: replaces what the origin said; 0 = off
	TTLStatus    map[int]time.Duration // ttl.status: by status, when the origin names none
	Heuristic    bool                  // ttl.heuristic: 10 % of the Last-Modified age (RFC 9111, 4.2.2)
	HeuristicMax time.Duration         // ttl.heuristic_max; 0 = 24 h

	StaleWhileRevalidate Window        // stale.while_revalidate: header, or a fixed span
	StaleIfError         Window        // stale.if_error
	StaleIfDead          time.Duration // stale.if_dead: RFC 9111, 4.2.4; 0 = never
	StrictSMaxAge        bool          // stale.strict_s_maxage

	HonorClient    bool // client_cache_control: honor
	SetCookie      SetCookie
	Cookies        Cookies
	CloseDelimited bool // close_delimited: store

	// Targeted are the fields that are asked before Cache-Control, in order
	// (RFC 9213), by canonical names: targeted. nil is CDN-Cache-Control alone.
	Targeted []string

	TagHeaders []string // purge.tag_headers, canonical names
	Tags       []string // routes[].tags, added to every object
	MaxTags    int      // limits.tags; 0 = 64
	MaxVary    int      // limits.vary_names; 0 = 16

	Languages Languages // vary.accept_language

	Key KeyRules
}

// Window says how long past its lifetime an answer may be used: as the origin's
// header says (the zero value), or a span that the route fixes.
type Window struct {
	Fixed bool
	For   time.Duration // with Fixed; 0 = never
}

// SetCookie says what becomes of an answer that has Set-Cookie.
type SetCookie uint8

// The values of set_cookie.
const (
	SetCookieBypass SetCookie = iota // not stored, unless s-maxage or a targeted field allows it
	SetCookieStore                   // stored like any other field
	SetCookieStrip                   // removed, then stored
)

// Cookies says what becomes of a request's Cookie.
type Cookies uint8

// The values of cookies.
const (
	CookiesForward Cookies = iota // to the origin; stored only with explicit freshness
	CookiesStrip                  // removed before the lookup
	CookiesBypass                 // such a request bypasses the cache
)

// Languages says which values of Accept-Language select the same variant.
type Languages uint8

// The values of vary.accept_language.
const (
	LanguagesSent     Languages = iota // the same ranges and weights in the same order
	LanguagesByWeight                  // in any order: it means nothing where weights are equal
)

// Response is an origin's answer as the judge sees it. Header must not be
// changed while it is judged.
type Response struct {
	Status int
	Header http.Header
	// CloseDelimited says that only the connection's end ends the body, so a
	// cut one cannot be told from a whole one (RFC 9112, 8).
	CloseDelimited bool
}

// Times are the two clock readings that RFC 9111, 4.2.3 needs, in Unix
// nanoseconds: when the request was sent and when the answer's head came.
type Times struct{ RequestAt, ResponseAt int64 }
