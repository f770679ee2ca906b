package h3

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

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

var (
	errFull     = errors.New("over limits.conns")
	errDraining = errors.New("draining")
)

// Server serves HTTP/3 on any number of UDP sockets.
type Server struct {
	engine engine
	config Config
	counts counters
	silent *slog.Logger // for quic-go, whose words are for its own authors
	spare  sync.Pool    // of *stream

	ctx      context.Context // ends when draining begins: nothing is accepted any more
	drain    context.CancelFunc
	draining atomic.Bool

	mu      sync.Mutex
	conns   map[*conn]bool
	running sync.WaitGroup // Serve and connections
}

// New makes a server that answers through e. Sockets come by Serve.
func New(e *edge.Engine, c Config) *Server { return newServer(e, c) }

func newServer(e engine, c Config) *Server {
	s := &Server{engine: e, config: c.withDefaults(), conns: map[*conn]bool{}, silent: slog.New(slog.DiscardHandler)}
	s.spare.New = func() any { return newStream(s) }
	s.ctx, s.drain = context.WithCancel(context.Background())
	return s
}

// Stats reads the counters.
func (s *Server) Stats() Stats {
	all := s.counts.stats()
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		now := c.quic.ConnectionStats()
		all.BytesIn += int64(now.BytesReceived)
		all.BytesOut += int64(now.BytesSent)
	}
	return all
}

// Serve takes connections from a socket until Shutdown (then it returns nil) or
// until the socket fails. It returns when all of the socket's connections are
// over, and closes it.
func (s *Server) Serve(socket net.PacketConn, config *tls.Config) error {
	defer socket.Close()
	if !s.enter() {
		return nil
	}
	defer s.running.Done()
	config = http3.ConfigureTLSConfig(config)
	config.MinVersion = tls.VersionTLS13 // RFC 9001, 4.2
	t := &quic.Transport{
		Conn:                socket,
		ConnContext:         s.admit,
		VerifySourceAddress: s.crowded,
	}
	defer t.Close()
	l, err := t.Listen(config, s.quicConfig()) // not ListenEarly: nothing is answered before the handshake is done
	if err != nil {
		return err
	}
	defer l.Close()
	var mine sync.WaitGroup
	defer mine.Wait()
	for {
		q, err := l.Accept(s.ctx)
		if err != nil {
			if s.draining.Load() {
				return nil
			}
			return err
		}
		c := newConn(s, q)
		if !s.add(c) {
			c.bye("draining")
			continue
		}
		mine.Go(c.serve)
	}
}

// quicConfig is the transport's part of the bounds.
func (s *Server) quicConfig() *quic.Config {
	return &quic.Config{
		HandshakeIdleTimeout:           s.config.HeaderTimeout / 2, // quic-go gives a whole handshake twice that
		MaxIdleTimeout:                 s.config.Idle,
		KeepAlivePeriod:                s.config.Idle / 3, // while an answer is awaited the client may have nothing to say
		InitialStreamReceiveWindow:     streamWindow,
		MaxStreamReceiveWindow:         streamWindowMost,
		InitialConnectionReceiveWindow: connWindow,
		MaxConnectionReceiveWindow:     connWindowMost,
		MaxIncomingStreams:             int64(s.config.Streams),
		MaxIncomingUniStreams:          uniStreams,
		Allow0RTT:                      false, // early data can be replayed (RFC 8470)
	}
}

// admit counts a connection from its first packet to its end, and refuses one
// that is too many.
func (s *Server) admit(ctx context.Context, client *quic.ClientInfo) (context.Context, error) {
	if s.draining.Load() {
		return nil, errDraining
	}
	if s.counts.open.Add(1) > int64(s.config.Conns) {
		s.counts.open.Add(-1)
		s.counts.refused.Add(1)
		return nil, errFull
	}
	if client.AddrVerified {
		s.counts.proved.Add(1)
	}
	stage := &stage{}
	ctx = context.WithValue(ctx, stageKey{}, stage)
	context.AfterFunc(ctx, func() {
		s.counts.open.Add(-1)
		if !stage.accepted.Load() && !s.draining.Load() {
			s.counts.handshakes.Add(1)
		}
	})
	return ctx, nil
}

// stage says how far a connection came.
type stage struct{ accepted atomic.Bool }

type stageKey struct{}

// crowded asks clients to prove their address (RFC 9000, 8.1.2) while half of
// all connections are taken: spoofed packets shall not fill the rest.
func (s *Server) crowded(net.Addr) bool { return s.counts.open.Load() >= int64(s.config.Conns)/2 }

func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining.Load() {
		return false
	}
	s.running.Add(1)
	return true
}

func (s *Server) add(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining.Load() {
		return false
	}
	s.conns[c] = true
	s.counts.accepted.Add(1)
	if stage, ok := c.quic.Context().Value(stageKey{}).(*stage); ok {
		stage.accepted.Store(true)
	}
	return true
}

// remove forgets a connection that has ended.
func (s *Server) remove(c *conn) {
	last := c.quic.ConnectionStats()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	s.counts.bytesIn.Add(int64(last.BytesReceived))
	s.counts.bytesOut.Add(int64(last.BytesSent))
}

// Shutdown takes no further connections and tells every client so (GOAWAY: RFC
// 9114, 5.2), lets active requests end for at most limits.drain or until ctx
// ends, and then cuts what is left: edge.ErrCut.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.draining.Store(true)
	list := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		list = append(list, c)
	}
	s.mu.Unlock()
	s.drain()
	ctx, cancel := context.WithTimeout(ctx, s.config.Drain)
	defer cancel()
	for _, c := range list {
		c.farewell(ctx)
	}
	return edge.Drain(ctx, s.config.Drain, &s.running, func() {
		for _, c := range list {
			c.bye("cut")
		}
	})
}
