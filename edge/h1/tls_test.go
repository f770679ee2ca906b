package h1

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"edgecache/cachestore"
	"edgecache/edge"
)

// selfSigned makes a certificate for a name.
func selfSigned(t testing.TB, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotAfter: time.Now().Add(1000 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// serveTLS starts a server with a certificate for a.test.
func serveTLS(t testing.TB, e engine) (*Server, string, *tls.Config) {
	t.Helper()
	cert := selfSigned(t, "a.test")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(e, Config{})
	go s.Serve(l, &tls.Config{Certificates: []tls.Certificate{cert}})
	t.Cleanup(func() {
		s.config.Drain = time.Millisecond
		_ = s.Shutdown(t.Context())
	})
	roots := x509.NewCertPool()
	roots.AddCert(cert.Leaf)
	return s, l.Addr().String(), &tls.Config{RootCAs: roots, ServerName: "a.test"}
}

// TestTLS: requests, pipelining, streams and large objects over TLS 1.2 and 1.3.
func TestTLS(t *testing.T) {
	body := cachestore.NewBody([]byte(strings.Repeat("0123456789abcdef", 20000)))
	head := cachestore.NewHead(200, http.Header{}, nil)
	var version uint16
	e := &stub{finish: func(s *edge.Session, l edge.Lane) {
		version = s.Request.TLSVersion
		switch string(s.Request.Path) {
		case "/object":
			_ = l.SendObject(head, body, &edge.View{Status: 200, Length: body.Size, To: body.Size})
		case "/stream":
			_ = l.SendHead(head, &edge.View{Status: 200, Length: -1})
			for i := int64(0); i < body.Size; i += cachestore.ChunkSize {
				_ = l.Write(body.At(i))
			}
			_ = l.End(nil)
		case "/wait":
			<-l.Gone()
			l.Abort(nil)
		default:
			echo(s, l)
		}
	}}
	_, addr, config := serveTLS(t, e)
	for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		c := config.Clone()
		c.MaxVersion = v
		c.NextProtos = []string{"h2", "http/1.1"}
		nc, err := tls.Dial("tcp", addr, c)
		if err != nil {
			t.Fatal(err)
		}
		if p := nc.ConnectionState().NegotiatedProtocol; p != "http/1.1" {
			t.Errorf("ALPN %q, want http/1.1", p)
		}
		conn := newClient(t, nc)
		conn.send(get("/1") + post("/2", "hello") + get("/object") + get("/stream") + get("/last", "Connection: close"))
		got := conn.answers("GET", 6)
		if len(got) != 5 || got[1].body != "POST /2 hello" || len(got[2].body) != int(body.Size) || got[2].body != got[3].body {
			t.Fatalf("%d answers", len(got))
		}
		if version != v {
			t.Errorf("TLS version %x, want %x", version, v)
		}
		conn.ends()
	}
	old := config.Clone()
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	if _, err := tls.Dial("tcp", addr, old); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
	nc, err := tls.Dial("tcp", addr, config)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(nc, get("/1")+get("/wait"))
	if _, err := http.ReadResponse(bufio.NewReader(nc), nil); err != nil {
		t.Fatal(err)
	}
	nc.Close() // and the server sees it: its Shutdown waits for /wait
}

// TestTLSEnds: a connection ends with an alert, so that a client can tell it
// from a cut; a broken answer must not look like that.
func TestTLSEnds(t *testing.T) {
	e := &stub{finish: func(s *edge.Session, l edge.Lane) {
		_ = l.SendHead(cachestore.NewHead(200, http.Header{}, nil), &edge.View{Status: 200, Length: -1})
		_ = l.Write([]byte("body"))
		if string(s.Request.Path) == "/broken" {
			_ = l.Flush()
			l.Abort(nil)
			return
		}
		_ = l.End(nil)
	}}
	_, addr, config := serveTLS(t, e)
	config.MaxVersion = tls.VersionTLS12 // its alerts can be seen from outside
	for _, c := range []struct {
		name, raw string
		alert     bool
	}{
		{"after an answer that ends by close", "GET / HTTP/1.0\r\nHost: a\r\n\r\n", true},
		{"after an answer that the client wants to be the last", get("/", "Connection: close"), true},
		{"after a refusal", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", true},
		{"after a broken answer", "GET /broken HTTP/1.0\r\nHost: a\r\n\r\n", false},
	} {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		seen := &recordTypes{Conn: nc}
		client := tls.Client(seen, config)
		if _, err := io.WriteString(client, c.raw); err != nil {
			t.Fatal(err)
		}
		_, _ = io.ReadAll(client)
		nc.Close()
		const alert = 21
		if last := seen.last(); (last == alert) != c.alert {
			t.Errorf("%s: the last record has type %d, alert wanted: %v", c.name, last, c.alert)
		}
	}
}

// recordTypes remembers what TLS reads.
type recordTypes struct {
	net.Conn
	all []byte
}

func (r *recordTypes) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	r.all = append(r.all, p[:n]...)
	return n, err
}

// last gives the type of the last whole record.
func (r *recordTypes) last() (kind byte) {
	for b := r.all; len(b) >= 5; {
		n := 5 + int(b[3])<<8 + int(b[4])
		if n > len(b) {
			break
		}
		kind, b = b[0], b[n:]
	}
	return kind
}

func BenchmarkHitTLS(b *testing.B) {
	for name, size := range map[string]int64{"1KiB": 1 << 10, "32KiB": 32 << 10, "1MiB": 1 << 20} {
		b.Run(name, func(b *testing.B) {
			body := cachestore.NewBody(make([]byte, size))
			head := cachestore.NewHead(200, http.Header{"Content-Type": {"a/b"}}, nil)
			view := edge.View{Status: 200, Length: size, To: size}
			_, addr, config := serveTLS(b, &stub{begin: func(s *edge.Session, l edge.Lane) bool {
				return l.SendObject(head, body, &view) == nil
			}})
			nc, err := tls.Dial("tcp", addr, config)
			if err != nil {
				b.Fatal(err)
			}
			defer nc.Close()
			r, request := bufio.NewReader(nc), []byte(browserHead)
			b.ReportAllocs()
			b.SetBytes(size)
			for b.Loop() {
				_, _ = nc.Write(request)
				for line := ""; line != "\r\n"; {
					if line, err = r.ReadString('\n'); err != nil {
						b.Fatal(err)
					}
				}
				if _, err := r.Discard(int(size)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
