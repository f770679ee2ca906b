package certs

import "crypto/tls"

// Challenge is the protocol by which an authority asks for a challenge's
// certificate (RFC 8737, 4). Nothing is spoken over it; who served the handshake closes.
const Challenge = "acme-tls/1"

// suites are the ciphers of TLS 1.2: a key for each connection, and encryption
// that authenticates (RFC 9325, 4.2). Those of TLS 1.3 are all sound.
var suites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// TLS makes the configuration of a listener. What is spoken (NextProtos) is the
// caller's; it may clone the configuration, the tickets stay the same.
func (c *Certs) TLS() *tls.Config {
	config := &tls.Config{
		MinVersion: c.config.MinVersion, CipherSuites: suites,
		GetCertificate: c.GetCertificate, Time: c.config.Now,
		WrapSession: c.tickets.wrap, UnwrapSession: c.tickets.unwrap,
	}
	if c.issuer != nil {
		config.GetConfigForClient = c.forAuthority
	}
	return config
}

// forAuthority gives the configuration for a handshake that proves a name; nil
// for all others. RFC 8737, 3: the authority offers that one protocol alone.
func (c *Certs) forAuthority(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	if len(hello.SupportedProtos) != 1 || hello.SupportedProtos[0] != Challenge {
		return nil, nil
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, CipherSuites: suites, NextProtos: []string{Challenge}, SessionTicketsDisabled: true,
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) { return c.issuer.Challenge(hello), nil },
	}, nil
}
