package origin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"syscall"
)

// tlsError says that the connection was there and the handshake failed.
type tlsError struct{ err error }

func (e *tlsError) Error() string { return e.err.Error() }
func (e *tlsError) Unwrap() error { return e.err }

// ErrorType names what went wrong between us and a peer by the registered type of
// RFC 9209, 2.3; "" for what this package does not know.
func ErrorType(err error) string {
	var dial *DialError
	var timeout *TimeoutError
	var head *HeadError
	var body *BodyError
	var conn *ConnError
	switch {
	case errors.As(err, &dial):
		return dialType(dial.Err)
	case errors.As(err, &timeout):
		return timeoutType(timeout.Phase)
	case errors.As(err, &head):
		return framingType(head.Reason)
	case errors.As(err, &body) && body.Reason != "":
		return framingType(body.Reason)
	case errors.As(err, &body), errors.As(err, &conn) && conn.Heard:
		return "http_response_incomplete"
	case conn != nil:
		return "connection_terminated"
	case errors.Is(err, ErrQueueFull):
		return "connection_limit_reached"
	case errors.Is(err, ErrNoPeer):
		return "destination_not_found"
	case errors.Is(err, ErrNoPeerLeft):
		return "destination_unavailable"
	}
	return ""
}

// dialType is the type of what the dialler, TLS or the caller's Connected said.
func dialType(err error) string {
	var dns *net.DNSError
	var handshake *tlsError
	var timeout net.Error
	switch {
	case errors.As(err, &dns) && dns.IsTimeout:
		return "dns_timeout"
	case dns != nil:
		return "dns_error"
	case errors.Is(err, ErrForbiddenAddress):
		return "destination_ip_prohibited"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "connection_timeout"
	case errors.As(err, &handshake):
		return handshakeType(err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection_refused"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "destination_ip_unroutable"
	}
	return "destination_unavailable"
}

func handshakeType(err error) string {
	var verify *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var op *net.OpError
	switch {
	case errors.As(err, &verify), errors.As(err, &unknown), errors.As(err, &host), errors.As(err, &invalid):
		return "tls_certificate_error"
	case errors.As(err, &op) && op.Op == "remote error": // as crypto/tls marks a peer's alert
		return "tls_alert_received"
	}
	return "tls_protocol_error"
}

func timeoutType(p Phase) string {
	switch p {
	case PhaseIdle:
		return "connection_read_timeout"
	case PhaseWrite:
		return "connection_write_timeout"
	}
	return "http_response_timeout"
}

// framingType is the type of a malformed head or body.
func framingType(reason string) string {
	switch reason {
	case ReasonHeadBytes, ReasonHeadLines:
		return "http_response_header_section_size"
	case ReasonCoding, ReasonCodingLength, ReasonChunk:
		return "http_response_transfer_coding"
	}
	return "http_protocol_error"
}
