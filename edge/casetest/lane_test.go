package casetest

import (
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"

	"edgecache/cachestore"
	"edgecache/edge"
	"edgecache/edge/edgetest"
)

// client is a lane in memory. Unlike a socket it tells when the engine begins
// to wait for a fetch, so that a test can act while requests wait.
type client struct {
	t       *testing.T
	waiting chan struct{} // closed when the request waits for a head
	gone    chan struct{} // closed when the client leaves
	headed  chan struct{} // closed when the client has a head
	done    chan struct{} // closed when the request is over

	waits sync.Once
	left  sync.Once

	mu      sync.Mutex
	header  http.Header
	status  int
	body    []byte
	started bool
	whole   bool
	err     error
}

var (
	_ edge.Lane = (*client)(nil)

	errLeft   = errors.New("the client left")
	errBroken = errors.New("the answer broke off")
)

// join sends a request and returns when it waits for a fetch, its own or
// another's.
func (s *site) join(method, target string, lines ...string) *client {
	s.t.Helper()
	c := s.ask(method, target, lines...)
	select {
	case <-c.waiting:
		return c
	case <-c.done:
	}
	select {
	case <-c.waiting:
	default:
		s.t.Fatalf("%s %s waits for nobody: %s", method, target, show(c.reply()))
	}
	return c
}

// ask sends a request.
func (s *site) ask(method, target string, lines ...string) *client {
	c := &client{
		t: s.t, waiting: make(chan struct{}), gone: make(chan struct{}), headed: make(chan struct{}),
		done: make(chan struct{}), header: http.Header{},
	}
	session := s.Engine.NewSession(c)
	path, query, hasQuery := strings.Cut(target, "?")
	q := &session.Request
	q.Method, q.HasHost, q.Host = method, true, []byte("a.test")
	q.Path, q.Query, q.HasQuery = []byte(path), []byte(query), hasQuery
	q.Remote = netip.MustParseAddrPort("127.0.0.1:1")
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		q.Add(name, value)
	}
	go func() {
		defer close(c.done)
		if !s.Engine.Begin(session) {
			s.Engine.Finish(session)
		}
		s.Engine.Release(session)
	}()
	s.t.Cleanup(func() {
		c.leave()
		<-c.done
	})
	return c
}

// answer waits for the end and returns what came.
func (c *client) answer() edgetest.Reply {
	c.t.Helper()
	edgetest.Receive(c.t, "the end of a request", c.done)
	return c.reply()
}

func (c *client) reply() edgetest.Reply {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := edgetest.Reply{Status: c.status, Header: c.header, Body: string(c.body), Err: c.err}
	if r.Err == nil && !c.whole {
		r.Err = errBroken
	}
	return r
}

// gets demands a whole 200 with this body.
func (c *client) gets(body string) edgetest.Reply {
	c.t.Helper()
	r := c.answer()
	if r.Err != nil || r.Status != 200 || r.Body != body {
		c.t.Errorf("got %s with %d bytes, want 200 %.40q with %d", show(r), len(r.Body), body, len(body))
	}
	return r
}

// breaks demands that the client sees that it has not got everything.
func (c *client) breaks() {
	c.t.Helper()
	if r := c.answer(); r.Err == nil && r.Status < 500 {
		c.t.Errorf("got a clean %s with %d bytes, want a broken one", show(r), len(r.Body))
	}
}

// has waits until the client has so many bytes of the body.
func (c *client) has(bytes int) {
	c.t.Helper()
	edgetest.Wait(c.t, "a part of the body", func() bool { return len(c.reply().Body) >= bytes })
}

// leave is the client's leaving.
func (c *client) leave() { c.left.Do(func() { close(c.gone) }) }

func (c *client) hasLeft() bool {
	select {
	case <-c.gone:
		return true
	default:
		return false
	}
}

func (c *client) head(h *cachestore.Head, v *edge.View) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.started, c.status = true, v.Status
	blocks := [][]byte{h.Kept()}
	if !v.KeptOnly {
		blocks = append(blocks, h.Representation())
	}
	for _, block := range blocks {
		for line := range strings.SplitSeq(string(block), "\r\n") {
			if name, value, ok := strings.Cut(line, ": "); ok {
				c.header.Add(name, value)
			}
		}
	}
	for _, f := range v.Tail {
		c.header.Add(string(f.Name), string(f.Value))
	}
	if v.Length >= 0 {
		c.header.Set("Content-Length", strconv.FormatInt(v.Length, 10))
	}
	close(c.headed)
}

// SendObject implements edge.Lane.
func (c *client) SendObject(h *cachestore.Head, b *cachestore.Body, v *edge.View) error {
	c.head(h, v)
	if !v.NoBody {
		for _, p := range b.AppendSpans(nil, v.From, v.To) {
			if err := c.Write(p); err != nil {
				return err
			}
		}
	}
	return c.End(nil)
}

// SendHead implements edge.Lane.
func (c *client) SendHead(h *cachestore.Head, v *edge.View) error {
	if c.hasLeft() {
		return errLeft
	}
	c.head(h, v)
	return nil
}

// Write implements edge.Lane.
func (c *client) Write(p []byte) error {
	if c.hasLeft() {
		return errLeft
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.body = append(c.body, p...)
	return nil
}

// End implements edge.Lane.
func (c *client) End(http.Header) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.whole = true
	return nil
}

// Abort implements edge.Lane.
func (c *client) Abort(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
}

// Gone implements edge.Lane. The engine asks for it when it begins to wait.
func (c *client) Gone() <-chan struct{} {
	c.waits.Do(func() { close(c.waiting) })
	return c.gone
}

// Started implements edge.Lane.
func (c *client) Started() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.started
}

// Flush implements edge.Lane.
func (c *client) Flush() error { return nil }

// Interim implements edge.Lane.
func (c *client) Interim(int, http.Header) error { return nil }

// Tunnel implements edge.Lane.
func (c *client) Tunnel(*cachestore.Head, *edge.View, io.ReadWriteCloser) error { return errBroken }
