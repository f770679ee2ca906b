package origin

import (
	"errors"
	"fmt"
)

// Errors that callers compare with errors.Is.
var (
	// ErrNoPeer says that the upstream has no peer at all.
	ErrNoPeer = errors.New("no peer is configured")
	// ErrNoPeerLeft says that every peer has been tried for this request.
	ErrNoPeerLeft = errors.New("every peer was tried")
	// ErrQueueFull says that max_conns requests are running on the peer and
	// queue others already wait; nothing was sent.
	ErrQueueFull = errors.New("the peer's queue is full")
	// ErrTimeout is in the chain of every *TimeoutError.
	ErrTimeout = errors.New("upstream timed out")
	// ErrForbiddenAddress is in the chain of a *DialError for a peer that
	// resolved to an address it must not have.
	ErrForbiddenAddress = errors.New("address is not allowed for an upstream")
	// ErrClosed says that the pool was closed.
	ErrClosed = errors.New("the upstream's pool is closed")
)

// DialError says that no connection could be had, or that the caller's
// Connected refused it. Nothing was sent and the request's body was not
// touched, so another peer may be asked.
type DialError struct {
	Peer string
	Err  error
}

func (e *DialError) Error() string { return fmt.Sprintf("connect to %s: %v", e.Peer, e.Err) }

// Unwrap returns what the dialler, TLS or the caller's Connected said.
func (e *DialError) Unwrap() error { return e.Err }

// Phase says what an upstream was waited for when time ran out.
type Phase string

// The phases of a TimeoutError.
const (
	PhaseFirstByte Phase = "first_byte" // the request was sent, no complete head came
	PhaseIdle      Phase = "idle"       // the body stopped coming
	PhaseWrite     Phase = "write"      // the request was not read
)

// TimeoutError says that a connected peer took too long. It Is ErrTimeout.
type TimeoutError struct {
	Peer  string
	Phase Phase
	Sent  bool // some bytes of the request were written
}

func (e *TimeoutError) Error() string {
	return fmt.Sprintf("%s: %v (%s)", e.Peer, ErrTimeout, e.Phase)
}

// Unwrap returns ErrTimeout.
func (e *TimeoutError) Unwrap() error { return ErrTimeout }

// Timeout reports true, as net.Error asks.
func (e *TimeoutError) Timeout() bool { return true }

// HeadError says that the head of an answer was malformed or over a limit.
// The request was sent.
type HeadError struct {
	Peer   string
	Reason string // one of the Reason constants
}

func (e *HeadError) Error() string { return fmt.Sprintf("%s: bad head: %s", e.Peer, e.Reason) }

// Reasons of a HeadError or BodyError.
const (
	ReasonStatusLine   = "status line"
	ReasonStatus       = "status code"
	ReasonBareLF       = "bare LF"
	ReasonBareCR       = "bare CR"
	ReasonFold         = "folded field"
	ReasonFieldName    = "field name"
	ReasonFieldValue   = "control character in a field value"
	ReasonLength       = "Content-Length"
	ReasonLengths      = "two different Content-Length"
	ReasonCoding       = "Transfer-Encoding"
	ReasonCodingLength = "Transfer-Encoding with Content-Length"
	ReasonHeadBytes    = "head too large"
	ReasonHeadLines    = "too many lines in the head"
	ReasonInterims     = "too many interim answers"
	ReasonEarly        = "answer before the request"
	ReasonSurplus      = "bytes after the answer"
	ReasonChunk        = "chunk"
)

// BodyError says that a body did not end as its head promised, or that its
// chunks were malformed. What was read before it is not the whole body.
type BodyError struct {
	Peer   string
	Reason string // set for malformed framing
	Err    error  // set when reading failed, io.ErrUnexpectedEOF for a short body
}

func (e *BodyError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: read body: %v", e.Peer, e.Err)
	}
	return fmt.Sprintf("%s: bad body: %s", e.Peer, e.Reason)
}

// Unwrap returns the error of the read, if there was one.
func (e *BodyError) Unwrap() error { return e.Err }

// ConnError says that a connection failed after it was made and before the
// head of the final answer was complete, or that the context ended.
type ConnError struct {
	Peer  string
	Sent  bool // some bytes of the request were written
	Heard bool // some bytes of the answer were read
	Err   error
}

func (e *ConnError) Error() string { return fmt.Sprintf("ask %s: %v", e.Peer, e.Err) }

// Unwrap returns the connection's or the context's error.
func (e *ConnError) Unwrap() error { return e.Err }

// Sent reports whether any byte of the request may have reached the peer. It
// is true for errors that this package did not make.
func Sent(err error) bool {
	var dial *DialError
	var timeout *TimeoutError
	var conn *ConnError
	switch {
	case errors.As(err, &dial):
		return false
	case errors.Is(err, ErrQueueFull), errors.Is(err, ErrClosed):
		return false
	case errors.Is(err, ErrNoPeer), errors.Is(err, ErrNoPeerLeft):
		return false
	case errors.As(err, &timeout):
		return timeout.Sent
	case errors.As(err, &conn):
		return conn.Sent
	}
	return true
}
