package h2test

import (
	"io"
	"net"
	"strings"
	"testing"

	"edgecache/edge/edgetest"
)

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
		s := c.open(false, []field{
			{Name: ":method", Value: "CONNECT"}, {Name: ":protocol", Value: "websocket"}, {Name: ":scheme", Value: "http"},
			{Name: ":authority", Value: "a.test"}, {Name: ":path", Value: "/chat"}, {Name: "sec-websocket-version", Value: "13"},
		}...)
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
