package h3

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"edgecache/cachestore"
	"edgecache/edge"
	"edgecache/edge/edgetest"
)

// echo reads the body and answers with its length; a fault becomes the status
// that it asks for, as in the real engine.
func echo(s *edge.Session, l edge.Lane) {
	status, text := 200, "well"
	if s.Request.Body != nil {
		if _, err := io.Copy(io.Discard, s.Request.Body); err != nil {
			var fault *edge.BodyError
			if !errors.As(err, &fault) {
				l.Abort(err)
				return
			}
			status, text = fault.HTTPStatus(), fault.Detail
		}
	}
	text = strconv.Itoa(status) + " " + text
	v := &edge.View{Status: status, Length: int64(len(text)), NoBody: s.Request.Method == "HEAD"}
	if l.SendHead(cachestore.NewHead(status, http.Header{}, nil), v) == nil && l.Write([]byte(text)) == nil {
		_ = l.End(nil)
	}
}

// TestHeads: a head at its limits passes; one beyond, or one that is odd, gets
// its status and one line in the log, and nothing goes up.
func TestHeads(t *testing.T) {
	w := start(t, Config{HeadBytes: 2000, HeadLines: 10, URIBytes: 100})
	c := dial(t, w.addr)
	lines := func(n int) (all []string) {
		for i := range n {
			all = append(all, "X-"+string(rune('A'+i))+": 1")
		}
		return all
	}
	long := func(n int) []string { return []string{"X-Long: " + strings.Repeat("a", n)} }
	for _, x := range []struct {
		name, method, path string
		lines              []string
		status             int
	}{
		{"target at the limit", "GET", "/" + strings.Repeat("a", 99), nil, 200},
		{"target over it", "GET", "/" + strings.Repeat("a", 100), nil, 414},
		{"lines at the limit", "GET", "/l", append(lines(9), "User-Agent: x"), 200},
		{"lines over it", "GET", "/", append(lines(10), "User-Agent: x"), 431},
		{"head at the limit", "GET", "/h", append(long(1939), "User-Agent: x"), 200},
		{"head over it", "GET", "/h", append(long(1940), "User-Agent: x"), 431},
		{"head far over it", "GET", "/", long(100_000), 431},
		{"an expectation", "POST", "/", []string{"Expect: the-unexpected"}, 417},
		{"trace", "TRACE", "/", nil, 405},
		{"a method too long", strings.Repeat("M", 33), "/", nil, 400},
		{"a bad escape", "GET", "/%00", nil, 400},
	} {
		w.origin.Drop()
		before := len(w.Records.All())
		a := c.must(x.method, x.path, "", x.lines...)
		if a.StatusCode != x.status {
			t.Errorf("%s: %d, want %d", x.name, a.StatusCode, x.status)
		}
		if went := len(w.origin.Seen()) > 0; went != (x.status == 200) {
			t.Errorf("%s: went up: %v", x.name, went)
		}
		if x.name == "head far over it" {
			continue // quic-go's own answer
		}
		w.Records.Wait(t, x.name+" is logged", func(l []edge.Record) bool {
			return len(l) == before+1 && l[before].Status == x.status && l[before].Proto == edge.HTTP3
		})
	}
	if got := w.server.Stats().Faults; got[FaultTooLarge] != 3 || got[FaultMethod] != 2 || got[FaultExpect] != 1 {
		t.Errorf("faults %v", got)
	}
}

// TestMalformed: what the library refuses never reaches us, and what it lets
// pass and must not be is found here.
func TestMalformed(t *testing.T) {
	e := &stub{finish: echo}
	s := newServer(e, Config{})
	raw := rawDial(t, serve(t, s))
	good := []string{":method", "GET", ":scheme", "https", ":authority", "edge.test", ":path", "/"}
	with := func(more ...string) []string { return append(append([]string{}, good...), more...) }
	for _, x := range []struct {
		name   string
		fields []string
		data   string
		status string // "" is a reset stream
	}{
		{"well-formed", good, "", "200"},
		{"a connection's field", with("connection", "close"), "", ""},
		{"a coding", with("transfer-encoding", "chunked"), "", ""},
		{"upper case", with("X-Upper", "1"), "", ""},
		{"two paths", with(":path", "/b"), "", ""},
		{"pseudo-header last", append(append([]string{}, good[:6]...), "x-a", "1", ":path", "/"), "", ""},
		{"a foreign host", with("host", "other.test"), "", ""},
		{"no path", good[:6], "", ""},
		{"no authority", append(append([]string{}, good[:4]...), good[6:]...), "", ""},
		{"te", with("te", "gzip"), "", ""},
		{"a line end in a value", with("x-a", "1\r\nx-b: 2"), "", ""},
		{"two lengths", with("content-length", "1", "content-length", "2"), "a", ""},
		{"too long for its length", with("content-length", "3"), "four", ""},
		{"too short", with("content-length", "5"), "four", "400"},
		{"none for its length", with("content-length", "0"), "four", ""},
		{"a length of nineteen digits", with("content-length", "1000000000000000000"), "", "400"},
		{"a fragment", []string{":method", "GET", ":scheme", "https", ":authority", "edge.test", ":path", "/a#b"}, "", "400"},
		{"connect", []string{":method", "CONNECT", ":authority", "edge.test:443"}, "", "405"},
		{"extended connect", with(":protocol", "websocket")[2:], "", ""},
		{"websocket", append([]string{":method", "CONNECT", ":protocol", "websocket"}, good[2:]...), "", "501"},
	} {
		if got := raw.ask(x.fields, x.data); got != x.status {
			t.Errorf("%s: %q, want %q", x.name, got, x.status)
		}
	}
	if raw.ask(good, "") != "200" {
		t.Error("the connection did not survive")
	}
	for _, r := range e.refused() {
		if r.Status < 400 || r.Proto != edge.HTTP3 || !r.TLS || !r.Remote.Addr().IsLoopback() {
			t.Errorf("refused %+v", r)
		}
	}
}

// TestSlowBody: a body under the minimum rate is a 408, also one that is
// announced by nothing but an open stream.
func TestSlowBody(t *testing.T) {
	s := newServer(&stub{finish: echo}, Config{BodyGrace: 50 * time.Millisecond})
	c := dial(t, serve(t, s))
	for _, method := range []string{"POST", "GET"} {
		r, w := io.Pipe()
		go w.Write([]byte("a"))
		q := c.request(method, "/", r)
		q.ContentLength = -1
		if a := c.try(q); a.err != nil || a.StatusCode != 408 {
			t.Errorf("%s: %+v", method, a)
		}
		w.Close()
	}
	if st := s.Stats(); st.SlowBodies != 2 || st.BodyFaults != 2 || st.Faults[FaultBody] != 1 {
		t.Errorf("%+v", st)
	}
}

// TestWriteStall: a client that takes nothing is not waited for for ever.
func TestWriteStall(t *testing.T) {
	over := make(chan error, 1)
	s := newServer(&stub{finish: func(s *edge.Session, l edge.Lane) {
		err := l.SendHead(cachestore.NewHead(200, http.Header{}, nil), &edge.View{Status: 200, Length: edge.LengthUnknown})
		for part := make([]byte, 64<<10); err == nil; {
			err = l.Write(part)
		}
		over <- err
	}}, Config{WriteStall: 50 * time.Millisecond})
	c := dial(t, serve(t, s))
	res, err := c.RoundTrip(c.request("GET", "/", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := edgetest.Receive(t, "the answer is given up", over); err != errStall {
		t.Errorf("%v, want %v", err, errStall)
	}
	if _, err := io.Copy(io.Discard, res.Body); err == nil {
		t.Error("the answer ended cleanly")
	}
	if st := s.Stats(); st.WriteStalls != 1 || st.Aborted != 1 {
		t.Errorf("%+v", st)
	}
}

// TestConnectionLimit: when half are taken a client proves its address first; one
// over the limit is refused, and there is room again when another has ended.
func TestConnectionLimit(t *testing.T) {
	s := newServer(&stub{finish: echo}, Config{Conns: 2})
	addr := serve(t, s)
	first := dial(t, addr)
	first.must("GET", "/", "")
	if n := s.Stats().Proved; n != 0 {
		t.Errorf("%d clients had to prove their address while there is room", n)
	}
	dial(t, addr).must("GET", "/", "")
	over := dial(t, addr)
	a := over.try(over.request("GET", "/", nil))
	var refused *quic.TransportError
	if !errors.As(a.err, &refused) || refused.ErrorCode != quic.ConnectionRefused {
		t.Errorf("%v, want a refused connection", a.err)
	}
	if st := s.Stats(); st.Refused < 1 || st.Proved != 1 || st.Open != 2 || st.Accepted != 2 {
		t.Errorf("%+v", st)
	}
	first.Close()
	edgetest.Wait(t, "its end is seen", func() bool { return s.Stats().Open == 1 })
	dial(t, addr).must("GET", "/", "")
}

// TestIdle: a connection without a request ends, also one with half a head.
func TestIdle(t *testing.T) {
	s := newServer(&stub{finish: echo}, Config{Idle: 100 * time.Millisecond})
	addr := serve(t, s)
	raw := rawDial(t, addr)
	if raw.ask([]string{":method", "GET", ":scheme", "https", ":authority", "edge.test", ":path", "/"}, "") != "200" {
		t.Fatal("no answer")
	}
	stream, err := raw.conn.OpenStreamSync(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, _ = stream.Write([]byte{1, 40, 0}) // a HEADERS frame of 40 bytes, and the first of them
	edgetest.Wait(t, "it is closed", func() bool { return s.Stats().Open == 0 })
	if n := s.Stats().IdleTimeouts; n != 1 {
		t.Errorf("%d idle timeouts, want 1", n)
	}
}

// TestRapidReset: a request that its client has reset counts until it is over,
// so that no client has more of them running than it may.
func TestRapidReset(t *testing.T) {
	release := make(chan struct{})
	s := newServer(&stub{finish: func(s *edge.Session, l edge.Lane) {
		<-release
		l.Abort(nil)
	}}, Config{Streams: 4})
	raw := rawDial(t, serve(t, s))
	open := func() error {
		stream, err := raw.conn.OpenStream()
		if err != nil {
			return err
		}
		_, _ = stream.Write(headers([]string{":method", "GET", ":scheme", "https", ":authority", "edge.test", ":path", "/"}))
		_ = stream.Close()
		stream.CancelRead(quic.StreamErrorCode(http3.ErrCodeRequestCanceled))
		return nil
	}
	for range 4 {
		if err := open(); err != nil {
			t.Fatal(err)
		}
	}
	edgetest.Wait(t, "all run", func() bool { return s.Stats().Requests == 4 })
	var limit *quic.StreamLimitReachedError
	for range 20 { // each a round trip in which the server might grant more
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		if _, err := raw.conn.OpenStreamSync(ctx); err == nil {
			t.Fatal("a fifth stream while four requests run")
		}
		cancel()
	}
	if err := open(); !errors.As(err, &limit) {
		t.Errorf("%v, want the limit", err)
	}
	close(release)
	edgetest.Wait(t, "there is room again", func() bool { return open() == nil })
}

// TestPanic costs the stream and nothing else.
func TestPanic(t *testing.T) {
	var log bytes.Buffer
	s := newServer(&stub{finish: func(s *edge.Session, l edge.Lane) {
		if string(s.Request.Path) == "/panic" {
			panic("bug")
		}
		echo(s, l)
	}}, Config{Log: slog.New(slog.NewTextHandler(&log, nil))})
	c := dial(t, serve(t, s))
	if a := c.try(c.request("GET", "/panic", nil)); a.err == nil {
		t.Errorf("%+v", a.Response)
	}
	c.must("GET", "/", "")
	if n := s.Stats().Panics; n != 1 || !strings.Contains(log.String(), "panic on a stream") {
		t.Errorf("%d panics, log %s", n, log.String())
	}
}

// TestNoEarlyData: a client that comes back with a ticket is not heard before
// its handshake is done.
func TestNoEarlyData(t *testing.T) {
	addr := serve(t, newServer(&stub{finish: echo}, Config{}))
	config := clientTLS()
	config.NextProtos, config.ClientSessionCache = []string{http3.NextProtoH3}, &ticketCache{LRU: tls.NewLRUClientSessionCache(1), put: make(chan struct{}, 8)}
	for round := range 2 {
		conn, err := quic.DialAddrEarly(t.Context(), addr, config, nil)
		if err != nil {
			t.Fatal(err)
		}
		<-conn.HandshakeComplete()
		state := conn.ConnectionState()
		if state.Used0RTT || state.TLS.DidResume != (round == 1) {
			t.Errorf("round %d: early %v, resumed %v", round, state.Used0RTT, state.TLS.DidResume)
		}
		edgetest.Receive(t, "a ticket", config.ClientSessionCache.(*ticketCache).put)
		_ = conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "")
	}
}

// ticketCache tells when a ticket has come.
type ticketCache struct {
	LRU tls.ClientSessionCache
	mu  sync.Mutex
	put chan struct{}
}

func (c *ticketCache) Get(key string) (*tls.ClientSessionState, bool) { return c.LRU.Get(key) }

func (c *ticketCache) Put(key string, state *tls.ClientSessionState) {
	c.LRU.Put(key, state)
	if state != nil {
		select {
		case c.put <- struct{}{}:
		default:
		}
	}
}

// TestShutdown: a request that runs ends, another is not begun, and a client
// that sits idle is not waited for; what does not end is cut.
func TestShutdown(t *testing.T) {
	entered, release := make(chan struct{}, 2), make(chan struct{})
	s := newServer(&stub{finish: func(s *edge.Session, l edge.Lane) {
		if string(s.Request.Path) == "/slow" {
			entered <- struct{}{}
			<-release
		}
		echo(s, l)
	}}, Config{})
	addr := serve(t, s)
	idle, active := rawDial(t, addr), dial(t, addr)
	idle.ask([]string{":method", "GET", ":scheme", "https", ":authority", "edge.test", ":path", "/"}, "")
	got := make(chan answer, 1)
	go func() { got <- active.try(active.request("GET", "/slow", nil)) }()
	edgetest.Receive(t, "the request runs", entered)
	done := make(chan error, 1)
	go func() { done <- s.Shutdown(context.Background()) }()
	<-idle.conn.Context().Done()
	select {
	case err := <-done:
		t.Fatalf("Shutdown returned %v before the request was over", err)
	default:
	}
	late := dial(t, addr)
	if a := late.try(late.request("GET", "/", nil)); a.err == nil {
		t.Error("a new connection is taken while it drains")
	}
	close(release)
	if a := <-got; a.err != nil || a.body != "200 well" {
		t.Errorf("%+v, want all of the answer", a)
	}
	if err := edgetest.Receive(t, "Shutdown", done); err != nil {
		t.Error(err)
	}
}

// TestShutdownCuts what takes longer than limits.drain.
func TestShutdownCuts(t *testing.T) {
	entered, over := make(chan struct{}), make(chan struct{})
	s := newServer(&stub{finish: func(s *edge.Session, l edge.Lane) {
		close(entered)
		<-l.Gone()
		l.Abort(nil)
		close(over)
	}}, Config{Drain: 50 * time.Millisecond})
	c := dial(t, serve(t, s))
	go c.try(c.request("GET", "/", nil))
	<-entered
	if err := s.Shutdown(context.Background()); err != edge.ErrCut {
		t.Errorf("%v, want %v", err, edge.ErrCut)
	}
	<-over
}
