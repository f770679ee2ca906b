package policy

// Reason says why a decision fell as it did. The access log, Cache-Status,
// metrics and explain all print its String.
type Reason uint8

// Reasons for a hit, a miss, a stale answer or a bypass.
const (
	None                 Reason = iota
	Fresh                       // served, still fresh (RFC 9111, 4.2)
	URIMiss                     // nothing is stored under this key
	VaryMiss                    // stored, but no variant matches (4.1)
	Expired                     // stored, stale, must be validated or replaced (4.2.4)
	Revalidated                 // a 304 made the stored answer fresh again (4.3.4)
	Purged                      // covered by a purge
	Collapsed                   // waited for another request's fetch
	Partial                     // a Range that is not there as a whole
	HitForMiss                  // known not to be stored for now
	EvictedChunk                // a part of the body is gone
	StaleWhileRevalidate        // served stale while it is refreshed (RFC 5861, 3)
	StaleIfError                // served stale because the origin failed (RFC 5861, 4)
	StaleIfDead                 // served stale because no origin answered (RFC 9111, 4.2.4)
	SoftPurged                  // served stale after a soft purge while it is refreshed
	ClientStale                 // the client's max-stale allows it (RFC 9111, 5.2.1.2)

	BypassRequest  // the method or the request forbids the store
	BypassRule     // the route says bypass
	BypassHook     // a hook switched caching off
	BypassDisabled // caching is disabled

	ClientNoCache // the client's no-cache, max-age or min-fresh asks the origin
	OnlyIfCached  // 504: the client wanted only what is stored (5.2.1.7)

	NoStore         // no-store in the answer (5.2.2.5)
	ClientNoStore   // no-store in the request (5.2.1.5)
	Private         // private in the answer (5.2.2.7)
	NoFreshness     // neither explicit nor heuristic lifetime, nor a validator (3)
	Method          // the method is not stored (3)
	Status          // the status is not stored without explicit freshness (3)
	Authorization   // Authorization without permission (3.5)
	CookieRequest   // a Cookie and no explicit freshness
	SetCookieAnswer // Set-Cookie
	VaryStar        // Vary: * (4.1)
	TooManyVary     // more Vary names than the limit, or a bad one
	TooLarge        // larger than the store takes
	TooManyTags     // more tags than the limit, or one too long
	CloseDelimited  // a body that only the connection's end ends
	PartialAnswer   // 206 that nobody asked for
	ErrorToRange    // status >= 400 to a Range or to an oversized head (CPDoS)
	MustUnderstand  // must-understand with a status that we do not know (5.2.2.3)
	FatGet          // a body went up with the request
	Hook            // a hook forbade storing
	Aborted         // the transfer ended early
	TierRefused     // the tier would not take it
	Stored          // stored

	BadRequest               // malformed
	NoHost                   // no Host (RFC 9112, 3.2)
	UnknownHost              // not in hosts: 421
	Loop                     // our own id in CDN-Loop (RFC 8586)
	Rejected                 // a hook rejected
	Responded                // a hook answered
	NoPeer                   // no peer is configured
	UpstreamTimeout          // the origin did not answer in time: 504
	UpstreamConnectionFailed // no connection to the origin, or it broke: 502
	MaxRetriesExceeded       // all attempts failed: 502
	RequestFiltered          // a hook refused the request: 403
	BadUpstream              // the origin's answer was malformed
	BodyTooLarge             // over body_buffer
	HookError                // a hook failed, or answered what its phase does not allow
	HookPanic                // a hook panicked: 500
	ClientGone               // the client left before its answer was complete
	MethodNotAllowed         // TRACE or CONNECT: 405
	PurgeRequest             // PURGE on the data port
	Internal                 // a fault of ours: 500

	reasons // how many there are
)

// Reasons is the number of reasons; each Reason is below it.
const Reasons = int(reasons)

// String is the word that the access log, Cache-Status, metrics and explain
// print; "none" for the zero value.
func (r Reason) String() string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return "unknown"
}

var reasonNames = [Reasons]string{
	None:                     "none",
	Fresh:                    "fresh",
	URIMiss:                  "uri_miss",
	VaryMiss:                 "vary_miss",
	Expired:                  "expired",
	Revalidated:              "revalidated",
	Purged:                   "purged",
	Collapsed:                "collapsed",
	Partial:                  "partial",
	HitForMiss:               "hit_for_miss",
	EvictedChunk:             "evicted_chunk",
	StaleWhileRevalidate:     "stale_while_revalidate",
	StaleIfError:             "stale_if_error",
	StaleIfDead:              "stale_if_dead",
	SoftPurged:               "soft_purged",
	ClientStale:              "client_stale",
	BypassRequest:            "request",
	BypassRule:               "rule",
	BypassHook:               "hook",
	BypassDisabled:           "disabled",
	ClientNoCache:            "client_no_cache",
	OnlyIfCached:             "only_if_cached",
	NoStore:                  "no_store",
	ClientNoStore:            "client_no_store",
	Private:                  "private",
	NoFreshness:              "no_freshness",
	Method:                   "method",
	Status:                   "status",
	Authorization:            "authorization",
	CookieRequest:            "cookie",
	SetCookieAnswer:          "set_cookie",
	VaryStar:                 "vary_star",
	TooManyVary:              "too_many_vary",
	TooLarge:                 "too_large",
	TooManyTags:              "too_many_tags",
	CloseDelimited:           "close_delimited",
	PartialAnswer:            "partial_answer",
	ErrorToRange:             "error_to_range",
	MustUnderstand:           "must_understand",
	FatGet:                   "fat_get",
	Hook:                     "hook",
	Aborted:                  "aborted",
	TierRefused:              "tier_refused",
	Stored:                   "stored",
	BadRequest:               "bad_request",
	NoHost:                   "no_host",
	UnknownHost:              "unknown_host",
	Loop:                     "loop",
	Rejected:                 "rejected",
	Responded:                "responded",
	NoPeer:                   "no_peer",
	UpstreamTimeout:          "upstream_timeout",
	UpstreamConnectionFailed: "upstream_connection_failed",
	MaxRetriesExceeded:       "max_retries_exceeded",
	RequestFiltered:          "request_filtered",
	BadUpstream:              "bad_upstream",
	BodyTooLarge:             "body_too_large",
	HookError:                "hook_error",
	HookPanic:                "hook_panic",
	ClientGone:               "client_gone",
	MethodNotAllowed:         "method_not_allowed",
	PurgeRequest:             "purge",
	Internal:                 "internal",
}
