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
	NoCache                     // stored, and validated before each use: no-cache in the answer (5.2.2.4)
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

	BypassRequest // the method or an Upgrade forbids the store
	BypassRule    // the route says bypass
	BypassHook    // a hook switched caching off

	ClientNoCache  // the client's no-cache asks the origin (5.2.1.4)
	ClientMaxAge   // older than the client's max-age (5.2.1.1)
	ClientMinFresh // not fresh for the client's min-fresh (5.2.1.3)
	OnlyIfCached   // 504: the client wanted only what is stored (5.2.1.7)

	NoStore         // no-store in the answer (5.2.2.5)
	ClientNoStore   // no-store in the request (5.2.1.5)
	Private         // private in the answer (5.2.2.7)
	NoFreshness     // neither explicit nor heuristic lifetime, nor a validator (3)
	BadFreshness    // a lifetime that is malformed and counts as 0, and no validator (4.2.1)
	StaleOnArrival  // a lifetime that was over when it came, and no validator (3)
	Method          // the method is not stored (3)
	Status          // the status is not stored without explicit freshness (3)
	Authorization   // Authorization without permission (3.5)
	CookieRequest   // a Cookie and no explicit freshness
	SetCookieAnswer // Set-Cookie
	VaryStar        // Vary: * (4.1)
	TooManyVary     // more Vary names than the limit
	VaryClient      // Vary by who asks: X-Forwarded-For, X-Real-IP, X-Request-Id
	BadVary         // a name in Vary that is none (4.1)
	TooLarge        // larger than the store takes
	TooManyTags     // more tags than the limit, or one too long
	CloseDelimited  // a body that only the connection's end ends
	PartialAnswer   // 206 that nobody asked for
	ErrorToRange    // status >= 400 to a Range (CPDoS)
	ErrorToLongHead // status >= 400 to an oversized head (CPDoS)
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
	if int(r) < len(reasonTable) {
		return reasonTable[r].Name
	}
	return "unknown"
}

// Explain says what a person should know of the reason.
func (r Reason) Explain() Explained {
	if int(r) < len(reasonTable) {
		return reasonTable[r]
	}
	return Explained{Name: "unknown"}
}
