package h1

import (
	"crypto/tls"
	"io"
	"net"
	"testing"
	"time"
)

// TestHandshakeFaults: each way in which a handshake fails is counted as what it is.
func TestHandshakeFaults(t *testing.T) {
	cert := selfSigned(t, "a.test")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(&stub{}, Config{HeaderTimeout: 500 * time.Millisecond})
	go s.Serve(l, &tls.Config{
		CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if hello.ServerName != "a.test" {
				return nil, nil
			}
			return &cert, nil
		},
	})
	t.Cleanup(func() {
		s.config.Drain = time.Millisecond
		_ = s.Shutdown(t.Context())
	})
	hello := func(c *tls.Config) func(net.Conn) {
		if c.ServerName == "" {
			c.ServerName = "a.test"
		}
		return func(nc net.Conn) {
			if tls.Client(nc, c).Handshake() == nil {
				_, _ = io.Copy(io.Discard, nc)
			}
		}
	}
	say := func(text string) func(net.Conn) {
		return func(nc net.Conn) {
			_, _ = io.WriteString(nc, text)
			_, _ = io.Copy(io.Discard, nc)
		}
	}
	for _, c := range []struct {
		name   string
		client func(net.Conn)
		want   HandshakeFault
	}{
		{"a version that is too old", hello(&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11, InsecureSkipVerify: true}), HandshakeVersion},
		{"no cipher in common", hello(&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}, InsecureSkipVerify: true}), HandshakeCipher},
		{"an unknown name", hello(&tls.Config{ServerName: "b.test", InsecureSkipVerify: true}), HandshakeName},
		{"no protocol in common", hello(&tls.Config{NextProtos: []string{"spdy/3"}, InsecureSkipVerify: true}), HandshakeProtocol},
		{"a client that does not trust us", hello(&tls.Config{}), HandshakeRefused},
		{"an old client that does not trust us", hello(&tls.Config{MaxVersion: tls.VersionTLS12}), HandshakeRefused},
		{"cleartext", say("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"), HandshakeNotTLS},
		{"a record of nonsense", say("\x16\x03\x01\x00\x08\x01\x00\x00\x04nono"), HandshakeMalformed},
		{"nothing, and gone", func(nc net.Conn) { nc.Close() }, HandshakeClosed},
		{"half a hello, and gone", func(nc net.Conn) { _, _ = io.WriteString(nc, "\x16\x03\x01\x00\x80\x01"); nc.Close() }, HandshakeClosed},
		{"silence", say(""), HandshakeTimeout},
	} {
		before := s.Stats().Handshakes
		nc, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		c.client(nc)
		nc.Close()
		after := before
		for end := time.Now().Add(10 * time.Second); after == before && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
			after = s.Stats().Handshakes
		}
		before[c.want]++
		if after != before {
			t.Errorf("%s: counted %v, want %v", c.name, after, before)
		}
	}
	if n := s.Stats().TLS12 + s.Stats().TLS13; n > 2 {
		t.Errorf("%d handshakes succeeded", n)
	}
}

// TestChallengeHandshake: behind a handshake that proved a name nothing is spoken.
func TestChallengeHandshake(t *testing.T) {
	cert := selfSigned(t, "a.test")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(&stub{}, Config{})
	go s.Serve(l, &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		return &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{challenge}}, nil
	}})
	t.Cleanup(func() { _ = s.Shutdown(t.Context()) })
	nc, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{challenge}})
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_, _ = io.WriteString(nc, get("/"))
	if got, _ := io.ReadAll(nc); len(got) > 0 {
		t.Errorf("answered %q over %s", got, challenge)
	}
	if n := s.Stats().Requests; n != 0 {
		t.Errorf("%d requests were read over %s", n, challenge)
	}
}
