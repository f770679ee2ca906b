package h2test

import (
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"edgecache/edge/edgetest"
	"edgecache/purge"
)

// A hit over HTTP/2 is the hit over HTTP/1.1: same fields, same body.
func TestHitEqualsHTTP1(t *testing.T) {
	r := open(t, edgetest.Config{Clock: &edgetest.Clock{}}, wireOptions{}, true)
	r.origin.On("/a", edgetest.Text(200, "an object", fresh, `ETag: "v1"`, "X-Two: 1", "X-Two: 2",
		"Link: </x>; rel=preload", "Last-Modified: Mon, 06 Nov 2000 08:49:37 GMT", "Connection: X-Hop", "X-Hop: 1", "Keep-Alive: timeout=5"))
	c := r.dial()
	c.want("an object", "/a")
	for _, q := range []struct {
		method string
		status int
		lines  []string
	}{
		{"GET", 200, nil},
		{"HEAD", 200, nil},
		{"GET", 304, []string{`If-None-Match: "v1"`}},
		{"GET", 304, []string{"If-Modified-Since: Mon, 06 Nov 2000 08:49:37 GMT"}},
		{"HEAD", 304, []string{`If-None-Match: "v1"`}},
		{"GET", 206, []string{"Range: bytes=3-5"}},
		{"GET", 206, []string{"Range: bytes=-3"}},
		{"GET", 416, []string{"Range: bytes=90-"}},
	} {
		t.Run(fmt.Sprint(q.method, " ", q.status, q.lines), func(t *testing.T) {
			first := r.Do(q.method, "/a", "", append(q.lines, "Host: a.test")...)
			lower := slices.Clone(q.lines)
			for i, l := range lower {
				name, value, _ := strings.Cut(l, ": ")
				lower[i] = strings.ToLower(name) + ": " + value
			}
			second := c.do(head(q.method, "/a", lower...)...)
			if first.Status != q.status || second.status != q.status {
				t.Fatalf("status %d over HTTP/1.1, %v; want %d", first.Status, second, q.status)
			}
			if first.Body != string(second.body) {
				t.Errorf("bodies %q and %q", first.Body, second.body)
			}
			one, two := maps.Clone(map[string][]string(first.Header)), maps.Clone(map[string][]string(second.header))
			for _, own := range []string{"X-Request-Id", "Connection"} {
				delete(one, own)
				delete(two, own)
			}
			via1, via2 := one["Via"], two["Via"]
			delete(one, "Via")
			delete(two, "Via")
			if !maps.EqualFunc(one, two, slices.Equal) {
				t.Errorf("fields\n1.1: %v\n2:   %v", one, two)
			}
			if len(via1) != 1 || len(via2) != 1 {
				t.Errorf("Via %q and %q", via1, via2)
			}
			if q.status != 416 && !second.hit() {
				t.Errorf("no hit: %v", second)
			}
		})
	}
	if n := r.origin.Asked("/a"); n != 1 {
		t.Errorf("the origin was asked %d times", n)
	}
}

// Misses of one connection for one object are one fetch, and who leaves first, even the one
// that caused it, takes nothing from the others.
func TestCollapsedMissesOutliveTheirLeader(t *testing.T) {
	both(t, edgetest.Config{}, wireOptions{}, func(t *testing.T, r *room) {
		gate := make(chan struct{})
		body := strings.Repeat("z", 300<<10)
		r.origin.On("/cold", edgetest.Script(edgetest.Gate(gate), edgetest.Whole(edgetest.Text(200, body, fresh))))
		c := r.dial()
		leader := c.open(true, get("/cold")...)
		edgetest.Wait(t, "the fetch", func() bool { return r.origin.Asked("/cold") == 1 })
		var followers []*stream
		for range 20 {
			followers = append(followers, c.open(true, get("/cold")...))
		}
		_ = c.send(func(f *http2.Framer) error { return f.WriteRSTStream(leader.id, http2.ErrCodeCancel) })
		c.pings()
		close(gate)
		for _, s := range followers {
			if a := c.answered(s); a.status != 200 || string(a.body) != body {
				t.Errorf("a follower got %v", a)
			}
		}
		if n := r.origin.Asked("/cold"); n != 1 {
			t.Errorf("the origin was asked %d times, want once", n)
		}
	})
}

// pings returns when the server has read all that was sent before.
func (c *client) pings() {
	c.t.Helper()
	c.mu.Lock()
	n := c.pongs
	c.mu.Unlock()
	_ = c.send(func(f *http2.Framer) error { return f.WritePing(false, [8]byte{'h', 'i'}) })
	c.until("a pong", func() bool { return c.pongs > n })
}

// A purge between two streams of a connection is seen by the second.
func TestPurgeBetweenTwoStreams(t *testing.T) {
	r := inClear(t)
	r.origin.On("/p", edgetest.Text(200, "old", fresh), edgetest.Text(200, "new", fresh))
	c := r.dial()
	c.want("old", "/p")
	c.want("old", "/p")
	if _, err := r.Purges.Purge(t.Context(), []purge.Entry{{Scope: purge.ScopeAll, Strength: purge.Hard}}); err != nil {
		t.Fatal(err)
	}
	c.want("new", "/p")
}

// bigBody does not fit into any window that edge starts with.
var bigBody = strings.Repeat("0123456789abcdef", 5<<20/16)

// A request's body larger than all windows goes up as the origin reads it.
func TestRequestBody(t *testing.T) {
	both(t, edgetest.Config{}, wireOptions{}, func(t *testing.T, r *room) {
		r.origin.On("/up", edgetest.Text(200, "thanks"))
		client := &http.Client{Transport: r.transport()}
		defer client.CloseIdleConnections()
		q, _ := http.NewRequest("POST", r.url("/up"), strings.NewReader(bigBody))
		a, err := client.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		_ = a.Body.Close()
		if a.StatusCode != 200 || a.ProtoMajor != 2 {
			t.Errorf("%s %d", a.Proto, a.StatusCode)
		}
		seen := r.origin.Seen()
		if got := string(seen[len(seen)-1].Body); got != bigBody {
			t.Errorf("the origin got %d bytes, want %d", len(got), len(bigBody))
		}
	})
}

// A client that sends more than its window allows is told so.
func TestRequestBodyOverItsWindow(t *testing.T) {
	r := inClear(t)
	r.slow()
	c := r.dial()
	s := c.open(false, head("POST", "/slow/up")...)
	for range 2 << 20 / 16384 {
		if c.send(func(f *http2.Framer) error { return f.WriteData(s.id, false, make([]byte, 16384)) }) != nil {
			break
		}
	}
	if err := c.wait(func() bool {
		return s.reset && s.code == http2.ErrCodeFlowControl || c.goaway != nil && c.goaway.code == http2.ErrCodeFlowControl
	}); err != nil {
		t.Errorf("no FLOW_CONTROL_ERROR: %v, %v", s, err)
	}
	r.answers()
}

// A large body comes whole through small windows that are given back.
func TestLargeAnswer(t *testing.T) {
	both(t, edgetest.Config{}, wireOptions{}, func(t *testing.T, r *room) {
		for path, line := range map[string]string{"/stored": fresh, "/passed": "Cache-Control: no-store"} {
			r.origin.On(path, edgetest.Text(200, bigBody, line))
			c := r.dial()
			for range 2 {
				c.want(bigBody, path)
			}
			all := []*stream{}
			for range 8 {
				all = append(all, c.open(true, get(path)...))
			}
			for _, s := range all {
				if a := c.answered(s); string(a.body) != bigBody {
					t.Errorf("%s: %d bytes, want %d", path, len(a.body), len(bigBody))
				}
			}
		}
	})
}

// Trailers come down with a miss and with a hit.
func TestTrailersDown(t *testing.T) {
	r := inClear(t)
	r.origin.On("/t", edgetest.Script(edgetest.Bytes("HTTP/1.1 200 OK\r\n"+fresh+"\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"+
		"4\r\nbody\r\n0\r\nX-Sum: 7\r\n\r\n")))
	c := r.dial()
	for _, what := range []string{"miss", "hit"} {
		if a := c.want("body", "/t", "te: trailers"); a.trailer.Get("X-Sum") != "7" {
			t.Errorf("%s: trailers %v", what, a.trailer)
		}
	}
}

// Interim answers reach the client before the final one.
func TestInterim(t *testing.T) {
	r := inClear(t)
	r.origin.On("/hints", edgetest.Script(edgetest.Bytes("HTTP/1.1 103 Early Hints\r\nLink: </s.css>; rel=preload\r\n\r\n"),
		edgetest.Whole(edgetest.Text(200, "page", "Cache-Control: no-store"))))
	if a := r.dial().want("page", "/hints"); !slices.Equal(a.interim, []int{103}) {
		t.Errorf("interim %v, want 103", a.interim)
	}
}

// What is said to be urgent comes first (RFC 9218), by field and by PRIORITY_UPDATE.
func TestPriority(t *testing.T) {
	r := inClear(t)
	body := bigBody[:60_000] // one turn, so that no stream leaves the queue before its end
	r.origin.On("/o", edgetest.Text(200, body, fresh))
	r.origin.On("/big", edgetest.Text(200, bigBody, fresh))
	r.dial().want(body, "/o")
	r.dial().want(bigBody, "/big")
	for name, send := range map[string]func(c *client) (late, soon *stream){
		"field": func(c *client) (*stream, *stream) {
			late := c.open(true, get("/o", "priority: u=7")...)
			return late, c.open(true, get("/o", "priority: u=0")...)
		},
		"update": func(c *client) (*stream, *stream) {
			late, soon := c.open(true, get("/o")...), c.open(true, get("/o")...)
			for s, u := range map[*stream]string{late: "u=7", soon: "u=1"} {
				_ = c.send(func(f *http2.Framer) error {
					return f.WriteRawFrame(0x10, 0, 0, append([]byte{0, 0, 0, byte(s.id)}, u...))
				})
			}
			return late, soon
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := r.dial(window(0))
			c.exhaust()
			late, soon := send(c)
			c.until("heads", func() bool { return late.status != 0 && soon.status != 0 })
			c.pings()
			for _, s := range []*stream{late, soon} {
				_ = c.send(func(f *http2.Framer) error { return f.WriteWindowUpdate(s.id, 1<<20) })
			}
			for !c.has(soon) {
				c.pings()
				_ = c.send(func(f *http2.Framer) error { return f.WriteWindowUpdate(0, 4<<10) })
			}
			c.mu.Lock()
			got := len(late.body)
			c.mu.Unlock()
			if got > len(body)/4 { // a step or two, before we heard of the end
				t.Errorf("%d of %d bytes of what is not urgent came before what is", got, len(body))
			}
			_ = c.send(func(f *http2.Framer) error { return f.WriteWindowUpdate(0, 4<<20) })
			if a := c.answered(late); string(a.body) != body {
				t.Errorf("what was late: %d bytes", len(a.body))
			}
		})
	}
}

// exhaust uses the connection's window up.
func (c *client) exhaust() {
	c.t.Helper()
	s := c.open(true, get("/big")...)
	_ = c.send(func(f *http2.Framer) error { return f.WriteWindowUpdate(s.id, 1<<20) })
	c.until("the window's end", func() bool { return len(s.body) == 65535 })
	_ = c.send(func(f *http2.Framer) error { return f.WriteRSTStream(s.id, http2.ErrCodeCancel) })
}

// has says whether a stream's answer is whole.
func (c *client) has(s *stream) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return s.ended || c.ended != nil
}

// Extended CONNECT (RFC 8441) is a WebSocket's handshake for the origin, and then a tunnel.
func TestExtendedConnect(t *testing.T) {
	both(t, edgetest.Config{Peers: []string{echoOrigin(t)}}, wireOptions{}, func(t *testing.T, r *room) {
		c := r.dial()
		c.until("settings", func() bool { return len(c.settings) > 0 })
		c.mu.Lock()
		enabled := c.settings[http2.SettingEnableConnectProtocol]
		c.mu.Unlock()
		if enabled != 1 {
			t.Fatal("ENABLE_CONNECT_PROTOCOL is not offered")
		}
		s := c.open(false, []field{
			{Name: ":method", Value: "CONNECT"}, {Name: ":protocol", Value: "websocket"}, {Name: ":scheme", Value: "http"},
			{Name: ":authority", Value: "a.test"}, {Name: ":path", Value: "/chat"}, {Name: "sec-websocket-version", Value: "13"},
		}...)
		c.until("the tunnel", func() bool { return s.status != 0 || s.reset })
		if s.status != 200 {
			t.Fatalf("tunnel: %v", s)
		}
		have, sent := 0, ""
		for _, p := range []string{"hello", "again", strings.Repeat("long", 30_000)} {
			sent += p
			for rest := []byte(p); len(rest) > 0; {
				n := min(len(rest), 16000)
				c.data(s, false, rest[:n])
				have, rest = have+n, rest[n:]
				c.until("an echo", func() bool { return len(s.body) >= have })
			}
		}
		c.data(s, true, nil)
		a := c.answered(s)
		if a.reset && a.code != http2.ErrCodeNo {
			t.Errorf("the end of the tunnel: %v", a)
		}
		if string(a.body) != sent {
			t.Errorf("what came back is not what was sent: %v", a)
		}
	})
}

// echoOrigin accepts a WebSocket and gives back what it gets.
func echoOrigin(t *testing.T) string {
	return edgetest.NewRawOrigin(t, func(nc net.Conn) {
		h, err := edgetest.ReadHead(nc)
		if err != nil || !strings.Contains(strings.ToLower(string(h)), "upgrade: websocket") {
			_, _ = nc.Write([]byte("HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n"))
			return
		}
		_, _ = nc.Write([]byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + acceptOf(string(h)) + "\r\n\r\n"))
		for buf := make([]byte, 32<<10); ; {
			n, err := nc.Read(buf)
			if err != nil {
				return
			}
			if _, err := nc.Write(buf[:n]); err != nil {
				return
			}
		}
	})
}

// A drain is told by GOAWAY; what runs is answered whole.
func TestDrain(t *testing.T) {
	both(t, edgetest.Config{}, wireOptions{}, func(t *testing.T, r *room) {
		gate := make(chan struct{})
		r.origin.On("/slow", edgetest.Script(edgetest.Gate(gate), edgetest.Whole(edgetest.Text(200, "at last", fresh))))
		c, idle := r.dial(), r.dial()
		idle.pings()
		s := c.open(true, get("/slow")...)
		edgetest.Wait(t, "the fetch", func() bool { return r.origin.Asked("/slow") == 1 })
		over := r.shutdown()
		for _, one := range []*client{c, idle} {
			one.until("GOAWAY without an error", func() bool { return one.goaway != nil && one.goaway.code == http2.ErrCodeNo })
		}
		close(gate)
		if a := c.answered(s); string(a.body) != "at last" {
			t.Errorf("a running request got %v", a)
		}
		edgetest.Receive(t, "the edge's end", over)
	})
}

// Who begins a head and does not end it is closed, and so is who says nothing at all.
func TestTimes(t *testing.T) {
	o := wireOptions{header: 200 * time.Millisecond, idle: 400 * time.Millisecond}
	for name, begin := range map[string]func(c *client){
		"idle": func(*client) {},
		"a head's half": func(c *client) {
			_ = c.send(func(f *http2.Framer) error {
				return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x82}})
			})
		},
		"a frame's half": func(c *client) { _, _ = c.conn.Write([]byte{0, 0, 9, 1}) },
	} {
		t.Run(name, func(t *testing.T) {
			both(t, edgetest.Config{}, o, func(t *testing.T, r *room) {
				c := r.dial()
				begin(c)
				c.until("GOAWAY", func() bool { return c.goaway != nil })
				r.answers()
			})
		})
	}
	t.Run("no preface", func(t *testing.T) {
		both(t, edgetest.Config{}, o, func(t *testing.T, r *room) {
			nc := r.Dial()
			if _, err := nc.Write([]byte("PRI * HT")); err != nil {
				t.Fatal(err)
			}
			_, err := nc.Read(make([]byte, 1<<10))
			for err == nil {
				_, err = nc.Read(make([]byte, 1<<10))
			}
			if n, ok := err.(net.Error); ok && n.Timeout() {
				t.Error("half of a preface is waited for without end")
			}
		})
	})
}
