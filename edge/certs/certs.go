// Package certs keeps the certificates that edge shows its clients, and what
// else of TLS is the same for all wires: versions, ciphers, session tickets. It
// knows nothing of what is spoken above.
package certs

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Config is what certificates are made of. A zero field is its default.
type Config struct {
	Pairs      []Files          // the first one is for clients that name no server, or an unknown one
	MinVersion uint16           // TLS 1.2
	Now        func() time.Time // time.Now
	Log        *slog.Logger     // hears of pairs that cannot be read again; nil = discard
}

// Issuer has certificates that are not in files.
type Issuer interface {
	// Certificate gives the one for a name in lower case; nil when there is none yet.
	Certificate(name string) *tls.Certificate
	// Challenge gives what proves to an authority that the name is ours (RFC 8737, 3);
	// nil when no authority is to ask for it now.
	Challenge(hello *tls.ClientHelloInfo) *tls.Certificate
}

// Certs chooses certificates by server name and reads them again when their
// files change. A pair that cannot be read stays as it was.
type Certs struct {
	config  Config
	issuer  Issuer // nil: files alone
	tickets tickets

	shelf    atomic.Pointer[shelf]
	nextAt   atomic.Int64 // Unix ns; the files are not looked at before
	reloaded atomic.Uint64
	failed   atomic.Uint64

	mu    sync.Mutex // one reload at a time
	pairs []pair
}

// pollEvery is how often the files are looked at, at most.
const pollEvery = time.Second

// New reads all pairs. Each must be readable now.
func New(config Config) (*Certs, error) {
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	config.MinVersion = max(config.MinVersion, tls.VersionTLS12)
	c := &Certs{config: config, tickets: tickets{now: config.Now}}
	for _, files := range config.Pairs {
		p := pair{files: files}
		if _, err := p.reload(); err != nil {
			return nil, err
		}
		c.pairs = append(c.pairs, p)
	}
	c.shelveLocked()
	c.nextAt.Store(config.Now().Add(pollEvery).UnixNano())
	return c, nil
}

// Use adds an issuer. It must be called before the first handshake.
func (c *Certs) Use(i Issuer) { c.issuer = i }

// GetCertificate is tls.Config's hook. Without a certificate it gives nil, which
// crypto/tls answers with the alert unrecognized_name.
func (c *Certs) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	now := c.config.Now()
	c.poll(now.UnixNano())
	sh, name := c.shelf.Load(), canonical(hello.ServerName)
	ask := asking{hello: *hello, now: now}
	ask.hello.ServerName = "" // the names are matched here
	if cert := ask.best(sh.exact[name]); cert != nil {
		return cert, nil
	}
	if c.issuer != nil && name != "" {
		if cert := c.issuer.Certificate(name); cert != nil {
			return cert, nil
		}
	}
	if cert := ask.best(sh.wild[parent(name)]); cert != nil {
		return cert, nil
	}
	return ask.best(sh.first), nil
}

// Reload reads all files again, whatever they look like. It answers a signal.
func (c *Certs) Reload() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.pairs {
		c.pairs[i].stamp = stamp{}
	}
	c.reloadLocked()
}

// poll looks at the files, at most once each pollEvery, on one handshake's time.
func (c *Certs) poll(now int64) {
	next := c.nextAt.Load()
	if now < next || !c.nextAt.CompareAndSwap(next, now+int64(pollEvery)) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reloadLocked()
}

// reloadLocked reads what has changed. A pair's trouble is logged and counted
// when it begins, not at each look.
func (c *Certs) reloadLocked() {
	changed := false
	for i := range c.pairs {
		p := &c.pairs[i]
		did, err := p.reload()
		changed = changed || did
		if did {
			c.reloaded.Add(1)
		}
		if err != nil && p.trouble == nil {
			c.failed.Add(1)
			c.config.Log.Error("certificate cannot be read again; the old one stays", "cert", p.files.Cert, "error", err)
		}
		p.trouble = err
	}
	if changed {
		c.shelveLocked()
	}
}

// shelveLocked puts what is loaded where handshakes look.
func (c *Certs) shelveLocked() {
	list := make([]*tls.Certificate, len(c.pairs))
	for i := range c.pairs {
		list[i] = c.pairs[i].loaded
	}
	c.shelf.Store(newShelf(list))
}

// Stats is what there is to know of the pairs.
type Stats struct {
	Pairs    []PairStats
	Reloaded uint64 // pairs that were read again
	Failed   uint64 // pairs that could not be read again, each once until it can
}

// PairStats is one pair.
type PairStats struct {
	Cert     string    // the file's name
	NotAfter time.Time // of the certificate in use
	Trouble  error     // why its files cannot be read; nil when they can
}

// Stats looks at the files, as a handshake does, and tells.
func (c *Certs) Stats() Stats {
	c.poll(c.config.Now().UnixNano())
	c.mu.Lock()
	defer c.mu.Unlock()
	s := Stats{Reloaded: c.reloaded.Load(), Failed: c.failed.Load()}
	for i := range c.pairs {
		p := &c.pairs[i]
		s.Pairs = append(s.Pairs, PairStats{p.files.Cert, p.loaded.Leaf.NotAfter, p.trouble})
	}
	return s
}

// Troubles says in a line each what a person should know.
func (c *Certs) Troubles() (lines []string) {
	now := c.config.Now()
	for _, p := range c.Stats().Pairs {
		if p.Trouble != nil {
			lines = append(lines, fmt.Sprintf("tls: certificate %s cannot be read again, the old one stays: %v", p.Cert, p.Trouble))
		}
		if now.After(p.NotAfter) {
			lines = append(lines, fmt.Sprintf("tls: certificate %s has expired", p.Cert))
		}
	}
	return lines
}
