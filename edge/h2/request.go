package h2

import (
	"bytes"

	"edgecache/edge"
	"edgecache/edge/syntax"
	"edgecache/policy"
)

// malformed is what is wrong with a request (RFC 9113, 8.1.1); "" is nothing.
type malformed string

// Heads that a client is told about.
const (
	badTarget malformed = ":path over limits.uri"
	badSize   malformed = "head over limits.head or limits.head_lines"
)

// pseudo are the pseudo-header fields of a request (RFC 9113, 8.3.1; RFC 8441, 4).
type pseudo struct {
	method, scheme, authority, path, protocol []byte
	seen                                      uint8
}

const (
	seenMethod uint8 = 1 << iota
	seenScheme
	seenAuthority
	seenPath
	seenProtocol
)

// read makes the decoded head the session's request: views into it, all checked.
func (st *stream) read() malformed {
	var p pseudo
	r := &st.session.Request
	st.fields, st.length, st.cookies = st.fields[:0], -1, 0
	r.HasHost, r.Host, r.Upgrade = false, nil, ""
	regular := false
	for i := range st.head.lines {
		name, value := st.head.field(i)
		if len(name) == 0 {
			return "a field without a name"
		}
		if name[0] != ':' {
			regular = true
			if bad := st.regular(name, value, r); bad != "" {
				return bad
			}
			continue
		}
		if regular {
			return "a pseudo-header behind a field"
		}
		if bad := p.take(name, value); bad != "" {
			return bad
		}
	}
	st.joinCookies()
	if bad := p.conclude(st, r); bad != "" {
		return bad
	}
	r.Fields, r.Length, r.HeadBytes, r.Proto = st.fields, st.length, len(st.head.buf), edge.HTTP2
	return ""
}

// take notes a pseudo-header.
func (p *pseudo) take(name, value []byte) malformed {
	var at *[]byte
	var bit uint8
	switch string(name) {
	case ":method":
		at, bit = &p.method, seenMethod
	case ":scheme":
		at, bit = &p.scheme, seenScheme
	case ":authority":
		at, bit = &p.authority, seenAuthority
	case ":path":
		at, bit = &p.path, seenPath
	case ":protocol":
		at, bit = &p.protocol, seenProtocol
	default:
		return "an unknown pseudo-header"
	}
	if p.seen&bit != 0 {
		return "a pseudo-header twice"
	}
	p.seen |= bit
	*at = value
	return ""
}

// maxMethodBytes bounds a method's name.
const maxMethodBytes = 32

// conclude judges the pseudo-headers and puts them into the request.
func (p *pseudo) conclude(st *stream, r *edge.Request) malformed {
	if p.seen&(seenMethod|seenScheme|seenPath) != seenMethod|seenScheme|seenPath {
		return "a pseudo-header is missing" // CONNECT without :protocol, too: we are no tunnel
	}
	if n := len(p.method); n == 0 || n > maxMethodBytes || !syntax.All(p.method, syntax.InToken) {
		return "malformed :method"
	}
	r.Method = syntax.Method(p.method)
	if s := string(p.scheme); s != "http" && s != "https" {
		return "a foreign :scheme"
	}
	if p.seen&seenAuthority != 0 {
		switch {
		case !syntax.ValidHost(p.authority):
			return "malformed :authority"
		case r.HasHost && !syntax.SameAuthority(p.authority, r.Host, string(p.scheme)):
			return "host is not :authority"
		}
		r.HasHost, r.Host = true, p.authority
	}
	if bad := p.target(st, r); bad != "" {
		return bad
	}
	switch {
	case r.Method == "TRACE":
		return "a method that is not served"
	case r.Method != "CONNECT":
		if p.seen&seenProtocol != 0 {
			return ":protocol without CONNECT"
		}
		return ""
	}
	return st.connect(p, r)
}

var question = []byte{'?'}

// target takes origin-form, and asterisk-form for OPTIONS.
func (p *pseudo) target(st *stream, r *edge.Request) malformed {
	switch {
	case len(p.path) > st.c.server.config.URIBytes:
		return badTarget
	case !syntax.All(p.path, syntax.InTarget):
		return "malformed :path"
	case len(p.path) > 0 && p.path[0] == '/':
		r.Path, r.Query, r.HasQuery = bytes.Cut(p.path, question)
		return ""
	case string(p.path) == "*" && r.Method == "OPTIONS":
		r.Path, r.Query, r.HasQuery = p.path, nil, false
		return ""
	}
	return "malformed :path"
}

// regular checks a field and takes it in (RFC 9113, 8.2).
func (st *stream) regular(name, value []byte, r *edge.Request) malformed {
	if bad := checkField(name, value); bad != "" {
		return bad
	}
	switch string(name) {
	case "host":
		if r.HasHost || !syntax.ValidHost(value) {
			return "host twice or malformed"
		}
		r.HasHost, r.Host = true, value
	case "te":
		if !policy.EqualFold(value, "trailers") {
			return "te other than trailers"
		}
	case "content-length":
		if st.length >= 0 {
			return "content-length twice"
		}
		if st.length = number(value); st.length < 0 {
			return "malformed content-length"
		}
	case "cookie":
		st.cookies++
	case "expect":
		if !policy.EqualFold(value, "100-continue") {
			return "an expectation other than 100-continue"
		}
		st.expects = true
	}
	st.fields = append(st.fields, policy.Field{Name: name, Value: value})
	return ""
}

// checkField checks a field of a head or of trailers.
func checkField(name, value []byte) malformed {
	for _, c := range name {
		if syntax.Classes[c]&syntax.InToken == 0 || 'A' <= c && c <= 'Z' {
			return "malformed field name"
		}
	}
	if !syntax.All(value, syntax.InValue) || len(value) != len(syntax.Trim(value)) {
		return "malformed field value"
	}
	switch string(name) {
	case "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade":
		return "a field of the connection" // 8.2.2
	}
	return ""
}

// number reads digits only; 18 of them cannot overflow. -1 is none.
func number(b []byte) (n int64) {
	if len(b) == 0 || len(b) > 18 || !syntax.All(b, syntax.IsDigit) {
		return -1
	}
	for _, c := range b {
		n = n*10 + int64(c-'0')
	}
	return n
}

// joinCookies makes one field of a cookie's crumbs (RFC 9113, 8.2.3).
func (st *stream) joinCookies() {
	if st.cookies < 2 {
		return
	}
	var all []byte
	kept := st.fields[:0]
	first := -1
	for _, f := range st.fields {
		if string(f.Name) != "cookie" {
			kept = append(kept, f)
			continue
		}
		if first < 0 {
			first = len(kept)
			kept = append(kept, f)
		} else {
			all = append(all, "; "...)
		}
		all = append(all, f.Value...)
	}
	kept[first].Value = all
	st.fields = kept
}
