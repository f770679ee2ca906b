package edge

import (
	"errors"
	"io"
	"net/http"

	"github.com/valyala/bytebufferpool"
)

// ErrBodyTooLarge says that a body is over limits.body_buffer: 413 for a
// request, 502 for an answer.
var ErrBodyTooLarge = errors.New("body is larger than body_buffer")

// errRequestTooLarge is ErrBodyTooLarge of the client's making.
var errRequestTooLarge error = requestTooLarge{}

type requestTooLarge struct{}

func (requestTooLarge) Error() string   { return "request: " + ErrBodyTooLarge.Error() }
func (requestTooLarge) HTTPStatus() int { return http.StatusRequestEntityTooLarge }
func (requestTooLarge) Unwrap() error   { return ErrBodyTooLarge }

// pooledBytes is the largest buffer that goes back to the pool.
const pooledBytes = 64 << 10

// releaseBuffer gives a buffer back, unless it has grown large.
func releaseBuffer(b *bytebufferpool.ByteBuffer) {
	if cap(b.B) <= pooledBytes {
		bytebufferpool.Put(b)
	}
}

// BufferRequestBody reads the whole request body into memory, so that a hook
// can look at it and the request can be repeated: in any hook before the origin
// is asked. The bytes belong to the session. Over limits.body_buffer it is
// ErrBodyTooLarge, and the request is answered 413, whether or not the hook
// returns that error: what was read is gone.
func (s *Session) BufferRequestBody() ([]byte, error) {
	if s.RequestBody != nil {
		return s.RequestBody.B, nil
	}
	if s.RequestSent {
		return nil, errors.New("buffer request body: it is on its way to the origin")
	}
	b := bytebufferpool.Get()
	if s.Request.Body != nil {
		if err := readBounded(b, s.Request.Body, s.engine.limits.BodyBuffer); err != nil {
			releaseBuffer(b)
			if errors.Is(err, ErrBodyTooLarge) {
				err = errRequestTooLarge
			}
			s.Request.Body = spoilt{err}
			return nil, err
		}
	}
	s.RequestBody = b
	return b.B, nil
}

// BufferResponseBody reads the origin's whole body into memory, inside
// ResponseFilter. The bytes belong to the session; what is stored and sent is
// whatever Response.Body then yields, which starts over from the buffer.
func (s *Session) BufferResponseBody() ([]byte, error) {
	if s.ResponseBody != nil {
		return s.ResponseBody.B, nil
	}
	if s.Response == nil {
		return nil, errors.New("buffer response body: there is no response yet")
	}
	b := bytebufferpool.Get()
	o, own := s.Response.Body.(*originBody)
	if err := readBounded(b, s.Response.Body, s.engine.limits.BodyBuffer); err != nil {
		releaseBuffer(b)
		if own {
			o.spoilt = err
		}
		return nil, err
	}
	s.ResponseBody = b
	if own {
		o.buffered = b.B
	}
	return b.B, nil
}

// readBounded reads all of r into b, at most limit bytes.
func readBounded(b *bytebufferpool.ByteBuffer, r io.Reader, limit int64) error {
	n, err := b.ReadFrom(io.LimitReader(r, limit+1))
	if err != nil {
		return err
	}
	if n > limit {
		return ErrBodyTooLarge
	}
	return nil
}
