package h2test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"edgecache/edge/edgetest"
)

// webSocket are the fields of an extended CONNECT; each line of more is "name: value".
func webSocket(more ...string) []field {
	return append([]field{
		{Name: ":method", Value: "CONNECT"}, {Name: ":protocol", Value: "websocket"}, {Name: ":scheme", Value: "http"},
		{Name: ":authority", Value: "a.test"}, {Name: ":path", Value: "/chat"}, {Name: "sec-websocket-version", Value: "13"},
	}, lines(more...)...)
}

// TestEarlyTunnelBytes: what a client sends behind an extended CONNECT, before it has an
// answer, is the tunnel's (RFC 8441, 5): the origin gets a handshake without a body, and
// those bytes as they are once it has agreed.
func TestEarlyTunnelBytes(t *testing.T) {
	heads := make(chan string, 2)
	origin := edgetest.NewRawOrigin(t, func(nc net.Conn) {
		h, err := edgetest.ReadHead(nc)
		if err != nil {
			return
		}
		heads <- strings.ToLower(string(h))
		_, _ = nc.Write([]byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + acceptOf(string(h)) + "\r\n\r\n"))
		_, _ = io.Copy(nc, nc)
	})
	both(t, edgetest.Config{Peers: []string{origin}}, wireOptions{}, func(t *testing.T, r *room) {
		c := r.dial()
		s := c.open(false, webSocket()...)
		c.data(s, false, []byte("early "))
		c.data(s, false, []byte("bytes"))
		c.until("their echo", func() bool { return len(s.body) >= len("early bytes") || s.reset })
		c.mu.Lock()
		if got := string(s.body); got != "early bytes" || s.status != 200 {
			t.Errorf("%d %q, want 200 and the same bytes", s.status, got)
		}
		c.mu.Unlock()
		if h := <-heads; strings.Contains(h, "transfer-encoding") || strings.Contains(h, "content-length") {
			t.Errorf("the handshake announces a body:\n%s", h)
		}
		c.data(s, true, nil)
		c.answered(s)
	})
}

// switching is an origin's agreement; the first %s is what it says to the key.
const switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n"

// TestWebSocketIsJudged: the key of a handshake is edge's own, so it is edge who must see
// whether the origin has joined (RFC 6455, 4.1); only then is there a 2xx, which is a tunnel
// for the client (RFC 8441, 5). A refusal comes down as it is.
func TestWebSocketIsJudged(t *testing.T) {
	for _, q := range []struct {
		name, answer string // %s: what the key wants to hear
		status       int
		body         string
	}{
		{"joined", switching, 200, ""},
		{"joined, in other letters", strings.Replace(switching, "Upgrade: websocket\r\nConnection: Upgrade", "upgrade: WebSocket\r\nconnection: keep-alive, upgrade", 1), 200, ""},
		{"refused", "HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\ngo %.1s", 403, "go "},
		{"redirected", "HTTP/1.1 302 Found\r\nLocation: /%.1s\r\nContent-Length: 0\r\n\r\n", 302, ""},
		{"wants another version", "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nContent-Length: 1\r\n\r\n%.1s", 426, ""},
		{"not understood", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npa%.2s", 502, ""},
		{"not understood, without a body", "HTTP/1.1 204 No Content\r\nX: %s\r\n\r\n", 502, ""},
		{"another key's accept", strings.Replace(switching, "%s", "AAAA%s", 1), 502, ""},
		{"no accept", strings.Replace(switching, "Sec-WebSocket-Accept", "X", 1), 502, ""},
		{"two accepts", strings.Replace(switching, "\r\n\r\n", "\r\nSec-WebSocket-Accept: x\r\n\r\n", 1), 502, ""},
		{"another protocol", strings.Replace(switching, "websocket", "h2c", 1), 502, ""},
		{"no protocol", strings.Replace(switching, "Upgrade: websocket\r\n", "", 1), 502, ""},
		{"no Connection", strings.Replace(switching, "Connection: Upgrade\r\n", "", 1), 502, ""},
	} {
		t.Run(q.name, func(t *testing.T) {
			heads := make(chan string, 8)
			origin := edgetest.NewRawOrigin(t, func(nc net.Conn) {
				h, err := edgetest.ReadHead(nc)
				if err != nil {
					return
				}
				heads <- strings.ToLower(string(h))
				_, _ = fmt.Fprintf(nc, q.answer, acceptOf(string(h)))
				_, _ = io.Copy(nc, nc)
			})
			r := open(t, edgetest.Config{Peers: []string{origin}}, wireOptions{}, true)
			c := r.dial()
			s := c.open(false, webSocket("sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==")...)
			c.data(s, false, []byte("early"))
			c.until("an answer", func() bool { return s.status != 0 || s.reset })
			c.mu.Lock()
			status, accept := s.status, s.header.Get("Sec-WebSocket-Accept")
			c.mu.Unlock()
			if status != q.status || accept != "" {
				t.Errorf("status %d, Sec-WebSocket-Accept %q, want %d and none", status, accept, q.status)
			}
			if h := <-heads; strings.Count(h, "sec-websocket-key: ") != 1 || strings.Contains(h, "dghlihnhbxbsz") {
				t.Errorf("the origin got another key than one of edge's:\n%s", h)
			}
			if q.status == 200 {
				c.until("the echo", func() bool { return string(s.body) == "early" })
				c.data(s, true, nil)
			}
			if a := c.answered(s); q.status != 200 && !strings.HasPrefix(string(a.body), q.body) || a.reset && a.code != http2.ErrCodeNo {
				t.Errorf("refused by %v", a)
			}
			c.pings() // the connection goes on
		})
	}
}

// TestRequestTrailers: trailers of a request are checked and go no further: to an HTTP/1.1
// origin they could pass for fields of the head (RFC 9110, 6.5.1). The body is whole.
func TestRequestTrailers(t *testing.T) {
	both(t, edgetest.Config{}, wireOptions{}, func(t *testing.T, r *room) {
		r.origin.On("/up", edgetest.Text(200, "thanks"))
		c := r.dial()
		for _, length := range []string{"", "content-length: 9"} {
			fields := head("POST", "/up", "trailer: x-sum")
			if length != "" {
				fields = append(fields, lines(length)...)
			}
			s := c.open(false, fields...)
			c.data(s, false, []byte("the "))
			c.data(s, false, []byte("body."))
			c.trailers(s, lines("x-sum: 7", "host: b.test", "content-length: 4", "authorization: x")...)
			if a := c.answered(s); a.status != 200 || string(a.body) != "thanks" {
				t.Fatalf("%q: %v", length, a)
			}
			seen := r.origin.Seen()
			got := seen[len(seen)-1]
			if string(got.Body) != "the body." || got.Host != "a.test" {
				t.Errorf("%q: the origin got %q for %s", length, got.Body, got.Host)
			}
			for _, name := range []string{"X-Sum", "Authorization", "Trailer"} {
				if got.Header[name] != nil {
					t.Errorf("%q: the origin got %s: %q", length, name, got.Header[name])
				}
			}
		}
		s := c.open(false, head("POST", "/up", "content-length: 9")...)
		c.data(s, false, []byte("short"))
		c.trailers(s, lines("x-sum: 7")...)
		if a := c.answered(s); !a.reset || a.code != http2.ErrCodeProtocol {
			t.Errorf("a body that trailers cut short: %v, want PROTOCOL_ERROR", a)
		}
		r.answers()
	})
}
