package h1

import (
	"bytes"

	"edgecache/edge/syntax"
)

// parseChunkLine splits the first line of a chunk (RFC 9112, 7.1): 1 to 16
// hexadecimal digits, then nothing or extensions, which start with ';'.
// Nothing stands between the two.
func parseChunkLine(line []byte) (size int64, extension []byte, ok bool) {
	digits := 0
	for digits < len(line) && syntax.Classes[line[digits]]&syntax.IsHex != 0 {
		if digits == 16 || size >= 1<<59 {
			return 0, nil, false
		}
		size = size<<4 | int64(hexValue(line[digits]))
		digits++
	}
	if digits == 0 || digits < len(line) && line[digits] != ';' {
		return 0, nil, false
	}
	return size, line[digits:], true
}

func hexValue(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

// validExtensions checks chunk extensions (RFC 9112, 7.1.1): any number of
// ";name", ";name=token" and ";name=\"quoted\"", with optional whitespace
// around the signs.
func validExtensions(b []byte) bool {
	for len(b) > 0 {
		if b[0] != ';' {
			return false
		}
		name, rest := cutToken(trimLeft(b[1:]))
		if len(name) == 0 {
			return false
		}
		b = trimLeft(rest)
		if len(b) == 0 || b[0] != '=' {
			if len(b) == 0 && len(rest) > 0 {
				return false // whitespace at the end
			}
			continue
		}
		var ok bool
		if rest, ok = cutValue(trimLeft(b[1:])); !ok {
			return false
		}
		b = trimLeft(rest)
		if len(b) == 0 && len(rest) > 0 {
			return false
		}
	}
	return true
}

// cutValue takes a token or a quoted string off.
func cutValue(b []byte) (rest []byte, ok bool) {
	if len(b) == 0 || b[0] != '"' {
		value, rest := cutToken(b)
		return rest, len(value) > 0
	}
	for i := 1; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			return b[i+1:], true
		case syntax.Classes[c]&syntax.InValue == 0:
			return nil, false
		case c == '\\':
			if i++; i == len(b) || syntax.Classes[b[i]]&syntax.InValue == 0 {
				return nil, false
			}
		}
	}
	return nil, false
}

func cutToken(b []byte) (token, rest []byte) {
	n := 0
	for n < len(b) && syntax.Classes[b[n]]&syntax.InToken != 0 {
		n++
	}
	return b[:n], b[n:]
}

func trimLeft(b []byte) []byte { return bytes.TrimLeft(b, " \t") }
