package h1

import (
	"bytes"
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

// TestEarlyAnswer: an origin may answer before it has read the whole body. The
// answer goes out while somebody else still reads; a short rest is read to its
// end, behind a long one the connection closes and says so.
func TestEarlyAnswer(t *testing.T) {
	e := &stub{finish: func(s *edge.Session, l edge.Lane) {
		read := make(chan struct{})
		go func() {
			defer close(read)
			if s.Request.Body != nil {
				_, _ = io.CopyN(io.Discard, s.Request.Body, 3000)
			}
		}()
		reply(s, l, 200, string(s.Request.Path))
		_ = l.Gone()
		<-read
	}}
	_, addr := serve(t, e, Config{})
	for _, c := range []struct {
		bytes  int
		closes bool
	}{{3000, false}, {60000, false}, {100000, true}} {
		conn := dial(t, addr)
		go func() {
			raw := post("/a", strings.Repeat("x", c.bytes)) + get("/b", "Content-Length: 0")
			for rest := raw; rest != ""; {
				n := min(1000, len(rest))
				if _, err := io.WriteString(conn.Conn, rest[:n]); err != nil {
					return
				}
				rest = rest[n:]
			}
		}()
		if a := conn.mustAnswer("POST"); a.body != "/a" || a.Close != c.closes {
			t.Errorf("%d bytes: %q close %v, want close %v", c.bytes, a.body, a.Close, c.closes)
		}
		if c.closes {
			conn.ends()
		}
	}
}

// TestLaneGuards: what would break the framing is refused by the lane itself.
func TestLaneGuards(t *testing.T) {
	head, body := cachestore.NewHead(200, http.Header{}, nil), cachestore.NewBody([]byte("hello"))
	whole := edge.View{Status: 200, Length: 5, To: 5}
	errs := make(chan error, 14)
	_, addr := serve(t, &stub{begin: func(s *edge.Session, l edge.Lane) bool {
		wrong := edge.View{Status: 200, Length: 6, To: 5}
		errs <- l.SendObject(head, body, &wrong)
		errs <- l.Write([]byte("early"))
		errs <- l.End(nil)
		if err := l.SendObject(head, body, &whole); err != nil {
			t.Error(err)
		}
		errs <- l.SendObject(head, body, &whole)
		errs <- l.SendHead(head, &whole)
		errs <- l.Write([]byte("late"))
		errs <- l.End(nil)
		l.Abort(errors.New("late"))
		return true
	}}, Config{})
	conn := dial(t, addr)
	conn.send(get("/a") + get("/b"))
	for range 2 {
		if a := conn.mustAnswer("GET"); a.body != "hello" || a.Close {
			t.Errorf("%q close %v", a.body, a.Close)
		}
	}
	for range 14 {
		if err := <-errs; err == nil {
			t.Error("a call out of order is no error")
		}
	}
}

// TestObjectLeavesMemory: an object that is longer than what is there breaks
// the answer visibly.
func TestObjectLeavesMemory(t *testing.T) {
	head, body := cachestore.NewHead(200, http.Header{}, nil), cachestore.NewBody(make([]byte, 100))
	for _, size := range []int64{200, 100 << 10} {
		s, addr := serve(t, &stub{begin: func(_ *edge.Session, l edge.Lane) bool {
			if l.SendObject(head, body, &edge.View{Status: 200, Length: size, To: size}) == nil {
				t.Error("no error")
			}
			return true
		}}, Config{})
		conn := dial(t, addr)
		conn.send(get("/"))
		if a, err := conn.answer("GET"); err == nil && a.bodyErr == nil {
			t.Errorf("%d bytes, ended cleanly", len(a.body))
		}
		if n := s.Stats().Aborted; n != 1 {
			t.Errorf("%d aborted, want 1", n)
		}
	}
}

// TestStatusLines: known statuses have their phrase, others are still valid.
func TestStatusLines(t *testing.T) {
	for status, want := range map[int]string{200: "HTTP/1.1 200 OK\r\n", 404: "HTTP/1.1 404 Not Found\r\n",
		299: "HTTP/1.1 299 \r\n", 799: "HTTP/1.1 799 \r\n"} {
		if got := string(appendStatusLine(nil, status)); got != want {
			t.Errorf("%d: %q, want %q", status, got, want)
		}
	}
}

// TestFaultKinds: each kind has a name of its own, for the metrics.
func TestFaultKinds(t *testing.T) {
	seen := map[string]bool{}
	for k := range FaultKind(FaultKinds) {
		if name := k.String(); name == "" || seen[name] {
			t.Errorf("kind %d: name %q", k, name)
		}
		seen[k.String()] = true
	}
}
