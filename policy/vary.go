package policy

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
)

// readVary returns the names of all Vary lines in lower case, sorted, without
// doubles (RFC 9111, 4.1), or the reason why such an answer is not stored.
//
// Some fields the origin gets from edge, whatever the client sent. One that names
// the client or the request selects nothing that another might have; the scheme
// is in the key already, and a client's X-Forwarded-Proto makes no variant.
func readVary(lines []string, most int) ([]string, Reason) {
	var names []string
	for _, line := range lines {
		for name := range strings.SplitSeq(line, ",") {
			name = strings.Trim(name, " \t")
			switch {
			case name == "":
				continue
			case name == "*":
				return nil, VaryStar
			case !isToken(name):
				return nil, BadVary
			case len(names) == 2*most:
				return nil, TooManyVary
			}
			switch name = strings.ToLower(name); name {
			case "x-forwarded-for", "x-real-ip", "x-request-id":
				return nil, VaryClient
			case "x-forwarded-proto":
				continue
			}
			names = append(names, name)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) > most {
		return nil, TooManyVary
	}
	return names, None
}

// AppendSelector appends what a request has for the names of a Vary, in lower
// case: two requests choose the same variant if and only if the bytes are
// equal. Lines of one name are combined, blanks after commas normalised;
// Accept-Encoding and Accept-Language are reduced to what they mean. It
// allocates only when dst lacks room.
func AppendSelector(dst []byte, vary []string, a *Ask) []byte {
	f := a.Fields
	for _, name := range vary {
		at := len(dst)
		dst = append(dst, 0, 0, 0, 0)
		present := true
		switch name {
		case "accept-encoding":
			dst = CanonicalEncodings(dst, f)
		case "accept-language":
			dst, present = appendLanguages(dst, f, a.Languages)
		default:
			dst, present = appendCombined(dst, name, f)
		}
		if present {
			binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4)+1)
		}
	}
	return dst
}

// appendCombined appends all values of a name as one (RFC 9110, 5.3), with one
// blank behind each comma and none before it outside quoted strings.
func appendCombined(dst []byte, name string, f Fields) (_ []byte, present bool) {
	for i := f.Next(name, 0); i >= 0; i = f.Next(name, i+1) {
		if present {
			dst = append(dst, ", "...)
		}
		present = true
		dst = appendNormal(dst, trim(f[i].Value))
	}
	return dst, present
}

func appendNormal(dst, value []byte) []byte {
	start := len(dst)
	quoted := false
	for i := 0; i < len(value); i++ {
		c := value[i]
		switch {
		case c == '"':
			quoted = !quoted
		case quoted && c == '\\' && i+1 < len(value):
			dst = append(dst, c)
			i++
			c = value[i]
		case !quoted && c == ',':
			dst = append(trimRight(dst, start), ", "...)
			for i+1 < len(value) && isBlank(value[i+1]) {
				i++
			}
			continue
		}
		dst = append(dst, c)
	}
	return dst
}

func trimRight(dst []byte, start int) []byte {
	for len(dst) > start && isBlank(dst[len(dst)-1]) {
		dst = dst[:len(dst)-1]
	}
	return dst
}

// The codings that we tell apart, and what is forwarded for them.
const (
	codingGzip = 1 << iota
	codingBrotli
	codingZstd
)

// CanonicalEncodings appends the value of Accept-Encoding that is forwarded and
// selected by (RFC 9110, 12.5.3): the longest of "zstd, br, gzip", "br, gzip",
// "gzip" that the client accepts wholly, or nothing. So there are at most four
// variants of it, and no client gets a coding that it refused.
func CanonicalEncodings(dst []byte, f Fields) []byte {
	var seen, accepted, rest int
	for i := f.Next("accept-encoding", 0); i >= 0; i = f.Next("accept-encoding", i+1) {
		for list := f[i].Value; len(list) > 0; {
			var member []byte
			member, list = cutMember(list)
			name, q, ok := cutQuality(member)
			if !ok {
				q = 0
			}
			bits := codingOf(name)
			if EqualFold(name, "*") {
				rest = q
				continue
			}
			seen |= bits
			if q > 0 {
				accepted |= bits
			}
		}
	}
	if rest > 0 {
		accepted |= ^seen
	}
	switch {
	case accepted&codingGzip == 0:
		return dst
	case accepted&codingBrotli == 0:
		return append(dst, "gzip"...)
	case accepted&codingZstd == 0:
		return append(dst, "br, gzip"...)
	}
	return append(dst, "zstd, br, gzip"...)
}

func codingOf(name []byte) int {
	switch {
	case EqualFold(name, "gzip"), EqualFold(name, "x-gzip"):
		return codingGzip
	case EqualFold(name, "br"):
		return codingBrotli
	case EqualFold(name, "zstd"):
		return codingZstd
	}
	return 0
}

// cutQuality divides "gzip;q=0.5" into its name and its weight in thousandths
// (RFC 9110, 12.4.2).
func cutQuality(member []byte) (name []byte, q int, ok bool) {
	name, params, found := bytes.Cut(member, semicolon)
	name = trim(name)
	if !found {
		return name, 1000, true
	}
	params = trim(params)
	if len(params) < 3 || lower(params[0]) != 'q' || params[1] != '=' {
		return name, 0, false
	}
	v := params[2:]
	if v[0] != '0' && v[0] != '1' || len(v) > 5 || len(v) > 1 && v[1] != '.' {
		return name, 0, false
	}
	q = int(v[0]-'0') * 1000
	for i, scale := 2, 100; i < len(v); i, scale = i+1, scale/10 {
		if !isDigit(v[i]) {
			return name, 0, false
		}
		q += int(v[i]-'0') * scale
	}
	return name, q, q <= 1000
}

var semicolon = []byte{';'}
