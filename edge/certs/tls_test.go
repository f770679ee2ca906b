package certs

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// clock is a time that tests turn.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

// shake has a client speak with a server and gives the client's view. A byte
// is read, so that a ticket behind the handshake arrives.
func shake(t *testing.T, server, client *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		conn := tls.Server(nc, server)
		if conn.Handshake() == nil {
			_, _ = conn.Write([]byte("."))
		}
	}()
	conn, err := tls.Dial("tcp", l.Addr().String(), client)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer conn.Close()
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		return tls.ConnectionState{}, err
	}
	return conn.ConnectionState(), nil
}

// writeRSA makes a pair with an RSA key.
func writeRSA(t *testing.T, dir, file string, serial int64, names ...string) Files {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), DNSNames: names, NotAfter: time.Now().Add(1000 * time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	files := Files{filepath.Join(dir, file+".crt"), filepath.Join(dir, file+".key")}
	writePEM(t, files.Cert, "CERTIFICATE", cert)
	writePEM(t, files.Key, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key))
	return files
}

// TestKeysForOneName: the elliptic key is shown to who can check it, whatever
// the order of the pairs, the other one to who cannot.
func TestKeysForOneName(t *testing.T) {
	dir := t.TempDir()
	certs, err := New(Config{Pairs: []Files{writeRSA(t, dir, "rsa", 1, "a.test"), writePair(t, dir, "ec", 2, "a.test")}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		server string
		suites []uint16
		want   int64
	}{
		{"a client that can both", "a.test", nil, 2},
		{"one that names no server", "", nil, 2},
		{"one that can RSA alone", "a.test", []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}, 1},
		{"one that can RSA alone and names no server", "", []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}, 1},
	} {
		client := &tls.Config{InsecureSkipVerify: true, ServerName: c.server}
		if c.suites != nil {
			client.MaxVersion, client.CipherSuites = tls.VersionTLS12, c.suites
		}
		state, err := shake(t, certs.TLS(), client)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := state.PeerCertificates[0].SerialNumber.Int64(); got != c.want {
			t.Errorf("%s: certificate %d, want %d", c.name, got, c.want)
		}
	}
}

// TestVersionsAndCiphers: 1.2 can be switched off, and what is not sound is not spoken.
func TestVersionsAndCiphers(t *testing.T) {
	dir := t.TempDir()
	pairs := []Files{writeRSA(t, dir, "rsa", 1, "a.test")}
	for _, c := range []struct {
		name   string
		least  uint16
		client *tls.Config
		want   uint16 // 0: refused
	}{
		{"the newest is taken", 0, &tls.Config{}, tls.VersionTLS13},
		{"1.2 is spoken", 0, &tls.Config{MaxVersion: tls.VersionTLS12}, tls.VersionTLS12},
		{"1.1 is not", tls.VersionTLS10, &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, 0},
		{"1.2 is not when 1.3 is the least", tls.VersionTLS13, &tls.Config{MaxVersion: tls.VersionTLS12}, 0},
		{"1.3 is then", tls.VersionTLS13, &tls.Config{}, tls.VersionTLS13},
		{"CBC is not spoken", 0, &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA}}, 0},
		{"a key that is always the same is not", 0, &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256}}, 0},
	} {
		certs, err := New(Config{Pairs: pairs, MinVersion: c.least})
		if err != nil {
			t.Fatal(err)
		}
		c.client.InsecureSkipVerify = true
		state, err := shake(t, certs.TLS(), c.client)
		if (err == nil) != (c.want != 0) || state.Version != c.want {
			t.Errorf("%s: version %x, %v; want %x", c.name, state.Version, err, c.want)
		}
	}
}

// TestTickets: a session is resumed across two turns of the keys and across a
// reload, from a clone of the configuration, too; after the third turn it is forgotten.
func TestTickets(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		time0 := &clock{time.Now()}
		dir := t.TempDir()
		files := writePair(t, dir, "a", 1, "a.test")
		certs, err := New(Config{Pairs: []Files{files}, Now: time0.now})
		if err != nil {
			t.Fatal(err)
		}
		server := certs.TLS()
		// The client keeps its first ticket: what opens it is the first key.
		kept := &firstTicket{}
		client := &tls.Config{InsecureSkipVerify: true, ServerName: "a.test", MaxVersion: version, ClientSessionCache: kept, Time: time0.now}
		for i, c := range []struct {
			name   string
			after  time.Duration
			change func()
			want   bool
		}{
			{"the first handshake", 0, func() {}, false},
			{"at once", 0, func() {}, true},
			{"by another listener", 0, func() { server = certs.TLS().Clone() }, true},
			{"behind one turn", ticketPeriod, func() {}, true},
			{"behind a reload", 0, func() { writePair(t, dir, "a", 2, "a.test"); certs.Reload() }, true},
			{"a moment before the third turn", 2*ticketPeriod - time.Second, func() {}, true},
			{"behind the third turn", time.Second, func() {}, false},
		} {
			time0.at = time0.at.Add(c.after)
			c.change()
			state, err := shake(t, server, client)
			if err != nil {
				t.Fatal(err)
			}
			if state.DidResume != c.want {
				t.Errorf("%x, %d, %s: resumed %v, want %v", version, i, c.name, state.DidResume, c.want)
			}
		}
		if n := len(certs.tickets.keys); n != ticketKeys {
			t.Errorf("%d keys are kept, want %d", n, ticketKeys)
		}
		before := certs.tickets.keys
		time0.at = time0.at.Add(100 * ticketPeriod)
		certs.tickets.turn()
		for _, key := range certs.tickets.keys {
			if slices.Contains(before, key) {
				t.Error("an edge that nobody asked for long keeps an old key")
			}
		}
	}
}

// firstTicket is a client's memory that keeps the first session.
type firstTicket struct{ session *tls.ClientSessionState }

func (f *firstTicket) Get(string) (*tls.ClientSessionState, bool) { return f.session, f.session != nil }

func (f *firstTicket) Put(_ string, s *tls.ClientSessionState) {
	if f.session == nil {
		f.session = s
	}
}

// TestTroubles: what cannot be read again, and what has expired, is told.
func TestTroubles(t *testing.T) {
	time0 := &clock{time.Now()}
	files := writePair(t, t.TempDir(), "a", 1, "a.test")
	certs, err := New(Config{Pairs: []Files{files}, Now: time0.now})
	if err != nil {
		t.Fatal(err)
	}
	if lines := certs.Troubles(); len(lines) != 0 {
		t.Errorf("troubles %q at the start", lines)
	}
	writePEM(t, files.Cert, "NONSENSE", nil)
	for range 3 {
		time0.at = time0.at.Add(2 * pollEvery)
		if lines := certs.Troubles(); len(lines) != 1 || !strings.Contains(lines[0], "cannot be read again") {
			t.Errorf("troubles %q with a broken file", lines)
		}
	}
	if s := certs.Stats(); s.Failed != 1 || s.Pairs[0].Trouble == nil || s.Pairs[0].Cert != files.Cert {
		t.Errorf("stats %+v, want one failure", s)
	}
	time0.at = time0.at.Add(1001 * time.Hour)
	if lines := certs.Troubles(); len(lines) != 2 || !strings.Contains(lines[1], "has expired") {
		t.Errorf("troubles %q when it has expired", lines)
	}
	*certs = Certs{config: certs.config, pairs: certs.pairs}
	writePair(t, filepath.Dir(files.Cert), "a", 3, "a.test")
	certs.Reload()
	if s := certs.Stats(); s.Reloaded != 1 || s.Pairs[0].Trouble != nil {
		t.Errorf("stats %+v, want it whole again", s)
	}
}

// proving is an issuer with one certificate and one challenge.
type proving struct{ cert, challenge *tls.Certificate }

func (p proving) Certificate(name string) *tls.Certificate {
	if name == "issued.test" {
		return p.cert
	}
	return nil
}

func (p proving) Challenge(hello *tls.ClientHelloInfo) *tls.Certificate {
	if hello.ServerName == "issued.test" {
		return p.challenge
	}
	return nil
}

// TestIssuer: an issuer's certificates are for its names alone, and a challenge
// is for who asks for nothing else.
func TestIssuer(t *testing.T) {
	load := func(serial int64) *tls.Certificate {
		files := writePair(t, t.TempDir(), "x", serial, "issued.test")
		cert, err := tls.LoadX509KeyPair(files.Cert, files.Key)
		if err != nil {
			t.Fatal(err)
		}
		return &cert
	}
	certs, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	certs.Use(proving{load(7), load(8)})
	server := certs.TLS()
	server.NextProtos = []string{"http/1.1"}
	for _, c := range []struct {
		name   string
		server string
		protos []string
		want   int64 // 0: refused
	}{
		{"its name", "issued.test", nil, 7},
		{"another", "other.test", nil, 0},
		{"none", "", nil, 0},
		{"its challenge", "issued.test", []string{Challenge}, 8},
		{"another's challenge", "other.test", []string{Challenge}, 0},
		{"a challenge beside something else", "issued.test", []string{Challenge, "http/1.1"}, 7},
	} {
		state, err := shake(t, server, &tls.Config{InsecureSkipVerify: true, ServerName: c.server, NextProtos: c.protos})
		got := int64(0)
		if err == nil {
			got = state.PeerCertificates[0].SerialNumber.Int64()
		}
		if got != c.want {
			t.Errorf("%s: certificate %d, %v; want %d", c.name, got, err, c.want)
		}
		if c.want == 0 && (err == nil || !strings.Contains(err.Error(), "unrecognized name")) {
			t.Errorf("%s: %v, want the alert unrecognized_name", c.name, err)
		}
	}
}
