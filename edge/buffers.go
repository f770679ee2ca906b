package edge

import (
	"errors"
	"io"

	"github.com/valyala/bytebufferpool"
)

// ErrBodyTooLarge says that a body is over limits.body_buffer: 413 for a
// request, 502 for an answer.
var ErrBodyTooLarge = errors.New("body is larger than body_buffer")

// pooledBytes is the largest buffer that goes back to the pool.
const pooledBytes = 64 << 10

// releaseBuffer gives a buffer back, unless it has grown large.
func releaseBuffer(b *bytebufferpool.ByteBuffer) {
	if cap(b.B) <= pooledBytes {
		bytebufferpool.Put(b)
	}
}

// BufferRequestBody reads the whole request body into memory, so that a hook
// can look at it and the request can be repeated. The bytes belong to the
// session. Over limits.body_buffer it is ErrBodyTooLarge, and the request is
// answered 413 when the hook returns that error.
func (s *Session) BufferRequestBody() ([]byte, error) {
	if s.RequestBody != nil {
		return s.RequestBody.B, nil
	}
	b := bytebufferpool.Get()
	if s.Request.Body != nil {
		if err := readBounded(b, s.Request.Body, s.engine.limits.BodyBuffer); err != nil {
			releaseBuffer(b)
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
	if err := readBounded(b, s.Response.Body, s.engine.limits.BodyBuffer); err != nil {
		releaseBuffer(b)
		return nil, err
	}
	s.ResponseBody = b
	if o, ok := s.Response.Body.(*originBody); ok {
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
