package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// writeCertificate makes a certificate for a name and gives its files.
func writeCertificate(t *testing.T, name string) (cert, key string, roots *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: raw}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots = x509.NewCertPool()
	roots.AddCert(parsed)
	return cert, key, roots
}

// TestServesTLS: flags alone make an HTTPS edge.
func TestServesTLS(t *testing.T) {
	origin := httptest.NewServer(http.HandlerFunc(answerOrigin))
	defer origin.Close()
	cert, key, roots := writeCertificate(t, "www.example")
	p := start(t, []string{"HOME=" + t.TempDir()}, anywhere("--origin", origin.URL, "--tls-listen", "127.0.0.1:0", "--cert", cert, "--key", key)...)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "www.example"}}}
	defer client.CloseIdleConnections()
	for _, want := range []string{"fwd=", "hit"} {
		req, _ := http.NewRequest(http.MethodGet, "https://"+p.said.TLSListen[0]+"/x", nil)
		req.Host = "www.example"
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(io.Discard, res.Body) // who has seen all of it finds it stored
		res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if got := res.Header.Get("Cache-Status"); res.StatusCode != 200 || !strings.Contains(got, want) {
			t.Errorf("%d with Cache-Status %q, want %q in it", res.StatusCode, got, want)
		}
	}
	if err := os.WriteFile(cert, []byte("half a renewal"), 0o600); err != nil {
		t.Fatal(err)
	}
	await(t, "a renewal that cannot be read is told", func() bool {
		conn, err := tls.Dial("tcp", p.said.TLSListen[0], &tls.Config{RootCAs: roots, ServerName: "www.example"})
		if err != nil {
			t.Fatalf("the old certificate does not stay: %v", err)
		}
		conn.Close()
		return strings.Contains(p.err.String(), "certificate cannot be read again; the old one stays")
	})
	admin := "http://" + p.said.Admin
	if status, _, body := get(t, admin+"/readyz"); status != 200 || !strings.Contains(body, "cannot be read again, the old one stays") {
		t.Errorf("readyz: %d %q, want 200 and the trouble", status, body)
	}
	_, _, metrics := get(t, admin+"/metrics")
	for _, want := range []string{
		`edge_tls_cert_reloads_total{outcome="failed"} 1`, `edge_tls_cert_expiry_seconds{cert="` + cert + `",source="file"}`,
		`edge_tls_handshakes_total{resumed="false",version="1.3"}`, `edge_tls_handshake_failures_total{reason="version"} 0`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s in /metrics", want)
		}
	}
	newCert, newKey, newRoots := writeCertificate(t, "www.example")
	for from, to := range map[string]string{newCert: cert, newKey: key} {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	await(t, "the new certificate is shown", func() bool {
		conn, err := tls.Dial("tcp", p.said.TLSListen[0], &tls.Config{RootCAs: newRoots, ServerName: "www.example"})
		if err != nil {
			return false
		}
		return conn.Close() == nil
	})
	if _, _, body := get(t, admin+"/readyz"); body != "ready\n" {
		t.Errorf("readyz %q behind the renewal, want ready alone", body)
	}
	t.Setenv("HOME", t.TempDir())
	code, _, said := runEdge(t, anywhere("--origin", origin.URL, "--tls-listen", "127.0.0.1:0", "--cert", cert, "--key", cert)...)
	if code != exitFailed || !strings.Contains(said, "tls.certs: ") {
		t.Errorf("a key that is none: exit code %d, %q", code, said)
	}
}

// TestOutlivesItsLogReader: the program that reads the access log dies.
func TestOutlivesItsLogReader(t *testing.T) {
	origin := httptest.NewServer(http.HandlerFunc(answerOrigin))
	defer origin.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := startWith(t, []string{"HOME=" + t.TempDir()}, func(c *exec.Cmd) { c.Stdout = w }, anywhere("--origin", origin.URL)...)
	w.Close()
	url := "http://" + p.said.Listen[0] + "/x"
	get(t, url)
	line, err := bufio.NewReader(r).ReadBytes('\n')
	if err != nil || !json.Valid(line) {
		t.Errorf("the first line is %q (%v)", line, err)
	}
	r.Close()
	get(t, url)
	await(t, "a line is lost", func() bool {
		_, _, body := get(t, "http://"+p.said.Admin+"/metrics")
		return strings.Contains(body, `edge_access_log_lines_total{outcome="lost"} 1`)
	})
	if status, _, _ := get(t, url); status != 200 {
		t.Errorf("without a reader of the log: %d", status)
	}
	if code := p.end(syscall.SIGTERM); code != exitWell {
		t.Errorf("exit code %d: %s", code, p.err)
	}
}

// TestLogFollowsAnEdge: edge log prints a line for each request that it is
// asked for.
func TestLogFollowsAnEdge(t *testing.T) {
	origin := httptest.NewServer(http.HandlerFunc(answerOrigin))
	defer origin.Close()
	home := t.TempDir()
	p := start(t, []string{"HOME=" + home}, anywhere("--origin", origin.URL, "--access-log", "off")...)
	follow := exec.Command("edge", "log", "--cache", "hit", "--admin", p.said.Admin)
	follow.Env = append(os.Environ(), "HOME="+home, "EDGE_TOKEN=", "XDG_STATE_HOME=")
	out := &lockedBuffer{}
	follow.Stdout = out
	if err := follow.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, "it listens", func() bool {
		_, _, body := get(t, "http://"+p.said.Admin+"/metrics")
		return strings.Contains(body, "edge_log_listeners 1")
	})
	get(t, "http://"+p.said.Listen[0]+"/miss-then-hit")
	get(t, "http://"+p.said.Listen[0]+"/miss-then-hit")
	await(t, "the hit is told", func() bool { return strings.Contains(out.String(), "\n") })
	if n := strings.Count(out.String(), "\n"); n != 1 || !strings.Contains(out.String(), `"cache":"hit"`) {
		t.Errorf("followed %q, want the hit alone", out.String())
	}
	if err := follow.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := follow.Wait(); err != nil {
		t.Errorf("^C: %v, want exit code 0", err)
	}
}

// TestNothingIsLeft: an edge that ends leaves no goroutine and no lock.
func TestNothingIsLeft(t *testing.T) {
	origin := httptest.NewServer(http.HandlerFunc(answerOrigin))
	defer origin.Close()
	t.Setenv("HOME", t.TempDir())
	t.Setenv("EDGE_TOKEN", "")
	before := goleak.IgnoreCurrent()
	client := &http.Client{Transport: &http.Transport{}}
	disk := filepath.Join(t.TempDir(), "disk")
	for range 2 {
		ctx, stop := context.WithCancel(t.Context())
		said, code := &lockedBuffer{}, make(chan int)
		go func() {
			code <- run(ctx, anywhere("--origin", origin.URL, "--access-log", filepath.Join(disk, "log"), "--disk", disk), io.Discard, said)
		}()
		on, err := awaitServing(said.String)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/a", "/a", "/b"} {
			res, err := client.Get("http://" + on.Listen[0] + path)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
		stop()
		if got := <-code; got != exitWell {
			t.Errorf("exit code %d: %s", got, said)
		}
		if strings.Contains(said.String(), "another edge holds it") {
			t.Errorf("the disk was not given back: %s", said)
		}
	}
	client.CloseIdleConnections()
	origin.Close()
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
}
