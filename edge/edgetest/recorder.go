package edgetest

import (
	"net/http"
	"slices"
	"sync"

	"edgecache/edge"
	"edgecache/edge/origin"
	"edgecache/policy"
)

// Recorder is a part that fills every phase. It takes down which of its hooks
// were called for which request, and does what its functions say; a phase
// without one goes on as if the part were not there. Set the functions before
// the first request.
type Recorder struct {
	Request   func(*edge.Session) (edge.FilterResult, error)
	Key       func(*edge.Session) ([]byte, error)
	Peer      func(*edge.Session) (*origin.Peer, error)
	Upstream  func(*edge.Session, *http.Request) (edge.FilterResult, error)
	Connected func(*edge.Session, origin.ConnInfo) error
	Response  func(*edge.Session, *http.Response) (edge.FilterResult, error)
	Store     func(*edge.Session, *policy.Decision) error
	Delivery  func(*edge.Session, *edge.Head) (edge.FilterResult, error)
	Fail      func(*edge.Session, *origin.Peer, error) bool
	Errored   func(*edge.Session, error) int
	Logged    func(*edge.Session, error)

	engine *edge.Engine // whose own choice of a peer stands in for Peer

	mu    sync.Mutex
	calls map[string][]string // by request id
	total map[string]int      // by hook
}

var (
	_ edge.Proxy                 = (*Recorder)(nil)
	_ edge.RequestFilter         = (*Recorder)(nil)
	_ edge.CacheKeyer            = (*Recorder)(nil)
	_ edge.UpstreamRequestFilter = (*Recorder)(nil)
	_ edge.ConnectedToUpstream   = (*Recorder)(nil)
	_ edge.ResponseFilter        = (*Recorder)(nil)
	_ edge.CacheStorer           = (*Recorder)(nil)
	_ edge.DeliveryFilter        = (*Recorder)(nil)
	_ edge.ConnectFailer         = (*Recorder)(nil)
	_ edge.ProxyErrorer          = (*Recorder)(nil)
	_ edge.Logger                = (*Recorder)(nil)
)

// Calls lists the hooks that were called for a request, in order.
func (r *Recorder) Calls(id string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.calls[id])
}

// Total counts the calls of a hook for all requests.
func (r *Recorder) Total(hook string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.total[hook]
}

// Forget starts over.
func (r *Recorder) Forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls, r.total = nil, nil
}

func (r *Recorder) note(s *edge.Session, hook string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.calls == nil {
		r.calls, r.total = map[string][]string{}, map[string]int{}
	}
	id := string(s.ID)
	r.calls[id] = append(r.calls[id], hook)
	r.total[hook]++
}

// RequestFilter implements edge.RequestFilter.
func (r *Recorder) RequestFilter(s *edge.Session) (edge.FilterResult, error) {
	r.note(s, "request_filter")
	if r.Request == nil {
		return edge.Continue, nil
	}
	return r.Request(s)
}

// CacheKey implements edge.CacheKeyer.
func (r *Recorder) CacheKey(s *edge.Session) ([]byte, error) {
	r.note(s, "cache_lookup")
	if r.Key == nil {
		return nil, nil
	}
	return r.Key(s)
}

// UpstreamPeer implements edge.Proxy.
func (r *Recorder) UpstreamPeer(s *edge.Session) (*origin.Peer, error) {
	r.note(s, "upstream_peer")
	if r.Peer == nil {
		return r.engine.UpstreamPeer(s)
	}
	return r.Peer(s)
}

// UpstreamRequestFilter implements edge.UpstreamRequestFilter.
func (r *Recorder) UpstreamRequestFilter(s *edge.Session, q *http.Request) (edge.FilterResult, error) {
	r.note(s, "upstream_request_filter")
	if r.Upstream == nil {
		return edge.Continue, nil
	}
	return r.Upstream(s, q)
}

// ConnectedToUpstream implements edge.ConnectedToUpstream.
func (r *Recorder) ConnectedToUpstream(s *edge.Session, c origin.ConnInfo) error {
	r.note(s, "connected_to_upstream")
	if r.Connected == nil {
		return nil
	}
	return r.Connected(s, c)
}

// ResponseFilter implements edge.ResponseFilter.
func (r *Recorder) ResponseFilter(s *edge.Session, a *http.Response) (edge.FilterResult, error) {
	r.note(s, "response_filter")
	if r.Response == nil {
		return edge.Continue, nil
	}
	return r.Response(s, a)
}

// CacheStore implements edge.CacheStorer.
func (r *Recorder) CacheStore(s *edge.Session, d *policy.Decision) error {
	r.note(s, "cache_store")
	if r.Store == nil {
		return nil
	}
	return r.Store(s, d)
}

// DeliveryFilter implements edge.DeliveryFilter.
func (r *Recorder) DeliveryFilter(s *edge.Session, h *edge.Head) (edge.FilterResult, error) {
	r.note(s, "delivery")
	if r.Delivery == nil {
		return edge.Continue, nil
	}
	return r.Delivery(s, h)
}

// FailToConnect implements edge.ConnectFailer. Without a function it does what
// the engine does when no part has this hook.
func (r *Recorder) FailToConnect(s *edge.Session, p *origin.Peer, err error) bool {
	r.note(s, "fail_to_connect")
	if r.Fail == nil {
		return true
	}
	return r.Fail(s, p, err)
}

// ErrorWhileProxying implements edge.ProxyErrorer.
func (r *Recorder) ErrorWhileProxying(s *edge.Session, err error) int {
	r.note(s, "error_while_proxying")
	if r.Errored == nil {
		return 0
	}
	return r.Errored(s, err)
}

// Logging implements edge.Logger.
func (r *Recorder) Logging(s *edge.Session, err error) {
	r.note(s, "logging")
	if r.Logged != nil {
		r.Logged(s, err)
	}
}
