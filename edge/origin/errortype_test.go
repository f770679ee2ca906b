package origin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
)

// TestErrorType: what a socket test cannot bring about at will.
func TestErrorType(t *testing.T) {
	dial := func(err error) error { return fmt.Errorf("of many: %w", &DialError{Peer: "p", Err: err}) }
	op := func(err error) error { return &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", err)} }
	for _, c := range []struct {
		err  error
		want string
	}{
		{dial(&net.DNSError{Err: "no such host", IsNotFound: true}), "dns_error"},
		{dial(&net.DNSError{Err: "i/o timeout", IsTimeout: true}), "dns_timeout"},
		{dial(op(syscall.ECONNREFUSED)), "connection_refused"},
		{dial(errors.Join(op(syscall.ECONNREFUSED), op(syscall.ECONNREFUSED))), "connection_refused"},
		{dial(op(syscall.ETIMEDOUT)), "connection_timeout"},
		{dial(context.DeadlineExceeded), "connection_timeout"},
		{dial(&tlsError{context.DeadlineExceeded}), "connection_timeout"},
		{dial(op(syscall.EHOSTUNREACH)), "destination_ip_unroutable"},
		{dial(op(syscall.ENETUNREACH)), "destination_ip_unroutable"},
		{dial(errors.New("a hook said no")), "destination_unavailable"},
		{dial(&tlsError{io.EOF}), "tls_protocol_error"},
		{&TimeoutError{Phase: PhaseFirstByte}, "http_response_timeout"},
		{&TimeoutError{Phase: PhaseIdle}, "connection_read_timeout"},
		{&TimeoutError{Phase: PhaseWrite}, "connection_write_timeout"},
		{&ConnError{Err: io.EOF}, "connection_terminated"},
		{&ConnError{Err: io.EOF, Heard: true}, "http_response_incomplete"},
		{&BodyError{Err: io.ErrUnexpectedEOF}, "http_response_incomplete"},
		{&BodyError{Reason: ReasonChunk}, "http_response_transfer_coding"},
		{ErrNoPeer, "destination_not_found"},
		{ErrNoPeerLeft, "destination_unavailable"},
		{errors.New("another's"), ""},
		{nil, ""},
	} {
		if got := ErrorType(c.err); got != c.want {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
}
