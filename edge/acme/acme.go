// Package acme gets certificates for configured names from an authority that
// speaks ACME (RFC 8555), and renews them. It is the one door to certmagic. Names
// that are not configured never cause an order.
package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
)

// Config says for which names certificates are had, and from whom.
type Config struct {
	Names     []string       // host names in lower case, no wildcards
	Email     string         // of the account
	Directory string         // URL of the authority
	Roots     *x509.CertPool // who vouches for the directory; nil: those of the machine
	Storage   string         // directory of account, keys and certificates
	HTTP      string         // HOST:PORT of a cleartext listener that answers by Answer; "": no HTTP-01
	TLS       string         // HOST:PORT of a TLS listener that answers by Challenge; "": no TLS-ALPN-01
	Check     time.Duration  // how often is looked for what must be renewed; 10 min
	Log       *slog.Logger
}

// The bounds of what an authority is asked: one order at a time, each at most
// orderTime; after one that failed the name waits, each time four times as long.
// So a name makes five orders in its first hour and then one an hour.
const (
	orderTime  = 3 * time.Minute
	retryLeast = 10 * time.Second
	retryMost  = time.Hour
)

// Issuer has the certificates of the configured names.
type Issuer struct {
	config Config
	names  map[string]bool
	cache  *certmagic.Cache
	magic  *certmagic.Config

	obtained, renewed, failed atomic.Uint64

	stop func()
	done chan struct{}

	mu       sync.Mutex
	troubles map[string]error // of the last order for a name, if it failed
}

// Open loads what the storage has. Nothing is ordered before Start.
func Open(c Config) (*Issuer, error) {
	i := &Issuer{config: c, names: map[string]bool{}, troubles: map[string]error{}, stop: func() {}, done: make(chan struct{})}
	close(i.done)
	if err := os.MkdirAll(c.Storage, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of certificates: %w", err)
	}
	log := zapLog(c.Log)
	i.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert:   func(certmagic.Certificate) (*certmagic.Config, error) { return i.magic, nil },
		RenewCheckInterval: c.Check, Logger: log,
	})
	i.magic = certmagic.New(i.cache, certmagic.Config{
		Storage: &certmagic.FileStorage{Path: c.Storage}, Logger: log, OnEvent: i.hear,
		OCSP: certmagic.OCSPConfig{DisableStapling: true},
	})
	host, httpPort, tlsPort := c.ports()
	i.magic.Issuers = []certmagic.Issuer{certmagic.NewACMEIssuer(i.magic, certmagic.ACMEIssuer{
		CA: c.Directory, Email: c.Email, Agreed: true, TrustedRoots: c.Roots, Logger: log, CertObtainTimeout: orderTime,
		ListenHost: host, AltHTTPPort: httpPort, AltTLSALPNPort: tlsPort,
		DisableHTTPChallenge: c.HTTP == "", DisableTLSALPNChallenge: c.TLS == "",
	})}
	for _, name := range c.Names {
		i.names[name] = true
		if _, err := i.magic.CacheManagedCertificate(context.Background(), name); err != nil && !errors.Is(err, os.ErrNotExist) {
			c.Log.Warn("stored certificate cannot be used; another is ordered", "name", name, "error", err)
		}
	}
	return i, nil
}

// ports says where certmagic is to find that somebody listens already. It has
// one host for both listeners; when they differ, every address is asked for,
// which is just as taken.
func (c *Config) ports() (host string, httpPort, tlsPort int) {
	split := func(address string) (string, int) {
		host, port, _ := net.SplitHostPort(address)
		n, _ := strconv.Atoi(port)
		return host, n
	}
	host, httpPort = split(c.HTTP)
	other, tlsPort := split(c.TLS)
	switch {
	case c.HTTP == "":
		host = other
	case c.TLS != "" && other != host:
		host = ""
	}
	return host, httpPort, tlsPort
}

// Start begins to order what is missing, in the background. What is there is
// renewed by certmagic when a third of its life, or what the authority says, is left.
func (i *Issuer) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	i.stop, i.done = cancel, make(chan struct{})
	go func() {
		defer close(i.done)
		i.run(ctx)
	}()
}

// waiting is a name that has no certificate yet.
type waiting struct {
	name  string
	at    time.Time
	pause time.Duration
}

// run orders one certificate after the other until every name has one.
func (i *Issuer) run(ctx context.Context) {
	var missing []waiting
	for _, name := range i.config.Names {
		if i.Certificate(name) == nil {
			missing = append(missing, waiting{name: name, pause: retryLeast})
		}
	}
	for len(missing) > 0 {
		next := 0
		for n := range missing {
			if missing[n].at.Before(missing[next].at) {
				next = n
			}
		}
		w := &missing[next]
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(w.at)):
		}
		if i.order(ctx, w) {
			missing = append(missing[:next], missing[next+1:]...)
		}
	}
}

// order asks for one certificate.
func (i *Issuer) order(ctx context.Context, w *waiting) bool {
	limited, cancel := context.WithTimeout(ctx, orderTime)
	defer cancel()
	err := i.magic.ManageSync(limited, []string{w.name})
	if ctx.Err() != nil {
		return false
	}
	i.tell(w.name, err)
	if err == nil {
		return true
	}
	i.failed.Add(1)
	i.config.Log.Error("no certificate from the authority yet", "name", w.name, "error", err, "again_in", w.pause.String())
	w.at = time.Now().Add(w.pause)
	w.pause = min(4*w.pause, retryMost)
	return false
}

func (i *Issuer) tell(name string, err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if err == nil {
		delete(i.troubles, name)
		return
	}
	i.troubles[name] = err
}

// hear is told by certmagic what happens.
func (i *Issuer) hear(_ context.Context, event string, data map[string]any) error {
	name, _ := data["identifier"].(string)
	renewal, _ := data["renewal"].(bool)
	switch {
	case event == "cert_obtained" && renewal:
		i.renewed.Add(1)
		i.tell(name, nil)
		i.config.Log.Info("certificate renewed", "name", name)
	case event == "cert_obtained":
		i.obtained.Add(1)
		i.config.Log.Info("certificate obtained", "name", name)
	case event == "cert_failed" && renewal:
		i.failed.Add(1)
		err, _ := data["error"].(error)
		i.tell(name, fmt.Errorf("renewal: %w", err))
		i.config.Log.Error("certificate not renewed yet; the old one stays", "name", name, "error", err)
	}
	return nil
}

// Certificate gives the one for a configured name; nil when there is none yet.
func (i *Issuer) Certificate(name string) *tls.Certificate {
	if !i.names[name] {
		return nil
	}
	var best *tls.Certificate
	for _, c := range i.cache.AllMatchingCertificates(name) {
		if best == nil || c.Leaf.NotAfter.After(best.Leaf.NotAfter) {
			best = &c.Certificate
		}
	}
	return best
}

// Challenge gives the certificate that proves a name (TLS-ALPN-01, RFC 8737);
// nil when no order for it runs.
func (i *Issuer) Challenge(hello *tls.ClientHelloInfo) *tls.Certificate {
	if !i.names[hello.ServerName] {
		return nil
	}
	if active, ok := certmagic.GetACMEChallenge(hello.ServerName); !ok || active.Type != "tls-alpn-01" {
		return nil
	}
	cert, err := i.magic.GetCertificate(hello)
	if err != nil {
		return nil
	}
	return cert
}

// Prefix is how the paths begin that an authority asks for (RFC 8555, 8.3).
const Prefix = "/.well-known/acme-challenge/"

// Answer gives what an authority is to find under a path of a host (HTTP-01);
// nil when no order runs that has such a token.
func (i *Issuer) Answer(host, path []byte) []byte {
	name := string(host)
	if bare, _, err := net.SplitHostPort(name); err == nil {
		name = bare
	}
	if name = strings.ToLower(name); !i.names[name] {
		return nil
	}
	active, ok := certmagic.GetACMEChallenge(name)
	if !ok || active.Type != "http-01" || string(path) != Prefix+active.Token {
		return nil
	}
	return []byte(active.KeyAuthorization)
}

// Stats is what has been done, and what there is.
type Stats struct {
	Obtained, Renewed, Failed uint64
	Names                     []NameStats
}

// NameStats is one name.
type NameStats struct {
	Name     string
	NotAfter time.Time // zero: there is no certificate yet
	Trouble  error     // of the last order or renewal
}

// Stats tells, in the order of the names.
func (i *Issuer) Stats() Stats {
	i.mu.Lock()
	defer i.mu.Unlock()
	s := Stats{Obtained: i.obtained.Load(), Renewed: i.renewed.Load(), Failed: i.failed.Load()}
	for _, name := range i.config.Names {
		n := NameStats{Name: name, Trouble: i.troubles[name]}
		if cert := i.Certificate(name); cert != nil {
			n.NotAfter = cert.Leaf.NotAfter
		}
		s.Names = append(s.Names, n)
	}
	return s
}

// Close ends what runs in the background and gives its locks back.
func (i *Issuer) Close() {
	i.stop()
	<-i.done
	i.cache.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	certmagic.CleanUpOwnLocks(ctx, zapLog(i.config.Log))
}
