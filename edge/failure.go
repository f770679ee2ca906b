package edge

import (
	"errors"
	"net/http"

	"edgecache/edge/origin"
	"edgecache/policy"
)

// The seed's errors. ErrorWhileProxying maps them to a status.
var (
	// ErrUpstreamTimeout: the origin did not answer in time; 504.
	ErrUpstreamTimeout = errors.New("UpstreamTimeout")
	// ErrUpstreamConnectionFailed: no connection, or it broke; 502.
	ErrUpstreamConnectionFailed = errors.New("UpstreamConnectionFailed")
	// ErrRequestFiltered: a hook refused the request; 403.
	ErrRequestFiltered = errors.New("RequestFiltered")
	// ErrMaxRetriesExceeded: as many peers were tried as may be; 502.
	ErrMaxRetriesExceeded = errors.New("MaxRetriesExceeded")
	// ErrNoPeer: nobody is configured to be asked; 502.
	ErrNoPeer = errors.New("NoPeer")
	// ErrBadUpstream: the origin's answer cannot be passed on; 502.
	ErrBadUpstream = errors.New("BadUpstream")
	// ErrClientGone: the client left before its answer was complete.
	ErrClientGone = errors.New("ClientGone")
	// ErrHookResult: a hook answered what its phase does not allow; 500.
	ErrHookResult = errors.New("hook result not allowed in this phase")
	// ErrHookPanic: a hook panicked; 500.
	ErrHookPanic = errors.New("HookPanic")
	// ErrUnsatisfied: only-if-cached and nothing stored; 504 (RFC 9111, 5.2.1.7).
	ErrUnsatisfied = errors.New("OnlyIfCached")
	// ErrLost: the engine is shutting down, or a fetch ended without an answer; 502.
	ErrLost = errors.New("fetch lost")
)

// hookError wraps what a hook returned.
type hookError struct {
	phase Phase
	err   error
}

func (h *hookError) Error() string { return h.phase.String() + ": " + h.err.Error() }
func (h *hookError) Unwrap() error { return h.err }

// bodyFault is what a lane's body reader returns for a request body that is
// malformed, too slow or cut: the client's fault, not the origin's.
type bodyFault interface {
	error
	HTTPStatus() int
}

// fault is how an error looks from outside.
type fault struct {
	status int
	why    policy.Reason
}

// judge maps an error to a status and a reason, in the one place where that
// is done. Hooks of ErrorWhileProxying may choose another status.
func (e *Engine) judge(s *Session, err error) fault {
	f := classify(err)
	if f.why == policy.ClientGone {
		return f // nobody is there to read another status
	}
	for _, h := range e.hooks.errored {
		if status := h.ErrorWhileProxying(s, err); status >= 400 && status <= 599 {
			f.status = status
			break
		}
	}
	return f
}

func classify(err error) fault {
	var body bodyFault
	var hook *hookError
	var panicked *panicError
	switch {
	case errors.Is(err, errRequestTooLarge):
		return fault{http.StatusRequestEntityTooLarge, policy.BodyTooLarge}
	case errors.As(err, &body):
		return fault{body.HTTPStatus(), policy.BadRequest}
	case errors.Is(err, ErrClientGone):
		return fault{499, policy.ClientGone}
	case errors.As(err, &panicked):
		return fault{http.StatusInternalServerError, policy.HookPanic}
	case errors.Is(err, ErrMaxRetriesExceeded):
		return fault{http.StatusBadGateway, policy.MaxRetriesExceeded}
	case errors.Is(err, ErrUpstreamTimeout), errors.Is(err, origin.ErrTimeout):
		return fault{http.StatusGatewayTimeout, policy.UpstreamTimeout}
	case errors.Is(err, ErrUnsatisfied):
		return fault{http.StatusGatewayTimeout, policy.OnlyIfCached}
	case errors.Is(err, ErrRequestFiltered):
		return fault{http.StatusForbidden, policy.RequestFiltered}
	case errors.Is(err, ErrNoPeer), errors.Is(err, origin.ErrNoPeer):
		return fault{http.StatusBadGateway, policy.NoPeer}
	case errors.Is(err, ErrBodyTooLarge):
		return fault{http.StatusBadGateway, policy.BodyTooLarge}
	case errors.Is(err, origin.ErrQueueFull), errors.Is(err, ErrBusy):
		return fault{http.StatusServiceUnavailable, policy.UpstreamConnectionFailed}
	case errors.Is(err, ErrBadUpstream), errors.Is(err, errChanged), isAs[*origin.HeadError](err):
		return fault{http.StatusBadGateway, policy.BadUpstream}
	case errors.Is(err, ErrUpstreamConnectionFailed), errors.Is(err, origin.ErrNoPeerLeft),
		isAs[*origin.DialError](err), isAs[*origin.ConnError](err), isAs[*origin.BodyError](err):
		return fault{http.StatusBadGateway, policy.UpstreamConnectionFailed}
	case errors.As(err, &hook): // whatever it wraps that has a status of its own was above
		return fault{http.StatusInternalServerError, policy.HookError}
	}
	return fault{http.StatusInternalServerError, policy.Internal}
}

func isAs[T error](err error) bool {
	var t T
	return errors.As(err, &t)
}

// panicError is a panic of a hook, caught.
type panicError struct {
	value any
	stack []byte
}

func (p *panicError) Error() string { return "panic in a hook" }
func (p *panicError) Unwrap() error { return ErrHookPanic }
