package edgetest

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
)

// Reply is an answer as a client got it. Err is set when it was visibly
// broken; the rest is then what came before.
type Reply struct {
	Status int
	Header http.Header
	Body   string
	Err    error
}

// ID is the request's id.
func (r Reply) ID() string { return r.Header.Get("X-Request-Id") }

// diskHost is whom requests name to an edge with a disk: its address changes
// with a Restart, and what is on disk lies under the host.
const diskHost = "disk.test"

// Get asks for a path; each line is a field, "Name: value".
func (h *Harness) Get(path string, lines ...string) Reply {
	h.t.Helper()
	return h.Do(http.MethodGet, path, "", lines...)
}

// Do asks with a method and a body, "" for none.
func (h *Harness) Do(method, path, body string, lines ...string) Reply {
	h.t.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	q, err := http.NewRequest(method, h.URL+path, r)
	if err != nil {
		h.t.Fatal(err)
	}
	q.Header = Header(lines...)
	if h.config.Disk != "" {
		q.Host = diskHost
	}
	if host := q.Header.Get("Host"); host != "" {
		q.Host = host
	}
	a, err := h.Client.Do(q)
	if err != nil {
		return Reply{Header: http.Header{}, Err: err}
	}
	return read(a)
}

// Read reads one answer from a connection; method is what was asked with.
func Read(in *bufio.Reader, method string) Reply {
	a, err := http.ReadResponse(in, &http.Request{Method: method})
	if err != nil {
		return Reply{Header: http.Header{}, Err: err}
	}
	return read(a)
}

func read(a *http.Response) Reply {
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	return Reply{Status: a.StatusCode, Header: a.Header, Body: string(body), Err: err}
}

// Raw sends bytes on a connection of its own and reads one answer.
func (h *Harness) Raw(request string) Reply {
	h.t.Helper()
	c := h.Dial()
	defer c.Close()
	h.Send(c, "%s", request)
	method, _, _ := strings.Cut(request, " ")
	return Read(bufio.NewReader(c), method)
}

// Reader is a buffered reader of a connection.
func Reader(c net.Conn) *bufio.Reader { return bufio.NewReader(c) }
