package policy

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
)

// URL is the normalised place of a resource. Its parts are views into the
// buffer it was built in, or into the input where that was normal already.
type URL struct {
	Scheme   string // "http" or "https"; empty: either
	Host     []byte // without the default port; empty: any
	Path     []byte
	Query    []byte
	HasQuery bool // "/x?" is not "/x"
}

// Faults of a place that make a request a bad one (400).
var (
	ErrHost   = errors.New("malformed host")
	ErrPath   = errors.New("malformed path")
	ErrScheme = errors.New("not an http or https URL")
)

// String is the place as one text, for logs and errors.
func (u URL) String() string {
	var b strings.Builder
	if u.Scheme != "" {
		b.WriteString(u.Scheme + "://")
	}
	b.Write(u.Host)
	b.Write(u.Path)
	if u.HasQuery {
		b.WriteByte('?')
		b.Write(u.Query)
	}
	return b.String()
}

// SameOrigin says whether both have one scheme and host (RFC 6454, 4).
func (u URL) SameOrigin(o URL) bool {
	return u.Scheme == o.Scheme && bytes.Equal(u.Host, o.Host)
}

// Equal says whether both are one place.
func (u URL) Equal(o URL) bool {
	return u.SameOrigin(o) && bytes.Equal(u.Path, o.Path) &&
		u.HasQuery == o.HasQuery && bytes.Equal(u.Query, o.Query)
}

// ParseURL reads an absolute http or https URL, or a path with an optional
// query, and normalises it as a request's place is. A fragment is dropped.
func ParseURL(s string) (URL, error) {
	s, _, _ = strings.Cut(s, "#")
	var u URL
	rest := s
	if !strings.HasPrefix(s, "/") {
		scheme, after, found := strings.Cut(s, "://")
		switch scheme = strings.ToLower(scheme); {
		case !found, scheme != "http" && scheme != "https":
			return URL{}, ErrScheme
		}
		u.Scheme = scheme
		end := strings.IndexAny(after, "/?")
		if end < 0 {
			end = len(after)
		}
		host, _, err := NormalizeHost(nil, []byte(after[:end]), scheme)
		if err != nil {
			return URL{}, err
		}
		u.Host, rest = host, after[end:]
	}
	path, query, hasQuery := strings.Cut(rest, "?")
	if !isQuery(query) {
		return URL{}, ErrPath
	}
	var err error
	if u.Path, _, err = NormalizePath(nil, []byte(path)); err != nil {
		return URL{}, err
	}
	u.Query, u.HasQuery = []byte(query), hasQuery
	return u, nil
}

// isQuery refuses what no request line can carry.
func isQuery(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] == 0x7f || s[i] == '#' {
			return false
		}
	}
	return true
}

// maxHost is the longest host in bytes, as of the DNS, with its port.
const maxHost = 255 + 6

// NormalizeHost brings an authority into the form that is keyed, compared and
// forwarded: lower case, no trailing dot, the scheme's default port left out
// (RFC 9110, 4.2.3). User information, odd bytes and bad ports are errors. It
// allocates for IPv6 literals, which take their canonical form (RFC 5952), else
// only when dst lacks room.
func NormalizeHost(dst, raw []byte, scheme string) (host, buf []byte, err error) {
	if len(raw) == 0 || len(raw) > maxHost {
		return nil, dst, ErrHost
	}
	name, port, err := splitPort(raw)
	if err != nil {
		return nil, dst, err
	}
	if isDefaultPort(port, scheme) {
		port = nil
	}
	start := len(dst)
	if name[0] == '[' {
		addr, err := netip.ParseAddr(string(name[1 : len(name)-1]))
		if err != nil || !addr.Is6() || addr.Zone() != "" {
			return nil, dst, ErrHost
		}
		dst = append(addr.AppendTo(append(dst, '[')), ']')
		return withPort(dst, start, port)
	}
	name = bytes.TrimSuffix(name, dot)
	normal, ok := checkName(name)
	if !ok {
		return nil, dst, ErrHost
	}
	size := len(name)
	if len(port) > 0 {
		size += 1 + len(port)
	}
	if normal && size == len(raw) {
		return raw, dst, nil
	}
	for _, c := range name {
		dst = append(dst, lower(c))
	}
	return withPort(dst, start, port)
}

var dot = []byte{'.'}

func withPort(dst []byte, start int, port []byte) (host, buf []byte, err error) {
	if len(port) > 0 {
		dst = append(append(dst, ':'), port...)
	}
	return dst[start:len(dst):len(dst)], dst, nil
}

// splitPort divides an authority. The port comes without leading zeros.
func splitPort(raw []byte) (name, port []byte, err error) {
	end := len(raw)
	if raw[0] == '[' {
		i := bytes.IndexByte(raw, ']')
		if i < 0 {
			return nil, nil, ErrHost
		}
		end = i + 1
	} else if i := bytes.IndexByte(raw, ':'); i >= 0 {
		end = i
	}
	if end == 0 {
		return nil, nil, ErrHost
	}
	if end == len(raw) {
		return raw, nil, nil
	}
	if raw[end] != ':' {
		return nil, nil, ErrHost
	}
	name, port = raw[:end], raw[end+1:]
	if len(port) == 0 {
		return name, nil, nil
	}
	n := 0
	for _, c := range port {
		if n = n*10 + int(c-'0'); !isDigit(c) || n > 65535 {
			return nil, nil, ErrHost
		}
	}
	if n == 0 {
		return nil, nil, ErrHost
	}
	return name, bytes.TrimLeft(port, "0"), nil
}

func isDefaultPort(port []byte, scheme string) bool {
	return scheme == "http" && string(port) == "80" || scheme == "https" && string(port) == "443"
}

// checkName says whether name is one we take, and whether it is lower case. It
// is stricter than RFC 3986, 3.2.2: only what a name in the DNS can have.
func checkName(name []byte) (normal, ok bool) {
	normal = true
	label := 0
	for _, c := range name {
		switch {
		case 'A' <= c && c <= 'Z':
			normal = false
			label++
		case isAlpha(c), isDigit(c), c == '-', c == '_':
			label++
		case c == '.' && label > 0:
			label = 0
		default:
			return false, false
		}
	}
	return normal, label > 0
}
