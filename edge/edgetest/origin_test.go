package edgetest

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"edgecache/edge"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// dial opens a connection to an origin.
func dial(t *testing.T, url string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestOriginAnswersByScript(t *testing.T) {
	o := NewOrigin(t)
	o.On("/list", Text(200, "first", "X-A: 1", "X-A: 2"), Answer{Body: "last", Chunked: true})
	o.OnFunc("/func", func(s Seen) Answer { return Text(201, s.Method+string(s.Body)) })
	c := dial(t, o.URL)
	in := bufio.NewReader(c)
	for _, step := range []struct {
		request string
		status  int
		body    string
	}{
		{"GET /list?q HTTP/1.1\r\nHost: a\r\n\r\n", 200, "first"},
		{"GET /list HTTP/1.1\r\nHost: a\r\n\r\n", 200, "last"},
		{"GET /list HTTP/1.1\r\nHost: a\r\n\r\n", 200, "last"},
		{"HEAD /list HTTP/1.1\r\nHost: a\r\n\r\n", 200, ""},
		{"PUT /func HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody", 201, "PUTbody"},
		{"GET /other HTTP/1.1\r\nHost: a\r\n\r\n", 404, "no script for /other\n"},
	} {
		if _, err := io.WriteString(c, step.request); err != nil {
			t.Fatal(err)
		}
		method, _, _ := strings.Cut(step.request, " ")
		if r := Read(in, method); r.Err != nil || r.Status != step.status || r.Body != step.body {
			t.Errorf("%s: status %d, body %q, %v; want %d, %q", step.request, r.Status, r.Body, r.Err, step.status, step.body)
		}
	}
	if n := o.Asked("/list"); n != 4 || len(o.Seen()) != 6 || o.Seen()[0].Target != "/list?q" {
		t.Errorf("asked %d times for /list, saw %+v", n, o.Seen())
	}
	if opened, open := o.Conns(); opened != 1 || open != 1 {
		t.Errorf("%d connections opened, %d open, want 1 and 1", opened, open)
	}
}

func TestOriginStepByStep(t *testing.T) {
	gate, reached := make(chan struct{}), make(chan struct{})
	o := NewOrigin(t)
	o.On("/cut", Script(Bytes("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"), Cut()))
	o.On("/reset", Script(Bytes("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"), Reset()))
	o.On("/gate", Script(Tell(reached), Gate(gate), Whole(Text(200, "after"))))
	o.On("/never", Script(Gate(make(chan struct{}))))
	ask := func(path string) *bufio.Reader {
		c := dial(t, o.URL)
		if _, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		return bufio.NewReader(c)
	}
	if r := Read(ask("/cut"), "GET"); !errors.Is(r.Err, io.ErrUnexpectedEOF) || r.Body != "half" {
		t.Errorf("cut: body %q, %v", r.Body, r.Err)
	}
	if r := Read(ask("/reset"), "GET"); !errors.Is(r.Err, syscall.ECONNRESET) {
		t.Errorf("reset: %v", r.Err)
	}
	waiting := ask("/gate")
	Receive(t, "the gate", reached)
	close(gate)
	if r := Read(waiting, "GET"); r.Body != "after" {
		t.Errorf("behind the gate: %q, %v", r.Body, r.Err)
	}
	stuck := ask("/never")
	Wait(t, "the stuck request", func() bool { return o.Asked("/never") == 1 })
	o.Close() // does not wait for a gate that nobody opens
	if r := Read(stuck, "GET"); r.Err == nil {
		t.Error("a closed origin has answered")
	}
}

func TestRawOrigin(t *testing.T) {
	url := NewRawOrigin(t, func(c net.Conn) {
		if head, err := ReadHead(c); err == nil {
			_, _ = c.Write(head)
		}
	})
	c := dial(t, url)
	if _, err := io.WriteString(c, "anything\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(c); err != nil || string(got) != "anything\r\n\r\n" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := http.Get(DeadURL(t)); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a dead url: %v", err)
	}
}

func TestRecordsAreCopies(t *testing.T) {
	var l Records
	buf := []byte("id-1")
	l.Write(&edge.Record{ID: buf, Path: buf})
	copy(buf, "XXXX")
	l.Write(&edge.Record{ID: []byte("id-1"), Kind: edge.KindRefresh})
	got := l.Wait(t, "two records", func(r []edge.Record) bool { return len(r) == 2 })
	if string(got[0].ID) != "id-1" || string(got[0].Path) != "id-1" {
		t.Errorf("the record changed with the buffer: %q", got[0].ID)
	}
	if n := len(l.Of("id-1")); n != 1 {
		t.Errorf("%d records of the client's request, want 1", n)
	}
}
