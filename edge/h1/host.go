package h1

import (
	"bytes"
	"net/netip"
)

// validHost says whether b is a host name or an address literal, with or
// without a port, and nothing odd (RFC 9110, 7.2). It is narrower than
// reg-name of RFC 3986: no percent-encoding, no sub-delimiters, no empty port.
func validHost(b []byte) bool {
	if len(b) > 0 && b[0] == '[' {
		end := bytes.IndexByte(b, ']')
		return end > 0 && validIPv6(b[1:end]) && validPort(b[end+1:])
	}
	end := bytes.IndexByte(b, ':')
	if end < 0 {
		end = len(b)
	}
	return end > 0 && end <= 255 && all(b[:end], inHost) && validPort(b[end:])
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
	if b[0] != ':' || len(b) < 2 || len(b) > 6 || !all(b[1:], isDigit) {
		return false
	}
	port := 0
	for _, c := range b[1:] {
		port = port*10 + int(c-'0')
	}
	return port <= 65535
}
