package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// writePair makes a self-signed certificate for the names, in files.
func writePair(t testing.TB, dir, file string, serial int64, names ...string) Files {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: file},
		DNSNames: names, NotAfter: time.Now().Add(1000 * time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	files := Files{filepath.Join(dir, file+".crt"), filepath.Join(dir, file+".key")}
	writePEM(t, files.Cert, "CERTIFICATE", cert)
	writePEM(t, files.Key, "PRIVATE KEY", der)
	return files
}

func writePEM(t testing.TB, file, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestCertsByName(t *testing.T) {
	dir := t.TempDir()
	certs, err := New(Config{Pairs: []Files{
		writePair(t, dir, "first", 1, "first.test"),
		writePair(t, dir, "wild", 2, "*.wild.test"),
		writePair(t, dir, "all", 4, "*.exact.test"),
		writePair(t, dir, "exact", 3, "exact.test", "www.exact.test"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int64{"first.test": 1, "": 1, "unknown.test": 1, "a.wild.test": 2, "A.WILD.test": 2,
		"a.b.wild.test": 1, "wild.test": 1, "www.exact.test": 3, "exact.test.": 3, "b.exact.test": 4} {
		cert, err := certs.GetCertificate(hello(name))
		if err != nil || cert.Leaf.SerialNumber.Int64() != want {
			t.Errorf("%q: certificate %v, %v; want %d", name, cert.Leaf.SerialNumber, err, want)
		}
	}
	if _, err := New(Config{Pairs: []Files{{"none", "none"}}}); err == nil {
		t.Error("files that do not exist are no error")
	}
}

// hello is what a modern client says.
func hello(name string) *tls.ClientHelloInfo {
	return &tls.ClientHelloInfo{ServerName: name, SupportedVersions: []uint16{tls.VersionTLS13},
		SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256}, SupportedCurves: []tls.CurveID{tls.CurveP256}}
}

// TestCertsReload: changed files are taken at the next look; broken or half
// changed ones leave the old certificate, and are tried again.
func TestCertsReload(t *testing.T) {
	dir := t.TempDir()
	files := writePair(t, dir, "a", 1, "a.test")
	certs, err := New(Config{Pairs: []Files{files}})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now()
	serial := func() int64 {
		at = at.Add(2 * pollEvery)
		certs.poll(at.UnixNano())
		return certs.shelf.Load().first[0].Leaf.SerialNumber.Int64()
	}
	stamp := func(n int) {
		for _, f := range []string{files.Cert, files.Key} {
			when := time.Now().Add(time.Duration(n) * time.Hour)
			if err := os.Chtimes(f, when, when); err != nil {
				t.Fatal(err)
			}
		}
	}
	newer := writePair(t, t.TempDir(), "a", 2, "a.test")
	rename := func(from, to string) {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	rename(newer.Cert, files.Cert)
	stamp(1)
	if n := serial(); n != 1 {
		t.Errorf("only the certificate is new: serial %d, want 1", n)
	}
	rename(newer.Key, files.Key)
	if n := serial(); n != 2 {
		t.Errorf("both are new: serial %d, want 2", n)
	}
	writePEM(t, files.Cert, "NONSENSE", nil)
	stamp(2)
	if n := serial(); n != 2 {
		t.Errorf("broken: serial %d, want 2", n)
	}
	if err := os.Remove(files.Key); err != nil {
		t.Fatal(err)
	}
	if n := serial(); n != 2 {
		t.Errorf("gone: serial %d, want 2", n)
	}
	writePair(t, dir, "a", 3, "a.test")
	stamp(3)
	certs.poll(at.Add(pollEvery / 4).UnixNano())
	if n := certs.shelf.Load().first[0].Leaf.SerialNumber.Int64(); n != 2 {
		t.Error("looked again within a poll")
	}
	if n := serial(); n != 3 {
		t.Errorf("whole again: serial %d, want 3", n)
	}
}
