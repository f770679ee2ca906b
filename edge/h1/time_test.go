package h1

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"edgecache/cachestore"
	"edgecache/edge"
)

// inBubble runs a test with a server, a client on an in-memory connection, and
// time that passes only while everybody waits.
func inBubble(t *testing.T, e engine, c Config, f func(t *testing.T, s *Server, conn net.Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(e, c)
		server, client := net.Pipe()
		s.take(server, nil)
		f(t, s, client)
		client.Close()
		if err := s.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		time.Sleep(time.Minute) // writers wake up and see that it is over
	})
}

// trickle sends s one byte each period until it cannot.
func trickle(conn net.Conn, s string, period time.Duration) {
	for i := range len(s) {
		if _, err := io.WriteString(conn, s[i:i+1]); err != nil {
			return
		}
		time.Sleep(period)
	}
}

// TestSlowHeaders is the case slow-headers: a byte each 5 s, closed with 408
// 10 s after the head's first byte.
func TestSlowHeaders(t *testing.T) {
	e := &stub{finish: echo}
	inBubble(t, e, Config{}, func(t *testing.T, s *Server, conn net.Conn) {
		start := time.Now()
		go trickle(conn, get("/"), 5*time.Second)
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || res.StatusCode != 408 || !res.Close {
			t.Fatalf("%v, %v; want 408 and close", res, err)
		}
		if after := time.Since(start); after != 10*time.Second {
			t.Errorf("after %v, want 10s", after)
		}
		synctest.Wait()
		if got := s.Stats(); got.HeadTimeouts != 1 || got.Faults[FaultTimeout] != 1 || len(e.refused()) != 1 {
			t.Errorf("counted %+v", got)
		}
	})
}

// TestHeaderTimeoutStartsAnew with each request, and not before its first byte.
func TestHeaderTimeoutStartsAnew(t *testing.T) {
	inBubble(t, &stub{finish: echo}, Config{}, func(t *testing.T, s *Server, conn net.Conn) {
		r := bufio.NewReader(conn)
		for range 5 {
			time.Sleep(9 * time.Second)
			go trickle(conn, get("/"), 9*time.Second/time.Duration(len(get("/"))))
			res, err := http.ReadResponse(r, nil)
			if err != nil || res.StatusCode != 200 {
				t.Fatalf("%v, %v; want 200", res, err)
			}
			_, _ = io.ReadAll(res.Body)
		}
	})
}

// TestIdle: a connection between requests is closed in silence.
func TestIdle(t *testing.T) {
	for _, c := range []struct {
		name, first, then string
		want              time.Duration
	}{
		{"after an answer", get("/"), "", 60 * time.Second},
		{"without a first byte", "", "", 10 * time.Second},
		{"an empty line is no head", get("/"), "\r\n", 60 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, &stub{finish: echo}, Config{}, func(t *testing.T, s *Server, conn net.Conn) {
				r := bufio.NewReader(conn)
				if c.first != "" {
					go io.WriteString(conn, c.first)
					res, err := http.ReadResponse(r, nil)
					if err != nil {
						t.Fatal(err)
					}
					_, _ = io.ReadAll(res.Body)
				}
				start := time.Now()
				if c.then != "" {
					go io.WriteString(conn, c.then)
				}
				if b, err := io.ReadAll(r); len(b) > 0 || err != nil {
					t.Errorf("%q, %v; want silence", b, err)
				}
				if after := time.Since(start); after != c.want {
					t.Errorf("closed after %v, want %v", after, c.want)
				}
				if n := s.Stats().IdleTimeouts; n != 1 {
					t.Errorf("%d idle timeouts counted, want 1", n)
				}
			})
		})
	}
}

// TestSlowBody is the case slow-body: a byte a second, closed with 408 when the
// credit is used up.
func TestSlowBody(t *testing.T) {
	for _, raw := range []string{
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
	} {
		inBubble(t, &stub{finish: echo}, Config{}, func(t *testing.T, s *Server, conn net.Conn) {
			body := strings.Repeat("1\r\nx\r\n", 10000)
			if strings.Contains(raw, "Length") {
				body = strings.Repeat("x", 100000)
			}
			_, _ = io.WriteString(conn, raw)
			start := time.Now()
			go trickle(conn, body, time.Second)
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil || res.StatusCode != 408 || !res.Close {
				t.Fatalf("%v, %v; want 408 and close", res, err)
			}
			if after := time.Since(start); after < 30*time.Second || after > 31*time.Second {
				t.Errorf("after %v, want the grace of 30s and what 30 bytes earn", after)
			}
			if n := s.Stats().SlowBodies; n != 1 {
				t.Errorf("%d slow bodies counted, want 1", n)
			}
		})
	}
}

// TestBodyAtMinRate: a body at the minimum rate may take as long as it likes.
func TestBodyAtMinRate(t *testing.T) {
	inBubble(t, &stub{finish: echo}, Config{}, func(t *testing.T, s *Server, conn net.Conn) {
		go trickle(conn, post("/", strings.Repeat("x", 12000)), 10*time.Millisecond)
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || res.StatusCode != 200 {
			t.Fatalf("%v, %v; want 200", res, err)
		}
		_, _ = io.ReadAll(res.Body)
	})
}

// TestSlowOriginIsNotASlowBody: while nobody reads, no credit is used.
func TestSlowOriginIsNotASlowBody(t *testing.T) {
	e := &stub{finish: func(s *edge.Session, l edge.Lane) {
		time.Sleep(10 * time.Minute)
		echo(s, l)
	}}
	inBubble(t, e, Config{}, func(t *testing.T, s *Server, conn net.Conn) {
		go io.WriteString(conn, post("/", strings.Repeat("x", 10000)))
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || res.StatusCode != 200 {
			t.Fatalf("%v, %v; want 200", res, err)
		}
		_, _ = io.ReadAll(res.Body)
	})
}

// TestSlowRead is the case slow-read: a client that takes nothing for 30 s is
// cut, one that takes a byte now and then is not.
func TestSlowRead(t *testing.T) {
	body := cachestore.NewBody(make([]byte, 1<<20))
	head := cachestore.NewHead(200, http.Header{}, nil)
	var err error
	var at time.Time
	e := &stub{begin: func(s *edge.Session, l edge.Lane) bool {
		err = l.SendObject(head, body, &edge.View{Status: 200, Length: body.Size, To: body.Size})
		at = time.Now()
		return true
	}}
	inBubble(t, e, Config{}, func(t *testing.T, s *Server, conn net.Conn) {
		_, _ = io.WriteString(conn, get("/"))
		start, one := time.Now(), make([]byte, 1)
		for range 10 {
			time.Sleep(20 * time.Second)
			if _, err := conn.Read(one); err != nil {
				t.Fatalf("cut after %v though it reads", time.Since(start))
			}
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if after := at.Sub(start); err == nil || after < 230*time.Second || after > 260*time.Second {
			t.Errorf("%v after %v, want a cut 30 to 60 s after the last byte (200 s)", err, after)
		}
		if got := s.Stats(); got.WriteStalls != 1 {
			t.Errorf("counted %+v", got)
		}
	})
}

// TestHalfClose: a client that ended its direction has a grace, then it is gone.
func TestHalfClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var after time.Duration
		e := &stub{finish: func(s *edge.Session, l edge.Lane) {
			start := time.Now()
			<-l.Gone()
			after = time.Since(start)
			l.Abort(nil)
		}}
		s := newServer(e, Config{})
		server, client := net.Pipe()
		s.take(server, nil)
		_, _ = io.WriteString(client, get("/"))
		synctest.Wait()
		client.Close()
		synctest.Wait()
		time.Sleep(watchDelay + halfCloseGrace)
		if err := s.Shutdown(t.Context()); err != nil || after != watchDelay+halfCloseGrace {
			t.Errorf("gone after %v (%v), want %v behind the first look", after, err, halfCloseGrace)
		}
	})
}

// TestDrainLimit: Shutdown cuts what is still active after limits.drain.
func TestDrainLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &stub{finish: func(s *edge.Session, l edge.Lane) { <-l.Gone() }}
		s := newServer(e, Config{})
		server, client := net.Pipe()
		s.take(server, nil)
		_, _ = io.WriteString(client, get("/"))
		synctest.Wait()
		start := time.Now()
		if err := s.Shutdown(t.Context()); err != edge.ErrCut || time.Since(start) != 30*time.Second {
			t.Errorf("%v after %v, want ErrCut after 30s", err, time.Since(start))
		}
		client.Close()
	})
}
