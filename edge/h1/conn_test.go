package h1

import (
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"edgecache/edge"
)

func TestKeepAlive(t *testing.T) {
	_, addr := serve(t, &stub{finish: echo}, Config{})
	for _, c := range []struct {
		name, raw  string
		connection string // in the answer
		closes     bool
	}{
		{"1.1 goes on", get("/"), "", false},
		{"1.1 with close", get("/", "Connection: close"), "close", true},
		{"1.0 ends", "GET / HTTP/1.0\r\nHost: a\r\n\r\n", "close", true},
		{"1.0 with keep-alive goes on", "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", "keep-alive", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := dial(t, addr)
			conn.send(c.raw)
			a := conn.mustAnswer("GET")
			// net/http takes Connection out of the header it hands on.
			if a.Close != c.closes {
				t.Errorf("close %v, want %v (%v)", a.Close, c.closes, a.Header)
			}
			if c.closes {
				conn.ends()
				return
			}
			conn.send(get("/2"))
			if a := conn.mustAnswer("GET"); a.body != "GET /2 " {
				t.Errorf("second answer %q", a.body)
			}
		})
	}
}

// TestPipelining sends everything at once, byte by byte and in odd pieces; the
// answers come in order.
func TestPipelining(t *testing.T) {
	_, addr := serve(t, &stub{finish: echo}, Config{})
	raw := get("/1") + post("/2", "hello") + "\r\n" + get("/3?") +
		"POST /4 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=\"y z\"\r\nabc\r\n0\r\nT: u\r\n\r\n" + get("/5")
	want := "GET /1 |POST /2 hello|GET /3? |POST /4 abc|GET /5 |"
	for _, step := range []int{1, 3, 7, 64, len(raw)} {
		conn := dial(t, addr)
		go func() {
			for rest := raw; rest != ""; {
				n := min(step, len(rest))
				_, _ = io.WriteString(conn.Conn, rest[:n])
				rest = rest[n:]
			}
		}()
		got := ""
		for _, a := range conn.answers("GET", 5) {
			got += a.body + "|"
		}
		if got != want {
			t.Errorf("in pieces of %d: %q, want %q", step, got, want)
		}
	}
}

// TestPipelinedAnswersLeaveTogether counts the writes of answers that Begin gives.
func TestPipelinedAnswersLeaveTogether(t *testing.T) {
	e := &stub{begin: func(s *edge.Session, l edge.Lane) bool { echo(s, l); return true }}
	server, client := net.Pipe()
	s := newServer(e, Config{})
	writes := &countingConn{Conn: server}
	s.take(writes, nil)
	conn := newClient(t, client)
	conn.send(strings.Repeat(get("/x"), 20))
	if got := len(conn.answers("GET", 20)); got != 20 {
		t.Fatalf("%d answers, want 20", got)
	}
	if n := writes.writes.Load(); n > 2 {
		t.Errorf("%d writes for 20 pipelined answers, want 1 or 2", n)
	}
	client.Close()
	_ = s.Shutdown(t.Context())
}

type countingConn struct {
	net.Conn
	writes atomic.Int64
}

func (c *countingConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

// TestUnreadBody: what nobody read is read away up to the limit, and is never
// taken for a request.
func TestUnreadBody(t *testing.T) {
	ignore := &stub{begin: func(s *edge.Session, l edge.Lane) bool {
		reply(s, l, 200, string(s.Request.Path))
		return true
	}}
	evil := get("/evil")
	chunked := func(n int) string {
		return "GET /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" +
			strings.Repeat("10\r\n0123456789abcdef\r\n", n/16) + "0\r\n\r\n"
	}
	for _, c := range []struct {
		name, raw string
		want      int // answers, the follow-up's included
	}{
		{"a short body", post("/a", evil), 2},
		{"64 KiB", post("/a", strings.Repeat("x", 64<<10)), 2},
		{"more than 64 KiB", post("/a", strings.Repeat("x", 64<<10+1)), 1},
		{"64 KiB in chunks", chunked(64 << 10), 2},
		{"more in chunks", chunked(64<<10 + 16), 1},
		{"malformed chunks", "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n", 1},
		{"a GET's short body", strings.Replace(post("/a", evil), "POST", "GET", 1), 2},
		{"a GET's long body", strings.Replace(post("/a", strings.Repeat("x", 64<<10+1)), "POST", "GET", 1), 1},
		{"a body that waits for a 100, sent all the same", post("/a", evil, "Expect: 100-continue"), 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, addr := serve(t, ignore, Config{})
			conn := dial(t, addr)
			go io.WriteString(conn.Conn, c.raw+get("/b", "Connection: close"))
			got := conn.answers("GET", 3)
			if len(got) != c.want || got[0].body != "/a" || c.want == 2 && got[1].body != "/b" {
				t.Errorf("%d answers, want %d", len(got), c.want)
			}
		})
	}
}

// TestReadAhead: a body with a GET is read before the request is answered. The
// engine gets all of it, and a fault in it is refused though the answer is in
// memory.
func TestReadAhead(t *testing.T) {
	e := &stub{begin: func(s *edge.Session, l edge.Lane) bool { echo(s, l); return true }}
	s, addr := serve(t, e, Config{UnreadBytes: 1000})
	for _, n := range []int{1, 999, 1000, 1001, 5000} {
		body := strings.Repeat("x", n)
		conn := dial(t, addr)
		conn.send(strings.Replace(post("/a", body), "POST", "GET", 1) + get("/b"))
		got := conn.answers("GET", 2)
		if len(got) != 2 || got[0].body != "GET /a "+body || got[1].body != "GET /b " {
			t.Errorf("%d bytes: %d answers", n, len(got))
		}
	}
	never := &stub{}
	_, addr = serve(t, never, Config{})
	conn := dial(t, addr)
	conn.send("GET /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n" + get("/b"))
	if a := conn.mustAnswer("GET"); a.StatusCode != 400 || !a.Close {
		t.Errorf("%d close %v, want 400 and close", a.StatusCode, a.Close)
	}
	conn.ends()
	if n := len(never.refused()); n != 1 || s.Stats().BodyFaults != 0 {
		t.Errorf("%d refusals logged, want 1", n)
	}
}

func TestExpectContinue(t *testing.T) {
	const head = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
	t.Run("the body is wanted", func(t *testing.T) {
		_, addr := serve(t, &stub{finish: echo}, Config{})
		conn := dial(t, addr)
		conn.send(head)
		line, err := conn.r.ReadString('\n')
		if err != nil || line != "HTTP/1.1 100 Continue\r\n" {
			t.Fatalf("%q, %v; want 100", line, err)
		}
		conn.send("hello" + get("/b"))
		_, _ = conn.r.ReadString('\n')
		if got := conn.answers("POST", 2); len(got) != 2 || got[0].body != "POST /a hello" {
			t.Errorf("answers %+v", got)
		}
	})
	t.Run("it is not", func(t *testing.T) {
		_, addr := serve(t, &stub{finish: func(s *edge.Session, l edge.Lane) { reply(s, l, 403, "no") }}, Config{})
		conn := dial(t, addr)
		conn.send(head)
		a := conn.mustAnswer("POST")
		if a.StatusCode != 403 || !a.Close || len(a.interim) > 0 {
			t.Errorf("status %d close %v interim %v, want 403 and close without a 100", a.StatusCode, a.Close, a.interim)
		}
		conn.ends()
	})
}
