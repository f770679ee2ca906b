package h1

import (
	"io"
	"net"
	"strings"
	"testing"

	"edgecache/edge"
	"edgecache/edge/edgetest"
)

// wired runs a real engine behind this wire, in front of a scripted origin
// that lets everything be stored.
func wired(t *testing.T) (*edgetest.Harness, *edgetest.Origin) {
	o := edgetest.NewOrigin(t)
	o.On("*", edgetest.Text(200, "from the origin", "Cache-Control: max-age=60"))
	h := edgetest.New(t, edgetest.Config{
		Wire:  func(e *edge.Engine) edgetest.Wire { return New(e, Config{}) },
		Peers: []string{o.URL},
	})
	return h, o
}

// TestRawCasesWhole sends the raw cases through the whole edge: of what is
// refused nothing reaches the origin, nothing is stored, and each leaves one
// line in the log.
func TestRawCasesWhole(t *testing.T) {
	h, o := wired(t)
	for _, c := range rawCases(t) {
		t.Run(c.ID, func(t *testing.T) {
			path := "/" + strings.NewReplacer("^", "-", "+", "-").Replace(c.ID) + "-path"
			before := len(h.Records.All())
			conn := newClient(t, h.Dial())
			conn.send(c.bytes(path))
			want := c.Responses
			if c.Need == "reject" {
				want++
			}
			got := conn.answers("GET", want)
			if len(got) == 0 {
				t.Fatal("no answer")
			}
			if c.Need == "reject" || c.Need == "either" && got[0].StatusCode >= 400 {
				checkRefused(t, got, askedUnder(o, path))
				conn.ends()
				checkStored(t, h, o, path)
				h.Records.Wait(t, "one line in the log", func(list []edge.Record) bool {
					return count(list[before:], got[0].StatusCode) == 1
				})
				return
			}
			if len(got) != c.Responses || len(askedUnder(o, path+"-canary")) != 1 {
				t.Errorf("%d answers, origin saw %v; want %d and the follow-up", len(got), askedUnder(o, path), c.Responses)
			}
			for _, a := range got {
				if a.StatusCode != 200 || a.body != "from the origin" {
					t.Errorf("answer %d %q", a.StatusCode, a.body)
				}
			}
		})
	}
	for _, s := range o.Seen() {
		if strings.HasPrefix(s.Target, "/evil") || s.Header.Get("Upgrade") == "h2c" || s.Header.Get("Http2-Settings") != "" {
			t.Errorf("the origin saw %+v", s)
		}
	}
}

// count counts the records with a status.
func count(list []edge.Record, status int) (n int) {
	for _, r := range list {
		if r.Status == status {
			n++
		}
	}
	return n
}

func askedUnder(o *edgetest.Origin, path string) (list []string) {
	for _, s := range o.Seen() {
		if strings.HasPrefix(s.Target, path) {
			list = append(list, s.Target)
		}
	}
	return list
}

// checkStored asks properly for what was refused, and for its follow-up: both
// must be news to the cache.
func checkStored(t *testing.T, h *edgetest.Harness, o *edgetest.Origin, path string) {
	t.Helper()
	for _, p := range []string{path, path + "-canary"} {
		a := h.Get(p, "Host: a.test")
		if a.Status != 200 || o.Asked(p) != 1 {
			t.Errorf("%s afterwards: %d, the origin asked %d times, want 200 from the origin", p, a.Status, o.Asked(p))
		}
	}
}

// TestHitOverSocket: a second request is answered from memory, also pipelined,
// as HEAD, in part, and in HTTP/1.0.
func TestHitOverSocket(t *testing.T) {
	h, o := wired(t)
	conn := newClient(t, h.Dial())
	conn.send(get("/x"))
	if a := conn.mustAnswer("GET"); a.body != "from the origin" {
		t.Fatalf("answer %d %q", a.StatusCode, a.body)
	}
	edgetest.Wait(t, "the answer is stored", func() bool {
		conn.send(get("/x"))
		return strings.Contains(conn.mustAnswer("GET").Header.Get("Cache-Status"), "hit")
	})
	asked := o.Asked("/x")
	conn.send(get("/x") + get("/x", "Range: bytes=5-7") + "GET /x HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n\r\n")
	for i, want := range []string{"from the origin", "the", "from the origin"} {
		a := conn.mustAnswer("GET")
		if a.body != want || a.Header.Get("Age") == "" {
			t.Errorf("answer %d: %d %q %v, want %q", i, a.StatusCode, a.body, a.Header, want)
		}
	}
	conn.send("HEAD /x HTTP/1.1\r\nHost: a.test\r\n\r\n")
	if a := conn.mustAnswer("HEAD"); a.ContentLength != int64(len("from the origin")) || a.body != "" {
		t.Errorf("HEAD: %v", a.Response)
	}
	if n := o.Asked("/x"); n != asked {
		t.Errorf("the origin was asked %d times more", n-asked)
	}
}

// TestNoHost: the head is well-formed, so the engine rejects it.
func TestNoHost(t *testing.T) {
	h, o := wired(t)
	conn := newClient(t, h.Dial())
	conn.send("GET /x HTTP/1.1\r\n\r\n" + get("/y"))
	if a := conn.mustAnswer("GET"); a.StatusCode != 400 || !a.Close {
		t.Errorf("%d close %v, want 400 and close", a.StatusCode, a.Close)
	}
	conn.ends()
	if len(o.Seen()) > 0 {
		t.Errorf("the origin saw %+v", o.Seen())
	}
}

// TestBodyFaultCutsOrigin: a fault that is found while the body goes up is the
// client's 400, and the origin never sees a whole request.
func TestBodyFaultCutsOrigin(t *testing.T) {
	ended := make(chan string, 1)
	origin := edgetest.NewRawOrigin(t, func(c net.Conn) {
		all, _ := io.ReadAll(c)
		ended <- string(all)
	})
	h := edgetest.New(t, edgetest.Config{
		Wire:  func(e *edge.Engine) edgetest.Wire { return New(e, Config{}) },
		Peers: []string{origin},
	})
	conn := newClient(t, h.Dial())
	conn.send("POST /x HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5x\r\n")
	if a := conn.mustAnswer("POST"); a.StatusCode != 400 || !a.Close {
		t.Errorf("%d close %v, want 400 and close", a.StatusCode, a.Close)
	}
	conn.ends()
	if all := edgetest.Receive(t, "the end of the origin's connection", ended); strings.HasSuffix(all, "\r\n0\r\n\r\n") {
		t.Errorf("the origin saw a whole request: %q", all)
	}
}

// TestWebSocketThroughEngine: a tunnel starts after the origin's 101 and not
// before, and the origin is asked for the protocol.
func TestWebSocketThroughEngine(t *testing.T) {
	origin := edgetest.NewRawOrigin(t, func(c net.Conn) {
		head, err := edgetest.ReadHead(c)
		if err != nil || !strings.Contains(string(head), "Upgrade: websocket") {
			_, _ = io.WriteString(c, "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n")
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\nhello")
		_, _ = io.Copy(c, c)
	})
	h := edgetest.New(t, edgetest.Config{
		Wire:  func(e *edge.Engine) edgetest.Wire { return New(e, Config{}) },
		Peers: []string{origin},
	})
	plain := newClient(t, h.Dial())
	plain.send(get("/ws"))
	if a := plain.mustAnswer("GET"); a.StatusCode != 426 {
		t.Errorf("without Upgrade: %d, want 426", a.StatusCode)
	}
	conn := newClient(t, h.Dial())
	conn.send(wantTunnel + "early")
	a := conn.mustAnswer("GET")
	if a.StatusCode != 101 || a.Header.Get("Upgrade") != "websocket" || a.Header.Get("Sec-WebSocket-Accept") != "x" {
		t.Fatalf("%d %v, want 101", a.StatusCode, a.Header)
	}
	expect(t, conn.r, "helloearly")
	conn.send("more")
	expect(t, conn.r, "more")
	conn.Close()
	h.Records.Wait(t, "a line for the tunnel", func(list []edge.Record) bool {
		return len(list) > 0 && list[len(list)-1].Status == 101
	})
}
