package edge

import (
	"bytes"
	"net/netip"
	"slices"

	"edgecache/policy"
)

// never are the fields that no request takes to the origin or into a key:
// hop-by-hop ones (RFC 9110, 7.6.1) and those that other software trusts
// without asking who wrote them (names.md, Defaults of behaviour).
var never = namesOf(
	"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
	"http2-settings", "proxy-authenticate", "proxy-authorization", "host", "content-length", "expect",
	"x-forwarded-host", "x-forwarded-scheme", "x-forwarded-prefix", "forwarded", "x-host",
	"x-original-url", "x-rewrite-url", "x-http-method-override", "proxy",
)

// names are names of fields by their lengths.
type names [32][]string

// namesOf makes them of names in lower case.
func namesOf(all ...string) (t names) {
	for _, n := range all {
		t[len(n)] = append(t[len(n)], n)
	}
	return t
}

// has says whether a name, in whatever case, is one of them.
func (t *names) has(name []byte) bool {
	if len(name) >= len(t) {
		return false
	}
	for _, n := range t[len(name)] {
		if policy.EqualFold(name, n) {
			return true
		}
	}
	return false
}

// mayNotBeListed are fields that Connection cannot remove: the framing, the
// key, and what says how old and how private an answer is.
var mayNotBeListed = []string{"host", "content-length", "cache-control", "age", "authorization", "cookie", "range"}

// strip removes from a request what must not go on. It works in place.
func strip(f policy.Fields) policy.Fields {
	listed := connectionNames(f)
	out := f[:0]
	for _, field := range f {
		if never.has(field.Name) || isListed(listed, field.Name) {
			continue
		}
		out = append(out, field)
	}
	clear(f[len(out):])
	return out
}

// connectionNames gives the field names that Connection lines list, other than
// the usual connection options; nil for nearly every request.
func connectionNames(f policy.Fields) (names [][]byte) {
	for i := f.Next("Connection", 0); i >= 0; i = f.Next("Connection", i+1) {
		rest := f[i].Value
		for len(rest) > 0 {
			var token []byte
			token, rest, _ = bytes.Cut(rest, []byte{','})
			token = bytes.TrimSpace(token)
			if len(token) > 0 && !policy.EqualFold(token, "keep-alive") && !policy.EqualFold(token, "close") && !policy.EqualFold(token, "upgrade") {
				names = append(names, token)
			}
		}
	}
	return names
}

func isListed(names [][]byte, name []byte) bool {
	if len(names) == 0 {
		return false
	}
	for _, n := range mayNotBeListed {
		if policy.EqualFold(name, n) {
			return false
		}
	}
	return slices.ContainsFunc(names, func(n []byte) bool { return bytes.EqualFold(n, name) })
}

// network answers who is trusted.
type network []netip.Prefix

func (n network) has(a netip.Addr) bool {
	a = a.Unmap()
	for _, p := range n {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// identify sets the client's address, the scheme and the request's id from the
// socket, or from what a trusted network says about them.
func (e *Engine) identify(s *Session) {
	r := &s.Request
	s.Scheme = "http"
	if r.TLS {
		s.Scheme = "https"
	}
	addr := r.Remote.Addr().Unmap()
	trusted := len(e.trusted) > 0 && e.trusted.has(addr)
	s.Client = addr.AppendTo(s.state.client[:0])
	if trusted {
		e.believe(s)
	} else if r.Fields.Has("X-Request-Id") {
		r.Del("X-Request-Id")
	}
	if len(s.ID) == 0 {
		s.ID = newID(&s.state.id)
	}
}

// believe takes a trusted network's word for client, scheme and id.
func (e *Engine) believe(s *Session) {
	r := &s.Request
	if v, ok := r.Fields.Get("X-Forwarded-Proto"); ok {
		switch {
		case policy.EqualFold(v, "https"):
			s.Scheme = "https"
		case policy.EqualFold(v, "http"):
			s.Scheme = "http"
		}
	}
	if id, ok := r.Fields.Get("X-Request-Id"); ok && len(id) > 0 && len(id) <= 128 {
		s.ID = slices.Clone(id)
	} else {
		r.Del("X-Request-Id")
	}
	if client, ok := e.forwardedClient(r.Fields); ok {
		s.Client = client.AppendTo(s.state.client[:0])
	}
}

// forwardedClient walks X-Forwarded-For from its end over trusted addresses:
// the first that is not trusted is the client.
func (e *Engine) forwardedClient(f policy.Fields) (client netip.Addr, ok bool) {
	var list []netip.Addr
	for i := f.Next("X-Forwarded-For", 0); i >= 0; i = f.Next("X-Forwarded-For", i+1) {
		for part := range bytes.SplitSeq(f[i].Value, []byte{','}) {
			a, err := netip.ParseAddr(string(bytes.TrimSpace(part)))
			if err != nil {
				list = list[:0] // what stands before nonsense is worth nothing
				continue
			}
			list = append(list, a.Unmap())
		}
	}
	for _, a := range slices.Backward(list) {
		client, ok = a, true
		if !e.trusted.has(a) {
			return client, true
		}
	}
	return client, ok
}
