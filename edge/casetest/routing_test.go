package casetest

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"edgecache/edge"
	"edgecache/edge/edgetest"
	"edgecache/edge/origin"
)

var _ = register(map[string]func(*testing.T){
	"abs-uri":         absURI,
	"host-unknown":    hostUnknown,
	"connect":         connect,
	"trace":           trace,
	"redirect-follow": redirectFollow,
	"maxfwd":          maxForwards,
	"h2c-upgrade":     h2cUpgrade,
	"ws-upgrade-fail": wsUpgradeFail,
})

func absURI(t *testing.T) {
	s := mirror(t, edgetest.Config{})
	elsewhere := make(chan struct{}, 8)
	metadata := edgetest.NewRawOrigin(t, func(net.Conn) { elsewhere <- struct{}{} })
	for _, target := range []string{
		"http://169.254.169.254/latest", metadata + "/latest", "http://a.test.evil/x", "http://a.test:81/x",
		"ftp://a.test/x", "http://evil@a.test/x", "http:///x", "http://a.test@" + strings.TrimPrefix(metadata, "http://") + "/",
	} {
		if got := s.line(target); got.Status != 400 {
			t.Errorf("%s: %s, want 400", target, show(got))
		}
	}
	if n := len(s.origin.Seen()); n != 0 {
		t.Errorf("%d requests came up", n)
	}
	if got := s.line("http://a.test/x"); got.Body != "GET a.test /x" {
		t.Errorf("an authority that is the Host: %s", show(got))
	}
	if got := s.line("/x"); !isHit(got) {
		t.Errorf("the same in origin form: %s, want a hit", show(got))
	}
	// What a line says of the scheme is not believed: the connection's counts.
	if got := s.line("https://a.test/x"); !isHit(got) || s.last().Header.Get("X-Forwarded-Proto") != "http" {
		t.Errorf("https in cleartext: %s, want the object of http", show(got))
	}
	select {
	case <-elsewhere:
		t.Error("somebody was dialled because a request line named them")
	default:
	}
}

func hostUnknown(t *testing.T) {
	s := mirror(t, edgetest.Config{Edge: edge.Config{Hosts: []string{"a.test", "*.b.test"}}})
	s.status(421, "/x", "Host: unknown.test")
	s.status(421, "/x", "Host: xb.test")
	s.status(421, "/x", "Host: b.test")
	s.asked(0, "/x")
	s.want("GET a.test /x", "/x", "Host: A.test")
	s.want("GET w.b.test /x", "/x", "Host: w.b.test")
	s = mirror(t, edgetest.Config{})
	s.miss("GET unknown.test /x", "/x", "Host: unknown.test")
	s.miss("GET a.test /x", "/x", "Host: a.test")
}

// refusedAndClosed sends a request with another behind it: one answer with the
// status, nothing forwarded, the connection closed.
func (s *site) refusedAndClosed(status int, request string) edgetest.Reply {
	s.t.Helper()
	c := s.Dial()
	s.Send(c, "%s", request+"GET /after HTTP/1.1\r\nHost: a.test\r\n\r\n")
	in := bufio.NewReader(c)
	method, _, _ := strings.Cut(request, " ")
	got := edgetest.Read(in, method)
	if got.Err != nil || got.Status != status {
		s.t.Errorf("%q: %s, want %d", request, show(got), status)
	}
	if rest, _ := io.ReadAll(in); len(rest) > 0 {
		s.t.Errorf("%q: %q behind its answer", request, rest)
	}
	if seen := s.origin.Seen(); len(seen) > 0 {
		s.t.Errorf("%q: the origin got %s %s", request, seen[0].Method, seen[0].Target)
	}
	return got
}

func connect(t *testing.T) {
	s := mirror(t, edgetest.Config{})
	s.refusedAndClosed(405, "CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n")
}

func trace(t *testing.T) {
	s := mirror(t, edgetest.Config{})
	got := s.refusedAndClosed(405, "TRACE / HTTP/1.1\r\nHost: a.test\r\nCookie: secret\r\nX-Secret: secret\r\n\r\n")
	if strings.Contains(got.Body+show(got), "secret") {
		t.Errorf("it reflects: %s", show(got))
	}
}

func redirectFollow(t *testing.T) {
	called := make(chan struct{}, 1)
	inside := edgetest.NewRawOrigin(t, func(net.Conn) { called <- struct{}{} })
	s := open(t, edgetest.Config{})
	for _, status := range []int{301, 302, 303, 307, 308} {
		s.origin.On("/x", edgetest.Text(status, "over there", "Location: "+inside+"/"))
		if got := s.status(status, "/x"); got.Header.Get("Location") != inside+"/" || got.Body != "over there" {
			t.Errorf("%d: %s", status, show(got))
		}
	}
	select {
	case <-called:
		t.Error("the redirect was followed")
	default:
	}
}

// maxForwards: an edge whose origin is itself, through a pipe, notices at the
// second pass, and nobody waits for a fetch that waits for itself.
func maxForwards(t *testing.T) {
	var address atomic.Value
	self := edgetest.NewRawOrigin(t, func(c net.Conn) {
		up, err := net.Dial("tcp", address.Load().(string))
		if err != nil {
			return
		}
		defer up.Close()
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = io.Copy(up, c)
			_ = up.Close()
		}()
		_, _ = io.Copy(c, up)
		_ = c.Close()
		<-done
	})
	s := open(t, edgetest.Config{Peers: []string{self}})
	address.Store(s.Addr)
	s.status(508, "/x")
	if n := len(s.Records.All()); n > 3 {
		t.Errorf("%d passes", n)
	}
	if got := s.Do("POST", "/x", "body"); got.Status != 508 {
		t.Errorf("POST: %s", show(got))
	}
	s = mirror(t, edgetest.Config{})
	s.want("GET a.test /x", "/x", "Host: a.test", "CDN-Loop: another, other;v=1")
	loop := s.last().Header.Get("Cdn-Loop")
	if !strings.HasPrefix(loop, "another, other;v=1, edge-") {
		t.Errorf("CDN-Loop goes up as %q", loop)
	}
	s.status(508, "/y", "Host: a.test", "CDN-Loop: "+loop)
	s.status(508, "/y", "Host: a.test", "CDN-Loop: x", "CDN-Loop: "+loop)
	s.asked(0, "/y")
}

func h2cUpgrade(t *testing.T) {
	s := mirror(t, edgetest.Config{})
	c := s.Dial()
	in := bufio.NewReader(c)
	for _, target := range []string{"/x", "/x", "/y"} {
		s.Send(c, "GET %s HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n", target)
		if got := edgetest.Read(in, "GET"); got.Status != 200 || got.Body != "GET a.test "+target {
			t.Errorf("%s: %s", target, show(got))
		}
	}
	for _, r := range s.origin.Seen() {
		for _, name := range []string{"Upgrade", "Http2-Settings"} {
			if v, ok := r.Header[name]; ok {
				t.Errorf("the origin got %s: %s", name, v)
			}
		}
		if strings.Contains(strings.ToLower(r.Header.Get("Connection")), "upgrade") {
			t.Errorf("the origin got Connection: %s", r.Header.Get("Connection"))
		}
	}
	s.asked(1, "/x")
}

// wsUpgradeFail: as long as the origin has not said 101 there is no tunnel,
// and what follows on the connection is a request.
func wsUpgradeFail(t *testing.T) {
	for _, status := range []int{200, 403, 426} {
		s := open(t, edgetest.Config{})
		s.origin.On("/ws", edgetest.Text(status, "no tunnel", fresh))
		s.origin.On("/next", edgetest.Text(200, "next"))
		c := s.Dial()
		in := bufio.NewReader(c)
		s.Send(c, "GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
		s.Send(c, "GET /next HTTP/1.1\r\nHost: a.test\r\n\r\n")
		if got := edgetest.Read(in, "GET"); got.Status != status || got.Body != "no tunnel" {
			t.Errorf("%d: %s", status, show(got))
		}
		if got := edgetest.Read(in, "GET"); got.Status != 200 || got.Body != "next" {
			t.Errorf("after %d: %s", status, show(got))
		}
		s.asked(1, "/next")
		if got := s.Get("/ws"); isHit(got) {
			t.Errorf("%d: the answer to an upgrade was stored: %s", status, show(got))
		}
	}
}

// TestNameOfTheInside is origin-dns-rebind through the whole edge: a name that
// leads to an inner address is not asked.
func TestNameOfTheInside(t *testing.T) {
	called := make(chan struct{}, 8)
	inside := edgetest.NewRawOrigin(t, func(net.Conn) { called <- struct{}{} })
	_, port, err := net.SplitHostPort(strings.TrimPrefix(inside, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{"127.0.0.1", "::1", "::ffff:127.0.0.1", "169.254.169.254"} {
		s := open(t, edgetest.Config{
			Peers: []string{"http://rebound.test:" + port},
			Pool:  origin.Config{Resolver: fixed(address), Timeouts: origin.Timeouts{Connect: 5 * time.Second}},
		})
		s.status(502, "/x")
	}
	select {
	case <-called:
		t.Error("the name was followed inside")
	default:
	}
}

// fixed resolves every name to one address.
type fixed string

func (f fixed) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr(string(f))}, nil
}

var _ origin.Resolver = fixed("")
