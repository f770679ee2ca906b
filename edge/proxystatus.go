package edge

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"edgecache/edge/origin"
	"edgecache/policy"
)

// maxDetails bounds what Proxy-Status tells of an error, in bytes.
const maxDetails = 256

// unaskedError is an answer with a status that nobody asked for.
type unaskedError struct{ status int }

func (u *unaskedError) Error() string {
	return fmt.Sprintf("%v: status %d that nobody asked for", ErrBadUpstream, u.status)
}
func (u *unaskedError) Unwrap() error { return ErrBadUpstream }

// proxyError is the type by which Proxy-Status names why an answer is ours and
// not the origin's (RFC 9209, 2.3). "" is for what is no error of a proxy: a client
// that wanted only what is stored.
func proxyError(err error, status int, why policy.Reason) string {
	switch why {
	case policy.OnlyIfCached, policy.ClientGone:
		return ""
	case policy.NoHost, policy.BadRequest:
		return "http_request_error"
	case policy.UnknownHost, policy.NoPeer:
		return "destination_not_found"
	case policy.Loop:
		return "proxy_loop_detected"
	case policy.MethodNotAllowed, policy.Rejected, policy.RequestFiltered:
		return "http_request_denied"
	case policy.BodyTooLarge:
		if status == http.StatusRequestEntityTooLarge {
			return "http_request_error"
		}
		return "http_response_body_size"
	case policy.HookError, policy.HookPanic:
		return "proxy_internal_error"
	}
	if kind := origin.ErrorType(err); kind != "" {
		return kind
	}
	switch {
	case errors.Is(err, ErrBusy):
		return "connection_limit_reached"
	case errors.Is(err, ErrBadUpstream):
		return "http_protocol_error"
	case errors.Is(err, ErrUpstreamTimeout):
		return "http_response_timeout"
	case errors.Is(err, ErrUpstreamConnectionFailed), errors.Is(err, ErrMaxRetriesExceeded):
		return "destination_unavailable"
	}
	return "proxy_internal_error"
}

// appendProxyStatus formats our member of Proxy-Status, behind the origin's own.
func (e *Engine) appendProxyStatus(b []byte, s *Session) []byte {
	b = append(b, e.statusID...)
	b = append(b, "; error="...)
	b = append(b, s.state.fault...)
	if status := receivedStatus(s); status != 0 {
		b = append(b, "; received-status="...)
		b = strconv.AppendInt(b, int64(status), 10)
	}
	if !e.tells(s) {
		return b
	}
	if s.Peer != nil {
		b = append(b, `; next-hop="`...)
		b = append(appendQuoted(b, s.Peer.Name()), '"')
	}
	if s.Err != nil {
		text := s.Err.Error()
		b = append(b, `; details="`...)
		b = append(appendQuoted(b, text[:min(len(text), maxDetails)]), '"')
	}
	return b
}

// receivedStatus is the status of the origin's answer in whose place ours is, 0
// when it never had one: an answer that a former peer gave is not meant.
func receivedStatus(s *Session) int {
	var unasked *unaskedError
	switch {
	case errors.As(s.Err, &unasked):
		return unasked.status
	case s.Response != nil && origin.ErrorType(s.Err) == "":
		return s.Response.StatusCode
	}
	return 0
}

// proxyStatusOf is what the origin's side has said in the answer that ours
// replaces.
func proxyStatusOf(s *Session) []string {
	if s.Response == nil || receivedStatus(s) != s.Response.StatusCode {
		return nil
	}
	return s.Response.Header["Proxy-Status"]
}
