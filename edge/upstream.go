package edge

import (
	"io"
	"net/http"
	"slices"

	"edgecache/cachestore"
	"edgecache/edge/origin"
	"edgecache/policy"
)

// question is what one run of the upstream phases asks.
type question struct {
	// shared says that the answer may be stored: only our own validators go
	// up, the client's conditionals and Range stay behind.
	shared bool
	// base is a stored answer that a 304 may confirm; nil for none.
	base *cachestore.Variant
	// wish is the part that is asked for; nil for the whole.
	wish *wish
	// body is the request's body; nil for none.
	body *requestBody
	// interim hears of 102 and 103; nil drops them.
	interim interimHearer
}

// interimHearer takes 1xx answers, whose header is its own.
type interimHearer interface {
	hearInterim(status int, h http.Header)
}

// compose makes what a peer is asked: a request that is written out already, where no
// hook is there to look at it and nothing but its head goes up, else the session's
// Upstream, which upstream_request_filter may change.
func (e *Engine) compose(s *Session, q *question, p *origin.Peer, pool *origin.Pool) error {
	u := newUpward()
	defer u.free()
	u.gather(e, s, q)
	s.Upstream, s.plain = nil, origin.Plain{}
	if !e.hooks.any && q.body == nil && s.Request.Upgrade == "" && u.write(s, p, pool) {
		return e.filterUpstream(s, nil)
	}
	s.Upstream = u.request(s, p, pool)
	if q.body != nil {
		s.Upstream.Body, s.Upstream.ContentLength = q.body, s.Request.Length
		s.sendBuffered(s.Upstream, q.body)
		// A body under GET has no meaning that an origin must know. One that
		// takes it for the next request must not find a next reader.
		s.Upstream.Close = s.Request.Method == http.MethodGet || s.Request.Method == http.MethodHead
	}
	return e.filterUpstream(s, s.Upstream)
}

// asked says whether an origin was asked, or is about to be.
func (s *Session) asked() bool { return s.Upstream != nil || s.plain.Head() != nil }

// asks says whether a field went up, by its canonical name.
func (s *Session) asks(name string) bool {
	if s.Upstream != nil {
		return s.Upstream.Header.Get(name) != ""
	}
	return s.plain.Has(name)
}

// sendBuffered makes out send the body that a hook has buffered, as often as it
// takes, unless a hook has put another in its place.
func (s *Session) sendBuffered(out *http.Request, b *requestBody) {
	if s.RequestBody == nil || b == nil || out.Body != io.ReadCloser(b) {
		return
	}
	buffered := s.RequestBody.B
	out.Body, out.ContentLength = b.replay(buffered), int64(len(buffered))
	out.GetBody = func() (io.ReadCloser, error) { return b.replay(buffered), nil }
	if len(buffered) == 0 {
		out.Body, out.GetBody = http.NoBody, nil
	}
}

// clean removes from an origin's answer what must not go on, and gives it a
// Date if it has none (RFC 9110, 6.6.1).
func (e *Engine) clean(s *Session, res *http.Response) {
	listed := policy.ConnectionNames(res.Header)
	for name := range res.Header {
		if policy.IsHopByHop(name) || listed[name] && !s.targets(name) {
			delete(res.Header, name)
		}
	}
	delete(res.Header, "X-Request-Id") // ours, one an answer
	if s.route != nil {
		for _, name := range s.route.without {
			res.Header.Del(name)
		}
	}
	if len(res.Header["Date"]) == 0 {
		res.Header.Set("Date", e.now().UTC().Format(http.TimeFormat))
	}
}

// targets says whether the route reads a field as a targeted one (RFC 9213), which
// no Connection may list away.
func (s *Session) targets(canonical string) bool {
	return s.route != nil && slices.Contains(s.route.Rules.Targeted, canonical)
}

// closeDelimited says whether only the connection's end ends the body.
func closeDelimited(method string, res *http.Response) bool {
	return res.ContentLength < 0 && len(res.TransferEncoding) == 0 && bodyAllowed(method, res.StatusCode)
}

func bodyAllowed(method string, status int) bool {
	return method != http.MethodHead && status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}
