package origin

import (
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
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

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
		res, err := do(t, p, r, &Trace{Witness: interim(func(status int, h http.Header) {
			hints = append(hints, http.StatusText(status)+h.Get("Link"))
		})})
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

// TestFirstByteIsTheFinalAnswers: an interim answer does not count.
func TestFirstByteIsTheFinalAnswers(t *testing.T) {
	goOn := make(chan struct{})
	p := poolFor(t, newScript(t, func(c *conversation) {
		c.request()
		c.say("HTTP/1.1 103 Early Hints\r\n\r\n")
		<-goOn
		c.say(hello)
	}))
	var hinted int64
	tr := Trace{Witness: interim(func(int, http.Header) {
		hinted = time.Now().UnixNano()
		close(goOn)
	})}
	if _, _, err := fetch(t, p, get("/"), &tr); err != nil {
		t.Fatal(err)
	}
	if tr.FirstByteAt < hinted {
		t.Errorf("first byte %d ns before the interim answer was seen", hinted-tr.FirstByteAt)
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

// TestUnasked101 has no connection to hand out; what to answer is the caller's
// decision.
func TestUnasked101(t *testing.T) {
	p := poolFor(t, newScript(t, once("HTTP/1.1 101 Switching Protocols\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")))
	res, err := do(t, p, get("/"), nil)
	if err != nil || res.StatusCode != 101 {
		t.Fatalf("got %+v %v", res, err)
	}
	res.Body.Close()
	if st := p.Peers()[0].Stats(); st.Idle != 0 || p.Peers()[0].InFlight() != 0 {
		t.Errorf("stats %+v", st)
	}
}

func TestRequestBodies(t *testing.T) {
	script := newScript(t, func(c *conversation) {
		r, body, ok := c.request()
		if !ok {
			return
		}
		c.say("HTTP/1.1 200 OK\r\nX-Length: " + strconv.FormatInt(r.ContentLength, 10) +
			"\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body)
	})
	for _, c := range []struct {
		name   string
		length int64
		want   string
	}{{"known length", 4, "4"}, {"unknown length", -1, "-1"}} {
		t.Run(c.name, func(t *testing.T) {
			p := poolFor(t, script) // a connection that the other case has left may be dying
			body := &closes{Reader: strings.NewReader("body")}
			r, _ := http.NewRequest("POST", "http://a/", body)
			r.ContentLength = c.length
			res, err := do(t, p, r, nil)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(res.Body)
			if string(got) != "body" || err != nil || res.Header.Get("X-Length") != c.want {
				t.Errorf("got %q %v, length %s", got, err, res.Header.Get("X-Length"))
			}
			if body.closed != 1 {
				t.Errorf("the body was closed %d times", body.closed)
			}
		})
	}
}

// TestEarlyAnswer: an answer that comes while the request's body is still
// under way is handed out, and its connection is not used again.
func TestEarlyAnswer(t *testing.T) {
	read, write := io.Pipe()
	p := poolFor(t, newScript(t, func(c *conversation) {
		http.ReadRequest(c.r)
		c.say("HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nhello")
		io.Copy(io.Discard, c.r)
	}))
	r, _ := http.NewRequest("POST", "http://a/", read)
	status, body, err := fetch(t, p, r, nil)
	if status != 413 || body != "hello" || err != nil {
		t.Errorf("got %d %q %v", status, body, err)
	}
	if st := p.Peers()[0].Stats(); st.Idle != 0 {
		t.Errorf("stats %+v", st)
	}
	write.Close()
}

func TestRequestBodyThatFails(t *testing.T) {
	p := poolFor(t, newScript(t, func(c *conversation) { c.request() }))
	broken := errors.New("client went away")
	body := &closes{Reader: strings.NewReader("body")}
	r, _ := http.NewRequest("POST", "http://a/", struct {
		io.Reader
		io.Closer
	}{io.MultiReader(body, iotest.ErrReader(broken)), body})
	_, _, err := fetch(t, p, r, nil)
	if !errors.Is(err, broken) || errors.Is(err, ErrTimeout) || body.closed != 1 {
		t.Errorf("got %v, closed %d times", err, body.closed)
	}
	if st := p.Peers()[0].Stats(); st.Idle != 0 {
		t.Errorf("stats %+v", st)
	}
}

// TestS19ThreeDeadOneLive is the loop that the engine runs: connect errors mark
// the peer, and the live one is found on the fourth attempt at the latest.
func TestS19ThreeDeadOneLive(t *testing.T) {
	live := newScript(t, answers(hello)).url()
	peers := []string{live}
	for range 3 {
		ln, _ := net.Listen("tcp", "127.0.0.1:0")
		peers = append(peers, "http://"+ln.Addr().String())
		ln.Close()
	}
	p := newTestPool(t, Config{Peers: peers})
	ask := func() (body string, tried []*Peer) {
		for range p.Tries() {
			q := mustPick(t, p, 0, tried...)
			tried = append(tried, q)
			res, err := p.Client().Do(t.Context(), q, get("/"), nil)
			if err != nil {
				q.MarkUnhealthy(time.Now())
				continue
			}
			q.ReportSuccess()
			b, _ := io.ReadAll(res.Body)
			return string(b), tried
		}
		return "", tried
	}
	for range 4 {
		if body, tried := ask(); body != "hello" {
			t.Errorf("got %q after %d attempts", body, len(tried))
		}
	}
	if body, tried := ask(); body != "hello" || len(tried) != 1 {
		t.Errorf("with all dead ones marked: %q after %d attempts", body, len(tried))
	}
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
			tr := Trace{Witness: connected(func(i ConnInfo) error { version = i.TLSVersion; return nil })}
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

func BenchmarkDo(b *testing.B) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "hello")
	}))
	defer srv.Close()
	p, err := NewPool(Config{Name: "main", Peers: []string{srv.URL}})
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	b.ReportAllocs()
	for b.Loop() {
		res, err := p.Client().Do(b.Context(), p.Peers()[0], get("/"), nil)
		if err != nil {
			b.Fatal(err)
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
	}
}
