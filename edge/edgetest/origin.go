package edgetest

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// Origin is an HTTP/1.1 origin on loopback that answers by script: per path a
// list of answers, of which the last is repeated, or a function.
type Origin struct {
	// URL is http://127.0.0.1:PORT.
	URL string

	listener net.Listener
	running  sync.WaitGroup
	over     chan struct{}

	mu      sync.Mutex
	scripts map[string]*script
	seen    []Seen
	conns   map[net.Conn]bool
	opened  int
	closed  bool
}

// Seen is one request as an origin got it.
type Seen struct {
	Method string
	Target string // as on the request line
	Host   string
	Header http.Header
	Body   []byte
	Conn   int // which connection it came on, from 1
}

// script is what a path answers.
type script struct {
	answers []Answer
	next    int
	f       func(Seen) Answer
}

func (s *script) answer(r Seen) Answer {
	if s.f != nil {
		return s.f(r)
	}
	a := s.answers[min(s.next, len(s.answers)-1)]
	s.next++
	return a
}

// NewOrigin starts an origin that ends with the test. A path without a script
// is answered 404.
func NewOrigin(t testing.TB) *Origin {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := &Origin{
		URL: "http://" + l.Addr().String(), listener: l,
		scripts: map[string]*script{}, conns: map[net.Conn]bool{}, over: make(chan struct{}),
	}
	o.running.Go(o.accept)
	t.Cleanup(o.Close)
	return o
}

// On makes path (without the query) answer in turn; the last answer is
// repeated. The path "*" stands for all that have no script.
func (o *Origin) On(path string, answers ...Answer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.scripts[path] = &script{answers: answers}
}

// OnFunc makes path answer what f says; f runs under the origin's lock.
func (o *Origin) OnFunc(path string, f func(Seen) Answer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.scripts[path] = &script{f: f}
}

// Seen copies the list of all requests so far, in the order they were read.
func (o *Origin) Seen() []Seen {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.seen)
}

// Drop forgets all requests so far.
func (o *Origin) Drop() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seen = nil
}

// Asked counts the requests for a path, without regard to queries.
func (o *Origin) Asked(path string) (n int) {
	for _, s := range o.Seen() {
		if p, _, _ := strings.Cut(s.Target, "?"); p == path {
			n++
		}
	}
	return n
}

// Conns tells how many connections were opened so far, and how many are open.
func (o *Origin) Conns() (opened, open int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.opened, len(o.conns)
}

// Close refuses new connections, breaks those that are open, and waits until
// nothing of the origin runs. It may be called twice.
func (o *Origin) Close() {
	o.mu.Lock()
	if !o.closed {
		close(o.over)
	}
	o.closed = true
	_ = o.listener.Close()
	for c := range o.conns {
		_ = c.Close()
	}
	o.mu.Unlock()
	o.running.Wait()
}

func (o *Origin) accept() {
	for {
		c, err := o.listener.Accept()
		if err != nil {
			return
		}
		o.mu.Lock()
		if o.closed {
			o.mu.Unlock()
			_ = c.Close()
			return
		}
		o.opened++
		number := o.opened
		o.conns[c] = true
		o.running.Go(func() { o.serve(c, number) })
		o.mu.Unlock()
	}
}

func (o *Origin) serve(c net.Conn, number int) {
	defer func() {
		_ = c.Close()
		o.mu.Lock()
		delete(o.conns, c)
		o.mu.Unlock()
	}()
	in := bufio.NewReader(c)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the client broke off: it has not asked
		}
		seen := Seen{Method: r.Method, Target: r.RequestURI, Host: r.Host, Header: r.Header, Body: body, Conn: number}
		a := o.note(seen)
		x := &exchange{conn: c, method: r.Method, over: o.over}
		if a.write(x) != nil || r.Close {
			return
		}
	}
}

// note remembers a request and finds its answer.
func (o *Origin) note(r Seen) Answer {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seen = append(o.seen, r)
	path, _, _ := strings.Cut(r.Target, "?")
	s, ok := o.scripts[path]
	if !ok {
		s, ok = o.scripts["*"]
	}
	if !ok {
		return Text(http.StatusNotFound, "no script for "+path+"\n")
	}
	return s.answer(r)
}

// NewRawOrigin listens on loopback and gives each connection to f, which reads
// and writes what it likes; the connection ends with f. It returns the URL.
func NewRawOrigin(t testing.TB, f func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[c] = true
			mu.Unlock()
			running.Go(func() {
				defer c.Close()
				f(c)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		running.Wait()
	})
	return "http://" + l.Addr().String()
}

// ReadHead reads a connection up to the empty line behind a head, so that a
// raw origin answers no sooner than it was asked.
func ReadHead(c net.Conn) (head []byte, err error) {
	one := make([]byte, 1)
	for !bytes.HasSuffix(head, []byte("\r\n\r\n")) {
		if _, err := c.Read(one); err != nil {
			return head, err
		}
		head = append(head, one[0])
	}
	return head, nil
}

// DeadURL is an http URL at which nobody listens. The port is taken until the
// test ends, so that nobody else can come to listen there.
func DeadURL(t testing.TB) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("http://127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
}
