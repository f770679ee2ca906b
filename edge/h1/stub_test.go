package h1

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"edgecache/cachestore"
	"edgecache/edge"

	"go.uber.org/goleak"
)

// TestMain fails when a goroutine outlives the tests.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stub is an engine for the wire's own tests: begin may answer at once, finish
// answers the rest.
type stub struct {
	begin  func(*edge.Session, edge.Lane) bool
	finish func(*edge.Session, edge.Lane)

	mu       sync.Mutex
	lanes    map[*edge.Session]edge.Lane
	refusals []edge.Refusal
}

func (e *stub) NewSession(l edge.Lane) *edge.Session {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.lanes == nil {
		e.lanes = map[*edge.Session]edge.Lane{}
	}
	s := &edge.Session{}
	e.lanes[s] = l
	return s
}

func (e *stub) lane(s *edge.Session) edge.Lane {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.lanes[s]
}

func (e *stub) Begin(s *edge.Session) bool {
	return e.begin != nil && e.begin(s, e.lane(s))
}

func (e *stub) Finish(s *edge.Session) { e.finish(s, e.lane(s)) }

func (e *stub) Release(s *edge.Session) { s.Request = edge.Request{} }

func (e *stub) Refuse(r edge.Refusal) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.refusals = append(e.refusals, r)
}

func (e *stub) refused() []edge.Refusal {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]edge.Refusal(nil), e.refusals...)
}

// reply answers with a status and a text.
func reply(s *edge.Session, l edge.Lane, status int, text string) {
	v := &edge.View{Status: status, Length: int64(len(text)), NoBody: s.Request.Method == "HEAD", Close: status == 400 || status == 408}
	head := cachestore.NewHead(status, http.Header{"Content-Type": {"text/plain"}}, nil)
	if l.SendHead(head, v) == nil && l.Write([]byte(text)) == nil {
		_ = l.End(nil)
	}
}

// echo reads the body and answers with method, target and body; a fault in the
// body becomes the status that it asks for, as in the real engine.
func echo(s *edge.Session, l edge.Lane) {
	var body []byte
	if s.Request.Body != nil {
		var err error
		if body, err = io.ReadAll(s.Request.Body); err != nil {
			var fault *edge.BodyError
			if errors.As(err, &fault) {
				reply(s, l, fault.HTTPStatus(), fault.Detail)
				return
			}
			l.Abort(err)
			return
		}
	}
	target := string(s.Request.Path)
	if s.Request.HasQuery {
		target += "?" + string(s.Request.Query)
	}
	reply(s, l, 200, s.Request.Method+" "+target+" "+string(body))
}

// serve starts a server on a port of its own and gives its address.
func serve(t testing.TB, e engine, c Config) (*Server, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(e, c)
	done := make(chan error, 1)
	go func() { done <- s.Serve(l, nil) }()
	t.Cleanup(func() {
		s.config.Drain = time.Millisecond
		_ = s.Shutdown(t.Context())
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return s, l.Addr().String()
}

// client is a raw connection whose answers are parsed by net/http.
type client struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

func dial(t testing.TB, addr string) *client {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	return newClient(t, nc)
}

func newClient(t testing.TB, nc net.Conn) *client {
	_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
	return &client{t, nc, bufio.NewReader(nc)}
}

func (c *client) send(raw string) {
	c.t.Helper()
	if _, err := io.WriteString(c.Conn, raw); err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

// answer is one final answer with its body read.
type answer struct {
	*http.Response
	body    string
	bodyErr error
	interim []int
}

// answers reads final answers until the connection ends or want have come.
func (c *client) answers(method string, want int) (list []answer) {
	c.t.Helper()
	for len(list) < want {
		a, err := c.answer(method)
		if err != nil {
			return list
		}
		list = append(list, a)
	}
	return list
}

func (c *client) answer(method string) (a answer, err error) {
	for {
		a.Response, err = http.ReadResponse(c.r, &http.Request{Method: method})
		if err != nil {
			return a, err
		}
		if a.StatusCode >= 200 || a.StatusCode == 101 {
			break
		}
		a.interim = append(a.interim, a.StatusCode)
	}
	if a.StatusCode != 101 {
		b, err := io.ReadAll(a.Body)
		a.body, a.bodyErr = string(b), err
	}
	return a, nil
}

// mustAnswer reads one answer.
func (c *client) mustAnswer(method string) answer {
	c.t.Helper()
	a, err := c.answer(method)
	if err != nil {
		c.t.Fatalf("no answer: %v", err)
	}
	return a
}

// ends checks that the server closes without a further byte.
func (c *client) ends() {
	c.t.Helper()
	if b, err := io.ReadAll(c.r); err != nil || len(b) > 0 {
		c.t.Errorf("after the last answer: %q, %v; want a clean end", b, err)
	}
}

// eventually waits for a condition that another goroutine brings about.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !is(); {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		<-time.After(time.Millisecond)
	}
}

func get(path string, fields ...string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: a.test\r\n" + strings.Join(append(fields, ""), "\r\n") + "\r\n"
}

func post(path, body string, fields ...string) string {
	return "POST " + path + " HTTP/1.1\r\nHost: a.test\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n" +
		strings.Join(append(fields, ""), "\r\n") + "\r\n" + body
}
