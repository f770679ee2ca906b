package edge

import (
	"net/http"

	"edgecache/edge/origin"
	"edgecache/policy"
)

// Proxy chooses whom to ask on a miss. It is the one hook that must be there;
// the router built from the configuration is one.
type Proxy interface {
	UpstreamPeer(*Session) (*origin.Peer, error)
}

// The optional hooks. New looks once which of them a part has. A misspelt
// method is silently no hook, so an implementer carries a guard:
//
//	var _ edge.RequestFilter = (*T)(nil)
type (
	// RequestFilter is first: it may inspect, change, reject or answer a request.
	RequestFilter interface {
		RequestFilter(*Session) (FilterResult, error)
	}
	// CacheKeyer adds to the cache key, inside cache_lookup. What it returns
	// is hashed and compared beside the url; an error bypasses the cache.
	CacheKeyer interface {
		CacheKey(*Session) (extra []byte, err error)
	}
	// UpstreamRequestFilter changes what the origin is asked; the client and
	// the key never see it.
	UpstreamRequestFilter interface {
		UpstreamRequestFilter(*Session, *http.Request) (FilterResult, error)
	}
	// ConnectedToUpstream is called once for every connection used.
	ConnectedToUpstream interface {
		ConnectedToUpstream(*Session, origin.ConnInfo) error
	}
	// ResponseFilter runs once a fetch, before the store: its changes are
	// stored. It may replace the body: read it and put another in its place.
	ResponseFilter interface {
		ResponseFilter(*Session, *http.Response) (FilterResult, error)
	}
	// CacheStorer may shorten or forbid storing, never extend. An error bypasses.
	CacheStorer interface {
		CacheStore(*Session, *policy.Decision) error
	}
	// DeliveryFilter runs once for every client's answer, hits too.
	DeliveryFilter interface {
		DeliveryFilter(*Session, *Head) (FilterResult, error)
	}
	// ConnectFailer hears of a peer that could not be reached; the built-in
	// one marks it unhealthy and retries while RetryCount < 3.
	ConnectFailer interface {
		FailToConnect(*Session, *origin.Peer, error) (retry bool)
	}
	// ProxyErrorer maps an error to a status; 0 leaves it to the next one.
	ProxyErrorer interface {
		ErrorWhileProxying(*Session, error) (status int)
	}
	// Logger is last and runs exactly once for every client's request.
	Logger interface {
		Logging(*Session, error)
	}
	// InlineSafe marks a part whose request_filter, cache key and delivery
	// hooks never block, so that they may run on a wire's read loop.
	InlineSafe interface{ InlineSafe() }
)

// hooks are the parts' phases, resolved once at start. An absent phase costs
// an empty loop.
type hooks struct {
	proxy     Proxy
	request   []RequestFilter
	key       []CacheKeyer
	upstream  []UpstreamRequestFilter
	connected []ConnectedToUpstream
	response  []ResponseFilter
	store     []CacheStorer
	delivery  []DeliveryFilter
	failed    []ConnectFailer
	errored   []ProxyErrorer
	logging   []Logger
	any       bool // some part may look at sessions
	inline    bool // every part with a phase before the answer is InlineSafe
}

// resolve looks which phases each part fills, in the order of the parts. A proxy that is
// not the engine is one of them.
func resolve(proxy Proxy, parts []any) hooks {
	h := hooks{proxy: proxy, any: len(parts) > 0, inline: true}
	for _, p := range parts {
		add(&h.request, p)
		add(&h.key, p)
		add(&h.upstream, p)
		add(&h.connected, p)
		add(&h.response, p)
		add(&h.store, p)
		add(&h.delivery, p)
		add(&h.failed, p)
		add(&h.errored, p)
		add(&h.logging, p)
		if _, ok := p.(InlineSafe); !ok {
			h.inline = h.inline && !beforeAnswer(p)
		}
	}
	return h
}

func add[H any](list *[]H, part any) {
	if h, ok := part.(H); ok {
		*list = append(*list, h)
	}
}

func beforeAnswer(p any) bool {
	_, request := p.(RequestFilter)
	_, key := p.(CacheKeyer)
	_, delivery := p.(DeliveryFilter)
	return request || key || delivery
}

// Phases names the phases that a part fills, for the log at start-up.
func Phases(part any) []string {
	var names []string
	for _, p := range []struct {
		name string
		is   bool
	}{
		{"request_filter", is[RequestFilter](part)},
		{"cache_lookup", is[CacheKeyer](part)},
		{"upstream_peer", is[Proxy](part)},
		{"upstream_request_filter", is[UpstreamRequestFilter](part)},
		{"connected_to_upstream", is[ConnectedToUpstream](part)},
		{"response_filter", is[ResponseFilter](part)},
		{"cache_store", is[CacheStorer](part)},
		{"delivery", is[DeliveryFilter](part)},
		{"fail_to_connect", is[ConnectFailer](part)},
		{"error_while_proxying", is[ProxyErrorer](part)},
		{"logging", is[Logger](part)},
	} {
		if p.is {
			names = append(names, p.name)
		}
	}
	return names
}

func is[H any](part any) bool { _, ok := part.(H); return ok }
