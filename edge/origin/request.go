package origin

import (
	"context"
	"io"
	"maps"
	"net/http"
	"sync/atomic"
)

// outgoing returns r as net/http must see it to send what the caller meant.
func outgoing(ctx context.Context, p *Peer, r *http.Request) *http.Request {
	out := r.WithContext(ctx)
	out.Header = make(http.Header, len(r.Header)+1)
	out.Header["User-Agent"] = nil // keeps net/http from sending its own
	maps.Copy(out.Header, r.Header)
	if out.URL == nil || out.URL.Host == "" {
		u := *p.URL
		if out.URL != nil {
			u = *out.URL
			u.Scheme, u.Host = p.URL.Scheme, p.hostField()
		}
		out.URL = &u
	}
	if out.Host == "" {
		out.Host = p.hostField()
	}
	return out
}

// repeatable reports whether x can be sent again after a connection died
// without an answer: its body can be had again, and either nothing of it was
// written or the method is safe to repeat (RFC 9110, 9.2.2). PUT and DELETE
// are idempotent too, but what they carry is left for the caller to decide.
func (x exchange) repeatable(sent bool) bool {
	if r := x.req; r != nil && hasBody(r) && r.GetBody == nil {
		return false
	}
	switch x.method {
	case "GET", "HEAD", "OPTIONS", "TRACE":
		return true
	}
	return !sent
}

func hasBody(r *http.Request) bool { return r.Body != nil && r.Body != http.NoBody }

func closeBody(r *http.Request) {
	if r.Body != nil {
		r.Body.Close()
	}
}

// rewound returns r with a fresh body; r is repeatable.
func rewound(r *http.Request) (*http.Request, error) {
	if !hasBody(r) {
		return r, nil
	}
	body, err := r.GetBody()
	if err != nil {
		return nil, err
	}
	again := *r
	again.Body = body
	return &again, nil
}

// closedOnce is a request's body that net/http and we may both close.
type closedOnce struct {
	io.Reader
	closer io.Closer
	done   atomic.Bool
}

// Close closes the body the first time.
func (b *closedOnce) Close() error {
	if b.done.Swap(true) {
		return nil
	}
	return b.closer.Close()
}

// onceClosed returns r with a body that is closed at most once by all of Do.
func onceClosed(r *http.Request) *http.Request {
	if !hasBody(r) {
		return r
	}
	out := *r
	out.Body = &closedOnce{Reader: r.Body, closer: r.Body}
	return &out
}
