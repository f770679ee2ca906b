package edge

import (
	"bytes"
	"errors"
	"net/http"

	"edgecache/policy"
)

// methodPurge is the method that asks the data port for a purge.
const methodPurge = "PURGE"

// admit is request_filter: our own checks first, then the hooks', then the
// route. It returns false when the request has been answered.
func (e *Engine) admit(s *Session) bool {
	s.trace.mark(PhaseRequestFilter)
	r := &s.Request
	e.identify(s)
	if !r.HasHost {
		return e.deny(s, http.StatusBadRequest, policy.NoHost)
	}
	upgrade := r.Upgrade
	r.Fields = strip(r.Fields)
	r.Upgrade = upgrade
	if err := s.normalise(); err != nil {
		s.Err = err
		return e.deny(s, http.StatusBadRequest, policy.BadRequest)
	}
	if e.cfg.Challenge != nil && !r.TLS && bytes.HasPrefix(r.Path, challengePrefix) && e.prove(s) {
		return false
	}
	switch {
	case r.Method == http.MethodConnect, r.Method == http.MethodTrace:
		return e.deny(s, http.StatusMethodNotAllowed, policy.MethodNotAllowed)
	case len(e.cfg.Hosts) > 0 && !hostIn(r.Host, e.cfg.Hosts):
		return e.deny(s, http.StatusMisdirectedRequest, policy.UnknownHost)
	case e.looped(r.Fields):
		return e.deny(s, http.StatusLoopDetected, policy.Loop)
	}
	if e.authorized(r.Fields) {
		s.state.authed = true
		r.Del("Authorization") // it is for us; no origin needs to know it
	}
	if len(e.hooks.request) > 0 && !e.filterRequest(s) {
		return false
	}
	return e.settle(s)
}

// challengePrefix is where an authority looks for a proof (RFC 8555, 8.3).
var challengePrefix = []byte("/.well-known/acme-challenge/")

// prove answers an authority that asks for a token which was ordered. Neither
// the hosts nor any hook may stand in its way.
func (e *Engine) prove(s *Session) bool {
	r := &s.Request
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	proof := e.cfg.Challenge(r.Host, r.Path)
	if proof == nil {
		return false
	}
	e.apply(s, PhaseRequestFilter, Respond(http.StatusOK, http.Header{
		"Content-Type": {"application/octet-stream"}, "Cache-Control": {"no-store"},
	}, proof))
	return true
}

// deny refuses a request that must not go further and closes its connection.
func (e *Engine) deny(s *Session, status int, why policy.Reason) bool {
	s.bypass(why)
	s.state.view.Close = status != http.StatusMisdirectedRequest
	e.refuse(s, status, why)
	return false
}

// normalise puts host and path into the form that is keyed and forwarded.
func (s *Session) normalise() (err error) {
	r, st := &s.Request, &s.state
	if r.Host, st.host, err = policy.NormalizeHost(st.host[:0], r.Host, s.Scheme); err != nil {
		return err
	}
	if len(r.Path) == 1 && r.Path[0] == '*' && r.Method == http.MethodOptions {
		return nil
	}
	r.Path, st.path, err = policy.NormalizePath(st.path[:0], r.Path)
	return err
}

// looped says whether a request has been here before (RFC 8586).
func (e *Engine) looped(f policy.Fields) bool {
	for i := f.Next("CDN-Loop", 0); i >= 0; i = f.Next("CDN-Loop", i+1) {
		if bytes.Contains(f[i].Value, []byte(e.id)) {
			return true
		}
	}
	return false
}

// filterRequest runs the hooks' request_filter; false when one answered.
func (e *Engine) filterRequest(s *Session) bool {
	for _, h := range e.hooks.request {
		result, err := h.RequestFilter(s)
		if err != nil {
			e.failHook(s, PhaseRequestFilter, err)
			return false
		}
		if result.kind == resultSkip {
			break
		}
		if result.kind != resultContinue {
			e.apply(s, PhaseRequestFilter, result)
			return false
		}
	}
	if id, ok := s.Request.Fields.Get("X-Request-Id"); ok && len(id) > 0 {
		s.ID = id
	}
	if err := s.renormalise(); err != nil {
		s.Err = err
		return e.deny(s, http.StatusBadRequest, policy.BadRequest)
	}
	return true
}

// renormalise repeats normalise for what a hook may have written, into fresh
// memory: the first result may be a view into the session's buffers.
func (s *Session) renormalise() error {
	s.state.host, s.state.path = nil, nil
	return s.normalise()
}

// failHook ends a request whose hook returned an error.
func (e *Engine) failHook(s *Session, p Phase, err error) {
	if errors.Is(err, ErrBodyTooLarge) && p == PhaseRequestFilter {
		e.deny(s, http.StatusRequestEntityTooLarge, policy.BodyTooLarge)
		return
	}
	e.fails(s, &hookError{p, err})
}

// apply carries out a filter's reject or respond; any other result is not
// allowed here.
func (e *Engine) apply(s *Session, p Phase, r FilterResult) {
	switch r.kind {
	case resultReject:
		s.Cache.Reason = policy.Rejected
		if s.Cache.Status == CacheNone {
			s.bypass(policy.Rejected)
		}
		s.Err, s.state.fault = &filtered{p, r}, proxyError(nil, r.status, policy.Rejected)
		text := r.reason
		if text == "" {
			text = http.StatusText(r.status)
		}
		e.answer(s, validStatus(r.status, http.StatusForbidden), http.Header{"Cache-Control": {"no-store"}}, []byte(text+"\n"))
	case resultRespond:
		s.Cache.Reason, s.state.fault = policy.Responded, ""
		if s.Cache.Status == CacheNone {
			s.bypass(policy.Responded)
		}
		e.answer(s, validStatus(r.status, http.StatusOK), r.header, r.body)
	default:
		e.fails(s, &hookError{p, ErrHookResult})
	}
}

func validStatus(status, fallback int) int {
	if status < 200 || status > 999 {
		return fallback
	}
	return status
}

// settle finds the route and reads the request as its rules see it.
func (e *Engine) settle(s *Session) bool {
	r, st := &s.Request, &s.state
	if s.route = e.router.match(r.Host, r.Path); s.route == nil {
		s.bypass(policy.NoPeer)
		e.fails(s, ErrNoPeer)
		return false
	}
	rules := &s.route.Rules
	var u policy.URL
	u, st.query = rules.Key.Reduce(st.query[:0], s.URL())
	r.Query, r.HasQuery = u.Query, u.HasQuery
	if rules.Cookies == policy.CookiesStrip {
		r.Del("Cookie")
	}
	st.ask.Read(r.Method, r.Fields, rules)
	st.ask.HeadBytes, st.ask.Body = r.HeadBytes, r.Body != nil
	return true
}
