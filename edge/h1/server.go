package h1

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"edgecache/edge"
)

// engine is what the wire needs of edge.Engine; tests put another in its place.
type engine interface {
	NewSession(edge.Lane) *edge.Session
	Begin(*edge.Session) (done bool)
	Finish(*edge.Session)
	Release(*edge.Session)
	Refuse(edge.Refusal)
}

var _ engine = (*edge.Engine)(nil)

const (
	refusers     = 64          // connections over the limit that are told so at once
	refuseTime   = time.Second // that telling may take so long
	backoffLeast = 5 * time.Millisecond
	backoffMost  = time.Second
)

// Server serves HTTP/1.1 and 1.0 on any number of listeners.
type Server struct {
	engine engine
	config Config
	limits headLimits
	counts counters

	ctx      context.Context // ends when connections are cut
	cut      context.CancelFunc
	draining atomic.Bool
	refusing chan struct{}

	mu        sync.Mutex
	listeners map[net.Listener]bool
	conns     map[*conn]bool
	running   sync.WaitGroup // connections, refusals, Serve
}

// New makes a server that answers through e. Listeners come by Serve.
func New(e *edge.Engine, c Config) *Server { return newServer(e, c) }

func newServer(e engine, c Config) *Server {
	s := &Server{
		engine: e, config: c.withDefaults(), refusing: make(chan struct{}, refusers),
		listeners: map[net.Listener]bool{}, conns: map[*conn]bool{},
	}
	s.limits = headLimits{headBytes: s.config.HeadBytes, lines: s.config.HeadLines, uriBytes: s.config.URIBytes}
	s.ctx, s.cut = context.WithCancel(context.Background())
	return s
}

// Stats reads the counters.
func (s *Server) Stats() Stats { return s.counts.stats() }

// Serve takes connections until Shutdown (then it returns nil) or until the
// listener fails. It closes the listener. A nil config is cleartext.
func (s *Server) Serve(l net.Listener, config *tls.Config) error {
	defer l.Close()
	if !s.listen(l) {
		return nil
	}
	defer s.running.Done()
	if config != nil {
		config = config.Clone()
		config.NextProtos = []string{"http/1.1"}
		if s.config.HTTP2 != nil {
			config.NextProtos = []string{"h2", "http/1.1"}
		}
		config.MinVersion = max(config.MinVersion, tls.VersionTLS12)
	}
	var backoff time.Duration
	for {
		nc, err := l.Accept()
		switch {
		case s.draining.Load():
			if err == nil {
				_ = nc.Close()
			}
			return nil
		case err == nil:
			backoff = 0
			s.take(nc, config)
			continue
		case !passing(err):
			return err
		}
		// Out of descriptors or the like: connections that end make room.
		backoff = min(max(2*backoff, backoffLeast), backoffMost)
		select {
		case <-time.After(backoff):
		case <-s.ctx.Done():
		}
	}
}

// passing says whether accepting may work again later.
func passing(err error) bool {
	var n net.Error
	return errors.As(err, &n) && (n.Timeout() || n.Temporary()) //nolint:staticcheck // EMFILE and ECONNABORTED are told by nothing else
}

func (s *Server) listen(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining.Load() {
		return false
	}
	s.listeners[l] = true
	s.running.Add(1)
	return true
}

// take starts a connection, or refuses it when there are too many.
func (s *Server) take(nc net.Conn, config *tls.Config) {
	s.mu.Lock()
	if s.draining.Load() {
		s.mu.Unlock()
		_ = nc.Close()
		return
	}
	full := len(s.conns) >= s.config.Conns
	s.running.Add(1)
	c := newConn(s, nc)
	if !full {
		s.conns[c] = true
	}
	s.mu.Unlock()
	if full {
		s.counts.refused.Add(1)
		s.turnAway(c, config)
		return
	}
	s.counts.accepted.Add(1)
	s.counts.open.Add(1)
	go c.serve(config)
}

// turnAway answers 503 in cleartext, to a bounded number of clients at once,
// and closes.
func (s *Server) turnAway(c *conn, config *tls.Config) {
	select {
	case s.refusing <- struct{}{}:
	default:
		config = &tls.Config{}
	}
	if config != nil {
		_ = c.wire.Close()
		c.in.close()
		s.running.Done()
		return
	}
	go func() {
		defer s.running.Done()
		defer func() { <-s.refusing }()
		defer c.in.close()
		defer c.wire.Close()
		_ = c.wire.SetDeadline(time.Now().Add(refuseTime))
		if _, err := c.wire.Conn.Write(refusal(503, time.Now())); err == nil && c.closeWrite() == nil {
			for err == nil {
				_, err = c.wire.Conn.Read(c.in.buf)
			}
		}
	}()
}

// remove forgets a connection that has ended.
func (s *Server) remove(c *conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.counts.open.Add(-1)
	s.running.Done()
}

// Shutdown stops accepting, closes idle connections, lets active requests end
// (each is its connection's last) for at most limits.drain or until ctx ends,
// and then cuts what is left, tunnels too: edge.ErrCut.
func (s *Server) Shutdown(ctx context.Context) error {
	defer s.cut()
	s.startDraining()
	return edge.Drain(ctx, s.config.Drain, &s.running, func() {
		s.cut()
		s.mu.Lock()
		defer s.mu.Unlock()
		for c := range s.conns {
			_ = c.wire.Conn.Close()
		}
	})
}

func (s *Server) startDraining() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining.Store(true)
	if s.config.HTTP2 != nil {
		s.config.HTTP2.Drain()
	}
	for l := range s.listeners {
		_ = l.Close()
	}
	for c := range s.conns {
		if c.idle.Load() {
			c.wire.interrupt()
		}
	}
}
