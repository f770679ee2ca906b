package origin

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// Config describes one upstream. A zero field takes its default; everything
// else is checked by NewPool.
type Config struct {
	// Name is the upstream's name in the configuration, for errors and metrics.
	Name string
	// Peers are the origin servers: http://HOST[:PORT] or https://HOST[:PORT],
	// without a path. None at all is allowed: Pick then says ErrNoPeer.
	Peers []string
	// Balance is round_robin (the default), least_conn or hash.
	Balance string
	// Host says which Host field peers get: client (the default), origin (the
	// peer's own name), or a name that is sent as it stands.
	Host string
	// AllowPrivate lets peers that are configured by name resolve to loopback,
	// link-local and metadata addresses; never to 169.254.0.0/16.
	AllowPrivate bool
	// MaxConns bounds the requests that run on one peer at a time, and by that
	// its connections; 0 is no bound.
	MaxConns int
	// Queue bounds the requests that wait for one of a peer's MaxConns; 1024.
	// A negative one lets nobody wait.
	Queue int
	// Tries bounds the attempts for one request, each on another peer; 4.
	Tries int
	// FailAfter is the number of failures in a row after which a peer is
	// unhealthy; 3.
	FailAfter int
	// FailFor is how long it then stays so; 10s.
	FailFor time.Duration
	// TLS is used for peers with https.
	TLS TLSConfig
	// Timeouts bound the waits for a peer.
	Timeouts Timeouts
	// HeadBytes bounds the head of an answer, and its trailer section; 64 KiB.
	HeadBytes int
	// HeadLines bounds the field lines of a head; 500.
	HeadLines int
	// Resolver looks up peers that are configured by name; net.DefaultResolver.
	Resolver Resolver
}

// TLSConfig says how peers with https are verified.
type TLSConfig struct {
	CA       string // a file with the roots, instead of the system's
	Name     string // the name in the certificate and in SNI, instead of the peer's host
	Insecure bool   // verify nothing
}

// Timeouts bound the waits for a peer.
type Timeouts struct {
	// Connect bounds look-up, connect and TLS handshake together; 1s.
	Connect time.Duration
	// FirstByte bounds the wait from the request's last byte to the end of the
	// final answer's head; 30s.
	FirstByte time.Duration
	// Idle bounds each wait for more of a body and each write that the peer
	// does not take, and is how long an unused connection is kept; 60s.
	Idle time.Duration
}

// withDefaults returns c with its zero fields filled in.
func (c Config) withDefaults() Config {
	c.Balance = or(c.Balance, "round_robin")
	c.Host = or(c.Host, "client")
	c.Queue = or(c.Queue, 1024)
	c.Tries = or(c.Tries, 4)
	c.FailAfter = or(c.FailAfter, 3)
	c.FailFor = or(c.FailFor, 10*time.Second)
	c.Timeouts.Connect = or(c.Timeouts.Connect, time.Second)
	c.Timeouts.FirstByte = or(c.Timeouts.FirstByte, 30*time.Second)
	c.Timeouts.Idle = or(c.Timeouts.Idle, 60*time.Second)
	c.HeadBytes = or(c.HeadBytes, 64<<10)
	c.HeadLines = or(c.HeadLines, 500)
	if c.Resolver == nil {
		c.Resolver = net.DefaultResolver
	}
	return c
}

func or[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}

// check finds what NewPool must refuse; c has its defaults.
func (c Config) check() error {
	switch {
	case c.MaxConns < 0:
		return fmt.Errorf("max_conns is %d; give 0 for no bound, or more", c.MaxConns)
	case c.Tries < 1:
		return fmt.Errorf("tries is %d; give at least 1", c.Tries)
	case c.FailAfter < 1:
		return fmt.Errorf("fail.after is %d; give at least 1", c.FailAfter)
	case c.FailFor < 0:
		return fmt.Errorf("fail.for is %v; give a span above 0", c.FailFor)
	case c.Timeouts.Connect < 0, c.Timeouts.FirstByte < 0, c.Timeouts.Idle < 0:
		return errors.New("timeouts: give spans above 0")
	case c.HeadBytes < 0, c.HeadLines < 0:
		return errors.New("limits of an origin's head: give numbers above 0")
	}
	return nil
}

// tlsConfig reads the CA file.
func (c TLSConfig) tlsConfig() (*tls.Config, error) {
	out := &tls.Config{
		ServerName:         c.Name,
		InsecureSkipVerify: c.Insecure,
		MinVersion:         tls.VersionTLS12,
		NextProtos:         []string{"http/1.1"},
		ClientSessionCache: tls.NewLRUClientSessionCache(64),
	}
	if c.CA == "" {
		return out, nil
	}
	pem, err := os.ReadFile(c.CA)
	if err != nil {
		return nil, fmt.Errorf("tls.ca: %w", err)
	}
	out.RootCAs = x509.NewCertPool()
	if !out.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("tls.ca: %s holds no PEM certificate", c.CA)
	}
	return out, nil
}

// parsePeer reads one entry of Peers.
func parsePeer(raw string) (*url.URL, int, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, 0, fmt.Errorf("peer %q: %w", raw, err)
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, 0, fmt.Errorf("peer %q: the scheme must be http or https", raw)
	case u.Hostname() == "":
		return nil, 0, fmt.Errorf("peer %q: has no host", raw)
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		return nil, 0, fmt.Errorf("peer %q: give scheme, host and port only", raw)
	}
	port, err := peerPort(u)
	if err != nil {
		return nil, 0, fmt.Errorf("peer %q: %w", raw, err)
	}
	if addr, err := netip.ParseAddr(u.Hostname()); err == nil {
		if err := ruleLiteral.check(addr); err != nil {
			return nil, 0, fmt.Errorf("peer %q: %w", raw, err)
		}
	}
	return &url.URL{Scheme: u.Scheme, Host: hostPort(strings.ToLower(u.Hostname()), port)}, port, nil
}

func peerPort(u *url.URL) (int, error) {
	if u.Port() == "" {
		return map[string]int{"http": 80, "https": 443}[u.Scheme], nil
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil || port < 1 || port > 65535 {
		return 0, fmt.Errorf("port %q is not in 1 to 65535", u.Port())
	}
	return port, nil
}

// HostMode says which Host field an upstream's peers get. Its zero value is
// the client's.
type HostMode struct {
	origin bool
	name   string
}

// AppendHost appends the Host field for a request to p: client is the normalised
// host of the client's request.
func (m HostMode) AppendHost(b, client []byte, p *Peer) []byte {
	switch {
	case m.name != "":
		return append(b, m.name...)
	case m.origin:
		return append(b, p.hostField()...)
	}
	return append(b, client...)
}

func parseHostMode(s string) (HostMode, error) {
	switch s {
	case "client":
		return HostMode{}, nil
	case "origin":
		return HostMode{origin: true}, nil
	}
	if strings.ContainsAny(s, " \t\r\n/\\@?#,") {
		return HostMode{}, fmt.Errorf("host %q: give client, origin, or a name", s)
	}
	return HostMode{name: s}, nil
}
