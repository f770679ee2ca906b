package h2test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/net/http2"

	"edgecache/edge"
	"edgecache/edge/edgetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fresh is the field that makes an answer storable for ten minutes.
const fresh = "Cache-Control: max-age=600"

// room is an edge that speaks HTTP/2 on one port, before an origin that answers by script.
type room struct {
	*edgetest.Harness
	t      testing.TB
	origin *edgetest.Origin
	clear  bool // the port is without TLS
}

// both runs a test over TLS and with prior knowledge.
func both(t *testing.T, c edgetest.Config, o wireOptions, f func(*testing.T, *room)) {
	t.Helper()
	for name, clear := range map[string]bool{"tls": false, "clear": true} {
		t.Run(name, func(t *testing.T) { f(t, open(t, c, o, clear)) })
	}
}

// inClear is a room for what has nothing to do with TLS.
func inClear(t testing.TB) *room { return open(t, edgetest.Config{}, wireOptions{}, true) }

// open starts a room that ends with the test.
func open(t testing.TB, c edgetest.Config, o wireOptions, clear bool) *room {
	t.Helper()
	r := &room{t: t, origin: edgetest.NewOrigin(t), clear: clear}
	if c.Peers == nil {
		c.Peers = []string{r.origin.URL}
	}
	c.Wire = func(e *edge.Engine) edgetest.Wire {
		w := newWire(e, o)
		if clear {
			return w
		}
		return overTLS{w, &tls.Config{Certificates: []tls.Certificate{selfSigned(t)}}}
	}
	r.Harness = edgetest.New(t, c)
	return r
}

// overTLS is a wire whose listener speaks TLS.
type overTLS struct {
	edgetest.Wire
	config *tls.Config
}

func (w overTLS) Serve(l net.Listener, _ *tls.Config) error { return w.Wire.Serve(l, w.config) }

func selfSigned(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"a.test", "localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// dial opens a connection of its own.
func (r *room) dial(settings ...settingsOption) *client {
	r.t.Helper()
	o := dialOptions{noTLS: r.clear}
	for _, set := range settings {
		set(&o)
	}
	return dialTo(r.t, r.Addr, o)
}

type settingsOption func(*dialOptions)

// window makes a client's window of each stream so large, and that it gives none back.
func window(bytes uint32) settingsOption {
	return func(o *dialOptions) {
		o.settings = append(o.settings, http2.Setting{ID: http2.SettingInitialWindowSize, Val: bytes})
		o.mean = true
	}
}

// deaf makes a client that reads nothing.
func deaf(o *dialOptions) { o.deaf = true }

// answers demands that the edge serves a new client.
func (r *room) answers() {
	r.t.Helper()
	r.origin.On("/still-there", edgetest.Text(200, "still there", fresh))
	r.dial().want("still there", "/still-there")
}

// shutdown begins to drain and returns when the edge has ended.
func (r *room) shutdown() <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.Close()
	}()
	return done
}
