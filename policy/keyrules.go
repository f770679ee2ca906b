package policy

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
)

// KeyRules say what of a request belongs to its primary key. The zero value is
// the default: scheme, host, path and the whole query as it was sent.
type KeyRules struct {
	// Allow, when not empty, names the query parameters that are kept; Ignore
	// names those that are dropped. "utm_*" stands for all names that begin so.
	Allow, Ignore []string
	// Sort orders the parameters by name; those of one name keep their order.
	Sort bool
	// Headers and Cookies name request fields and cookies that are keyed.
	Headers, Cookies []string
	// NoVarySearch obeys that field of answers: policy.SearchRule.
	NoVarySearch bool
}

// Reduce applies the rules to a place: both the key and the request that is
// forwarded use its result. A query of which nothing is left is no query.
func (k *KeyRules) Reduce(dst []byte, u URL) (URL, []byte) {
	if !u.HasQuery || len(u.Query) == 0 {
		return u, dst
	}
	u.Query, dst = k.Query(dst, u.Query)
	u.HasQuery = len(u.Query) > 0
	return u, dst
}

// Query returns what the rules leave of raw, split at & only: a semicolon is
// data. By default that is raw itself; else it is a view into the returned
// buffer. It allocates only when dst lacks room or for more than 64 parameters.
func (k *KeyRules) Query(dst, raw []byte) (query, buf []byte) {
	if len(k.Allow) == 0 && len(k.Ignore) == 0 && !k.Sort {
		return raw, dst
	}
	var room [64][]byte
	params := room[:0]
	for rest, more := raw, true; more; {
		var p []byte
		p, rest, more = bytes.Cut(rest, ampersand)
		if k.keeps(paramName(p)) {
			params = append(params, p)
		}
	}
	if k.Sort {
		slices.SortStableFunc(params, func(a, b []byte) int {
			return bytes.Compare(paramName(a), paramName(b))
		})
	}
	start := len(dst)
	for i, p := range params {
		if i > 0 {
			dst = append(dst, '&')
		}
		dst = append(dst, p...)
	}
	return dst[start:len(dst):len(dst)], dst
}

var ampersand = []byte{'&'}

func paramName(p []byte) []byte {
	if i := bytes.IndexByte(p, '='); i >= 0 {
		return p[:i]
	}
	return p
}

func (k *KeyRules) keeps(name []byte) bool {
	if len(k.Allow) > 0 && !listed(k.Allow, name) {
		return false
	}
	return !listed(k.Ignore, name)
}

func listed(patterns []string, name []byte) bool {
	for _, p := range patterns {
		prefix, star := strings.CutSuffix(p, "*")
		if star && len(name) >= len(prefix) && string(name[:len(prefix)]) == prefix {
			return true
		}
		if !star && string(name) == p {
			return true
		}
	}
	return false
}

// Extra appends the keyed header fields and cookies of a request: for each
// name the number of its values, and each value behind its length, so that an
// absent, an empty and a divided value are three different keys.
func (k *KeyRules) Extra(dst []byte, f Fields) []byte {
	for _, name := range k.Headers {
		n := 0
		for i := f.Next(name, 0); i >= 0; i = f.Next(name, i+1) {
			n++
		}
		dst = binary.AppendUvarint(dst, uint64(n))
		for i := f.Next(name, 0); i >= 0; i = f.Next(name, i+1) {
			dst = appendPrefixed(dst, f[i].Value)
		}
	}
	for _, name := range k.Cookies {
		at := len(dst)
		dst = append(dst, 0, 0)
		n := 0
		for i := f.Next("cookie", 0); i >= 0; i = f.Next("cookie", i+1) {
			dst, n = appendCookies(dst, f[i].Value, name, n)
		}
		binary.BigEndian.PutUint16(dst[at:], uint16(n))
	}
	return dst
}

// appendCookies appends the values of all cookies called name in one Cookie
// line (RFC 6265, 5.4) and counts them on from n.
func appendCookies(dst, line []byte, name string, n int) ([]byte, int) {
	for len(line) > 0 {
		pair := line
		if i := bytes.IndexByte(line, ';'); i >= 0 {
			pair, line = line[:i], line[i+1:]
		} else {
			line = nil
		}
		pair = trim(pair)
		i := bytes.IndexByte(pair, '=')
		if i < 0 || string(trim(pair[:i])) != name {
			continue
		}
		dst = appendPrefixed(dst, trim(pair[i+1:]))
		n++
	}
	return dst, n
}

func appendPrefixed(dst, value []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(value)))
	return append(dst, value...)
}
