package edge

import (
	"net/http"
	"net/url"
	"strings"
	"sync"

	"edgecache/edge/origin"
	"edgecache/policy"
)

// upward is what goes up of a session's request as fields: the client's that may go
// on, what we say about ourselves and the client, and the route's own. They are views
// into the session, the stored answer and buf, and end with free.
type upward struct {
	fields policy.Fields
	buf    []byte
}

var upwards = sync.Pool{New: func() any { return new(upward) }}

func newUpward() *upward { return upwards.Get().(*upward) }

// free gives the room back.
func (u *upward) free() {
	if cap(u.buf) > pooledBytes {
		return
	}
	u.fields, u.buf = clearFields(u.fields), u.buf[:0]
	upwards.Put(u)
}

// Fields of a client's that do not go up as they are: what we say ourselves, and what
// means something only in an answer, of which a request's copy is ignored. Of a fetch that
// may be stored the conditionals and the part stay behind, too (RFC 9111, 4.3.1).
var (
	oursUp = namesOf("x-forwarded-for", "x-real-ip", "x-forwarded-proto", "x-request-id", "cdn-loop",
		"surrogate-control", "cdn-cache-control", "cache-tag", "surrogate-key")
	oursShared = namesOf("if-none-match", "if-modified-since", "if-match", "if-unmodified-since", "if-range", "range",
		"accept-encoding")
)

// gather collects what goes up.
func (u *upward) gather(e *Engine, s *Session, q *question) {
	for _, f := range s.Request.Fields {
		if oursUp.has(f.Name) || q.shared && oursShared.has(f.Name) || s.targeted(f.Name) {
			continue
		}
		u.fields = append(u.fields, f)
	}
	if q.shared {
		u.conditions(q)
		from := len(u.buf)
		u.buf = policy.CanonicalEncodings(u.buf, s.Request.Fields)
		if codings := u.buf[from:]; len(codings) > 0 {
			u.add("Accept-Encoding", codings)
		}
	}
	u.introduce(e, s)
	if s.route == nil {
		return
	}
	for _, name := range s.route.RequestHeaders.Remove {
		u.del(name)
	}
	for name, value := range s.route.RequestHeaders.Set {
		u.del(name)
		u.add(name, u.text(value))
	}
}

// targeted says whether a field is one that the route reads in answers (RFC 9213).
func (s *Session) targeted(name []byte) bool {
	if s.route == nil {
		return false
	}
	for _, t := range s.route.Rules.Targeted {
		if policy.EqualFold(name, t) {
			return true
		}
	}
	return false
}

// add adds a line; the value is kept as a view.
func (u *upward) add(name string, value []byte) {
	u.fields = append(u.fields, policy.Field{Name: u.text(name), Value: value})
}

// text copies a string into buf.
func (u *upward) text(s string) []byte {
	from := len(u.buf)
	u.buf = append(u.buf, s...)
	return u.buf[from:len(u.buf):len(u.buf)]
}

// del takes out all lines of a name.
func (u *upward) del(name string) {
	kept := u.fields[:0]
	for _, f := range u.fields {
		if !policy.EqualFold(f.Name, name) {
			kept = append(kept, f)
		}
	}
	u.fields = kept
}

// conditions are our own: a stored answer's validators, and what part is wished for.
func (u *upward) conditions(q *question) {
	if q.base != nil {
		v := &q.base.Validators
		if len(v.ETag) > 0 {
			u.add("If-None-Match", v.ETag)
		}
		if len(v.LastModified) > 0 {
			u.add("If-Modified-Since", v.LastModified)
		}
	}
	if q.wish != nil {
		q.wish.ask(u)
	}
}

// introduce says who asks, and for whom.
func (u *upward) introduce(e *Engine, s *Session) {
	r := &s.Request
	addr := r.Remote.Addr().Unmap()
	from := len(u.buf)
	if e.trusted.has(addr) {
		u.join(r.Fields, "X-Forwarded-For")
	}
	u.buf = addr.AppendTo(u.buf)
	u.add("X-Forwarded-For", u.buf[from:])
	u.add("X-Real-Ip", s.Client)
	u.add("X-Forwarded-Proto", u.text(s.Scheme))
	u.add("X-Request-Id", s.ID)
	u.add("Via", u.text(e.viaUp[r.Proto]))
	from = len(u.buf)
	u.join(r.Fields, "Cdn-Loop")
	u.buf = append(u.buf, e.id...)
	u.add("Cdn-Loop", u.buf[from:])
	if r.Upgrade != "" {
		u.add("Connection", u.text("Upgrade"))
		u.add("Upgrade", u.text(r.Upgrade))
	}
}

// join appends the lines of a name to buf as one list that goes on.
func (u *upward) join(fields policy.Fields, name string) {
	for i := fields.Next(name, 0); i >= 0; i = fields.Next(name, i+1) {
		u.buf = append(append(u.buf, fields[i].Value...), ", "...)
	}
}

// host is the Host field.
func (u *upward) host(s *Session, p *origin.Peer, pool *origin.Pool) []byte {
	if pool == nil {
		return s.Request.Host
	}
	from := len(u.buf)
	u.buf = pool.HostMode().AppendHost(u.buf, s.Request.Host, p)
	return u.buf[from:]
}

// write writes the request's head out. It is false when that must be left to net/http.
func (u *upward) write(s *Session, p *origin.Peer, pool *origin.Pool) (ok bool) {
	d := origin.NewDraft()
	defer d.Free()
	for _, f := range u.fields {
		d.Add(f.Name, f.Value)
	}
	r := &s.Request
	s.plain, ok = d.Plain(p, r.Method, r.Path, r.Query, r.HasQuery, u.host(s, p, pool))
	return ok
}

// request is the same for a hook to look at, in memory of its own.
func (u *upward) request(s *Session, p *origin.Peer, pool *origin.Pool) *http.Request {
	n := 0
	for _, f := range u.fields {
		n += len(f.Name) + len(f.Value)
	}
	var block strings.Builder
	block.Grow(n)
	for _, f := range u.fields {
		block.Write(f.Name)
		block.Write(f.Value)
	}
	text := block.String()
	h, values := make(http.Header, len(u.fields)), make([]string, len(u.fields))
	for i, f := range u.fields {
		name := http.CanonicalHeaderKey(text[:len(f.Name)])
		values[i], text = text[len(f.Name):len(f.Name)+len(f.Value)], text[len(f.Name)+len(f.Value):]
		if old := h[name]; old != nil {
			h[name] = append(old, values[i])
		} else {
			h[name] = values[i : i+1 : i+1]
		}
	}
	return &http.Request{
		Method: s.Request.Method, URL: target(&s.Request, p), Host: string(u.host(s, p, pool)), Header: h,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
}

// target is the request's url as it is keyed: the same bytes go up.
func target(r *Request, p *origin.Peer) *url.URL {
	path := string(r.Path)
	u := &url.URL{Scheme: p.URL.Scheme, Host: p.URL.Host, RawQuery: string(r.Query)}
	u.ForceQuery = r.HasQuery && len(r.Query) == 0
	if !strings.HasPrefix(path, "//") {
		u.Opaque = path
		return u
	}
	u.RawPath = path
	if plain, err := url.PathUnescape(path); err == nil {
		u.Path = plain
	}
	return u
}
