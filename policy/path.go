package policy

import "bytes"

// NormalizePath brings a path into the form that is keyed, matched by routes
// and forwarded (RFC 3986, 6.2.2): %-encoded unreserved bytes are decoded, hex
// is upper case, bytes that no path may carry bare are encoded, dot segments
// are resolved after that. Everything else stays: %2F and %5C are data, "//"
// is not "/". A bad escape, %00, a control, a blank, ? or # is an error. An
// empty path is "/". Nothing is copied when raw was normal already.
func NormalizePath(dst, raw []byte) (path, buf []byte, err error) {
	if len(raw) == 0 {
		dst = append(dst, '/')
		return dst[len(dst)-1:], dst, nil
	}
	if raw[0] != '/' {
		return nil, dst, ErrPath
	}
	if isNormalPath(raw) {
		return raw, dst, nil
	}
	start := len(dst)
	for i := 0; i < len(raw); {
		segment := len(dst)
		dst = append(dst, '/')
		for i++; i < len(raw) && raw[i] != '/'; {
			var n int
			if dst, n = appendPathByte(dst, raw[i:]); n == 0 {
				return nil, dst[:start], ErrPath
			}
			i += n
		}
		dst = resolveDots(dst, start, segment, i == len(raw))
	}
	return dst[start:len(dst):len(dst)], dst, nil
}

// resolveDots takes the segment just written away again if it is "." or "..",
// the latter with the one before it (RFC 3986, 5.2.4).
func resolveDots(dst []byte, start, segment int, last bool) []byte {
	switch string(dst[segment+1:]) {
	case ".":
		dst = dst[:segment]
	case "..":
		dst = dst[:segment]
		if i := bytes.LastIndexByte(dst[start:], '/'); i >= 0 {
			dst = dst[:start+i]
		}
	default:
		return dst
	}
	if last {
		dst = append(dst, '/')
	}
	return dst
}

// appendPathByte appends the first byte or escape of raw in normal form and
// says how many bytes of raw that took, 0 when it may not be in a path.
func appendPathByte(dst, raw []byte) ([]byte, int) {
	c := raw[0]
	if c == '%' {
		v, ok := unescape(raw)
		switch {
		case !ok || v == 0:
			return dst, 0
		case isUnreserved(v):
			return append(dst, v), 3
		}
		return appendEscape(dst, v), 3
	}
	switch {
	case pathBytes[c]:
		return append(dst, c), 1
	case c <= ' ' || c == 0x7f || c == '?' || c == '#':
		return dst, 0
	}
	return appendEscape(dst, c), 1
}

func isNormalPath(raw []byte) bool {
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if c == '%' {
			v, ok := unescape(raw[i:])
			if !ok || v == 0 || isUnreserved(v) || isLowerHex(raw[i+1]) || isLowerHex(raw[i+2]) {
				return false
			}
			i += 2
			continue
		}
		if c != '/' && !pathBytes[c] {
			return false
		}
		if c == '/' && isDotSegment(raw[i+1:]) {
			return false
		}
	}
	return true
}

// isDotSegment says whether rest begins with the segment "." or "..".
func isDotSegment(rest []byte) bool {
	for n := 0; n < 3; n++ {
		if n == len(rest) || rest[n] == '/' {
			return n > 0
		}
		if rest[n] != '.' {
			return false
		}
	}
	return false
}

// pathBytes are pchar of RFC 3986, 3.3 but for the escapes.
var pathBytes = func() (t [256]bool) {
	for c := range t {
		t[c] = isUnreserved(byte(c))
	}
	for _, c := range []byte("!$&'()*+,;=:@") {
		t[c] = true
	}
	return t
}()

func isUnreserved(c byte) bool {
	return isAlpha(c) || isDigit(c) || c == '-' || c == '.' || c == '_' || c == '~'
}

func isLowerHex(c byte) bool { return 'a' <= c && c <= 'f' }

// unescape reads the escape that raw begins with.
func unescape(raw []byte) (v byte, ok bool) {
	if len(raw) < 3 {
		return 0, false
	}
	hi, lo := unhex(raw[1]), unhex(raw[2])
	return hi<<4 | lo&15, hi < 16 && lo < 16
}

func unhex(c byte) byte {
	switch {
	case isDigit(c):
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 0xff
}

func appendEscape(dst []byte, c byte) []byte {
	const hex = "0123456789ABCDEF"
	return append(dst, '%', hex[c>>4], hex[c&15])
}
