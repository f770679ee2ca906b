package edgetest

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
)

// Answer is what an Origin says to one request: status, header and body, or
// whatever Steps write in their place.
type Answer struct {
	Status  int // 0 is 200
	Header  http.Header
	Body    string
	Chunked bool   // the body is framed in chunks, not by Content-Length
	Steps   []Step // in place of all above
}

// Step is one step of an answer. An error ends the connection.
type Step func(*exchange) error

// exchange is a request that is being answered.
type exchange struct {
	conn   net.Conn
	method string
	over   <-chan struct{} // closed when the origin closes
}

// errOver ends a connection on purpose.
var errOver = errors.New("the script ends here")

// Text is an answer with a body; each line is a field, "Name: value".
func Text(status int, body string, lines ...string) Answer {
	return Answer{Status: status, Body: body, Header: Header(lines...)}
}

// Script is an answer that is written step by step.
func Script(steps ...Step) Answer { return Answer{Steps: steps} }

// Bytes writes p as it stands.
func Bytes(p string) Step {
	return func(x *exchange) error {
		_, err := x.conn.Write([]byte(p))
		return err
	}
}

// Whole writes an answer of the ordinary kind.
func Whole(a Answer) Step { return a.write }

// Gate waits until the channel is closed (or gives something). When the origin
// is closed before, the connection ends.
func Gate(open <-chan struct{}) Step {
	return func(x *exchange) error {
		select {
		case <-open:
			return nil
		case <-x.over:
			return errOver
		}
	}
}

// Tell closes the channel: the test learns that the script has come so far.
func Tell(reached chan<- struct{}) Step {
	return func(*exchange) error {
		close(reached)
		return nil
	}
}

// Cut closes the connection in good order.
func Cut() Step { return func(*exchange) error { return errOver } }

// Reset breaks the connection with a TCP reset.
func Reset() Step {
	return func(x *exchange) error {
		if t, ok := x.conn.(*net.TCPConn); ok {
			if err := t.SetLinger(0); err != nil {
				return err
			}
		}
		return errOver
	}
}

// Header makes a header of lines "Name: value".
func Header(lines ...string) http.Header {
	h := http.Header{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ":")
		h.Add(name, strings.TrimSpace(value))
	}
	return h
}

func (a Answer) write(x *exchange) error {
	for _, step := range a.Steps {
		if err := step(x); err != nil {
			return err
		}
	}
	if a.Steps != nil {
		return nil
	}
	if _, err := x.conn.Write(a.bytes(x.method)); err != nil {
		return err
	}
	if strings.EqualFold(a.Header.Get("Connection"), "close") {
		return errOver
	}
	return nil
}

// bytes formats the answer.
func (a Answer) bytes(method string) []byte {
	status := a.Status
	if status == 0 {
		status = http.StatusOK
	}
	b := fmt.Appendf(nil, "HTTP/1.1 %d %s\r\n", status, http.StatusText(status))
	for name, values := range a.Header {
		for _, value := range values {
			b = fmt.Appendf(b, "%s: %s\r\n", name, value)
		}
	}
	bodiless := status < 200 || status == http.StatusNoContent || status == http.StatusNotModified
	switch {
	case a.Chunked:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	case !bodiless && a.Header.Get("Content-Length") == "":
		b = fmt.Appendf(b, "Content-Length: %d\r\n", len(a.Body))
	}
	b = append(b, "\r\n"...)
	switch {
	case bodiless || method == http.MethodHead:
	case a.Chunked && a.Body != "":
		b = fmt.Appendf(b, "%x\r\n%s\r\n0\r\n\r\n", len(a.Body), a.Body)
	case a.Chunked:
		b = append(b, "0\r\n\r\n"...)
	default:
		b = append(b, a.Body...)
	}
	return b
}
