package casetest

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/dunglas/httpsfv"

	"edgecache/edge"
	"edgecache/edge/edgetest"
	"edgecache/edge/origin"
	"edgecache/policy"
)

// blames demands a status and our member of Proxy-Status, the last one (RFC 9209).
func (s *site) blames(r edgetest.Reply, status int, want string) {
	s.t.Helper()
	lines := r.Header.Values("Proxy-Status")
	if _, err := httpsfv.UnmarshalList(lines); err != nil {
		s.t.Errorf("Proxy-Status %q: %v", lines, err)
	}
	got := ""
	if len(lines) > 0 {
		got = lines[len(lines)-1]
	}
	if r.Status != status || got != want {
		s.t.Errorf("%d, Proxy-Status %q; want %d, %q", r.Status, got, status, want)
	}
}

// names is a resolver of its own.
type names map[string]string

func (n names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	addr, ok := n[host]
	if !ok {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return []netip.Addr{netip.MustParseAddr(addr)}, nil
}

func secure(t *testing.T, c *tls.Config) string {
	t.Helper()
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.TLS, s.Config.ErrorLog = c, log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL
}

// TestProxyStatusOfPeers: each way in which a peer fails has its name.
func TestProxyStatusOfPeers(t *testing.T) {
	answering := func(answer string) string {
		return edgetest.NewRawOrigin(t, func(c net.Conn) {
			if _, err := edgetest.ReadHead(c); err == nil {
				_, _ = io.WriteString(c, answer)
			}
		})
	}
	plain := edgetest.NewRawOrigin(t, func(c net.Conn) { _, _ = io.WriteString(c, "220 ready\r\n") })
	silent := edgetest.NewRawOrigin(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	for name, c := range map[string]struct {
		pool   origin.Config
		status int
		want   string
	}{
		"nobody listens":       {origin.Config{Peers: []string{edgetest.DeadURL(t)}}, 502, "connection_refused"},
		"no such name":         {origin.Config{Peers: []string{"http://none.test"}, Resolver: names{}}, 502, "dns_error"},
		"a name of ours":       {origin.Config{Peers: []string{"http://in.test"}, Resolver: names{"in.test": "127.0.0.1"}}, 502, "destination_ip_prohibited"},
		"a strange root":       {origin.Config{Peers: []string{secure(t, nil)}}, 502, "tls_certificate_error"},
		"no TLS at all":        {origin.Config{Peers: []string{strings.Replace(plain, "http:", "https:", 1)}}, 502, "tls_protocol_error"},
		"an alert":             {origin.Config{Peers: []string{secure(t, &tls.Config{MaxVersion: tls.VersionTLS11})}}, 502, "tls_alert_received"},
		"closed before a byte": {origin.Config{Peers: []string{answering("")}}, 502, "connection_terminated"},
		"closed in the head":   {origin.Config{Peers: []string{answering("HTTP/1.1 200 OK\r\nA: b")}}, 502, "http_response_incomplete"},
		"no HTTP":              {origin.Config{Peers: []string{answering("220 ready\r\n\r\n")}}, 502, "http_protocol_error"},
		"a head too large":     {origin.Config{Peers: []string{answering("HTTP/1.1 200 OK\r\nA: " + strings.Repeat("b", 9<<10))}, HeadBytes: 8 << 10}, 502, "http_response_header_section_size"},
		"an odd coding":        {origin.Config{Peers: []string{answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: odd\r\n\r\n")}}, 502, "http_response_transfer_coding"},
		"nothing in time":      {origin.Config{Peers: []string{silent}, Timeouts: origin.Timeouts{FirstByte: 20 * time.Millisecond}}, 504, "http_response_timeout"},
		"no peer":              {origin.Config{}, 502, "destination_not_found"},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, edgetest.Config{Peers: append([]string{}, c.pool.Peers...), Pool: c.pool})
			for _, method := range []string{"GET", "POST"} {
				s.blames(s.Do(method, "/x", ""), c.status, "edge; error="+c.want)
			}
		})
	}
}

// TestProxyStatusOfRefusals: what the edge itself refuses.
func TestProxyStatusOfRefusals(t *testing.T) {
	s := open(t, edgetest.Config{Edge: edge.Config{Hosts: []string{"a.test"}}})
	s.origin.On("*", edgetest.Text(404, "none"))
	const host = "Host: a.test"
	s.blames(s.Get("/x", "Host: b.test"), 421, "edge; error=destination_not_found")
	s.blames(s.Get("/x", host, "Cdn-Loop: edge-00000001"), 508, "edge; error=proxy_loop_detected")
	s.blames(s.Do("PURGE", "/x", "", host), 405, "edge; error=http_request_denied")
	s.blames(s.line("/%zz"), 400, "edge; error=http_request_error")
	s.blames(s.Raw("GET / HTTP/1.1\r\nConnection: close\r\n\r\n"), 400, "edge; error=http_request_error")
	s.blames(s.Raw("GET / HTTP/1.1\r\nHost: a.test\r\nContent-Length: x\r\nConnection: close\r\n\r\n"), 400, "")
	s.blames(s.Get("/x", host), 404, "")
	honest := open(t, edgetest.Config{Rules: policy.Rules{HonorClient: true}})
	honest.blames(honest.Get("/x", "Cache-Control: only-if-cached"), 504, "") // its own wish
}

// TestProxyStatusOfHooks: a hook's refusal, its failure, and its own answer.
func TestProxyStatusOfHooks(t *testing.T) {
	said := func(r edge.FilterResult) *edgetest.Recorder {
		return &edgetest.Recorder{Response: func(*edge.Session, *http.Response) (edge.FilterResult, error) { return r, nil }}
	}
	for name, c := range map[string]struct {
		hook   *edgetest.Recorder
		status int
		want   string
	}{
		"rejects the request": {&edgetest.Recorder{Request: func(*edge.Session) (edge.FilterResult, error) { return edge.Reject(403, "no"), nil }},
			403, "edge; error=http_request_denied"},
		"rejects the answer": {said(edge.Reject(403, "no")), 403, "edge; error=http_request_denied; received-status=200"},
		"answers itself":     {said(edge.Respond(200, nil, []byte("mine"))), 200, ""},
		"fails": {&edgetest.Recorder{Response: func(*edge.Session, *http.Response) (edge.FilterResult, error) { return edge.Continue, io.ErrNoProgress }},
			500, "edge; error=proxy_internal_error; received-status=200"},
		"panics": {&edgetest.Recorder{Request: func(*edge.Session) (edge.FilterResult, error) { panic("hook") }},
			500, "edge; error=proxy_internal_error"},
	} {
		s := open(t, edgetest.Config{Recorder: c.hook})
		s.origin.On("/x", edgetest.Text(200, "x", "Proxy-Status: far; error=dns_timeout"))
		r := s.Get("/x")
		s.blames(r, c.status, c.want)
		if lines := r.Header.Values("Proxy-Status"); name == "fails" && lines[0] != "far; error=dns_timeout" {
			t.Errorf("%s: %q, want the origin's own in front", name, lines)
		}
	}
}

// TestProxyStatusPassesThrough: an answer of the origin keeps its own, stored or
// not, and gets none of ours.
func TestProxyStatusPassesThrough(t *testing.T) {
	s := open(t, edgetest.Config{})
	s.origin.On("/x", edgetest.Text(502, "down", fresh, "Proxy-Status: far; error=dns_timeout"))
	for range 2 {
		s.blames(s.Get("/x"), 502, "far; error=dns_timeout")
	}
	s.asked(1, "/x")
}

// TestProxyStatusDetail: where a peer is and what it did is for those who run it.
func TestProxyStatusDetail(t *testing.T) {
	const token = "0123456789abcdef"
	dead := edgetest.DeadURL(t)
	s := open(t, edgetest.Config{Peers: []string{dead}, Edge: edge.Config{Token: token}})
	s.blames(s.Get("/x"), 502, "edge; error=connection_refused")
	got := s.Get("/x", "Authorization: Bearer "+token).Header.Get("Proxy-Status")
	for _, part := range []string{`edge; error=connection_refused; next-hop="`, strings.TrimPrefix(dead, "http://"), `; details="`, "connection refused"} {
		if !strings.Contains(got, part) {
			t.Errorf("Proxy-Status %q, want %q in it", got, part)
		}
	}
	if list, err := httpsfv.UnmarshalList([]string{got}); err != nil || len(list) != 1 {
		t.Errorf("%q: %v", got, err)
	}
}
