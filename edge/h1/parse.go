package h1

import (
	"bytes"

	"edgecache/edge"
	"edgecache/edge/syntax"
	"edgecache/policy"
)

// maxMethodBytes bounds a method's name; the longest registered one has 17.
const maxMethodBytes = 32

// parser reads one head after another of a connection. What it hands out are
// views into the bytes it was given; a common request allocates nothing.
type parser struct {
	uriBytes int           // limits.uri
	fields   policy.Fields // used again for every head
	framing

	scheme    string // of an absolute-form target, "" for the others
	authority []byte // of an absolute-form target
}

// framing is what the connection must know of a head.
type framing struct {
	length    int64 // of the body; -1 chunked
	keepAlive bool  // the client wants the connection to go on
	expect    bool  // it waits for a 100 before it sends the body

	hosts, lengths, codings, upgrades int // lines of that name
	listed                            connectionOptions
}

// connectionOptions are the options of Connection that matter to a lane.
type connectionOptions uint8

const (
	optionClose connectionOptions = 1 << iota
	optionKeepAlive
	optionUpgrade
)

// parse reads a whole head, from its request line to its empty line, that scan
// has found to end in CRLF everywhere. It sets all that a head says in r, and
// leaves Body, Remote and TLS alone.
func (p *parser) parse(b []byte, r *edge.Request) *fault {
	p.framing, p.scheme, p.authority = framing{}, "", nil
	p.fields = p.fields[:0]
	r.HasHost, r.Host, r.Upgrade = false, nil, ""
	line, rest := cutLine(b)
	if f := p.requestLine(line, r); f != nil {
		return f
	}
	for {
		line, rest = cutLine(rest)
		if len(line) == 0 {
			break
		}
		if f := p.fieldLine(line, r); f != nil {
			return f
		}
	}
	r.Fields = p.fields
	r.HeadBytes = len(b)
	return p.conclude(r)
}

// cutLine splits at the first CRLF. Every line of a scanned head ends in one.
func cutLine(b []byte) (line, rest []byte) {
	i := bytes.IndexByte(b, '\n')
	if i < 1 {
		return nil, nil
	}
	return b[:i-1], b[i+1:]
}

// requestLine reads method, target and version (RFC 9112, 3).
func (p *parser) requestLine(line []byte, r *edge.Request) *fault {
	m := bytes.IndexByte(line, ' ')
	if m < 0 {
		return faultParts
	}
	t := bytes.IndexByte(line[m+1:], ' ')
	if t < 0 {
		return faultParts
	}
	name, target, version := line[:m], line[m+1:m+1+t], line[m+t+2:]
	if m == 0 || m > maxMethodBytes || !syntax.All(name, syntax.InToken) {
		return faultMethodName
	}
	if f := p.version(version, r); f != nil {
		return f
	}
	r.Method = syntax.Method(name)
	if len(target) > p.uriBytes {
		return faultURILong
	}
	if !syntax.All(target, syntax.InTarget) {
		return faultTargetByte
	}
	return p.target(target, r)
}

// version takes HTTP/1.1 and HTTP/1.0, in exactly this spelling (RFC 9112, 2.3).
func (p *parser) version(b []byte, r *edge.Request) *fault {
	switch string(b) {
	case "HTTP/1.1":
		r.Proto = edge.HTTP11
	case "HTTP/1.0":
		r.Proto = edge.HTTP10
	default:
		if len(b) == 8 && string(b[:5]) == "HTTP/" && b[6] == '.' &&
			syntax.Classes[b[5]]&syntax.Classes[b[7]]&syntax.IsDigit != 0 {
			return faultVersion
		}
		return faultVersionForm
	}
	return nil
}

// target takes origin-form, absolute-form, and asterisk-form for OPTIONS
// (RFC 9112, 3.2). The authority-form of CONNECT is not looked at: conclude
// refuses the method.
func (p *parser) target(b []byte, r *edge.Request) *fault {
	switch {
	case r.Method == "CONNECT":
		r.Path, r.Query, r.HasQuery = nil, nil, false
		return nil
	case len(b) > 0 && b[0] == '/':
		r.Path, r.Query, r.HasQuery = bytes.Cut(b, question)
		return nil
	case string(b) == "*" && r.Method == "OPTIONS":
		r.Path, r.Query, r.HasQuery = b, nil, false
		return nil
	}
	return p.absolute(b, r)
}

var (
	question = []byte{'?'}
	slash    = []byte{'/'}
	asterisk = []byte{'*'}
)

// absolute takes a whole URL (RFC 9112, 3.2.2) and leaves its path in r; an
// authority is kept to be compared with Host.
func (p *parser) absolute(b []byte, r *edge.Request) *fault {
	switch {
	case len(b) > 7 && policy.EqualFold(b[:7], "http://"):
		p.scheme, b = "http", b[7:]
	case len(b) > 8 && policy.EqualFold(b[:8], "https://"):
		p.scheme, b = "https", b[8:]
	default:
		return faultTargetForm
	}
	end := bytes.IndexAny(b, "/?")
	if end < 0 {
		end = len(b)
	}
	p.authority = b[:end]
	if !syntax.ValidHost(p.authority) {
		return faultAuthority
	}
	r.Path, r.Query, r.HasQuery = bytes.Cut(b[end:], question)
	if len(r.Path) > 0 {
		return nil
	}
	r.Path = slash
	if r.Method == "OPTIONS" && !r.HasQuery {
		r.Path = asterisk // RFC 9112, 3.2.4
	}
	return nil
}

// fieldLine reads one field (RFC 9112, 5) and notes those that frame.
func (p *parser) fieldLine(line []byte, r *edge.Request) *fault {
	name, value, f := field(line)
	if f != nil {
		return f
	}
	switch len(name) {
	case len("Host"):
		if policy.EqualFold(name, "host") {
			return p.host(value, r)
		}
	case len("Expect"):
		if policy.EqualFold(name, "expect") {
			f = p.expectation(value)
		}
	case len("Upgrade"):
		if policy.EqualFold(name, "upgrade") {
			p.upgrade(value, r)
		}
	case len("Connection"):
		if policy.EqualFold(name, "connection") {
			p.listed |= options(value)
		}
	case len("Content-Length"):
		if policy.EqualFold(name, "content-length") {
			f = p.contentLength(value)
		}
	case len("Transfer-Encoding"):
		if policy.EqualFold(name, "transfer-encoding") {
			f = p.transferEncoding(value)
		}
	}
	p.fields = append(p.fields, policy.Field{Name: name, Value: value})
	return f
}

// field splits and checks a field line.
func field(line []byte) (name, value []byte, f *fault) {
	if line[0] == ' ' || line[0] == '\t' {
		return nil, nil, faultFold // RFC 9112, 5.2
	}
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 {
		return nil, nil, faultNoColon
	}
	name, value = line[:colon], syntax.Trim(line[colon+1:])
	if !syntax.All(name, syntax.InToken) { // a space before the colon too: RFC 9112, 5.1
		return nil, nil, faultFieldName
	}
	if !syntax.All(value, syntax.InValue) {
		return nil, nil, faultValueByte
	}
	return name, value, nil
}

func (p *parser) host(value []byte, r *edge.Request) *fault {
	p.hosts++
	if p.hosts > 1 {
		return faultHostTwice
	}
	if !syntax.ValidHost(value) {
		return faultHostForm
	}
	r.HasHost, r.Host = true, value
	return nil
}

func (p *parser) expectation(value []byte) *fault {
	if p.expect || !policy.EqualFold(value, "100-continue") {
		return faultExpect
	}
	p.expect = true
	return nil
}

// upgrade notes the protocol of the only Upgrade that names exactly one.
func (p *parser) upgrade(value []byte, r *edge.Request) {
	p.upgrades++
	r.Upgrade = ""
	proto, version, _ := bytes.Cut(value, slash)
	if p.upgrades > 1 || len(proto) == 0 || !syntax.All(proto, syntax.InToken) || !syntax.All(version, syntax.InToken) ||
		policy.EqualFold(proto, "h2c") {
		return
	}
	if policy.EqualFold(value, "websocket") {
		r.Upgrade = "websocket"
		return
	}
	r.Upgrade = string(value)
}

// contentLength takes digits only (RFC 9110, 8.6); 18 of them cannot overflow.
func (p *parser) contentLength(value []byte) *fault {
	p.lengths++
	if p.lengths > 1 {
		return faultLengthTwice
	}
	if len(value) == 0 || len(value) > 18 || !syntax.All(value, syntax.IsDigit) {
		return faultLength
	}
	for _, c := range value {
		p.length = p.length*10 + int64(c-'0')
	}
	return nil
}

// transferEncoding takes chunked, once and alone (RFC 9112, 6.1).
func (p *parser) transferEncoding(value []byte) *fault {
	p.codings++
	if p.codings > 1 {
		return faultCodingTwice
	}
	if !policy.EqualFold(value, "chunked") {
		return faultCoding
	}
	return nil
}

// options reads a Connection line (RFC 9110, 7.6.1).
func options(value []byte) (set connectionOptions) {
	for len(value) > 0 {
		var option []byte
		option, value, _ = bytes.Cut(value, comma)
		switch option = syntax.Trim(option); {
		case policy.EqualFold(option, "close"):
			set |= optionClose
		case policy.EqualFold(option, "keep-alive"):
			set |= optionKeepAlive
		case policy.EqualFold(option, "upgrade"):
			set |= optionUpgrade
		}
	}
	return set
}

var comma = []byte{','}

// conclude judges what only the whole head tells.
func (p *parser) conclude(r *edge.Request) *fault {
	if p.codings > 0 {
		if p.lengths > 0 {
			return faultBothFramings // RFC 9112, 6.3: may be a smuggling attempt
		}
		if r.Proto == edge.HTTP10 {
			return faultCodingOld
		}
		p.length = -1
	}
	if r.Method == "CONNECT" || r.Method == "TRACE" {
		return faultNoMethod
	}
	if p.authority != nil && r.HasHost && !syntax.SameAuthority(p.authority, r.Host, p.scheme) {
		return faultHostOther
	}
	old := r.Proto == edge.HTTP10
	p.keepAlive = p.listed&optionClose == 0 && (!old || p.listed&optionKeepAlive != 0)
	p.expect = p.expect && !old && p.length != 0 // RFC 9110, 10.1.1
	if old || p.length != 0 || p.listed&optionUpgrade == 0 {
		r.Upgrade = ""
	}
	r.Length = p.length
	return nil
}
