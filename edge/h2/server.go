package h2

import (
	"context"
	"net"
	"sync"

	"edgecache/edge"
)

// engine is what the wire needs of edge.Engine; tests put another in its place.
type engine interface {
	NewSession(edge.Lane) *edge.Session
	Begin(*edge.Session) (done bool)
	Finish(*edge.Session)
	Release(*edge.Session)
	Refuse(edge.Refusal)
	Inline() bool
}

var _ engine = (*edge.Engine)(nil)

// Server serves HTTP/2 on connections that somebody else has accepted.
type Server struct {
	engine engine
	inline bool // Begin may run on the reader
	config Config
	counts counters

	mu       sync.Mutex
	conns    map[*conn]bool
	draining bool
}

// New makes a server that answers through e.
func New(e *edge.Engine, c Config) *Server { return newServer(e, c) }

func newServer(e engine, c Config) *Server {
	return &Server{engine: e, inline: e.Inline(), config: c.withDefaults(), conns: map[*conn]bool{}}
}

// Wrap is put under crypto/tls, or is the connection itself, before it is known what
// will be spoken: until Serve it is what it wraps.
func (s *Server) Wrap(nc net.Conn) net.Conn {
	return newShim(nc, s.config.WriteStall, s.config.Backlog)
}

// Serve runs a connection to its end, or to ctx's: nc is TLS over under, or under
// itself; under came from Wrap; first are bytes that were already read from nc.
func (s *Server) Serve(ctx context.Context, nc, under net.Conn, first []byte) {
	c := newConn(s, nc, under.(*shim))
	s.counts.accepted.Add(1)
	s.counts.open.Add(1)
	s.mu.Lock()
	s.conns[c] = true
	draining := s.draining
	s.mu.Unlock()
	if draining {
		c.drain()
	}
	c.serve(ctx, first)
}

func (s *Server) remove(c *conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.counts.open.Add(-1)
}

// Drain tells every client that its connection ends: what runs is answered, nothing
// new is taken (RFC 9113, 6.8).
func (s *Server) Drain() {
	s.mu.Lock()
	s.draining = true
	all := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		all = append(all, c)
	}
	s.mu.Unlock()
	for _, c := range all {
		c.drain()
	}
}
