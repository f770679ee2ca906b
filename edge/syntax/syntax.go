// Package syntax knows which bytes may stand where in a request, for every wire:
// tokens, targets, field values, hosts (RFC 9110, 5.5, 5.6.2, 7.2). It is strict where
// two machines might read differently.
package syntax

import (
	"bytes"
	"net/netip"
)

// Class is a set of the roles that a byte may have.
type Class uint8

// The roles of a byte.
const (
	InToken  Class = 1 << iota // RFC 9110, 5.6.2
	InTarget                   // visible ASCII but '#': RFC 3986 without fragments, and what browsers leave unescaped
	InValue                    // RFC 9110, 5.5: field-vchar, SP, HTAB, obs-text
	inHost                     // reg-name without what no host name has
	IsDigit
	IsHex
)

// Classes tells each byte's roles.
var Classes = func() (t [256]Class) {
	for i := range t {
		c := byte(i)
		digit := c >= '0' && c <= '9'
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if digit {
			t[i] |= IsDigit
		}
		if digit || letter && c|0x20 <= 'f' {
			t[i] |= IsHex
		}
		if digit || letter {
			t[i] |= InToken | inHost
		}
		if c > ' ' && c < 0x7f && c != '#' {
			t[i] |= InTarget
		}
		if c >= ' ' && c != 0x7f || c == '\t' {
			t[i] |= InValue
		}
	}
	for _, c := range []byte("!#$%&'*+-.^_`|~") {
		t[c] |= InToken
	}
	for _, c := range []byte("-._~") {
		t[c] |= inHost
	}
	return t
}()

// All says whether every byte of b has the role.
func All[T string | []byte](b T, role Class) bool {
	for i := range len(b) {
		if Classes[b[i]]&role == 0 {
			return false
		}
	}
	return true
}

// Trim takes optional whitespace off both ends (RFC 9110, 5.6.3).
func Trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// ValidHost says whether b is a host name or an address literal, with or
// without a port, and nothing odd (RFC 9110, 7.2). It is narrower than
// reg-name of RFC 3986: no percent-encoding, no sub-delimiters, no empty port.
func ValidHost(b []byte) bool {
	if len(b) > 0 && b[0] == '[' {
		end := bytes.IndexByte(b, ']')
		return end > 0 && validIPv6(b[1:end]) && validPort(b[end+1:])
	}
	end := bytes.IndexByte(b, ':')
	if end < 0 {
		end = len(b)
	}
	return end > 0 && end <= 255 && All(b[:end], inHost) && validPort(b[end:])
}

// validIPv6 takes an address without a zone.
func validIPv6(b []byte) bool {
	a, err := netip.ParseAddr(string(b))
	return err == nil && a.Is6() && a.Zone() == ""
}

// validPort takes nothing, or a colon and 1 to 5 digits up to 65535.
func validPort(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	if b[0] != ':' || len(b) < 2 || len(b) > 6 || !All(b[1:], IsDigit) {
		return false
	}
	port := 0
	for _, c := range b[1:] {
		port = port*10 + int(c-'0')
	}
	return port <= 65535
}

// Method gives the usual names without allocating.
func Method(b []byte) string {
	switch string(b) {
	case "GET":
		return "GET"
	case "HEAD":
		return "HEAD"
	case "POST":
		return "POST"
	case "PUT":
		return "PUT"
	case "PATCH":
		return "PATCH"
	case "DELETE":
		return "DELETE"
	case "OPTIONS":
		return "OPTIONS"
	case "PURGE":
		return "PURGE"
	}
	return string(b)
}

// SameAuthority compares two hosts without regard to case and default port.
func SameAuthority(a, b []byte, scheme string) bool {
	port := ":80"
	if scheme == "https" {
		port = ":443"
	}
	a, b = bytes.TrimSuffix(a, []byte(port)), bytes.TrimSuffix(b, []byte(port))
	return bytes.EqualFold(a, b)
}
