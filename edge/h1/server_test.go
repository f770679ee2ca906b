package h1

import (
	"context"
	"errors"
	"net"
	"syscall"
	"testing"

	"edgecache/edge"
)

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
	if err := s.Shutdown(ctx); !errors.Is(err, edge.ErrCut) {
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

// TestRefuserLimit: over the limit and over the number that is told so, a
// connection is closed without a word, and all of them are counted.
func TestRefuserLimit(t *testing.T) {
	s, addr := serve(t, &stub{finish: echo}, Config{Conns: 1})
	first := dial(t, addr)
	first.send(get("/"))
	first.mustAnswer("GET")
	for range refusers {
		s.refusing <- struct{}{} // as if so many were being told
	}
	over := dial(t, addr)
	over.ends()
	for range refusers {
		<-s.refusing
	}
	told := dial(t, addr)
	if a := told.mustAnswer("GET"); a.StatusCode != 503 {
		t.Errorf("status %d, want 503", a.StatusCode)
	}
	if n := s.Stats().Refused; n != 2 {
		t.Errorf("%d refused, want 2", n)
	}
}
