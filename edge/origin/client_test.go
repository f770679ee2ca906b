package origin

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestS07ConnectedOnceAConnection: the hook sees every connection that is
// used, new or reused, before a byte of the request is on it.
func TestS07ConnectedOnceAConnection(t *testing.T) {
	p := poolFor(t, newScript(t, answers(hello)))
	var infos []ConnInfo
	tr := Trace{Connected: func(i ConnInfo) error { infos = append(infos, i); return nil }}
	for range 2 {
		if _, _, err := fetch(t, p, get("/"), &tr); err != nil {
			t.Fatal(err)
		}
	}
	if len(infos) != 2 || infos[0].Reused || !infos[1].Reused {
		t.Fatalf("got %+v", infos)
	}
	for _, i := range infos {
		if i.Peer != p.Peers()[0] || i.Remote != i.Peer.Name() || i.TLSVersion != 0 || i.At == 0 {
			t.Errorf("info %+v", i)
		}
	}
}

func TestS07ConnectedRefusesNewAndReused(t *testing.T) {
	var seen atomic.Int64
	p := poolFor(t, newScript(t, func(c *conversation) {
		for {
			if _, _, ok := c.request(); !ok {
				return
			}
			seen.Add(1)
			c.say(hello)
		}
	}))
	no := errors.New("not this one")
	refuse := func(want bool) {
		t.Helper()
		before := seen.Load()
		body := &closes{Reader: strings.NewReader("body")}
		r, _ := http.NewRequest("POST", "http://a/", body)
		_, _, err := fetch(t, p, r, &Trace{Connected: func(i ConnInfo) error {
			if i.Reused != want {
				t.Errorf("reused %v, want %v", i.Reused, want)
			}
			return no
		}})
		var dial *DialError
		if !errors.As(err, &dial) || !errors.Is(err, no) || Sent(err) {
			t.Errorf("got %v, sent %v", err, Sent(err))
		}
		if body.closed || body.Len() != 4 {
			t.Error("the body was touched")
		}
		if seen.Load() != before || p.Peers()[0].Stats().Idle != 0 || p.Peers()[0].InFlight() != 0 {
			t.Errorf("sent %d, %+v", seen.Load()-before, p.Peers()[0].Stats())
		}
	}
	refuse(false)
	if _, _, err := fetch(t, p, get("/"), nil); err != nil {
		t.Fatal(err)
	}
	refuse(true)
}

type closes struct {
	*strings.Reader
	closed bool
}

func (c *closes) Close() error { c.closed = true; return nil }

// TestSurplusNeverAnswersTheNext: bytes after a complete answer, however they
// arrive, are not taken for the next answer.
func TestSurplusNeverAnswersTheNext(t *testing.T) {
	var logged bytes.Buffer
	log.SetOutput(&logged)
	defer log.SetOutput(os.Stderr)
	evil := "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
	chunked := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
	for _, c := range []struct{ name, raw string }{
		{"after a length", hello + evil},
		{"after chunks", chunked + evil},
		{"after no body", "HTTP/1.1 204 No Content\r\n\r\n" + evil},
		{"a body with a 304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n" + evil},
		{"one byte", hello + "x"},
		{"an empty line", hello + "\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := poolFor(t, newScript(t, answers(c.raw)))
			for range 20 {
				_, body, err := fetch(t, p, get("/"), nil)
				if err != nil || (body != "hello" && body != "") {
					t.Fatalf("got %q %v", body, err)
				}
			}
			st := p.Peers()[0].Stats()
			if st.Dialled != 20 || st.Reused != 0 || st.BadAnswers != 20 {
				t.Errorf("stats %+v", st)
			}
		})
	}
	if logged.Len() > 0 {
		t.Errorf("net/http logged %q", logged.String())
	}
}

// TestLateSurplus: the surplus comes when the connection already waits.
func TestLateSurplus(t *testing.T) {
	goOn := make(chan struct{})
	p := poolFor(t, newScript(t, func(c *conversation) {
		c.request()
		c.say(hello)
		if c.n == 0 {
			<-goOn
			c.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
		}
		c.request()
	}))
	fetch(t, p, get("/"), nil)
	close(goOn)
	until(t, "the connection left the list", func() bool { return p.Peers()[0].Stats().Idle == 0 })
	if _, body, err := fetch(t, p, get("/"), nil); body != "hello" || err != nil {
		t.Errorf("got %q %v", body, err)
	}
}

func TestAnswerBeforeTheRequest(t *testing.T) {
	said := make(chan struct{})
	p := poolFor(t, newScript(t, func(c *conversation) {
		c.say(hello)
		close(said)
		c.request()
	}))
	_, body, err := fetch(t, p, get("/"), &Trace{Connected: func(ConnInfo) error {
		<-said
		return nil
	}})
	var bad *HeadError
	if !errors.As(err, &bad) && body != "hello" { // it may come too late to be told apart
		t.Errorf("got %q %v", body, err)
	}
}

// TestStaleIsReuse: a kept connection that dies before a byte is replaced once
// by a new one, when the request may be repeated.
func TestStaleIsReuse(t *testing.T) {
	post := func(withGetBody bool) *http.Request {
		r, _ := http.NewRequest("POST", "http://a/", strings.NewReader("body"))
		if !withGetBody {
			r.GetBody = nil
		}
		return r
	}
	for _, c := range []struct {
		name string
		req  *http.Request
		ok   bool
	}{
		{"GET", get("/"), true},
		{"POST was sent and is not repeated", post(true), false},
		{"POST that cannot be had again", post(false), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := poolFor(t, newScript(t, func(conn *conversation) {
				conn.request()
				conn.say(hello)
				if conn.n == 0 {
					conn.request() // and die without a word
					return
				}
				conn.request()
			}))
			fetch(t, p, get("/"), nil)
			var calls []bool
			tr := Trace{Connected: func(i ConnInfo) error { calls = append(calls, i.Reused); return nil }}
			_, body, err := fetch(t, p, c.req, &tr)
			var conn *ConnError
			switch {
			case c.ok && (body != "hello" || err != nil || tr.Reused || !slices.Equal(calls, []bool{true, false})):
				t.Errorf("got %q %v, connections %v", body, err, calls)
			case !c.ok && (!errors.As(err, &conn) || !Sent(err)):
				t.Errorf("got %q %v", body, err)
			}
			if got := p.Peers()[0].Stats().Replaced; (got == 1) != c.ok {
				t.Errorf("replaced %d", got)
			}
		})
	}
}

func TestNewConnectionThatDiesIsNotRepeated(t *testing.T) {
	s := newScript(t, once(""))
	p := poolFor(t, s)
	_, _, err := fetch(t, p, get("/"), nil)
	var conn *ConnError
	if !errors.As(err, &conn) || !Sent(err) || errors.Is(err, ErrTimeout) {
		t.Errorf("got %v", err)
	}
	if st := p.Peers()[0].Stats(); st.Dialled != 1 || st.Replaced != 0 {
		t.Errorf("stats %+v", st)
	}
}

func TestNobodyListens(t *testing.T) {
	ln, _ := net.Listen("tcp", "127.0.0.1:0")
	ln.Close()
	p := newTestPool(t, Config{Peers: []string{"http://" + ln.Addr().String()}})
	_, _, err := fetch(t, p, get("/"), nil)
	var dial *DialError
	if !errors.As(err, &dial) || Sent(err) || p.Peers()[0].InFlight() != 0 {
		t.Errorf("got %v, sent %v", err, Sent(err))
	}
}

// TestTimeouts are 504s, told from failed connections.
func TestTimeouts(t *testing.T) {
	stall := func(raw string) func(*conversation) {
		return func(c *conversation) {
			c.request()
			c.say(raw)
			c.Read(make([]byte, 1)) // until the client gives up
		}
	}
	for _, c := range []struct {
		name, raw string
		phase     Phase
	}{
		{"no byte", "", PhaseFirstByte},
		{"half a head", "HTTP/1.1 200 OK\r\nConte", PhaseFirstByte},
		{"interim answers only", "HTTP/1.1 102 P\r\n\r\n", PhaseFirstByte},
		{"half a body", helloHead + "he", PhaseIdle},
		{"half a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe", PhaseIdle},
		{"no last chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", PhaseIdle},
		{"a body without an end", "HTTP/1.1 200 OK\r\n\r\nhello", PhaseIdle},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScript(t, stall(c.raw))
			p := newTestPool(t, Config{
				Peers:    []string{s.url()},
				Timeouts: Timeouts{FirstByte: 30 * time.Millisecond, Idle: 30 * time.Millisecond},
			})
			_, _, err := fetch(t, p, get("/"), nil)
			var timeout *TimeoutError
			if !errors.Is(err, ErrTimeout) || !errors.As(err, &timeout) || timeout.Phase != c.phase || !Sent(err) {
				t.Errorf("got %v, want %s", err, c.phase)
			}
			if st := p.Peers()[0].Stats(); st.Idle != 0 || p.Peers()[0].InFlight() != 0 {
				t.Errorf("stats %+v", st)
			}
		})
	}
}

func TestRequestThatIsNotReadTimesOut(t *testing.T) {
	done := make(chan struct{})
	s := newScript(t, func(c *conversation) { <-done })
	defer close(done)
	p := newTestPool(t, Config{Peers: []string{s.url()}, Timeouts: Timeouts{Idle: 30 * time.Millisecond}})
	r, _ := http.NewRequest("POST", "http://a/", io.LimitReader(zeros{}, 1<<30))
	_, _, err := fetch(t, p, r, nil)
	var timeout *TimeoutError
	if !errors.As(err, &timeout) || timeout.Phase != PhaseWrite || !timeout.Sent {
		t.Errorf("got %v", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestContextEndsTheWaits(t *testing.T) {
	for _, c := range []struct{ name, raw string }{
		{"for the head", ""},
		{"for the body", helloHead + "he"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			p := poolFor(t, newScript(t, func(conn *conversation) {
				conn.request()
				conn.say(c.raw)
				cancel()
				conn.Read(make([]byte, 1))
			}))
			res, err := p.Client().Do(ctx, p.Peers()[0], get("/"), nil)
			if err == nil {
				_, err = io.ReadAll(res.Body)
			}
			if !errors.Is(err, context.Canceled) || errors.Is(err, ErrTimeout) {
				t.Errorf("got %v", err)
			}
			if in := p.Peers()[0].InFlight(); in != 0 {
				t.Errorf("%d in flight", in)
			}
		})
	}
}

func TestCloseBeforeTheEnd(t *testing.T) {
	p := poolFor(t, newScript(t, once(helloHead+"he")))
	res, err := do(t, p, get("/"), nil)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	res.Body.Close()
	if st := p.Peers()[0].Stats(); st.Idle != 0 || p.Peers()[0].InFlight() != 0 {
		t.Errorf("stats %+v", st)
	}
}

// TestWhatIsSent: nothing is added to what the caller meant.
func TestWhatIsSent(t *testing.T) {
	got := make(chan string, 1)
	p := poolFor(t, newScript(t, func(c *conversation) {
		var head strings.Builder
		for !strings.HasSuffix(head.String(), "\r\n\r\n") {
			b, err := c.r.ReadByte()
			if err != nil {
				return
			}
			head.WriteByte(b)
		}
		got <- head.String()
		c.say(hello)
	}))
	r := get("/a%2fb?x=%20")
	r.Host = "www.example.com"
	r.Header.Set("X-One", "1")
	before := len(r.Header)
	if _, _, err := fetch(t, p, r, nil); err != nil {
		t.Fatal(err)
	}
	want := "GET /a%2fb?x=%20 HTTP/1.1\r\nHost: www.example.com\r\nX-One: 1\r\n\r\n"
	if head := <-got; head != want {
		t.Errorf("sent %q, want %q", head, want)
	}
	if len(r.Header) != before {
		t.Errorf("the caller's header is now %v", r.Header)
	}
}

func TestNoRedirectNoGzip(t *testing.T) {
	raw := "HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello"
	p := poolFor(t, newScript(t, once(raw)))
	if status, body, err := fetch(t, p, get("/"), nil); status != 302 || body != "hello" || err != nil {
		t.Errorf("got %d %q %v", status, body, err)
	}
}

func TestHeadAndInterim(t *testing.T) {
	p := poolFor(t, newScript(t, answers(
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")))
	for i := range 2 {
		var hints []string
		r := get("/")
		r.Method = "HEAD"
		res, err := do(t, p, r, &Trace{Interim: func(status int, h http.Header) {
			hints = append(hints, http.StatusText(status)+h.Get("Link"))
		}})
		if err != nil || res.ContentLength != 5 || !slices.Equal(hints, []string{"Early Hints</a>"}) {
			t.Fatalf("%d: got %+v %v, hints %v", i, res, err, hints)
		}
		if in := p.Peers()[0].InFlight(); in != 0 {
			t.Errorf("%d in flight before the body was closed; HEAD has none", in)
		}
	}
	if st := p.Peers()[0].Stats(); st.Reused != 1 {
		t.Errorf("stats %+v", st)
	}
}

// TestTunnel: after a 101 bytes pass as they are, both ways, halves close.
func TestTunnel(t *testing.T) {
	raw := "\x00\nnot HTTP\r\n\r\n\xff"
	p := poolFor(t, newScript(t, func(c *conversation) {
		c.request()
		c.say("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n" + raw)
		b, _ := io.ReadAll(c.r)
		c.say(strings.ToUpper(string(b)))
	}))
	r := get("/")
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "x")
	res, err := do(t, p, r, nil)
	if err != nil || res.StatusCode != 101 {
		t.Fatalf("got %v %v", res, err)
	}
	rw := res.Body.(interface {
		io.ReadWriteCloser
		CloseWrite() error
	})
	io.WriteString(rw, "up\n\x00\n")
	if err := rw.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(rw)
	if want := raw + "UP\n\x00\n"; string(got) != want || err != nil {
		t.Errorf("got %q %v, want %q", got, err, want)
	}
	if in := p.Peers()[0].InFlight(); in != 1 {
		t.Errorf("%d in flight before Close", in)
	}
	rw.Close()
	if in := p.Peers()[0].InFlight(); in != 0 {
		t.Errorf("%d in flight after Close", in)
	}
}

func TestTunnelEndsWithTheContext(t *testing.T) {
	p := poolFor(t, newScript(t, func(c *conversation) {
		c.request()
		c.say("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
		c.Read(make([]byte, 1))
	}))
	ctx, cancel := context.WithCancel(t.Context())
	r := get("/")
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "x")
	res, err := p.Client().Do(ctx, p.Peers()[0], r, nil)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := res.Body.Read(make([]byte, 1)); err == nil {
		t.Error("the read went on")
	}
	res.Body.Close()
}

func TestTLS(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Proto)
	}))
	srv.EnableHTTP2 = true
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	defer srv.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		tls  TLSConfig
		ok   bool
	}{
		{"known roots", TLSConfig{CA: ca}, true},
		{"a name in the certificate", TLSConfig{CA: ca, Name: "example.com"}, true},
		{"a name that is not in it", TLSConfig{CA: ca, Name: "example.net"}, false},
		{"unknown roots", TLSConfig{}, false},
		{"insecure", TLSConfig{Insecure: true}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newTestPool(t, Config{Peers: []string{srv.URL}, TLS: c.tls})
			var version uint16
			tr := Trace{Connected: func(i ConnInfo) error { version = i.TLSVersion; return nil }}
			_, body, err := fetch(t, p, get("/"), &tr)
			var dial *DialError
			switch {
			case c.ok && (err != nil || body != "HTTP/1.1" || version != tls.VersionTLS13):
				t.Errorf("got %q %v, version %x", body, err, version)
			case !c.ok && !errors.As(err, &dial):
				t.Errorf("got %q %v", body, err)
			}
		})
	}
}
