package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// gate decides who gets in. It never changes.
type gate struct {
	hosts    map[string]bool // host names and addresses, lower case, without port
	anywhere bool            // the port listens on every address: any literal address may be in Host
	token    [sha256.Size]byte
	closed   bool // there is no token: /v1 is shut
}

func newGate(c Config) gate {
	g := gate{
		hosts:  map[string]bool{"localhost": true, "127.0.0.1": true, "::1": true},
		token:  sha256.Sum256([]byte(c.Token)),
		closed: c.Token == "",
	}
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		host = c.Listen
	}
	if a, err := netip.ParseAddr(host); host == "" || err == nil && a.IsUnspecified() {
		g.anywhere = true
	} else {
		g.hosts[bare(host)] = true
	}
	for _, h := range c.Hosts {
		g.hosts[bare(h)] = true
	}
	return g
}

// bare takes port, brackets and a trailing dot off a host.
func bare(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// judge gives the status that turns a request away, or 200.
func (g *gate) judge(r *http.Request) (status int, why string) {
	if _, crossed := r.Header["Origin"]; crossed {
		return http.StatusForbidden, "requests of web pages are not taken"
	}
	if !g.knows(r.Host) {
		return http.StatusForbidden, "this port is not known by that Host"
	}
	if !strings.HasPrefix(r.URL.Path, "/v1/") && r.URL.Path != "/v1" {
		return http.StatusOK, ""
	}
	if !g.admits(r.Header.Values("Authorization")) {
		return http.StatusUnauthorized, "give the admin token: Authorization: Bearer TOKEN"
	}
	return http.StatusOK, ""
}

func (g *gate) knows(host string) bool {
	name := bare(host)
	if g.hosts[name] {
		return true
	}
	a, err := netip.ParseAddr(name)
	return err == nil && (a.IsLoopback() || g.anywhere)
}

// admits compares the token in a time that depends on neither.
func (g *gate) admits(fields []string) bool {
	if len(fields) != 1 || g.closed {
		return false
	}
	scheme, token, ok := strings.Cut(fields[0], " ")
	given := sha256.Sum256([]byte(strings.TrimLeft(token, " ")))
	same := subtle.ConstantTimeCompare(given[:], g.token[:]) == 1
	return ok && strings.EqualFold(scheme, "Bearer") && same
}
