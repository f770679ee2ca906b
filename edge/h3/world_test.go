package h3

import (
	"context"
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
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"edgecache/edge"
	"edgecache/edge/edgetest"
)

// TestMain fails when a goroutine outlives the tests.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// identity is a certificate for edge.test and who trusts it.
type identity struct {
	server *tls.Config
	roots  *x509.CertPool
}

var identityOnce = sync.OnceValue(func() identity {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"edge.test"},
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return identity{&tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, roots}
})

func clientTLS() *tls.Config {
	return &tls.Config{RootCAs: identityOnce().roots, ServerName: "edge.test"}
}

// serve puts a server on a UDP port of its own and gives its address.
func serve(t testing.TB, s *Server) string {
	t.Helper()
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(socket, identityOnce().server) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		defer cancel()
		_ = s.Shutdown(ctx)
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return socket.LocalAddr().String()
}

// client asks one server.
type client struct {
	t    testing.TB
	addr string
	*Client
}

func dial(t testing.TB, addr string) *client {
	c := &client{t, addr, NewClient(clientTLS())}
	t.Cleanup(func() { c.Close() })
	return c
}

// request makes a request of lines "Name: value".
func (c *client) request(method, path string, body io.Reader, lines ...string) *http.Request {
	c.t.Helper()
	q, err := http.NewRequest(method, "https://"+c.addr+path, body)
	if err != nil {
		c.t.Fatal(err)
	}
	q.Host = "edge.test"
	q.Header = edgetest.Header(lines...)
	return q
}

// answer is an answer that was read to its end, or to where it broke.
type answer struct {
	*http.Response
	body string
	err  error
}

// try asks, and gives what came.
func (c *client) try(q *http.Request) answer {
	res, err := c.RoundTrip(q)
	if err != nil {
		return answer{err: err}
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return answer{res, string(text), err}
}

// must asks and wants a whole answer.
func (c *client) must(method, path, body string, lines ...string) answer {
	c.t.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	a := c.try(c.request(method, path, r, lines...))
	if a.err != nil {
		c.t.Fatalf("%s %s: %v", method, path, a.err)
	}
	return a
}

// world is an origin, a real engine in front of it, and this wire.
type world struct {
	t testing.TB
	*edgetest.Harness
	origin *edgetest.Origin
	server *Server
	addr   string
}

// silentWire stands for the harness's own wire: it serves nothing over TCP.
type silentWire struct{ end chan struct{} }

func (w silentWire) Serve(l net.Listener, _ *tls.Config) error {
	<-w.end
	return l.Close()
}

func (w silentWire) Shutdown(context.Context) error {
	close(w.end)
	return nil
}

func start(t testing.TB, c Config, more ...func(*edgetest.Config)) *world {
	o := edgetest.NewOrigin(t)
	o.On("*", edgetest.Text(200, "from the origin", "Cache-Control: max-age=60", `Etag: "one"`))
	set := edgetest.Config{
		Wire:  func(*edge.Engine) edgetest.Wire { return silentWire{make(chan struct{})} },
		Peers: []string{o.URL},
	}
	for _, f := range more {
		f(&set)
	}
	w := &world{t: t, Harness: edgetest.New(t, set), origin: o}
	w.server = New(w.Engine, c)
	w.addr = serve(t, w.server)
	return w
}

// stub is an engine for the wire's own tests.
type stub struct {
	finish func(*edge.Session, edge.Lane)

	mu       sync.Mutex
	lanes    map[*edge.Session]edge.Lane
	refusals []edge.Refusal
}

func (e *stub) NewSession(l edge.Lane) *edge.Session {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.lanes == nil {
		e.lanes = map[*edge.Session]edge.Lane{}
	}
	s := &edge.Session{}
	e.lanes[s] = l
	return s
}

func (e *stub) Begin(*edge.Session) bool { return false }

func (e *stub) Finish(s *edge.Session) {
	e.mu.Lock()
	l := e.lanes[s]
	e.mu.Unlock()
	e.finish(s, l)
}

func (e *stub) Release(s *edge.Session) { s.Request = edge.Request{} }

func (e *stub) Refuse(r edge.Refusal) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.refusals = append(e.refusals, r)
}

func (e *stub) refused() []edge.Refusal {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]edge.Refusal(nil), e.refusals...)
}
