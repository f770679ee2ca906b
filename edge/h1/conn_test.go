package h1

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"edgecache/cachestore"
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
		{"malformed chunks", "GET /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n", 1},
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

func TestInterim(t *testing.T) {
	_, addr := serve(t, &stub{finish: func(s *edge.Session, l edge.Lane) {
		_ = l.Interim(103, http.Header{"Link": {"</a.css>; rel=preload"}, "Bad\r\nX": {"y"}, "X": {"a\r\nb"}})
		reply(s, l, 200, "")
		_ = l.Interim(103, nil) // too late
	}}, Config{})
	for version, want := range map[string]int{"1.1": 1, "1.0": 0} {
		conn := dial(t, addr)
		conn.send("GET / HTTP/" + version + "\r\nHost: a\r\nConnection: close\r\n\r\n")
		if a := conn.mustAnswer("GET"); len(a.interim) != want {
			t.Errorf("HTTP/%s: %v, want %d interim answers", version, a.interim, want)
		}
		conn.ends()
	}
}

// TestStreams holds the framing of answers whose body is written in parts.
func TestStreams(t *testing.T) {
	parts := []string{"one", "", strings.Repeat("two", 20000), "three"}
	whole := strings.Join(parts, "")
	stream := func(length int64, end func(edge.Lane)) *stub {
		return &stub{finish: func(s *edge.Session, l edge.Lane) {
			v := &edge.View{Status: 200, Length: length}
			_ = l.SendHead(cachestore.NewHead(200, http.Header{}, nil), v)
			for _, p := range parts {
				_ = l.Write([]byte(p))
			}
			end(l)
		}}
	}
	clean := func(l edge.Lane) { _ = l.End(http.Header{"X-Sum": {"42"}}) }
	abort := func(l edge.Lane) { l.Abort(errors.New("origin died")) }
	size := int64(len(whole))
	for _, c := range []struct {
		name, version string
		length        int64
		end           func(edge.Lane)
		broken        bool
		coding        string
		goesOn        bool
	}{
		{"chunked", "1.1", -1, clean, false, "chunked", true},
		{"by length", "1.1", size, clean, false, "", true},
		{"by close in 1.0", "1.0", -1, clean, false, "", false},
		{"by length in 1.0", "1.0", size, clean, false, "", true},
		{"chunked, broken", "1.1", -1, abort, true, "chunked", false},
		{"by length, broken", "1.1", size + 5, abort, true, "", false},
		{"by length, ended too early", "1.1", size + 5, clean, true, "", false},
		{"by length, too much of it", "1.1", size - 7, clean, true, "", false},
		{"by close, broken", "1.0", -1, abort, true, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, addr := serve(t, stream(c.length, c.end), Config{})
			conn := dial(t, addr)
			conn.send("GET / HTTP/" + c.version + "\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
			a, err := conn.answer("GET")
			if c.broken {
				if err == nil && a.bodyErr == nil {
					t.Errorf("%d bytes, ended cleanly", len(a.body))
				}
				if n := s.Stats().Aborted; n != 1 {
					t.Errorf("%d aborted, want 1", n)
				}
				return
			}
			if err != nil || a.bodyErr != nil || a.body != whole {
				t.Fatalf("%d bytes of %d, %v, %v", len(a.body), len(whole), err, a.bodyErr)
			}
			if got := strings.Join(a.TransferEncoding, ","); got != c.coding {
				t.Errorf("Transfer-Encoding %q, want %q", got, c.coding)
			}
			if c.coding != "" && a.Trailer.Get("X-Sum") != "42" {
				t.Errorf("trailer %v", a.Trailer)
			}
			if !c.goesOn {
				conn.ends()
				return
			}
			conn.send(get("/2"))
			if a := conn.mustAnswer("GET"); a.body != whole {
				t.Error("the next answer differs")
			}
		})
	}
}

// TestBrokenByReset: a body that ends by close is cut with a reset.
func TestBrokenByReset(t *testing.T) {
	_, addr := serve(t, &stub{finish: func(s *edge.Session, l edge.Lane) {
		_ = l.SendHead(cachestore.NewHead(200, http.Header{}, nil), &edge.View{Status: 200, Length: -1})
		_ = l.Write([]byte("part"))
		_ = l.Flush()
		l.Abort(errors.New("origin died"))
	}}, Config{})
	conn := dial(t, addr)
	conn.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n")
	if _, err := io.ReadAll(conn.r); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%v, want a reset", err)
	}
}

// TestConnectionLimit: one connection over the limit is answered 503.
func TestConnectionLimit(t *testing.T) {
	s, addr := serve(t, &stub{finish: echo}, Config{Conns: 2})
	for range 2 {
		conn := dial(t, addr)
		conn.send(get("/"))
		conn.mustAnswer("GET")
	}
	over := dial(t, addr)
	over.send(get("/"))
	if a := over.mustAnswer("GET"); a.StatusCode != 503 || !a.Close {
		t.Errorf("status %d close %v, want 503 and close", a.StatusCode, a.Close)
	}
	if got := s.Stats(); got.Refused != 1 || got.Open != 2 || got.Accepted != 2 {
		t.Errorf("%+v, want 1 refused, 2 open", got)
	}
}

// TestPanic costs the connection and nothing else.
func TestPanic(t *testing.T) {
	s, addr := serve(t, &stub{finish: func(s *edge.Session, l edge.Lane) {
		if string(s.Request.Path) == "/panic" {
			panic("bug")
		}
		echo(s, l)
	}}, Config{})
	bad := dial(t, addr)
	bad.send(get("/panic"))
	bad.ends()
	good := dial(t, addr)
	good.send(get("/"))
	good.mustAnswer("GET")
	if n := s.Stats().Panics; n != 1 {
		t.Errorf("%d panics counted, want 1", n)
	}
}

// TestShutdown: idle connections end at once, an active one after its answer,
// which says so.
func TestShutdown(t *testing.T) {
	release, entered := make(chan struct{}), make(chan struct{})
	s, addr := serve(t, &stub{finish: func(s *edge.Session, l edge.Lane) {
		if string(s.Request.Path) == "/slow" {
			close(entered)
			<-release
		}
		echo(s, l)
	}}, Config{})
	idle, fresh, active := dial(t, addr), dial(t, addr), dial(t, addr)
	idle.send(get("/"))
	idle.mustAnswer("GET")
	active.send(get("/slow"))
	<-entered
	eventually(t, "three connections", func() bool { return s.Stats().Open == 3 })
	done := make(chan error, 1)
	go func() { done <- s.Shutdown(context.Background()) }()
	idle.ends()
	fresh.ends()
	select {
	case err := <-done:
		t.Fatalf("Shutdown returned %v before the request was over", err)
	default:
	}
	close(release)
	if a := active.mustAnswer("GET"); !a.Close || a.body != "GET /slow " {
		t.Errorf("close %v body %q, want the answer with Connection: close", a.Close, a.body)
	}
	active.Close()
	if err := <-done; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if nc, err := net.Dial("tcp", addr); err == nil {
		nc.Close()
		t.Error("still accepts")
	}
}

// TestShutdownCuts: what is not over when the context ends is cut.
func TestShutdownCuts(t *testing.T) {
	entered := make(chan struct{})
	s, addr := serve(t, &stub{finish: func(_ *edge.Session, l edge.Lane) {
		gone := l.Gone()
		close(entered)
		<-gone
		l.Abort(nil)
	}}, Config{})
	conn := dial(t, addr)
	conn.send(get("/"))
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, ErrCut) {
		t.Errorf("Shutdown: %v, want ErrCut", err)
	}
	if n := s.Stats().Open; n != 0 {
		t.Errorf("%d connections left", n)
	}
}

// TestAcceptGoesOn after errors that pass.
func TestAcceptGoesOn(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(&stub{finish: echo}, Config{})
	done := make(chan error, 1)
	go func() { done <- s.Serve(&failing{Listener: l, left: 3}, nil) }()
	conn := dial(t, l.Addr().String())
	conn.send(get("/"))
	conn.mustAnswer("GET")
	conn.Close()
	_ = s.Shutdown(t.Context())
	if err := <-done; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

// failing is a listener without descriptors for a while.
type failing struct {
	net.Listener
	left int
}

func (f *failing) Accept() (net.Conn, error) {
	if f.left > 0 {
		f.left--
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return f.Listener.Accept()
}

// TestGone: the client's leaving is seen, the next request is not eaten.
func TestGone(t *testing.T) {
	left := make(chan bool, 8)
	_, addr := serve(t, &stub{finish: func(s *edge.Session, l edge.Lane) {
		if s.Request.Body != nil {
			_ = l.Gone() // asked before the body was read
			_, _ = io.Copy(io.Discard, s.Request.Body)
		}
		if string(s.Request.Path) == "/wait" {
			<-l.Gone()
			left <- true
		}
		_ = l.Gone()
		reply(s, l, 200, string(s.Request.Path))
	}}, Config{})
	t.Run("a reset", func(t *testing.T) {
		conn := dial(t, addr)
		conn.send(get("/wait"))
		_ = conn.Conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
		<-left
	})
	t.Run("a reset after the body", func(t *testing.T) {
		conn := dial(t, addr)
		conn.send(post("/wait", "hello"))
		_ = conn.Conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
		<-left
	})
	t.Run("requests one after another", func(t *testing.T) {
		conn := dial(t, addr)
		for range 3 {
			conn.send(get("/a") + post("/b", "body") + get("/c"))
			got := conn.answers("GET", 3)
			if len(got) != 3 || got[0].body+got[1].body+got[2].body != "/a/b/c" {
				t.Fatalf("answers %+v", got)
			}
		}
	})
	t.Run("a client that ended only its own direction", func(t *testing.T) {
		conn := dial(t, addr)
		conn.send(get("/a"))
		_ = conn.Conn.(*net.TCPConn).CloseWrite()
		if a := conn.mustAnswer("GET"); a.body != "/a" {
			t.Errorf("answer %q", a.body)
		}
	})
}

// TestObjects sends stored objects of all sizes, whole and in part, over one
// connection.
func TestObjects(t *testing.T) {
	content := make([]byte, 5*cachestore.ChunkSize+1234)
	for i := range content {
		content[i] = byte(i * 7 >> 3)
	}
	body := cachestore.NewBody(content)
	head := cachestore.NewHead(200, http.Header{"Etag": {`"x"`}, "Content-Type": {"a/b"}}, nil)
	var view atomic.Pointer[edge.View]
	_, addr := serve(t, &stub{begin: func(s *edge.Session, l edge.Lane) bool {
		v := *view.Load()
		v.NoBody = v.NoBody || s.Request.Method == "HEAD"
		if err := l.SendObject(head, body, &v); err != nil {
			t.Error(err)
		}
		return true
	}}, Config{})
	conn := dial(t, addr)
	size := int64(len(content))
	for _, span := range [][2]int64{{0, size}, {0, 0}, {5, 6}, {0, copyBytes}, {1, copyBytes + 2},
		{cachestore.ChunkSize - 1, cachestore.ChunkSize + 1}, {cachestore.ChunkSize, 2 * cachestore.ChunkSize}, {size - 1, size}, {100, size - 100}} {
		view.Store(&edge.View{Status: 206, From: span[0], To: span[1], Length: span[1] - span[0]})
		for _, method := range []string{"GET", "HEAD"} {
			conn.send(method + " / HTTP/1.1\r\nHost: a\r\n\r\n")
			a := conn.mustAnswer(method)
			want := content[span[0]:span[1]]
			if method == "HEAD" {
				want = nil
			}
			if !bytes.Equal([]byte(a.body), want) || a.ContentLength != span[1]-span[0] || a.Header.Get("Content-Type") != "a/b" {
				t.Errorf("%s %v: %d bytes of %d, %v", method, span, len(a.body), a.ContentLength, a.Header)
			}
		}
	}
	view.Store(&edge.View{Status: 304, KeptOnly: true, NoBody: true, Length: edge.LengthNone})
	conn.send(get("/"))
	a := conn.mustAnswer("GET")
	if a.StatusCode != 304 || a.Header.Get("Content-Type") != "" || a.Header.Get("Etag") != `"x"` || a.Header.Get("Content-Length") != "" {
		t.Errorf("304 with %v", a.Header)
	}
}

// TestSocketAllocs: an answer from memory allocates nothing in the wire.
func TestSocketAllocs(t *testing.T) {
	for _, size := range []int{1 << 10, 200 << 10} {
		run, stop := socketHits(t, size)
		if n := testing.AllocsPerRun(200, run); n > 0.5 {
			t.Errorf("%d bytes: %v allocations an answer, want 0", size, n)
		}
		stop()
	}
}

func BenchmarkHit(b *testing.B) {
	for name, size := range map[string]int{"1KiB": 1 << 10, "32KiB": 32 << 10, "1MiB": 1 << 20} {
		b.Run(name, func(b *testing.B) {
			run, stop := socketHits(b, size)
			defer stop()
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				run()
			}
		})
	}
}

// socketHits gives a function that asks for one stored answer over a socket.
func socketHits(t testing.TB, size int) (run, stop func()) {
	body := cachestore.NewBody(make([]byte, size))
	head := cachestore.NewHead(200, http.Header{"Content-Type": {"a/b"}, "Date": {"x"}}, nil)
	view := edge.View{Status: 200, Length: int64(size), To: int64(size)}
	_, addr := serve(t, &stub{begin: func(s *edge.Session, l edge.Lane) bool {
		return l.SendObject(head, body, &view) == nil
	}}, Config{})
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	request, buf := []byte(browserHead), make([]byte, 64<<10)
	_, _ = nc.Write(request)
	n, err := nc.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	length := bytes.Index(buf[:n], []byte("\r\n\r\n")) + 4 + size
	for n < length {
		m, err := nc.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		n += m
	}
	_ = nc.SetDeadline(time.Now().Add(60 * time.Second))
	return func() {
		if _, err := nc.Write(request); err != nil {
			t.Fatal(err)
		}
		for got := 0; got < length; {
			m, err := nc.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			got += m
		}
	}, func() { nc.Close() }
}
