// Package certs keeps the certificates that edge shows its clients, and what
// else of TLS is the same for all wires. It knows nothing of what is spoken above.
package certs

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Files names a certificate chain and its key, both PEM.
type Files struct{ Cert, Key string }

// Certs chooses certificates by server name and reads them again when their
// files change. A pair that cannot be read stays as it was.
type Certs struct {
	Log *slog.Logger // hears of pairs that cannot be read again; may be nil

	current atomic.Pointer[[]*tls.Certificate] // in the order of the pairs
	nextAt  atomic.Int64                       // Unix ns; the files are not looked at before

	mu    sync.Mutex // one reload at a time
	pairs []pair
}

// pair is one pair and what its files looked like when they were read.
type pair struct {
	files  Files
	stamp  stamp
	loaded *tls.Certificate
	failed bool // the last try; said once
}

type stamp struct {
	certAt, keyAt     time.Time
	certSize, keySize int64
}

// pollEvery is how often the files are looked at, at most.
const pollEvery = time.Second

// New reads all pairs. Each must be readable now. The first one is for
// clients that name no server, or one that no certificate is for.
func New(pairs []Files) (*Certs, error) {
	if len(pairs) == 0 {
		return nil, errors.New("no certificate given")
	}
	c := &Certs{}
	list := make([]*tls.Certificate, 0, len(pairs))
	for _, files := range pairs {
		p := pair{files: files}
		if _, err := p.reload(); err != nil {
			return nil, err
		}
		c.pairs = append(c.pairs, p)
		list = append(list, p.loaded)
	}
	c.current.Store(&list)
	c.nextAt.Store(time.Now().Add(pollEvery).UnixNano())
	return c, nil
}

// GetCertificate is tls.Config's hook.
func (c *Certs) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.poll(time.Now().UnixNano())
	list := *c.current.Load()
	name := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	var second *tls.Certificate
	for _, cert := range list {
		if !certFor(cert, name) {
			continue
		}
		if hello.SupportsCertificate(cert) == nil {
			return cert, nil
		}
		if second == nil {
			second = cert
		}
	}
	if second != nil {
		return second, nil
	}
	return list[0], nil
}

// certFor says whether the certificate names the server, exactly or by a
// wildcard for its first label (RFC 6125, 6.4.3).
func certFor(cert *tls.Certificate, name string) bool {
	_, parent, _ := strings.Cut(name, ".")
	for _, n := range cert.Leaf.DNSNames {
		n = strings.ToLower(n)
		if n == name || parent != "" && n == "*."+parent {
			return true
		}
	}
	return false
}

// poll looks at the files, at most once each pollEvery, on one handshake's time.
func (c *Certs) poll(now int64) {
	next := c.nextAt.Load()
	if now < next || !c.nextAt.CompareAndSwap(next, now+int64(pollEvery)) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	changed := false
	list := make([]*tls.Certificate, len(c.pairs))
	for i := range c.pairs {
		p := &c.pairs[i]
		did, err := p.reload()
		changed = changed || did
		if err != nil && !p.failed && c.Log != nil {
			c.Log.Error("certificate cannot be read again; the old one stays", "cert", p.files.Cert, "error", err)
		}
		p.failed = err != nil
		list[i] = p.loaded
	}
	if changed {
		c.current.Store(&list)
	}
}

// reload reads the pair if its files have changed. A pair of which only one
// file is new yet does not fit together, and is tried again at the next poll.
func (p *pair) reload() (changed bool, err error) {
	stamp, err := stampOf(p.files)
	if err != nil || p.loaded != nil && stamp == p.stamp {
		return false, err
	}
	cert, err := tls.LoadX509KeyPair(p.files.Cert, p.files.Key)
	if err != nil {
		return false, fmt.Errorf("read certificate %s and key %s: %w", p.files.Cert, p.files.Key, err)
	}
	p.loaded, p.stamp = &cert, stamp
	return true, nil
}

func stampOf(f Files) (s stamp, err error) {
	cert, err := os.Stat(f.Cert)
	if err != nil {
		return s, err
	}
	key, err := os.Stat(f.Key)
	if err != nil {
		return s, err
	}
	return stamp{cert.ModTime(), key.ModTime(), cert.Size(), key.Size()}, nil
}
