package h3

import (
	"crypto/tls"
	"net/http"
	"slices"
	"strings"

	"edgecache/edge"
	"edgecache/edge/syntax"
	"edgecache/policy"
)

// maxMethodBytes bounds a method's name; the longest registered one has 17.
const maxMethodBytes = 32

// parser turns one request after another into flat fields. quic-go has checked
// it as RFC 9114, 4.2 and 4.3 say: names in lower case, no field of a
// connection, each pseudo-header field once and in front, :authority equal to
// Host. What more is asked here is what the HTTP/1.1 wire asks. What it hands
// out are views into its buffer.
type parser struct {
	limits *Config
	buf    []byte
	fields policy.Fields
	names  []string

	length int64 // of the body; -1 when only its end tells
	told   bool  // by a Content-Length
	expect bool  // the client waits for a 100 before it sends the body
}

// parse sets all that a head says in r, and leaves Body and Remote alone.
func (p *parser) parse(q *http.Request, r *edge.Request) *fault {
	size, lines := measure(q)
	p.buf = slices.Grow(p.buf[:0], size)
	p.fields, p.names = p.fields[:0], p.names[:0]
	r.Proto, r.TLS, r.TLSVersion, r.HeadBytes = edge.HTTP3, true, tls.VersionTLS13, size
	r.Method, r.Upgrade = q.Method, ""
	if f := p.target(q, r); f != nil {
		return f
	}
	switch {
	case size > p.limits.HeadBytes:
		return faultHeadLong
	case lines > p.limits.HeadLines:
		return faultLines
	}
	r.HasHost, r.Host = true, p.keep(q.Host) // the engine checks its form
	for name := range q.Header {
		if name != "Host" {
			p.names = append(p.names, name)
		}
	}
	slices.Sort(p.names) // a map has no order; a request shall look the same each time
	for _, name := range p.names {
		for _, value := range q.Header[name] {
			value = strings.Trim(value, " \t")
			if !syntax.All(value, syntax.InValue) {
				return faultValueByte
			}
			p.fields = append(p.fields, policy.Field{Name: p.keep(name), Value: p.keep(value)})
		}
	}
	r.Fields = p.fields
	return p.framing(q, r)
}

// measure gives a head's size as it would be in HTTP/1.1, which is what
// limits.head is about, and how many field lines it has. Crumbs of cookies are
// one line: quic-go has joined them (RFC 9114, 4.2.1).
func measure(q *http.Request) (size, lines int) {
	size = len(q.Method) + len(q.RequestURI) + len("  HTTP/1.1\r\n") + len("Host: \r\n") + len(q.Host) + len("\r\n")
	for name, values := range q.Header {
		for _, v := range values {
			size += len(name) + len(v) + len(": \r\n")
			lines++
		}
	}
	return size, lines
}

// target checks method and path.
func (p *parser) target(q *http.Request, r *edge.Request) *fault {
	target := q.RequestURI
	switch {
	case q.Method == http.MethodConnect && q.ProtoMajor == 3 && q.Proto != "HTTP/3.0":
		return faultExtended // RFC 9220, 3
	case q.Method == http.MethodConnect, q.Method == http.MethodTrace:
		return faultNoMethod
	case q.Method == "" || len(q.Method) > maxMethodBytes || !syntax.All(q.Method, syntax.InToken):
		return faultMethodName
	case len(target) > p.limits.URIBytes:
		return faultURILong
	case !syntax.All(target, syntax.InTarget):
		return faultTargetByte
	}
	path, query, has := strings.Cut(target, "?")
	r.Path, r.Query, r.HasQuery = p.keep(path), p.keep(query), has
	return nil
}

// framing reads what the head says of the body.
func (p *parser) framing(q *http.Request, r *edge.Request) *fault {
	p.length, p.expect, p.told = -1, false, false
	if list, ok := q.Header["Content-Length"]; ok {
		if v := list[0]; len(v) > 18 || strings.Trim(v, "0123456789") != "" {
			return faultLength
		}
		p.length, p.told = q.ContentLength, true
	}
	if list := q.Header["Expect"]; len(list) > 0 {
		if len(list) > 1 || !strings.EqualFold(list[0], "100-continue") {
			return faultExpect
		}
		p.expect = p.length != 0 // RFC 9110, 10.1.1
	}
	r.Length = p.length
	return nil
}

// keep copies s into the buffer and gives the view of it.
func (p *parser) keep(s string) []byte {
	from := len(p.buf)
	p.buf = append(p.buf, s...)
	return p.buf[from:len(p.buf):len(p.buf)]
}
