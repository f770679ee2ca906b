package main

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"edgecache/edge/h3"
)

// askTLS asks for a path of www.example.
func askTLS(t *testing.T, rt http.RoundTripper, address, path string) (*http.Response, string) {
	t.Helper()
	req, _ := http.NewRequest(http.MethodGet, "https://"+address+path, nil)
	req.Host = "www.example"
	res, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(text)
}

// TestServesHTTP3: what is told over TCP is true: the port answers HTTP/3, from
// the same cache, counts it, and ends with the edge.
func TestServesHTTP3(t *testing.T) {
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Alt-Svc", `h3=":1"`) // the origin's own, which leads past the cache
		answerOrigin(w, r)
	}))
	defer origin.Close()
	cert, key, roots := writeCertificate(t, "www.example")
	config := &tls.Config{RootCAs: roots, ServerName: "www.example"}
	p := start(t, []string{"HOME=" + t.TempDir()}, anywhere("--origin", origin.URL, "--tls-listen", "127.0.0.1:0", "--cert", cert, "--key", key)...)
	address := p.said.TLSListen[0]
	if got := p.said.HTTP3; len(got) != 1 || got[0] != address {
		t.Errorf("it says that HTTP/3 is served on %q, want %s", got, address)
	}
	_, port, _ := net.SplitHostPort(address)
	tcp := &http.Transport{TLSClientConfig: config}
	defer tcp.CloseIdleConnections()
	for range 2 {
		res, _ := askTLS(t, tcp, address, "/x")
		if got := res.Header["Alt-Svc"]; len(got) != 1 || got[0] != `h3=":`+port+`"; ma=86400` {
			t.Errorf("over TLS Alt-Svc %q", got)
		}
	}
	if res, err := http.Get("http://" + p.said.Listen[0] + "/y"); err != nil || res.Header.Get("Alt-Svc") != "" {
		t.Errorf("in the clear %v %v, want no Alt-Svc", res, err)
	}
	client := h3.NewClient(config)
	defer client.Close()
	res, _ := askTLS(t, client, address, "/x")
	if res.StatusCode != 200 || res.ProtoMajor != 3 || !strings.Contains(res.Header.Get("Cache-Status"), "hit") || res.Header.Get("Alt-Svc") != "" {
		t.Errorf("over HTTP/3 %d %s %v", res.StatusCode, res.Proto, res.Header)
	}
	await(t, "it is counted", func() bool {
		_, _, body := get(t, "http://"+p.said.Admin+"/metrics")
		return strings.Contains(body, `edge_requests_total{cache="hit",code_class="2xx",proto="HTTP/3"} 1`) &&
			strings.Contains(body, `edge_wire_events_total{event="h3_aborted"} 0`)
	})
	if code := p.end(syscall.SIGTERM); code != exitWell || strings.Contains(p.err.String(), "requests were cut") {
		t.Errorf("exit code %d: %s", code, p.err)
	}
}

// TestHTTP3IsOptional: the switch, and a route that says its own Alt-Svc; a UDP
// port that is taken is told and harms nothing.
func TestHTTP3IsOptional(t *testing.T) {
	origin := httptest.NewServer(http.HandlerFunc(answerOrigin))
	defer origin.Close()
	cert, key, roots := writeCertificate(t, "www.example")
	tcp := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "www.example"}}
	defer tcp.CloseIdleConnections()
	taken, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, x := range []struct{ name, listen, file, altSvc, told string }{
		{"off", "127.0.0.1:0", "http3: false\n", "", ""},
		{"said by the route", "127.0.0.1:0", "routes: [{response_headers: {set: {Alt-Svc: 'h3=\":443\"'}}}]\n", `h3=":443"`, ""},
		{"the port is taken", taken.LocalAddr().String(), "http3: true\n", "", "no HTTP/3 beside a TLS listener"},
	} {
		file := filepath.Join(t.TempDir(), "edge.yaml")
		if err := os.WriteFile(file, []byte("upstreams: {main: {peers: ['"+origin.URL+"']}}\n"+x.file), 0o600); err != nil {
			t.Fatal(err)
		}
		p := start(t, []string{"HOME=" + t.TempDir()}, anywhere("--config", file, "--tls-listen", x.listen, "--cert", cert, "--key", key)...)
		if told := len(p.said.HTTP3) > 0; told != (x.altSvc != "") {
			t.Errorf("%s: it says that HTTP/3 is served on %q", x.name, p.said.HTTP3)
		}
		res, _ := askTLS(t, tcp, p.said.TLSListen[0], "/x")
		if got := strings.Join(res.Header["Alt-Svc"], "|"); res.StatusCode != 200 || got != x.altSvc {
			t.Errorf("%s: %d, Alt-Svc %q, want %q", x.name, res.StatusCode, got, x.altSvc)
		}
		if x.told != "" && !strings.Contains(p.err.String(), x.told) {
			t.Errorf("%s: it said %s", x.name, p.err)
		}
		if code := p.end(syscall.SIGTERM); code != exitWell {
			t.Errorf("%s: exit code %d: %s", x.name, code, p.err)
		}
	}
}
