package conformance_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"edgecache/edge/h3"
)

// secure is the TLS side of an edge: where it listens, by TCP and by UDP, and whom its
// clients trust.
type secure struct {
	addr  string
	roots *x509.CertPool
}

// overTLS makes the changes to edge.yaml for an edge with a TLS listener, HTTP/3 beside it.
func overTLS(t *testing.T) (secure, map[string]string) {
	t.Helper()
	identity := httptest.NewTLSServer(nil) // for its certificate
	defer identity.Close()
	key, err := x509.MarshalPKCS8PrivateKey(identity.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: identity.Certificate().Raw}, keyFile: {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := secure{freeTwice(t), x509.NewCertPool()}
	s.roots.AddCert(identity.Certificate())
	return s, map[string]string{`log: {access: "off"}`: fmt.Sprintf(
		"log: {access: \"off\"}\nhttp3: true\ntls: {listen: [%q], certs: [{cert: %q, key: %q}]}", s.addr, certFile, keyFile)}
}

// freeTwice returns a loopback address that is free for UDP and for TCP.
func freeTwice(t *testing.T) string {
	t.Helper()
	for range 10 {
		udp, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer udp.Close()
		if tcp, err := net.Listen("tcp", udp.LocalAddr().String()); err == nil {
			tcp.Close()
			return tcp.Addr().String()
		}
	}
	t.Fatal("no port is free for UDP and TCP")
	return ""
}

// wires are the protocols that the suite's client does not speak.
var wires = map[string]func(secure) (rt http.RoundTripper, end func()){
	"HTTP/2": func(s secure) (http.RoundTripper, func()) {
		only2 := new(http.Protocols)
		only2.SetHTTP2(true)
		rt := &http.Transport{Protocols: only2, TLSClientConfig: &tls.Config{RootCAs: s.roots}, DisableCompression: true}
		return rt, rt.CloseIdleConnections
	},
	"HTTP/3": func(s secure) (http.RoundTripper, func()) {
		c := h3.NewClient(&tls.Config{RootCAs: s.roots})
		return c, func() { _ = c.Close() }
	},
}

// front takes requests over HTTP/1.1, has them answered over a wire, and gives its url. It
// changes nothing but what the two protocols do not share: Connection and the spelling
// of names, the reason phrase and the chunks.
func front(t *testing.T, wire string, s secure) string {
	t.Helper()
	rt, end := wires[wire](s)
	t.Cleanup(end)
	f := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		up := r.Clone(r.Context())
		up.URL.Scheme, up.URL.Host, up.RequestURI = "https", s.addr, ""
		up.Header.Del("Connection")
		if _, sent := r.Header["User-Agent"]; !sent {
			up.Header["User-Agent"] = []string{""} // the client puts in none of its own
		}
		res, err := rt.RoundTrip(up)
		if err != nil {
			panic(http.ErrAbortHandler) // the suite sees a transfer that broke
		}
		defer res.Body.Close()
		if want, _ := strconv.Atoi(wire[len("HTTP/"):]); res.ProtoMajor != want {
			t.Errorf("front: answered over %s, want %s", res.Proto, wire)
		}
		head := w.Header()
		head["Date"], head["Content-Type"] = nil, nil // the server puts in none of its own
		maps.Copy(head, res.Header)
		w.WriteHeader(res.StatusCode)
		if _, err := io.Copy(w, res.Body); err != nil {
			panic(http.ErrAbortHandler)
		}
	}))
	t.Cleanup(f.Close)
	return f.URL
}

// comesOutAlike demands of a run over a wire that each test says what it said over HTTP/1.1.
// The suite's times are whole seconds, so on a slow machine a check may come out otherwise:
// what differs is tried once more by itself.
func comesOutAlike(t *testing.T, wire string, clear, got report) {
	t.Helper()
	if len(clear.Tests) != len(got.Tests) {
		t.Fatalf("%d tests over %s, %d over HTTP/1.1", len(got.Tests), wire, len(clear.Tests))
	}
	for id, first := range clear.Tests {
		if now := got.Tests[id]; now.Outcome == first.Outcome {
			continue
		}
		addrs := freeAddrs(t)
		s, changes := overTLS(t)
		startEdge(t, addrs, changes)
		again := func(target string) (outcome, message string) {
			r, _ := run(t, "--target", target, "--origin-port", port(t, addrs.origin), "--id", id)
			return r.Tests[id].Outcome, r.Tests[id].Message
		}
		want, _ := again("http://" + addrs.data)
		if outcome, message := again(front(t, wire, s)); outcome != want {
			t.Errorf("%s: over %s %s (%s), over HTTP/1.1 %s", id, wire, outcome, message, want)
		}
	}
}

// tellOfTheWire are fields that edge says of each request by itself.
var tellOfTheWire = []string{"Alt-Svc", "Date", "X-Request-Id", "X-Forwarded-Proto", "Connection", "Keep-Alive"}

// A front that lost, changed or added a field would have other tests pass than those that
// the suite has: what the origin hears and what the client hears is what it is over HTTP/1.1.
func TestFrontChangesNothing(t *testing.T) {
	t.Parallel()
	heard := make(chan string, 1)
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		heard <- fmt.Sprintf("%s %s %s %q %v %v", r.Host, r.Method, r.RequestURI, body, err, said(r.Header))
		h := w.Header()
		h["Content-Type"] = nil
		h["Cache-Control"] = []string{"no-store", "x, y=\"z, z\""}
		h["Set-Cookie"] = []string{"a=b; Path=/", "c=d"}
		h["X-Empty"], h["Etag"] = []string{""}, []string{`W/"v"`}
		h["Date"] = []string{"Thu, 01 Jan 2026 00:00:00 GMT"}
		status, _ := strconv.Atoi(r.Header.Get("Want-Status"))
		w.WriteHeader(status)
		if r.Method != http.MethodHead && status != http.StatusNoContent {
			_, _ = io.WriteString(w, "what comes back")
		}
	}))
	defer origin.Close()
	addrs := freeAddrs(t)
	addrs.origin = strings.TrimPrefix(origin.URL, "http://")
	s, changes := overTLS(t)
	startEdge(t, addrs, changes)

	client := &http.Transport{DisableCompression: true}
	defer client.CloseIdleConnections()
	n := 0
	ask := func(base, method, target, status, body string) (up, down string) {
		t.Helper()
		n++ // a host for each, so that none finds what is known of another's url
		host := fmt.Sprintf("www-%d.example", n)
		req, err := http.NewRequest(method, base+target, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		req.Header = http.Header{
			"Want-Status": {status}, "Pragma": {"foo"}, "Cache-Control": {"nothing-to-see-here", "no-cache"},
			"Accept-Encoding": {"gzip;q=0.5, *"}, "Cookie": {"a=b; c=d"}, "X-Twice": {"1", "2, 3"}, "X-Empty": {""}, "User-Agent": {""},
		}
		res, err := client.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		up, ours := strings.CutPrefix(<-heard, host+" ")
		if !ours {
			t.Errorf("the origin heard of another host than %s: %.80s", host, up)
		}
		return up, fmt.Sprintf("%d %d %q %v %v", res.StatusCode, res.ContentLength, text, err, said(res.Header))
	}
	for _, q := range []struct{ method, target, status, body string }{
		{"GET", "/a?b=%20c&&", "200", ""},
		{"GET", "/a?", "999", ""},
		{"HEAD", "//b/%2F", "200", ""},
		{"PUT", "/c", "201", strings.Repeat("what goes up ", 10_000)},
		{"M-SEARCH", "/d", "599", ""},
		{"DELETE", "/e", "204", ""},
		{"POST", "/f", "404", "x"},
	} {
		up, down := ask("http://"+addrs.data, q.method, q.target, q.status, q.body)
		if !strings.Contains(up, q.method+" "+q.target+" ") || !strings.HasPrefix(down, q.status) {
			t.Fatalf("over HTTP/1.1 %v: origin heard %.300s\nclient heard %s", q, up, down)
		}
		for wire := range wires {
			gotUp, gotDown := ask(front(t, wire, s), q.method, q.target, q.status, q.body)
			if gotUp != up {
				t.Errorf("%s %s %s: the origin heard\n%.800s\nwant\n%.800s", wire, q.method, q.target, gotUp, up)
			}
			if gotDown != down {
				t.Errorf("%s %s %s: the client heard\n%s\nwant\n%s", wire, q.method, q.target, gotDown, down)
			}
		}
	}
}

// said is what a head says of other things than its own wire, sorted.
func said(h http.Header) (lines []string) {
	for name, values := range h {
		if slices.Contains(tellOfTheWire, name) {
			continue
		}
		for _, v := range values {
			if name == "Via" {
				_, v, _ = strings.Cut(v, " ") // without the protocol
			}
			lines = append(lines, fmt.Sprintf("%s: %s", name, v))
		}
	}
	slices.Sort(lines)
	return lines
}
