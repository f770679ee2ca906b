package edge

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
)

// errBodyCut is what the transport reads after the request is over.
var errBodyCut = errors.New("the request is over")

// requestBody is a client's body on its way up. The transport may read it
// after the origin has answered; cut ends that, and returns only when no Read
// is left, so that the lane may use its buffer again.
type requestBody struct {
	r       io.Reader
	mu      sync.Mutex // held during a Read
	cutOff  atomic.Bool
	touched atomic.Bool
	failed  atomic.Pointer[error] // what the client's side said, but for io.EOF
}

// Read reads from the client.
func (b *requestBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cutOff.Load() {
		return 0, errBodyCut
	}
	b.touched.Store(true)
	n, err := b.r.Read(p)
	if err != nil && err != io.EOF {
		b.failed.Store(&err)
	}
	return n, err
}

// Close does nothing: the body is the lane's.
func (b *requestBody) Close() error { return nil }

// cut lets no further Read through and waits for one that is on its way. The
// lane's own timeouts bound that wait.
func (b *requestBody) cut() {
	b.cutOff.Store(true)
	b.mu.Lock()
	b.mu.Unlock() //nolint:staticcheck // an empty section: only the wait counts
}

// replay reads the body from a hook's buffer. It ends with cut, too: the buffer
// is somebody else's after the request.
func (b *requestBody) replay(buffered []byte) io.ReadCloser {
	return &replay{of: b, r: bytes.NewReader(buffered)}
}

type replay struct {
	of *requestBody
	r  *bytes.Reader
}

// Read copies from the buffer; nobody gets a view of it.
func (r *replay) Read(p []byte) (int, error) {
	r.of.mu.Lock()
	defer r.of.mu.Unlock()
	if r.of.cutOff.Load() {
		return 0, errBodyCut
	}
	return r.r.Read(p)
}

// Close does nothing: the buffer is the session's.
func (r *replay) Close() error { return nil }

// spoilt is a body that was read in part and cannot be had as a whole.
type spoilt struct{ err error }

// Read gives the error, in the place of a body without its beginning.
func (s spoilt) Read([]byte) (int, error) { return 0, s.err }

// fault is the client's own error, if it had one.
func (b *requestBody) fault() error {
	if b == nil {
		return nil
	}
	if err := b.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// originBody is the body of an origin's answer as response filters get it. A
// filter that puts another in its place has transformed the body.
type originBody struct {
	io.ReadCloser
	buffered []byte // by BufferResponseBody: Read starts over from here
	at       int
	spoilt   error // it was read in part and not kept
}

func (o *originBody) Read(p []byte) (int, error) {
	if o.spoilt != nil {
		return 0, o.spoilt
	}
	if o.buffered == nil {
		return o.ReadCloser.Read(p)
	}
	if o.at == len(o.buffered) {
		return 0, io.EOF
	}
	n := copy(p, o.buffered[o.at:])
	o.at += n
	return n, nil
}

// transformed mends the head of an answer whose body a filter replaced: its
// length, its ranges and a strong validator are no longer true, unless the
// filter set them anew (old is the head as the origin sent it).
func transformed(res *http.Response, old http.Header) {
	if same(res.Header, old, "Content-Length") {
		res.Header.Del("Content-Length")
		res.ContentLength = -1
	}
	if same(res.Header, old, "Accept-Ranges") {
		res.Header.Del("Accept-Ranges")
	}
	if same(res.Header, old, "Etag") && len(old.Get("Etag")) > 1 && old.Get("Etag")[0] == '"' {
		res.Header.Del("Etag")
	}
	res.TransferEncoding = []string{"chunked"} // framed by us from here on
}

func same(a, b http.Header, name string) bool { return a.Get(name) == b.Get(name) }

// replacedBody is a filter's body; closing it closes the origin's, too, which
// the filter may not have read to its end.
type replacedBody struct {
	io.ReadCloser
	origin io.Closer
}

func (r *replacedBody) Close() error {
	return errors.Join(r.ReadCloser.Close(), r.origin.Close())
}
