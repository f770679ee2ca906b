package origin

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
)

// Resolver looks up the addresses of a peer that is configured by name.
// *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// addrRule says which addresses a peer may be reached at. A literal address or
// localhost is what the operator wrote and is taken; a name is whatever its
// DNS says today, so it may not lead to the machine itself, to link-local or
// to a metadata service unless allow_private is set. 169.254.0.0/16 is never
// allowed. RFC 1918 networks are where origins live and are not restricted.
type addrRule uint8

const (
	ruleLiteral addrRule = iota
	ruleLocalhost
	ruleName
	ruleNameAny // a name, with allow_private
)

func ruleOf(host string, allowPrivate bool) addrRule {
	if _, err := netip.ParseAddr(host); err == nil {
		return ruleLiteral
	}
	switch {
	case allowPrivate:
		return ruleNameAny
	case strings.EqualFold(strings.TrimSuffix(host, "."), "localhost"):
		return ruleLocalhost
	}
	return ruleName
}

// check returns ErrForbiddenAddress, wrapped, for an address that the rule
// does not allow.
func (r addrRule) check(addr netip.Addr) error {
	inner := embedded(addr)
	if neverAllowed(inner) {
		return fmt.Errorf("%s: %w", addr, ErrForbiddenAddress)
	}
	switch {
	case r == ruleLiteral, r == ruleNameAny:
		return nil
	case r == ruleLocalhost && inner.IsLoopback():
		return nil
	case private(inner):
		return fmt.Errorf("%s: %w (allow_private is off)", addr, ErrForbiddenAddress)
	}
	return nil
}

var linkLocal4 = netip.MustParsePrefix("169.254.0.0/16")

func neverAllowed(addr netip.Addr) bool {
	return !addr.IsValid() || linkLocal4.Contains(addr) || addr.IsMulticast()
}

// metadata lists the addresses outside link-local at which clouds answer
// with credentials.
var metadata = []netip.Prefix{
	netip.MustParsePrefix("fd00:ec2::254/128"),  // AWS over IPv6
	netip.MustParsePrefix("fd20:ce::254/128"),   // Google over IPv6
	netip.MustParsePrefix("100.100.100.200/32"), // Alibaba
	netip.MustParsePrefix("192.0.0.192/32"),     // Oracle
	netip.MustParsePrefix("168.63.129.16/32"),   // Azure
}

var thisNetwork = netip.MustParsePrefix("0.0.0.0/8") // Linux takes it for loopback

func private(addr netip.Addr) bool {
	if addr.IsLoopback() || addr.IsLinkLocalUnicast() || addr.IsUnspecified() ||
		thisNetwork.Contains(addr) {
		return true
	}
	for _, p := range metadata {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

var (
	nat64     = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052, 2.1
	compat4   = netip.MustParsePrefix("::/96")        // RFC 4291, 2.5.5.1
	sixToFour = netip.MustParsePrefix("2002::/16")    // RFC 3056, 2
)

// embedded returns the IPv4 address that an IPv6 address stands for, or the
// address itself, without its zone.
func embedded(addr netip.Addr) netip.Addr {
	addr = addr.Unmap().WithZone("")
	if !addr.Is6() || addr == netip.IPv6Loopback() || addr.IsUnspecified() {
		return addr
	}
	b := addr.As16()
	switch {
	case nat64.Contains(addr), compat4.Contains(addr):
		return netip.AddrFrom4([4]byte(b[12:16]))
	case sixToFour.Contains(addr):
		return netip.AddrFrom4([4]byte(b[2:6]))
	}
	return addr
}
