package origin

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
)

// FuzzDraft: a head that is written from fields is what net/http would write of
// them, and it comes apart again as what it was.
func FuzzDraft(f *testing.F) {
	f.Add("GET", "/a", "b=1", "a.example", "accept\n*/*\nuser-agent\nua\nvia\n1.1 b\nVIA\n1.1 a\ncontent-length\n5")
	f.Add("POST", "/", "", "", "x-empty\n\nUser-Agent\n\nuser-agent\nsecond")
	f.Add("HEAD", "//x", "\r\n", "a b", "a b\nx\nc\n\x00")
	p, err := NewPool(Config{Name: "main", Peers: []string{"http://origin.example:8080"}})
	if err != nil {
		f.Fatal(err)
	}
	peer := p.Peers()[0]
	f.Fuzz(func(t *testing.T, method, path, query, host, fields string) {
		d := NewDraft()
		defer d.Free()
		h := http.Header{}
		for list := strings.Split(fields, "\n"); len(list) > 1; list = list[2:] {
			d.Add([]byte(list[0]), []byte(list[1]))
			h.Add(list[0], list[1])
		}
		q, ok := d.Plain(peer, method, []byte(path), []byte(query), query != "", []byte(host))
		if !ok {
			return
		}
		if len(h["Expect"]) > 0 { // net/http waits for a 100, if there is a body
			return
		}
		r := &http.Request{Method: method, Host: host, Header: h,
			URL: &url.URL{Scheme: "http", Host: peer.URL.Host, Opaque: path, RawQuery: query}}
		var want bytes.Buffer
		if err := outgoing(context.Background(), peer, r).Write(&want); err != nil {
			t.Fatalf("net/http refuses %q: %v", q.Head(), err)
		}
		if string(q.Head()) != want.String() {
			t.Fatalf("got\n%q, net/http\n%q", q.Head(), want.String())
		}
		var again bytes.Buffer
		if err := outgoing(context.Background(), peer, q.request(peer)).Write(&again); err != nil || again.String() != want.String() {
			t.Fatalf("taken apart\n%q (%v), it was\n%q", again.String(), err, want.String())
		}
		parsed, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(q.Head())))
		if err == nil && parsed.Method != method {
			t.Fatalf("method %q, read as %q", method, parsed.Method)
		}
	})
}

// TestPlainOverNetHTTP: a connection that net/http's client has taken over serves what
// is written out as well.
func TestPlainOverNetHTTP(t *testing.T) {
	got := make(chan *http.Request, 2)
	p := poolFor(t, newScript(t, func(c *conversation) {
		for {
			r, _, ok := c.request()
			if !ok {
				return
			}
			got <- r
			c.say(hello)
		}
	}))
	post, _ := http.NewRequest("POST", "http://a/", strings.NewReader("body"))
	if _, _, err := fetch(t, p, post, nil); err != nil {
		t.Fatal(err)
	}
	<-got
	d := NewDraft()
	defer d.Free()
	for _, f := range [][2]string{{"x-b", "2"}, {"accept", "*/*"}, {"x-b", "1"}} {
		d.Add([]byte(f[0]), []byte(f[1]))
	}
	q, ok := d.Plain(p.Peers()[0], "GET", []byte("/%7ea"), []byte("x"), true, []byte("a.example"))
	if !ok {
		t.Fatal("it cannot be written out")
	}
	res, err := p.Client().DoPlain(t.Context(), p.Peers()[0], q, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, err := io.ReadAll(res.Body); string(b) != "hello" || err != nil {
		t.Errorf("body %q %v", b, err)
	}
	r := <-got
	want := http.Header{"Accept": {"*/*"}, "X-B": {"2", "1"}}
	if r.RequestURI != "/%7ea?x" || r.Host != "a.example" || !reflect.DeepEqual(r.Header, want) {
		t.Errorf("%s %s %v", r.RequestURI, r.Host, r.Header)
	}
	if st := p.Peers()[0].Stats(); st.Dialled != 1 || st.Reused != 1 {
		t.Errorf("stats %+v", st)
	}
}

// TestPlainIsRepeated: what is written out goes up again where a reused connection
// was dead, if it may.
func TestPlainIsRepeated(t *testing.T) {
	for method, repeated := range map[string]bool{"GET": true, "DELETE": false} {
		p := poolFor(t, newScript(t, func(c *conversation) {
			if _, _, ok := c.request(); ok {
				c.say(hello)
			}
			c.request() // it reads the second and says nothing
		}))
		d := NewDraft()
		q, ok := d.Plain(p.Peers()[0], method, []byte("/"), nil, false, []byte("a"))
		d.Free()
		if !ok {
			t.Fatal("it cannot be written out")
		}
		for i := range 2 {
			res, err := p.Client().DoPlain(t.Context(), p.Peers()[0], q, nil)
			if failed := err != nil; failed != (i == 1 && !repeated) {
				t.Fatalf("%s: request %d: %v", method, i, err)
			}
			if err == nil {
				fetchRest(t, res.Body)
				res.Body.Close()
			}
		}
	}
}
