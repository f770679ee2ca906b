package origin

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// script is an origin that plays on each connection what it is told.
type script struct {
	ln    net.Listener
	conns sync.WaitGroup
}

// conversation is one accepted connection.
type conversation struct {
	net.Conn
	r *bufio.Reader
	n int // 0 for the first connection
}

// request reads one request with its body, or reports false.
func (c *conversation) request() (*http.Request, string, bool) {
	r, err := http.ReadRequest(c.r)
	if err != nil {
		return nil, "", false
	}
	body, err := io.ReadAll(r.Body)
	return r, string(body), err == nil
}

func (c *conversation) say(s string) { io.WriteString(c.Conn, s) }

// newScript starts an origin; play runs once a connection, which is closed
// when it returns.
func newScript(t *testing.T, play func(*conversation)) *script {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &script{ln: ln}
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for n := 0; ; n++ {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			s.conns.Go(func() {
				defer conn.Close()
				play(&conversation{Conn: conn, r: bufio.NewReader(conn), n: n})
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		accepting.Wait()
		s.conns.Wait()
	})
	return s
}

func (s *script) url() string { return "http://" + s.ln.Addr().String() }

// answers plays raw for every request on the connection.
func answers(raw string) func(*conversation) {
	return func(c *conversation) {
		for {
			if _, _, ok := c.request(); !ok {
				return
			}
			c.say(raw)
		}
	}
}

// once plays raw for one request and closes.
func once(raw string) func(*conversation) {
	return func(c *conversation) {
		if _, _, ok := c.request(); ok {
			c.say(raw)
		}
	}
}

func newTestPool(t *testing.T, c Config) *Pool {
	t.Helper()
	c.Name = or(c.Name, "main")
	p, err := NewPool(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func poolFor(t *testing.T, s *script) *Pool {
	t.Helper()
	return newTestPool(t, Config{Peers: []string{s.url()}})
}

func get(path string) *http.Request {
	r, err := http.NewRequest("GET", "http://example.com"+path, nil)
	if err != nil {
		panic(err)
	}
	return r
}

func do(t *testing.T, p *Pool, r *http.Request, tr *Trace) (*http.Response, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return p.Client().Do(ctx, p.Peers()[0], r, tr)
}

// fetch returns the whole answer, or the error of its head or body.
func fetch(t *testing.T, p *Pool, r *http.Request, tr *Trace) (status int, body string, err error) {
	t.Helper()
	res, err := do(t, p, r, tr)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, string(b), err
}

// until waits for a condition that another goroutine brings about.
func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for !cond() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("never came true: %s", what)
		}
	}
}

const helloHead = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
const hello = helloHead + "hello"

func TestFetch(t *testing.T) {
	s := newScript(t, answers(hello))
	p := poolFor(t, s)
	for i := range 3 {
		var tr Trace
		status, body, err := fetch(t, p, get("/"), &tr)
		if status != 200 || body != "hello" || err != nil {
			t.Fatalf("got %d %q %v", status, body, err)
		}
		if want := i > 0; tr.Reused != want {
			t.Errorf("request %d: reused %v, want %v", i, tr.Reused, want)
		}
		if tr.ConnectAt == 0 || tr.SentAt < tr.ConnectAt || tr.FirstByteAt < tr.SentAt {
			t.Errorf("times out of order: %+v", tr)
		}
	}
	st := p.Peers()[0].Stats()
	if st.Dialled != 1 || st.Reused != 2 || st.Idle != 1 || p.Peers()[0].InFlight() != 0 {
		t.Errorf("stats %+v, in flight %d", st, p.Peers()[0].InFlight())
	}
}

func fetchRest(t *testing.T, body io.ReadCloser) {
	t.Helper()
	if _, err := io.Copy(io.Discard, body); err != nil {
		t.Error(err)
	}
	body.Close()
}

// connected is a Witness of connections alone.
type connected func(ConnInfo) error

func (f connected) Connected(i ConnInfo) error { return f(i) }
func (connected) Interim(int, http.Header)     {}

// interim is a Witness of interim answers alone.
type interim func(status int, h http.Header)

func (interim) Connected(ConnInfo) error            { return nil }
func (f interim) Interim(status int, h http.Header) { f(status, h) }
