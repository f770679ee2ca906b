package edge

import (
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"edgecache/cachestore"
	"edgecache/edge/origin"
	"edgecache/policy"
)

// question is what one run of the upstream phases asks.
type question struct {
	// shared says that the answer may be stored: only our own validators go
	// up, the client's conditionals and Range stay behind.
	shared bool
	// base is a stored answer that a 304 may confirm; nil for none.
	base *cachestore.Variant
	// wish is the part that is asked for; nil for the whole.
	wish *wish
	// body is the request's body; nil for none.
	body *requestBody
	// interim hears of 102 and 103; nil drops them.
	interim interimHearer
}

// interimHearer takes 1xx answers, whose header is its own.
type interimHearer interface {
	hearInterim(status int, h http.Header)
}

// request builds what the origin is asked: the client's fields that may go on,
// what we say about ourselves and the client, and the route's own.
func (e *Engine) request(s *Session, q *question, p *origin.Peer, pool *origin.Pool) *http.Request {
	r := &s.Request
	c := copyText(s)
	h := c.header
	if q.shared {
		ownConditions(h, q.base)
		if q.wish != nil {
			q.wish.ask(h)
		}
		delete(h, "Accept-Encoding")
		if codings := policy.CanonicalEncodings(nil, r.Fields); len(codings) > 0 {
			h["Accept-Encoding"] = []string{string(codings)}
		}
	}
	e.introduce(s, &c)
	if s.route != nil {
		for _, name := range s.route.RequestHeaders.Remove {
			h.Del(name)
		}
		for name, value := range s.route.RequestHeaders.Set {
			h.Set(name, value)
		}
	}
	host := c.host
	if pool != nil {
		host = pool.HostMode().Host(host, p)
	}
	out := &http.Request{Method: r.Method, URL: c.target(r, p), Host: host, Header: h, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	if q.body != nil {
		out.Body, out.ContentLength = q.body, r.Length
		s.sendBuffered(out, q.body)
		// A body under GET has no meaning that an origin must know. One that
		// takes it for the next request must not find a next reader.
		out.Close = r.Method == http.MethodGet || r.Method == http.MethodHead
	}
	return out
}

// copied is a session's request as strings, all of which lie in one block.
type copied struct {
	header             http.Header
	values             []string // of the header, with room for ownFields
	host, path, query  string
	client, id, remote string
}

// ownFields is how many fields introduce adds to a request.
const ownFields = 6

// copyText copies what goes up of a session's request.
func copyText(s *Session) copied {
	r := &s.Request
	var room [64]byte
	remote := r.Remote.Addr().Unmap().AppendTo(room[:0])
	n := len(r.Host) + len(r.Path) + len(r.Query) + len(s.Client) + len(s.ID) + len(remote)
	for _, f := range r.Fields {
		n += len(f.Name) + len(f.Value)
	}
	var block strings.Builder
	block.Grow(n)
	for _, b := range [...][]byte{r.Host, r.Path, r.Query, s.Client, s.ID, remote} {
		block.Write(b)
	}
	for _, f := range r.Fields {
		block.Write(f.Name)
		block.Write(f.Value)
	}
	text := block.String()
	next := func(n int) (part string) {
		part, text = text[:n], text[n:]
		return part
	}
	c := copied{
		host: next(len(r.Host)), path: next(len(r.Path)), query: next(len(r.Query)),
		client: next(len(s.Client)), id: next(len(s.ID)), remote: next(len(remote)),
	}
	c.header, c.values = make(http.Header, len(r.Fields)+ownFields), make([]string, len(r.Fields), len(r.Fields)+ownFields)
	for i, f := range r.Fields {
		name := http.CanonicalHeaderKey(next(len(f.Name)))
		c.values[i] = next(len(f.Value))
		if old := c.header[name]; old != nil {
			c.header[name] = append(old, c.values[i])
		} else {
			c.header[name] = c.values[i : i+1 : i+1]
		}
	}
	return c
}

// set makes a value a field's only one.
func (c *copied) set(name, value string) {
	c.values = append(c.values, value)
	n := len(c.values)
	c.header[name] = c.values[n-1 : n : n]
}

// sendBuffered makes out send the body that a hook has buffered, as often as it
// takes, unless a hook has put another in its place.
func (s *Session) sendBuffered(out *http.Request, b *requestBody) {
	if s.RequestBody == nil || b == nil || out.Body != io.ReadCloser(b) {
		return
	}
	buffered := s.RequestBody.B
	out.Body, out.ContentLength = b.replay(buffered), int64(len(buffered))
	out.GetBody = func() (io.ReadCloser, error) { return b.replay(buffered), nil }
	if len(buffered) == 0 {
		out.Body, out.GetBody = http.NoBody, nil
	}
}

// target is the request's url as it is keyed: the same bytes go up.
func (c *copied) target(r *Request, p *origin.Peer) *url.URL {
	u := &url.URL{Scheme: p.URL.Scheme, Host: p.URL.Host, RawQuery: c.query}
	u.ForceQuery = r.HasQuery && len(c.query) == 0
	if !strings.HasPrefix(c.path, "//") {
		u.Opaque = c.path
		return u
	}
	u.RawPath = c.path
	if plain, err := url.PathUnescape(c.path); err == nil {
		u.Path = plain
	}
	return u
}

// ownConditions replaces a client's conditionals by ours (RFC 9111, 4.3.1).
func ownConditions(h http.Header, base *cachestore.Variant) {
	for _, name := range []string{"If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since", "If-Range", "Range"} {
		delete(h, name)
	}
	if base == nil {
		return
	}
	if tag := base.Validators.ETag; len(tag) > 0 {
		h["If-None-Match"] = []string{string(tag)}
	}
	if at := base.Validators.LastModified; len(at) > 0 {
		h["If-Modified-Since"] = []string{string(at)}
	}
}

// introduce says who asks, and for whom.
func (e *Engine) introduce(s *Session, c *copied) {
	r, h := &s.Request, c.header
	if old := h["X-Forwarded-For"]; len(old) > 0 && e.trusted.has(r.Remote.Addr().Unmap()) {
		c.set("X-Forwarded-For", strings.Join(old, ", ")+", "+c.remote)
	} else {
		c.set("X-Forwarded-For", c.remote)
	}
	c.set("X-Real-Ip", c.client)
	c.set("X-Forwarded-Proto", s.Scheme)
	c.set("X-Request-Id", c.id)
	if old := h["Via"]; len(old) > 0 {
		h["Via"] = append(old, e.viaUp[r.Proto])
	} else {
		c.set("Via", e.viaUp[r.Proto])
	}
	if old := h["Cdn-Loop"]; len(old) > 0 {
		c.set("Cdn-Loop", strings.Join(old, ", ")+", "+e.id)
	} else {
		c.set("Cdn-Loop", e.id)
	}
	for _, name := range responseOnly {
		delete(h, name)
	}
	if s.route != nil {
		for _, name := range s.route.Rules.Targeted {
			delete(h, name)
		}
	}
	if r.Upgrade != "" {
		h["Connection"] = []string{"Upgrade"}
		h["Upgrade"] = []string{r.Upgrade}
	}
}

// responseOnly are fields that mean something only in an answer; a request's
// copy is ignored and goes no further. So are the route's targeted fields.
var responseOnly = []string{"Surrogate-Control", "Cdn-Cache-Control", "Cache-Tag", "Surrogate-Key"}

// clean removes from an origin's answer what must not go on, and gives it a
// Date if it has none (RFC 9110, 6.6.1).
func (e *Engine) clean(s *Session, res *http.Response) {
	listed := policy.ConnectionNames(res.Header)
	for name := range res.Header {
		if policy.IsHopByHop(name) || listed[name] && !s.targets(name) {
			delete(res.Header, name)
		}
	}
	delete(res.Header, "X-Request-Id") // ours, one an answer
	if s.route != nil {
		for _, name := range s.route.without {
			res.Header.Del(name)
		}
	}
	if len(res.Header["Date"]) == 0 {
		res.Header.Set("Date", e.now().UTC().Format(http.TimeFormat))
	}
}

// targets says whether the route reads a field as a targeted one (RFC 9213), which
// no Connection may list away.
func (s *Session) targets(canonical string) bool {
	return s.route != nil && slices.Contains(s.route.Rules.Targeted, canonical)
}

// closeDelimited says whether only the connection's end ends the body.
func closeDelimited(method string, res *http.Response) bool {
	return res.ContentLength < 0 && len(res.TransferEncoding) == 0 && bodyAllowed(method, res.StatusCode)
}

func bodyAllowed(method string, status int) bool {
	return method != http.MethodHead && status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}
