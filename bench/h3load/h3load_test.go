package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"edgecache/edge"
	"edgecache/edge/edgetest"
	"edgecache/edge/h3"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// wire is h3.Server in the place of the harness's wire, whose TCP port idles.
type wire struct {
	*h3.Server
	socket net.PacketConn
	config *tls.Config
}

func (w wire) Serve(l net.Listener, _ *tls.Config) error {
	defer l.Close()
	return w.Server.Serve(w.socket, w.config)
}

// edgeOver3 runs an edge and gives its url and the file of its certificate.
func edgeOver3(t *testing.T) (o *edgetest.Origin, url, ca string) {
	identity := httptest.NewTLSServer(nil) // for its certificate
	t.Cleanup(identity.Close)
	ca = filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: identity.Certificate().Raw})
	if err := os.WriteFile(ca, text, 0o600); err != nil {
		t.Fatal(err)
	}
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o = edgetest.NewOrigin(t)
	o.On("/x", edgetest.Text(200, "0123456789", "Cache-Control: max-age=60"))
	config := &tls.Config{Certificates: identity.TLS.Certificates}
	edgetest.New(t, edgetest.Config{Peers: []string{o.URL}, Wire: func(e *edge.Engine) edgetest.Wire {
		return wire{h3.New(e, h3.Config{}), socket, config}
	}})
	return o, "https://" + socket.LocalAddr().String(), ca
}

// call runs the program.
func call(t *testing.T, args ...string) (code int, r result, said string) {
	t.Helper()
	var out, bad strings.Builder
	code = run(context.Background(), args, &out, &bad)
	if out.Len() > 0 {
		if err := json.Unmarshal([]byte(out.String()), &r); err != nil {
			t.Fatalf("%v in %q", err, out.String())
		}
	}
	return code, r, bad.String()
}

// TestCounts: as many requests as were asked for, all of them hits, on as many
// connections as were asked for.
func TestCounts(t *testing.T) {
	o, url, ca := edgeOver3(t)
	code, r, said := call(t, "-url", url+"/x", "-ca", ca, "-name", "example.com", "-connections", "2", "-streams", "3", "-requests", "500", "-time", "1m")
	if code != 0 || r.Requests != 500 || r.Hits != 500 || r.Bytes != 5000 || r.Failed != 0 {
		t.Errorf("code %d, %+v, %s", code, r, said)
	}
	if r.Seconds <= 0 || r.PerSecond <= 0 || r.P50 <= 0 || r.P99 < r.P50 || r.Max < r.P99 {
		t.Errorf("times %+v", r)
	}
	if n := o.Asked("/x"); n != 1 {
		t.Errorf("the origin was asked %d times, want once", n)
	}
}

// TestTimeEnds: without a number the time ends it.
func TestTimeEnds(t *testing.T) {
	_, url, ca := edgeOver3(t)
	code, r, said := call(t, "-url", url+"/x", "-ca", ca, "-time", "50ms")
	if code != 0 || r.Requests == 0 || r.Failed != 0 {
		t.Errorf("code %d, %+v, %s", code, r, said)
	}
}

// TestSaysWhatFails: an error is an exit code, not a number among others.
func TestSaysWhatFails(t *testing.T) {
	o, url, ca := edgeOver3(t)
	o.On("/gone", edgetest.Text(404, ""))
	for _, x := range []struct {
		name string
		args []string
		code int
		said string
	}{
		{"an error", []string{"-url", url + "/gone", "-ca", ca}, 1, "first request: 404"},
		{"a stranger", []string{"-url", url + "/x", "-ca", ca, "-name", "other.test"}, 1, "-ca FILE names"},
		{"no url", nil, 2, "-url"},
		{"no streams", []string{"-url", url, "-streams", "0"}, 2, "at least one"},
	} {
		if code, _, said := call(t, x.args...); code != x.code || !strings.Contains(said, x.said) {
			t.Errorf("%s: code %d, %q; want %d, %q", x.name, code, said, x.code, x.said)
		}
	}
}
