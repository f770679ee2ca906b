package main

import (
	"fmt"

	"edgecache/edge"
	"edgecache/edge/acme"
)

// openACME makes the issuer of certificates that the settings describe; nil
// when they describe none. It orders nothing yet.
func (r *running) openACME() (*acme.Issuer, error) {
	s := &r.settings.tls.acme
	if !s.given {
		return nil, nil
	}
	roots, err := s.roots()
	if err != nil {
		return nil, err
	}
	c := acme.Config{
		Names: s.names, Email: s.email, Directory: s.directory, Roots: roots,
		Storage: s.place(), Check: s.check, Log: r.log,
	}
	if s.takes("http-01") && len(r.plain) > 0 {
		c.HTTP = r.plain[0].Addr().String()
	}
	if s.takes("tls-alpn-01") {
		c.TLS = r.secure[0].Addr().String()
	}
	issuer, err := acme.Open(c)
	if err != nil {
		return nil, fmt.Errorf("tls.acme.storage: %w", err)
	}
	r.certs.Use(issuer)
	return issuer, nil
}

// tlsStats gives the certificates' state under the names of the metrics.
func (r *running) tlsStats() edge.TLSStats {
	s := r.certs.Stats()
	t := edge.TLSStats{Reloaded: s.Reloaded, ReloadFailed: s.Failed}
	for _, p := range s.Pairs {
		t.Certs = append(t.Certs, edge.CertStats{Source: "file", Cert: p.Cert, NotAfter: p.NotAfter})
	}
	if r.in.issuer == nil {
		return t
	}
	issued := r.in.issuer.Stats()
	t.Orders = map[string]uint64{"obtained": issued.Obtained, "renewed": issued.Renewed, "failed": issued.Failed}
	for _, n := range issued.Names {
		if !n.NotAfter.IsZero() {
			t.Certs = append(t.Certs, edge.CertStats{Source: "acme", Cert: n.Name, NotAfter: n.NotAfter})
		}
	}
	return t
}

// troubles are the lines that /readyz tells behind "ready".
func (r *running) troubles() []string {
	lines := r.in.troubles()
	if r.certs != nil {
		lines = append(lines, r.certs.Troubles()...)
	}
	if r.in.issuer == nil {
		return lines
	}
	for _, n := range r.in.issuer.Stats().Names {
		switch {
		case n.Trouble != nil:
			lines = append(lines, fmt.Sprintf("tls: no new certificate for %s: %s", n.Name, oneLine(n.Trouble)))
		case n.NotAfter.IsZero():
			lines = append(lines, fmt.Sprintf("tls: no certificate for %s yet: it is ordered", n.Name))
		}
	}
	return lines
}
