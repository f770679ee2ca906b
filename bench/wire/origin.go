package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// What the origin's paths begin with. Behind it comes /SIZE/NAME.
const (
	kept     = "/kept"     // may be stored
	passed   = "/passed"   // may not
	slowKept = "/slowkept" // the same two, answered after slowTime
	slowPass = "/slowpass"
)

const (
	slowTime = 200 * time.Millisecond
	maxBody  = 1 << 20
)

// origin is who all servers ask: a loop of its own, since net/http's would take
// more of the load's core than the load.
type origin struct {
	listener net.Listener
	noise    []byte // a body of some size is its beginning
	asked    atomic.Int64

	mu     sync.Mutex
	conns  map[net.Conn]struct{} // nil when closed
	slowly map[string]arrivals   // of requests for slow paths
	served sync.WaitGroup
}

func newOrigin() (*origin, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	o := &origin{listener: l, noise: make([]byte, maxBody), conns: map[net.Conn]struct{}{}, slowly: map[string]arrivals{}}
	random := rand.New(rand.NewPCG(1, 2))
	for i := range o.noise {
		o.noise[i] = byte(random.Uint32())
	}
	o.served.Go(o.accept)
	return o, nil
}

func (o *origin) addr() string { return o.listener.Addr().String() }

// body is what a path is answered with.
func (o *origin) body(size int) []byte { return o.noise[:size] }

// arrivals is when requests came.
type arrivals struct {
	many        int64
	first, last time.Time
}

// askedFor says how often, and when, a slow path was asked for.
func (o *origin) askedFor(path string) arrivals {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.slowly[path]
}

func (o *origin) close() {
	_ = o.listener.Close()
	o.mu.Lock()
	for c := range o.conns {
		_ = c.Close()
	}
	o.conns = nil
	o.mu.Unlock()
	o.served.Wait()
}

func (o *origin) accept() {
	for {
		c, err := o.listener.Accept()
		if err != nil {
			return
		}
		o.mu.Lock()
		if o.conns == nil {
			o.mu.Unlock()
			_ = c.Close()
			return
		}
		o.conns[c] = struct{}{}
		o.served.Go(func() { o.serve(c) })
		o.mu.Unlock()
	}
}

func (o *origin) serve(c net.Conn) {
	defer func() {
		o.mu.Lock()
		delete(o.conns, c)
		o.mu.Unlock()
		_ = c.Close()
	}()
	in := bufio.NewReaderSize(c, 8<<10)
	var head bytes.Buffer
	for {
		path, err := readRequest(in)
		if err != nil {
			return
		}
		o.asked.Add(1)
		size, err := o.appendHead(&head, path)
		if err != nil {
			_, _ = c.Write([]byte("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"))
			continue
		}
		both := net.Buffers{head.Bytes(), o.body(size)}
		if _, err := both.WriteTo(c); err != nil {
			return
		}
	}
}

// readRequest reads a head without a body and gives its path.
func readRequest(in *bufio.Reader) (path string, err error) {
	for first := true; ; first = false {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return "", err
		}
		if first {
			words := strings.Fields(string(line))
			if len(words) != 3 || words[0] != "GET" {
				return "", errors.New("not a GET")
			}
			path = words[1]
		}
		if len(bytes.TrimRight(line, "\r\n")) == 0 {
			return path, nil
		}
	}
}

// appendHead formats the answer's head, when it is due.
func (o *origin) appendHead(head *bytes.Buffer, path string) (size int, err error) {
	kind, size, err := parsePath(path)
	if err != nil {
		return 0, err
	}
	control := "no-store"
	switch kind {
	case kept:
		control = "max-age=86400"
	case slowKept, slowPass:
		o.mu.Lock()
		a := o.slowly[path]
		if a.last = time.Now(); a.many == 0 {
			a.first = a.last
		}
		a.many++
		o.slowly[path] = a
		o.mu.Unlock()
		time.Sleep(slowTime)
		if kind == slowKept {
			control = "max-age=86400"
		}
	}
	head.Reset()
	fmt.Fprintf(head, "HTTP/1.1 200 OK\r\nServer: origin\r\nDate: %s\r\nContent-Type: application/octet-stream\r\n"+
		"Content-Length: %d\r\nLast-Modified: Mon, 02 Nov 2026 10:00:00 GMT\r\nETag: \"size-%d\"\r\nCache-Control: %s\r\n\r\n",
		time.Now().UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT"), size, size, control)
	return size, nil
}

// parsePath takes KIND/SIZE/NAME apart.
func parsePath(path string) (kind string, size int, err error) {
	part := strings.Split(path, "/")
	if len(part) != 4 {
		return "", 0, fmt.Errorf("path %q is not /KIND/SIZE/NAME", path)
	}
	size, err = strconv.Atoi(part[2])
	if err != nil || size < 0 || size > maxBody {
		return "", 0, fmt.Errorf("size in path %q", path)
	}
	switch kind = "/" + part[1]; kind {
	case kept, passed, slowKept, slowPass:
		return kind, size, nil
	}
	return "", 0, fmt.Errorf("kind in path %q", path)
}
