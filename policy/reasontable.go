package policy

// Explained is what a person should know of a reason. docs/reasons.md and edge
// reasons are made of it.
type Explained struct {
	Name   string // what logs, metrics and Cache-Status print
	Groups Groups // where it appears
	What   string // happened: one sentence
	Do     string // about it, if one wants another outcome
	Rule   string // that decides it: a section of a standard, or of docs/reference.md
}

// Groups are the places in which a reason appears.
type Groups uint8

// The groups. A request has one of the first four beside its cache value, an
// answer that is not stored has one in unstored, and a failure in its errors.
const (
	OfHit Groups = 1 << iota
	OfMiss
	OfStale
	OfBypass
	OfUnstored
	OfError
)

// groupNames are the groups in order.
var groupNames = [...]string{"hit", "miss", "stale", "bypass", "not stored", "error"}

// Names lists the groups by name.
func (g Groups) Names() (names []string) {
	for i, name := range groupNames {
		if g&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// reasonTable is everything that is said about reasons.
var reasonTable = [Reasons]Explained{
	None: {"none", 0, "No decision was needed or none was reached.", "Nothing.", "-"},

	Fresh: {"fresh", OfHit, "Served from the store while its lifetime lasts.",
		"Nothing.", "RFC 9111, 4.2"},
	URIMiss: {"uri_miss", OfMiss, "Nothing is stored under this key.",
		"Usual for a first request; often, look at key.query and limits of memory and disk.", "RFC 9111, 4"},
	VaryMiss: {"vary_miss", OfMiss, "Something is stored under this key, but no variant was selected by such request fields.",
		"Let the origin vary by fewer fields or by ones with few values; see vary and limits.variants.", "RFC 9111, 4.1"},
	Expired: {"expired", OfMiss, "What is stored is stale beyond every window that allows it to be served.",
		"A longer lifetime, or stale-while-revalidate, keeps clients from waiting.", "RFC 9111, 4.2.4"},
	NoCache: {"no_cache", OfMiss | OfUnstored, "The answer says no-cache: it is validated before each use, and without a validator it is of no use.",
		"Send max-age in place of no-cache, or an ETag with it.", "RFC 9111, 5.2.2.4"},
	Revalidated: {"revalidated", OfMiss, "The origin confirmed what is stored with a 304.",
		"Nothing; a longer lifetime saves the question.", "RFC 9111, 4.3.4"},
	Purged: {"purged", OfMiss | OfUnstored, "A purge covers what is stored, or came while the answer was on its way.",
		"Nothing; soft purges keep clients from waiting.", "reference, Purging"},
	Collapsed: {"collapsed", OfMiss, "The request waited for another one's fetch and shared its answer.",
		"Nothing.", "RFC 9111, 4"},
	Partial: {"partial", OfMiss, "The request is for a part that is not stored.",
		"Nothing; parts are joined as they come.", "RFC 9111, 3.3"},
	HitForMiss: {"hit_for_miss", OfMiss, "Answers of this key could not be stored lately, so requests do not wait for each other.",
		"Look at the unstored reason of the request before it; hit_for_miss sets for how long.", "reference, Configuration"},
	EvictedChunk: {"evicted_chunk", OfMiss, "A part of the stored body was gone or damaged when it was wanted.",
		"More memory or disk; if it stays, edge disk check.", "reference, The disk tier"},
	StaleWhileRevalidate: {"stale_while_revalidate", OfStale, "Served stale at once while it is refreshed in the background.",
		"Nothing.", "RFC 5861, 3"},
	StaleIfError: {"stale_if_error", OfStale, "Served stale because the origin answered with an error or not at all.",
		"Look at the origin; stale.if_error sets for how long.", "RFC 5861, 4"},
	StaleIfDead: {"stale_if_dead", OfStale, "Served stale because no origin answered.",
		"Look at the origin; stale.if_dead sets for how long.", "RFC 9111, 4.2.4"},
	SoftPurged: {"soft_purged", OfStale, "Served stale after a soft purge while it is refreshed.",
		"Nothing; purge.soft_window sets for how long, a hard purge forbids it.", "reference, Purging"},
	ClientStale: {"client_stale", OfStale, "Served stale because the client's max-stale allows it.",
		"Nothing; client_cache_control: ignore takes no such word.", "RFC 9111, 5.2.1.2"},

	BypassRequest: {"request", OfBypass, "The method, or an Upgrade, is none that a store can answer.",
		"Nothing.", "RFC 9111, 4"},
	BypassRule: {"rule", OfBypass | OfUnstored, "The route says bypass, or cookies: bypass and the request has a Cookie.",
		"Change the route, if that is not meant.", "reference, Configuration"},
	BypassHook: {"hook", OfBypass, "A hook switched caching off for this request, or failed to make its key.",
		"Look at the hook.", "reference, Hooks"},

	ClientNoCache: {"client_no_cache", OfMiss, "The client's no-cache, or its Pragma, asks the origin although what is stored could be served.",
		"client_cache_control: ignore.", "RFC 9111, 5.2.1.4 and 5.4"},
	ClientMaxAge: {"client_max_age", OfMiss, "What is stored could be served but is older than the client's max-age, or stale and the client sent no max-stale.",
		"client_cache_control: ignore, or immutable in the answer.", "RFC 9111, 5.2.1.1; RFC 8246"},
	ClientMinFresh: {"client_min_fresh", OfMiss, "What is stored could be served but does not stay fresh for the client's min-fresh.",
		"client_cache_control: ignore, or a longer lifetime.", "RFC 9111, 5.2.1.3"},
	OnlyIfCached: {"only_if_cached", OfError, "504: the client wanted only what is stored, and nothing that may be served is.",
		"Nothing; client_cache_control: ignore takes no such word.", "RFC 9111, 5.2.1.7"},

	NoStore: {"no_store", OfUnstored, "The answer says no-store.",
		"Change the origin, or give us a targeted field.", "RFC 9111, 5.2.2.5"},
	ClientNoStore: {"client_no_store", OfBypass | OfUnstored, "The client's request says no-store.",
		"client_cache_control: ignore.", "RFC 9111, 5.2.1.5"},
	Private: {"private", OfUnstored, "The answer says private, for all of it or for a field that it cannot be without.",
		"Change the origin, or give us a targeted field.", "RFC 9111, 5.2.2.7"},
	NoFreshness: {"no_freshness", OfUnstored, "The origin names no lifetime, the route gives none, and there is no validator.",
		"Send Cache-Control, Last-Modified or ETag, or set ttl.default.", "RFC 9111, 3"},
	BadFreshness: {"bad_freshness", OfUnstored, "The lifetime is malformed, so it counts as 0, and there is no validator.",
		"Mend max-age, s-maxage or Expires.", "RFC 9111, 4.2.1 and 5.3"},
	StaleOnArrival: {"stale_on_arrival", OfUnstored, "The lifetime was over when the answer came, and there is no validator.",
		"Send a longer max-age, an ETag, or a smaller Age; look at the origin's clock.", "RFC 9111, 3 and 4.2.3"},
	Method: {"method", OfUnstored, "The answer to this method is not stored; that to POST only if it names its own place and a lifetime.",
		"Nothing.", "RFC 9111, 3; RFC 9110, 9.3.3"},
	Status: {"status", OfUnstored, "The status is not stored without a lifetime that the origin names, or a stale answer was served in its place.",
		"Send Cache-Control with it, or set ttl.status.", "RFC 9111, 3; RFC 9110, 15.1"},
	Authorization: {"authorization", OfMiss | OfUnstored, "The request has Authorization and the answer does not say that it is for all.",
		"Send public, s-maxage or must-revalidate if it is.", "RFC 9111, 3.5"},
	CookieRequest: {"cookie", OfUnstored, "The request has a Cookie and the origin names no lifetime, so the answer may be for one person.",
		"Send Cache-Control, or set cookies: strip.", "reference, What is stored"},
	SetCookieAnswer: {"set_cookie", OfUnstored, "The answer sets a cookie, without s-maxage or a lifetime in a targeted field.",
		"set_cookie: strip or store, or no cookie on what is for all.", "reference, What is stored"},
	VaryStar: {"vary_star", OfUnstored, "Vary: * says that no other request ever gets this answer.",
		"Name the fields by which it varies.", "RFC 9111, 4.1"},
	TooManyVary: {"too_many_vary", OfUnstored, "Vary has more names than limits.vary_names.",
		"Vary by fewer fields, or raise the limit.", "reference, Configuration"},
	VaryClient: {"vary_client", OfUnstored, "Vary names X-Forwarded-For, X-Real-IP or X-Request-Id, which edge writes anew for each client or request.",
		"Vary by what differs less, or send private.", "RFC 9111, 4.1"},
	BadVary: {"bad_vary", OfUnstored, "Vary has a member that is no name of a field, so nobody knows what selects the answer.",
		"Mend Vary.", "RFC 9111, 4.1; RFC 9110, 12.5.5"},
	TooLarge: {"too_large", OfUnstored, "The body is larger than the store takes.",
		"Raise disk.size, memory or limits.object.", "reference, What is stored"},
	TooManyTags: {"too_many_tags", OfUnstored, "More tags than limits.tags, or one over 256 bytes.",
		"Fewer and shorter tags, or raise the limit: what cannot be purged is not kept.", "reference, Purging"},
	CloseDelimited: {"close_delimited", OfUnstored, "Only the connection's end ended the body, so a cut one would look whole.",
		"Let the origin send Content-Length or chunks, or set close_delimited: store.", "RFC 9112, 8"},
	PartialAnswer: {"partial_answer", OfUnstored, "A 206 that cannot be tied to what is stored, or was not asked for.",
		"Send a strong ETag and a Content-Range with it.", "RFC 9111, 3.3 and 3.4"},
	ErrorToRange: {"error_to_range", OfUnstored, "An error to a request with a Range may be about the Range alone.",
		"Nothing: storing it would let one client spoil the page for all.", "reference, What is stored"},
	ErrorToLongHead: {"error_to_long_head", OfUnstored, "An error to a request with a head over 8 KiB may be about the head alone.",
		"Nothing: storing it would let one client spoil the page for all.", "reference, What is stored"},
	MustUnderstand: {"must_understand", OfUnstored, "must-understand with a status whose rules for caches we do not know.",
		"Nothing.", "RFC 9111, 5.2.2.3"},
	FatGet: {"fat_get", OfBypass | OfUnstored, "A body went up with a GET, and the answer may depend on it.",
		"Use POST or QUERY for requests with a body.", "RFC 9110, 9.3.1"},
	Hook: {"hook", OfUnstored, "A hook forbade storing, or failed.",
		"Look at the hook.", "reference, Hooks"},
	Aborted: {"aborted", OfUnstored, "The transfer ended before the body was whole.",
		"Look at the origin and at its timeouts.", "RFC 9111, 3.3"},
	TierRefused: {"tier_refused", OfUnstored, "Memory and disk would not take it now.",
		"Look at edge top, edge disk stats and edge_store_drops_total.", "reference, The disk tier"},
	Stored: {"stored", 0, "The answer may be stored.", "Nothing.", "RFC 9111, 3"},

	BadRequest: {"bad_request", OfBypass | OfError, "The request, or its body, is malformed.",
		"Look at the client; error in the log says what.", "RFC 9112, 2.2 and 3"},
	NoHost: {"no_host", OfBypass | OfError, "400: the request names no host.",
		"Look at the client.", "RFC 9112, 3.2"},
	UnknownHost: {"unknown_host", OfBypass | OfError, "421: the host is not in hosts.",
		"Add it to hosts, if it is ours.", "RFC 9110, 15.5.20"},
	Loop: {"loop", OfBypass | OfError, "508: the request has been here before.",
		"An origin, or what stands before it, points back at edge.", "RFC 8586"},
	Rejected: {"rejected", OfBypass | OfMiss | OfError, "A hook rejected the request or the answer.",
		"Look at the hook.", "reference, Hooks"},
	Responded: {"responded", OfBypass | OfMiss, "A hook answered in the origin's place.",
		"Nothing.", "reference, Hooks"},
	NoPeer: {"no_peer", OfBypass | OfError, "502: no route or no peer is configured for the request.",
		"Look at routes and upstreams.", "reference, Configuration"},
	UpstreamTimeout: {"upstream_timeout", OfError, "504: the origin did not answer in time.",
		"Look at the origin; timeouts.first_byte sets how long it may take.", "RFC 9110, 15.6.5"},
	UpstreamConnectionFailed: {"upstream_connection_failed", OfError, "No connection to the origin, it broke, or too many wait for one: 502 or 503.",
		"Look at the origin, max_conns and queue.", "RFC 9110, 15.6.3"},
	MaxRetriesExceeded: {"max_retries_exceeded", OfError, "502: as many peers as tries allows were asked in vain.",
		"Look at the origins.", "reference, Configuration"},
	RequestFiltered: {"request_filtered", OfError, "403: a hook refused the request on its way to the origin.",
		"Look at the hook.", "reference, Hooks"},
	BadUpstream: {"bad_upstream", OfError, "502: the origin's answer is malformed, or changed while its parts were fetched.",
		"Look at the origin; error in the log says what.", "RFC 9112, 6.3"},
	BodyTooLarge: {"body_too_large", OfBypass | OfError, "A body that a hook wants buffered is over limits.body_buffer: 413 for a request, 502 for an answer.",
		"Raise the limit.", "reference, Hooks"},
	HookError: {"hook_error", OfError, "500: a hook failed, or answered what its phase does not allow.",
		"Look at the hook.", "reference, Hooks"},
	HookPanic: {"hook_panic", OfBypass | OfError, "500: a hook panicked.",
		"Mend the hook; the log has its stack.", "reference, Hooks"},
	ClientGone: {"client_gone", OfError, "The client left before its answer was complete.",
		"Nothing, unless all of them do: then the answers are too slow.", "RFC 9112, 8"},
	MethodNotAllowed: {"method_not_allowed", OfBypass | OfError, "405: TRACE and CONNECT are not for an edge.",
		"Nothing.", "RFC 9110, 9.3.6 and 9.3.8"},
	PurgeRequest: {"purge", OfBypass, "A PURGE on the data port.",
		"Nothing.", "reference, Purging"},
	Internal: {"internal", OfError, "500: a fault of ours.",
		"Tell the maintainers; the log has more.", "-"},
}
