package origin

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"os"
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
	tr := Trace{Witness: connected(func(i ConnInfo) error { infos = append(infos, i); return nil })}
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
		_, _, err := fetch(t, p, r, &Trace{Witness: connected(func(i ConnInfo) error {
			if i.Reused != want {
				t.Errorf("reused %v, want %v", i.Reused, want)
			}
			return no
		})})
		var dial *DialError
		if !errors.As(err, &dial) || !errors.Is(err, no) || Sent(err) {
			t.Errorf("got %v, sent %v", err, Sent(err))
		}
		if body.closed > 0 || body.Len() != 4 {
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
	closed int
}

func (c *closes) Close() error { c.closed++; return nil }

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
	getWithBody, _ := http.NewRequest("GET", "http://a/", strings.NewReader("body"))
	getOnce := getWithBody.Clone(t.Context())
	getOnce.GetBody = nil
	for _, c := range []struct {
		name string
		req  *http.Request
		ok   bool
	}{
		{"GET with a body", getWithBody, true},
		{"GET with a body that cannot be had again", getOnce, false},
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
			tr := Trace{Witness: connected(func(i ConnInfo) error { calls = append(calls, i.Reused); return nil })}
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
