package origin

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestNetHTTPOnlyForBodies: a connection is ours until a body must be sent on
// it, and what has none prefers one that still is.
func TestNetHTTPOnlyForBodies(t *testing.T) {
	p := poolFor(t, newScript(t, answers(hello)))
	peer := p.Peers()[0]
	handed := func() (ours, theirs int) {
		peer.idle.mu.Lock()
		defer peer.idle.mu.Unlock()
		for _, w := range peer.idle.wires {
			if w.cc == nil {
				ours++
			} else {
				theirs++
			}
		}
		return ours, theirs
	}
	ask := func(r *http.Request) {
		t.Helper()
		if _, body, err := fetch(t, p, r, nil); body != "hello" || err != nil {
			t.Fatalf("got %q %v", body, err)
		}
	}
	post := func() *http.Request {
		r, _ := http.NewRequest("POST", "http://a/", strings.NewReader("body"))
		return r
	}
	ask(get("/"))
	if ours, theirs := handed(); ours != 1 || theirs != 0 {
		t.Fatalf("after GET %d ours, %d net/http's", ours, theirs)
	}
	ask(post())
	if ours, theirs := handed(); ours != 0 || theirs != 1 {
		t.Fatalf("after POST %d ours, %d net/http's", ours, theirs)
	}
	ask(get("/"))
	if st := peer.Stats(); st.Dialled != 1 || st.Reused != 2 {
		t.Errorf("stats %+v", st)
	}
}

// TestPlainIsWrittenLikeNetHTTP: what we write ourselves has the same fields as
// what net/http would write, in the same order.
func TestPlainIsWrittenLikeNetHTTP(t *testing.T) {
	p := poolFor(t, newScript(t, answers(hello))).Peers()[0]
	for _, c := range []struct {
		name   string
		method string
		url    url.URL
		host   string
		header http.Header
	}{
		{"the least", "GET", url.URL{Path: "/"}, "a.example", nil},
		{"fields are sorted", "GET", url.URL{Path: "/x", RawQuery: "q=1&r=%20"}, "a.example:8080", http.Header{"B": {"2", "1"}, "A": {"x"}}},
		{"an agent comes first", "HEAD", url.URL{Path: "/x"}, "a", http.Header{"User-Agent": {"ua"}, "Accept": {"*/*"}}},
		{"framing is not a field's", "GET", url.URL{Path: "/"}, "a", http.Header{"Content-Length": {"5"}, "Transfer-Encoding": {"chunked"}, "Host": {"evil"}, "Trailer": {"x"}}},
		{"no body is said", "POST", url.URL{Path: "/"}, "a", nil},
		{"DELETE says nothing", "DELETE", url.URL{Path: "/"}, "a", nil},
		{"bytes as they came", "GET", url.URL{Opaque: "/%7Ea/../b", RawQuery: "x"}, "a", nil},
		{"an empty query", "GET", url.URL{Opaque: "/a", ForceQuery: true}, "a", nil},
		{"OPTIONS of the server", "OPTIONS", url.URL{Opaque: "*"}, "a", nil},
		{"blanks around a value", "GET", url.URL{Path: "/"}, "a", http.Header{"A": {" \tx "}}},
		{"upgrade", "GET", url.URL{Path: "/"}, "a", http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			u := c.url
			u.Scheme, u.Host = "http", p.URL.Host
			if c.header == nil {
				c.header = http.Header{}
			}
			r := &http.Request{Method: c.method, URL: &u, Host: c.host, Header: c.header}
			head := plainHead(p, r)
			if head == nil {
				t.Fatal("it is left to net/http")
			}
			var want bytes.Buffer
			if err := outgoing(context.Background(), p, r).Write(&want); err != nil {
				t.Fatal(err)
			}
			if got := head.text; string(got) != want.String() {
				t.Errorf("got\n%q, net/http\n%q", got, want.String())
			}
		})
	}
}

// TestNotPlain: what could be read as something else than was meant is left to
// net/http, which refuses it or puts it right.
func TestNotPlain(t *testing.T) {
	p := poolFor(t, newScript(t, answers(hello))).Peers()[0]
	for name, spoil := range map[string]func(*http.Request){
		"a line end in a value":      func(r *http.Request) { r.Header["A"] = []string{"x\r\nEvil: 1"} },
		"a bare CR in a value":       func(r *http.Request) { r.Header["A"] = []string{"x\ry"} },
		"a NUL in a value":           func(r *http.Request) { r.Header["A"] = []string{"x\x00"} },
		"a blank in a name":          func(r *http.Request) { r.Header["A B"] = []string{"x"} },
		"an empty name":              func(r *http.Request) { r.Header[""] = []string{"x"} },
		"a line end in the host":     func(r *http.Request) { r.Host = "a\r\nEvil: 1" },
		"a host beyond ASCII":        func(r *http.Request) { r.Host = "ä.example" },
		"a zone in the host":         func(r *http.Request) { r.Host = "[fe80::1%25x]" },
		"a line end in the path":     func(r *http.Request) { r.URL.Opaque = "/\r\nEvil: 1" },
		"a blank in the path":        func(r *http.Request) { r.URL.Opaque = "/a HTTP/1.1" },
		"a blank in the query":       func(r *http.Request) { r.URL.RawQuery = "a b" },
		"a blank in the method":      func(r *http.Request) { r.Method = "GET /" },
		"CONNECT":                    func(r *http.Request) { r.Method = "CONNECT" },
		"Expect":                     func(r *http.Request) { r.Header.Set("Expect", "100-continue") },
		"a body":                     func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("x")) },
		"the last of its connection": func(r *http.Request) { r.Close = true },
	} {
		r := get("/")
		spoil(r)
		if plainHead(p, r) != nil {
			t.Errorf("%s: it is written by ourselves", name)
		}
	}
}

// TestPeerThatClosedIsNotReused: an idle connection whose end has come costs no
// request, whatever its method.
func TestPeerThatClosedIsNotReused(t *testing.T) {
	ended := make(chan struct{}, 1)
	p := poolFor(t, newScript(t, func(c *conversation) {
		c.request()
		c.say(hello)
		c.Close()
		ended <- struct{}{}
	}))
	peer := p.Peers()[0]
	for range 5 {
		r := get("/")
		r.Method = "DELETE"
		if _, body, err := fetch(t, p, r, nil); body != "hello" || err != nil {
			t.Fatalf("got %q %v", body, err)
		}
		<-ended
		until(t, "the end has come", func() bool { return peer.Stats().Idle == 0 })
	}
	if st := peer.Stats(); st.Dialled != 5 || st.Reused != 0 || st.Replaced != 0 {
		t.Errorf("stats %+v", st)
	}
}

// TestConnectionIsKeptWithClose: what Connection lists beside close is known.
func TestConnectionIsKeptWithClose(t *testing.T) {
	for _, framing := range []string{"Content-Length: 0\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"} {
		p := poolFor(t, newScript(t, once("HTTP/1.1 200 OK\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\n"+framing)))
		res, err := do(t, p, get("/"), nil)
		if err != nil {
			t.Fatal(err)
		}
		fetchRest(t, res.Body)
		if got := res.Header.Get("Connection"); got != "close, X-Hop" {
			t.Errorf("%q: Connection %q", framing, got)
		}
	}
}

// FuzzAnswer: whatever of an answer we hand out, net/http reads as the same
// status, fields, body and trailers.
func FuzzAnswer(f *testing.F) {
	for _, c := range readCases(f) {
		f.Add("GET", []byte(c.bytes(f)))
	}
	f.Add("HEAD", []byte(hello))
	f.Add("GET", []byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n5;x=y\r\nhello\r\n0\r\nA: b\r\n\r\n"))
	f.Add("GET", []byte("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.0 200 OK\r\n\r\nto the end"))
	client := NewClient(Config{Timeouts: Timeouts{FirstByte: 5 * time.Second, Idle: 5 * time.Second}})
	peer := newPeer(Config{Name: "main"}.withDefaults(), &url.URL{Scheme: "http", Host: "a.example:80"}, 80)
	f.Fuzz(func(t *testing.T, method string, raw []byte) {
		if method != "HEAD" {
			method = "GET"
		}
		ours, theirs := net.Pipe()
		go func() {
			defer theirs.Close()
			http.ReadRequest(bufio.NewReader(theirs))
			theirs.Write(raw)
		}()
		w := client.wire(peer, ours, 0)
		defer w.close()
		r := get("/")
		r.Method = method
		tr := new(Trace)
		res, err := client.send(context.Background(), peer, exchange{wire: w, method: method, head: plainHead(peer, r).text, req: r, trace: tr})
		if err != nil || res.StatusCode == http.StatusSwitchingProtocols {
			return
		}
		body, err := io.ReadAll(res.Body)
		if err != nil {
			return
		}
		in := bufio.NewReader(bytes.NewReader(raw))
		want, werr := http.ReadResponse(in, r)
		for werr == nil && want.StatusCode < 200 {
			want, werr = http.ReadResponse(in, r)
		}
		if werr != nil {
			t.Fatalf("net/http refuses it: %v", werr)
		}
		wantBody, werr := io.ReadAll(want.Body)
		if werr != nil || !bytes.Equal(body, wantBody) {
			t.Fatalf("body %q, net/http %q %v", body, wantBody, werr)
		}
		if want.Close { // RFC 9110, 7.6.1: what it lists must go, so we keep what net/http drops
			delete(res.Header, "Connection")
			delete(want.Header, "Connection")
		}
		if res.StatusCode != want.StatusCode || !reflect.DeepEqual(res.Header, want.Header) || res.ContentLength != want.ContentLength {
			t.Fatalf("%d %v %d, net/http %d %v %d", res.StatusCode, res.Header, res.ContentLength, want.StatusCode, want.Header, want.ContentLength)
		}
		if res.Status != want.Status || res.Proto != want.Proto || res.Close != want.Close || !reflect.DeepEqual(res.TransferEncoding, want.TransferEncoding) {
			t.Fatalf("%+v, net/http %+v", res, want)
		}
		if !reflect.DeepEqual(res.Trailer, want.Trailer) {
			t.Fatalf("trailers %v, net/http %v", res.Trailer, want.Trailer)
		}
	})
}

// TestCrowdWithFailures lets many requests share a pool whose peer breaks off in
// every way. Each answer must be its own request's, what the peer answers well
// must arrive, and in the end nothing is held.
func TestCrowdWithFailures(t *testing.T) {
	const asked = 1500
	kinds := []string{"ok", "chunked", "none", "last", "half", "surplus", "cut", "mute", "bad", "post"}
	p := newTestPool(t, Config{MaxConns: 12, Peers: []string{newScript(t, func(c *conversation) {
		for {
			r, _, ok := c.request()
			if !ok {
				return
			}
			kind, id := strings.Trim(r.URL.Path, "/"), r.URL.RawQuery
			length := fmt.Sprintf("Content-Length: %d\r\n", len(id))
			switch kind {
			case "chunked":
				c.say(fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(id), id))
			case "none":
				c.say("HTTP/1.1 204 No Content\r\nX-Id: " + id + "\r\n\r\n")
			case "last":
				c.say("HTTP/1.1 200 OK\r\nConnection: close\r\n" + length + "\r\n" + id)
				return
			case "half": // it says nothing of its leaving
				c.say("HTTP/1.1 200 OK\r\n" + length + "\r\n" + id)
				return
			case "surplus":
				c.say("HTTP/1.1 200 OK\r\n" + length + "\r\n" + id + hello)
			case "cut":
				c.say("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + id)
				return
			case "mute":
				return
			case "bad":
				c.say("HTTP/1.1 200 OK\n\n" + id)
				return
			default:
				c.say("HTTP/1.1 200 OK\r\n" + length + "\r\n" + id)
			}
		}
	}).url()}})
	seed := rand.Uint64()
	var wait sync.WaitGroup
	for g := range 24 {
		rnd := rand.New(rand.NewPCG(seed, uint64(g)))
		wait.Go(func() {
			for i := range asked / 24 {
				kind, id := kinds[rnd.IntN(len(kinds))], fmt.Sprintf("%d-%d", g, i)
				if err := askOne(p, kind, id, rnd.IntN(8)); err != nil {
					t.Errorf("seed %d, %s %s: %v", seed, kind, id, err)
				}
			}
		})
	}
	wait.Wait()
	peer := p.Peers()[0]
	if n, taken := peer.InFlight(), peer.slots.taken; n != 0 || taken != 0 {
		t.Errorf("%d in flight, %d slots taken", n, taken)
	}
	if st := peer.Stats(); st.Idle > 12 || st.Dialled == 0 || st.Reused == 0 {
		t.Errorf("stats %+v", st)
	}
}

// askOne makes one request; how 0 leaves before the body's end, 1 gives up at
// some time.
func askOne(p *Pool, kind, id string, how int) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r := get("/" + kind)
	r.URL.RawQuery = id
	if kind == "post" {
		r, _ = http.NewRequest("PUT", "http://a/post?"+id, strings.NewReader("body"))
	}
	if how == 1 {
		time.AfterFunc(time.Duration(len(id))*20*time.Microsecond, cancel)
	}
	res, err := p.Client().Do(ctx, p.Peers()[0], r, nil)
	sound := kind != "cut" && kind != "mute" && kind != "bad"
	if err != nil {
		if sound && ctx.Err() == nil && kind != "post" { // a PUT that was sent is not repeated
			return err
		}
		return nil
	}
	defer res.Body.Close()
	if how == 0 {
		return nil
	}
	body, err := io.ReadAll(res.Body)
	got := string(body)
	if kind == "none" {
		got = res.Header.Get("X-Id")
	}
	switch {
	case err != nil && (!sound || ctx.Err() != nil):
		return nil
	case err != nil:
		return err
	case !sound:
		return fmt.Errorf("%q was taken for a whole answer", got)
	case got != id:
		return fmt.Errorf("got the answer %q", got)
	}
	return nil
}

// TestTLSIsReused: the look at an idle connection does not take for its end what
// TLS leaves on it.
func TestTLSIsReused(t *testing.T) {
	for name, version := range map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				io.WriteString(w, "hello")
			}))
			srv.TLS = &tls.Config{MinVersion: version, MaxVersion: version}
			srv.StartTLS()
			defer srv.Close()
			p := newTestPool(t, Config{Peers: []string{srv.URL}, TLS: TLSConfig{Insecure: true}})
			for range 5 {
				if _, body, err := fetch(t, p, get("/"), nil); body != "hello" || err != nil {
					t.Fatalf("got %q %v", body, err)
				}
			}
			if st := p.Peers()[0].Stats(); st.Dialled != 1 || st.Reused != 4 || st.Idle != 1 {
				t.Errorf("stats %+v", st)
			}
			srv.CloseClientConnections()
			until(t, "the end was seen", func() bool { return p.Peers()[0].Stats().Idle == 0 })
		})
	}
}
