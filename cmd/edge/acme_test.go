package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// authority is an ACME server of the tests that may not have begun yet: its
// port is taken and refuses connections until then.
type authority struct {
	directory string
	caFile    string // who vouches for the directory
	cert, key string
	socket    *os.File
	roots     *x509.CertPool // of what it issues
	said      *lockedBuffer
}

// buildPebble builds the authority once for all tests.
var buildPebble = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "pebble")
	if err != nil {
		return "", err
	}
	built := exec.Command("go", "build", "-o", filepath.Join(dir, "pebble"), ".")
	built.Dir = filepath.Join("..", "..", "edge", "acme", "pebble")
	if out, err := built.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the authority: %w: %s", err, out)
	}
	return filepath.Join(dir, "pebble"), nil
})

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{said: &lockedBuffer{}}
	a.cert, a.key, _ = writeCertificate(t, "localhost")
	a.caFile = a.cert
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	a.socket = os.NewFile(uintptr(fd), "directory")
	t.Cleanup(func() { a.socket.Close() })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	a.directory = fmt.Sprintf("https://localhost:%d/dir", name.(*syscall.SockaddrInet4).Port)
	return a
}

// begin starts the authority. It asks the edge for proofs at its own ports.
func (a *authority) begin(t *testing.T, p *process, seconds int) {
	t.Helper()
	program, err := buildPebble()
	if err != nil {
		t.Fatal(err)
	}
	_, httpPort, _ := net.SplitHostPort(p.said.Listen[0])
	_, tlsPort, _ := net.SplitHostPort(p.said.TLSListen[0])
	c := exec.Command(program, "-cert", a.cert, "-key", a.key, "-http", httpPort, "-tls", tlsPort, "-validity", fmt.Sprint(seconds))
	c.ExtraFiles, c.Stderr = []*os.File{a.socket}, a.said
	in, err := c.StdinPipe() // it ends with us
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = c.Wait()
		if t.Failed() {
			t.Logf("edge said %s\nthe authority %s", p.err, a.said)
		}
	})
	var said struct{ Root string }
	if err := json.NewDecoder(bufio.NewReader(out)).Decode(&said); err != nil {
		t.Fatalf("%v: %s", err, a.said)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	a.roots = x509.NewCertPool()
	a.roots.AppendCertsFromPEM([]byte(said.Root))
}

// ordering writes a configuration with an authority.
func ordering(t *testing.T, a *authority, origin, more string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "edge.yaml")
	text := fmt.Sprintf(`upstreams: {main: {peers: [%q]}}
listen: ["127.0.0.1:0"]
admin: {listen: "127.0.0.1:0"}
memory: 64MiB
disk: {dir: "off"}
tls:
  listen: ["127.0.0.1:0"]
  acme: {names: [www.edge.test], email: ops@edge.test, agree: true, directory: %q, ca: %q, renew_check: 1s, %s}
`, origin, a.directory, a.caFile, more)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// shown gives the certificate that an edge shows for a name.
func shown(p *process, name string, roots *x509.CertPool) (*x509.Certificate, error) {
	conn, err := tls.Dial("tcp", p.said.TLSListen[0], &tls.Config{RootCAs: roots, ServerName: name})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0], nil
}

// TestACME: each way of proving a name leads to a certificate, which is served
// and renewed, whether or not the authority was there at the start.
func TestACME(t *testing.T) {
	t.Parallel() // it waits, mostly
	origin := httptest.NewServer(http.HandlerFunc(answerOrigin))
	t.Cleanup(origin.Close)
	for _, challenge := range []string{"http-01", "tls-alpn-01"} {
		t.Run(challenge, func(t *testing.T) {
			t.Parallel()
			a, home := newAuthority(t), t.TempDir()
			config := ordering(t, a, origin.URL, "challenges: ["+challenge+"]")
			p := start(t, []string{"HOME=" + home, "XDG_STATE_HOME="}, "--config", config)
			if _, err := shown(p, "www.edge.test", nil); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
				t.Errorf("without a certificate: %v, want the alert unrecognized_name", err)
			}
			await(t, "the authority is down, and /readyz says so", func() bool {
				status, _, body := get(t, "http://"+p.said.Admin+"/readyz")
				return status == 200 && strings.Contains(body, "no new certificate for www.edge.test")
			})
			if status, cache, body := get(t, "http://"+p.said.Listen[0]+"/.well-known/acme-challenge/none"); status != 200 || !strings.Contains(body, "none at") {
				t.Errorf("a token that was not ordered: %d %s %q, want the origin's answer", status, cache, body)
			}
			a.begin(t, p, 30)
			var first *x509.Certificate
			await(t, "there is a certificate", func() (ok bool) {
				var err error
				first, err = shown(p, "www.edge.test", a.roots)
				return err == nil
			})
			if first == nil {
				t.Fatalf("edge said %s\nthe authority %s", p.err, a.said)
			}
			if byHTTP := strings.Contains(a.said.String(), "validate w/ HTTP"); byHTTP != (challenge == "http-01") {
				t.Errorf("proved by HTTP: %v, want %s", byHTTP, challenge)
			}
			for _, name := range []string{"other.edge.test", "x.www.edge.test"} {
				if _, err := shown(p, name, a.roots); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
					t.Errorf("%s: %v, want the alert unrecognized_name", name, err)
				}
			}
			await(t, "it is renewed", func() bool {
				next, err := shown(p, "www.edge.test", a.roots)
				return err == nil && next.SerialNumber.Cmp(first.SerialNumber) != 0
			})
			_, _, metrics := get(t, "http://"+p.said.Admin+"/metrics")
			for _, want := range []string{
				`edge_tls_acme_orders_total{outcome="obtained"} 1`, `edge_tls_cert_expiry_seconds{cert="www.edge.test",source="acme"}`,
				`edge_tls_handshake_failures_total{reason="name"}`,
			} {
				if !strings.Contains(metrics, want) {
					t.Errorf("no %s in /metrics", want)
				}
			}
			if strings.Contains(metrics, "other.edge.test") || strings.Contains(a.said.String(), "other.edge.test") {
				t.Error("a name that is not configured left a trace")
			}
			if _, _, body := get(t, "http://"+p.said.Admin+"/readyz"); body != "ready\n" {
				t.Errorf("readyz %q, want ready alone", body)
			}
			if code := p.end(syscall.SIGTERM); code != exitWell {
				t.Errorf("exit code %d: %s", code, p.err)
			}
			// The next start has it at once, though nobody asks the authority.
			again := start(t, []string{"HOME=" + home, "XDG_STATE_HOME="}, "--config", config)
			if _, err := shown(again, "www.edge.test", a.roots); err != nil {
				t.Errorf("after a restart: %v", err)
			}
		})
	}
}

// TestCheckACME: what is wrong with an order is told before anything listens.
func TestCheckACME(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv("XDG_STATE_HOME", "")
	blocked := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const whole = "names: [a.test], email: a@b.test, agree: true"
	for _, c := range []struct{ name, acme, more, want string }{
		{"all is there", whole, "", ""},
		{"no names", "email: a@b.test, agree: true", "", "tls.acme.names: none"},
		{"a wildcard", `names: ["*.a.test"], email: a@b.test, agree: true`, "", "a wildcard cannot be proved"},
		{"an address", `names: ["192.0.2.1"], email: a@b.test, agree: true`, "", "give a host name"},
		{"not agreed", "names: [a.test], email: a@b.test", "", "tls.acme.agree: say true"},
		{"no mail address", "names: [a.test], agree: true", "", "tls.acme.email: none"},
		{"no such mail address", "names: [a.test], agree: true, email: ops", "", "give a mail address"},
		{"a directory in the clear", whole + `, directory: "http://a.test/dir"`, "", "https://HOST/PATH"},
		{"no such challenge", whole + ", challenges: [dns-01]", "", "http-01"},
		{"no challenge", whole + ", challenges: []", "", "tls.acme.challenges: none"},
		{"nobody to answer", whole + ", challenges: [http-01]", "listen: []\n", "http-01 needs an address in listen"},
		{"a name that is not served", whole, "hosts: [b.test]\n", "a.test is not in hosts"},
		{"a name that is", whole, "hosts: [\"*.test\"]\n", ""},
		{"no roots", whole + fmt.Sprintf(", ca: %q", blocked), "", "has no certificate in PEM"},
		{"no place", whole + fmt.Sprintf(", storage: %q", filepath.Join(blocked, "x")), "", "tls.acme.storage"},
		{"looked for too often", whole + ", renew_check: 1ms", "", "renew_check"},
	} {
		file := filepath.Join(t.TempDir(), "edge.yaml")
		text := "upstreams: {main: {peers: [\"http://127.0.0.1:1\"]}}\n" + c.more + "tls: {listen: [\":8443\"], acme: {" + c.acme + "}}\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		code, _, said := runEdge(t, "check", "--config", file)
		if (code == exitWell) != (c.want == "") || !strings.Contains(said, c.want) {
			t.Errorf("%s: exit code %d, %q, want %q", c.name, code, said, c.want)
		}
	}
}
