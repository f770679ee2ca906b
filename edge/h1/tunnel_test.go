package h1

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"edgecache/cachestore"
	"edgecache/edge"
)

var switching = cachestore.NewHead(101, http.Header{"X-Origin": {"1"}}, nil)

// tunnelTo is an engine that tunnels every upgrade to up and answers the rest.
func tunnelTo(up io.ReadWriteCloser, ended chan<- error) *stub {
	return &stub{finish: func(s *edge.Session, l edge.Lane) {
		if s.Request.Upgrade == "" {
			echo(s, l)
			return
		}
		ended <- l.Tunnel(switching, &edge.View{Status: 101, Length: edge.LengthNone}, up)
	}}
}

const wantTunnel = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

// tcpPair gives both ends of a connection over the loopback.
func tcpPair(t *testing.T) (a, b *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	other, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close(); other.Close() })
	return nc.(*net.TCPConn), other.(*net.TCPConn)
}

// TestTunnel: bytes sent right behind the head come first, both ways work, and
// either side may end its direction before the other.
func TestTunnel(t *testing.T) {
	for _, first := range []string{"client", "origin"} {
		t.Run(first+" ends first", func(t *testing.T) {
			up, origin := tcpPair(t)
			ended := make(chan error, 1)
			s, addr := serve(t, tunnelTo(up, ended), Config{})
			conn := dial(t, addr)
			conn.send(wantTunnel + "early")
			a := conn.mustAnswer("GET")
			if a.StatusCode != 101 || a.Header.Get("Upgrade") != "websocket" || a.Header.Get("Connection") != "upgrade" || a.Header.Get("X-Origin") != "1" {
				t.Fatalf("%d %v, want 101 with its fields", a.StatusCode, a.Header)
			}
			expect(t, origin, "early")
			_, _ = origin.Write([]byte("hello"))
			expect(t, conn.r, "hello")
			near, far := conn.Conn.(*net.TCPConn), origin
			nearRead, farRead := io.Reader(conn.r), io.Reader(origin)
			if first == "origin" {
				near, far, nearRead, farRead = far, near, farRead, nearRead
			}
			_ = near.CloseWrite()
			if b, err := io.ReadAll(farRead); len(b) > 0 || err != nil {
				t.Fatalf("%q, %v; want the end", b, err)
			}
			_, _ = far.Write([]byte("late"))
			_ = far.CloseWrite()
			expect(t, nearRead, "late")
			if err := <-ended; err != nil {
				t.Errorf("tunnel: %v", err)
			}
			conn.Close()
			if n := s.Stats().Tunnels; n != 1 {
				t.Errorf("%d tunnels counted, want 1", n)
			}
		})
	}
}

// expect reads exactly what is wanted.
func expect(t *testing.T, r io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(r, got); err != nil || string(got) != want {
		t.Fatalf("%q, %v; want %q", got, err, want)
	}
}

// TestTunnelBreaks: a side that breaks ends the other, and Shutdown cuts both.
func TestTunnelBreaks(t *testing.T) {
	for name, breaks := range map[string]func(conn *client, origin *net.TCPConn, s *Server){
		"the client resets": func(conn *client, _ *net.TCPConn, _ *Server) {
			_ = conn.Conn.(*net.TCPConn).SetLinger(0)
			conn.Close()
		},
		"the origin resets": func(_ *client, origin *net.TCPConn, _ *Server) {
			_ = origin.SetLinger(0)
			origin.Close()
		},
		"shutdown": func(_ *client, _ *net.TCPConn, s *Server) {
			s.config.Drain = time.Millisecond
			if err := s.Shutdown(t.Context()); err != edge.ErrCut {
				t.Errorf("Shutdown: %v, want ErrCut", err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			up, origin := tcpPair(t)
			ended := make(chan error, 1)
			s, addr := serve(t, tunnelTo(up, ended), Config{})
			conn := dial(t, addr)
			conn.send(wantTunnel)
			conn.mustAnswer("GET")
			breaks(conn, origin, s)
			if err := <-ended; err == nil {
				t.Error("the tunnel ended without an error")
			}
			_, _ = io.ReadAll(origin) // ends, however
			_, _ = io.ReadAll(conn.Conn)
		})
	}
}

// TestTunnelIdle: a tunnel without a byte either way is closed; bytes in one
// direction keep both open.
func TestTunnelIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up, origin := net.Pipe()
		ended := make(chan error, 1)
		s := newServer(tunnelTo(up, ended), Config{})
		server, client := net.Pipe()
		s.take(server, nil)
		_, _ = io.WriteString(client, wantTunnel)
		r := bufio.NewReader(client)
		if res, err := http.ReadResponse(r, nil); err != nil || res.StatusCode != 101 {
			t.Fatal(res, err)
		}
		for range 5 {
			time.Sleep(4 * time.Minute)
			_, _ = io.WriteString(origin, "x")
			expect(t, r, "x")
		}
		start := time.Now()
		if err := <-ended; err == nil || time.Since(start) != 5*time.Minute {
			t.Errorf("%v after %v, want an end after 5m", err, time.Since(start))
		}
		client.Close()
		_ = s.Shutdown(t.Context())
	})
}

// TestTunnelIdleAfterClientEnded: an origin that goes on for ever without a
// byte does not hold a tunnel whose client has ended.
func TestTunnelIdleAfterClientEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up, origin := net.Pipe()
		ended := make(chan error, 1)
		s := newServer(tunnelTo(halfCloser{up}, ended), Config{})
		server, client := net.Pipe()
		s.take(server, nil)
		_, _ = io.WriteString(client, wantTunnel)
		if res, err := http.ReadResponse(bufio.NewReader(client), nil); err != nil || res.StatusCode != 101 {
			t.Fatal(res, err)
		}
		client.Close()
		start := time.Now()
		if err := <-ended; err == nil || time.Since(start) != 5*time.Minute {
			t.Errorf("%v after %v, want an end after 5m", err, time.Since(start))
		}
		origin.Close()
		_ = s.Shutdown(t.Context())
	})
}

// halfCloser pretends that one direction can be ended.
type halfCloser struct{ net.Conn }

func (halfCloser) CloseWrite() error { return nil }
