package edge

import (
	"errors"
	"io"
	"net/http"

	"edgecache/cachestore"
	"edgecache/policy"
)

// Lane is what a wire offers: it sends one answer at a time for the session
// that it made. The engine calls it from one goroutine.
//
// A lane that cannot send returns an error; the engine then ends the request.
// After a head went out, only Abort may end an incomplete answer: it must be
// visible to the client as broken (RFC 9112, 8).
type Lane interface {
	// SendObject sends a whole answer whose body is in memory, if it can in
	// one write: head, tail, body[v.From:v.To].
	SendObject(h *cachestore.Head, b *cachestore.Body, v *View) error
	// SendHead starts an answer whose body follows by Write and End.
	SendHead(h *cachestore.Head, v *View) error
	// Write sends body bytes. They are the caller's again when it returns.
	Write(p []byte) error
	// Flush hands over what is buffered.
	Flush() error
	// End ends the answer cleanly. Trailers are sent where the wire can.
	End(trailer http.Header) error
	// Abort breaks the answer visibly; nothing can be sent after it.
	Abort(err error)
	// Interim sends a 1xx answer; a lane that cannot (HTTP/1.0) drops it.
	Interim(status int, h http.Header) error
	// Tunnel sends the 101 and copies both ways until either side ends.
	Tunnel(h *cachestore.Head, v *View, up io.ReadWriteCloser) error
	// Started says whether a byte of the final answer's head went out.
	Started() bool
	// Gone is closed when the client is known to have left; nil when the
	// lane cannot tell. It may cost a goroutine: ask only on a miss.
	Gone() <-chan struct{}
}

// What a lane says of an answer that it cannot send as it was asked to.
var (
	ErrEnded  = errors.New("answer is over")
	ErrLength = errors.New("body differs from its Content-Length")
	ErrAbsent = errors.New("body left memory while it was sent")
)

// View is how an answer leaves: the immutable head plus what differs.
type View struct {
	Status int // on the status line; may be 200, 206, 304 … for one stored head
	// KeptOnly leaves the head's representation fields out (304).
	KeptOnly bool
	// Length is the value of Content-Length; -1 when unknown (chunked, or
	// ended by close); -2: no such field at all (304, 1xx, 204).
	Length int64
	// NoBody: the body is not sent though Length may be announced (HEAD, 304).
	NoBody bool
	// From and To bound the body bytes that SendObject sends.
	From, To int64
	// Tail are the fields formatted for this answer: Age, Cache-Status,
	// X-Request-Id, Via, Content-Range, the route's own. Views into the session.
	Tail policy.Fields
	// Close asks the lane to end the connection after this answer.
	Close bool
}

// LengthUnknown and LengthNone are values of View.Length.
const (
	LengthUnknown = -1
	LengthNone    = -2
)

// Inliner is a lane that may be asked, while Begin runs, whether it can send an answer
// with a body of so many bytes without waiting. If not, the answer is left to Finish.
type Inliner interface{ Inline(size int64) bool }
