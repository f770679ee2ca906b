package origin

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// answerBuffer is what one read of an answer brings at most, but for a large
// body, which is read past it.
const answerBuffer = 4 << 10

// plain reports whether r can be written and answered on one goroutine, without
// net/http's client: there is no body to send while the answer may come, and
// nothing about it that net/http would have to put right, or refuse.
func plain(p *Peer, r *http.Request) bool {
	if hasBody(r) || r.ContentLength != 0 || r.Close || r.URL == nil || r.Method == "CONNECT" ||
		len(r.TransferEncoding) > 0 || len(r.Trailer) > 0 || len(r.Header["Expect"]) > 0 {
		return false
	}
	if !validName([]byte(or(r.Method, "GET"))) || !plainHost(or(r.Host, p.hostField())) || !plainTarget(r.URL.RequestURI()) {
		return false
	}
	for name, values := range r.Header {
		if !plainField(name, values) {
			return false
		}
	}
	return true
}

func plainField(name string, values []string) bool {
	for i := range len(name) {
		if !isToken[name[i]] {
			return false
		}
	}
	for _, v := range values {
		for i := range len(v) {
			if c := v[i]; c < ' ' && c != '\t' || c == 0x7f {
				return false
			}
		}
	}
	return name != ""
}

// plainHost says that a Host field needs no Punycode and has no zone to lose.
func plainHost(host string) bool {
	for i := range len(host) {
		if c := host[i]; c <= ' ' || c >= 0x7f || c == '%' || c == '/' || c == '@' {
			return false
		}
	}
	return host != ""
}

func plainTarget(target string) bool {
	for i := range len(target) {
		if c := target[i]; c <= ' ' || c == 0x7f {
			return false
		}
	}
	return strings.HasPrefix(target, "/") || target == "*"
}

// notOurs are fields that the framing and the connection decide, not r.Header.
var notOurs = map[string]bool{"Host": true, "User-Agent": true, "Content-Length": true, "Transfer-Encoding": true, "Trailer": true}

// namesPool keeps the slices in which names are sorted.
var namesPool = sync.Pool{New: func() any { s := make([]string, 0, 32); return &s }}

// appendRequest formats the head of a plain request.
func appendRequest(b []byte, p *Peer, r *http.Request) []byte {
	b = append(b, or(r.Method, "GET")...)
	b = append(b, ' ')
	b = append(b, r.URL.RequestURI()...)
	b = append(b, " HTTP/1.1\r\n"...)
	b = appendField(b, "Host", or(r.Host, p.hostField()))
	if agent := r.Header["User-Agent"]; len(agent) > 0 && agent[0] != "" {
		b = appendField(b, "User-Agent", agent[0])
	}
	switch r.Method {
	case "POST", "PUT", "PATCH": // RFC 9110, 8.6: a method that expects a body says that there is none
		b = appendField(b, "Content-Length", "0")
	}
	box := namesPool.Get().(*[]string)
	names := (*box)[:0]
	for name := range r.Header {
		if !notOurs[name] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range r.Header[name] {
			b = appendField(b, name, value)
		}
	}
	clear(names)
	*box = names[:0]
	namesPool.Put(box)
	return append(b, "\r\n"...)
}

func appendField(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, strings.Trim(value, " \t\r\n")...)
	return append(b, "\r\n"...)
}

// converse sends a plain request and reads the head of its final answer, all on
// this goroutine. Interim answers are handed on as they come.
func (x exchange) converse(ctx context.Context, p *Peer) (*http.Response, error) {
	w := x.wire
	if w.in == nil {
		w.in = bufio.NewReaderSize(w.conn, answerBuffer)
	}
	w.out = appendRequest(w.out[:0], p, x.req)
	_, err := w.conn.Write(w.out)
	if cap(w.out) > keptLine {
		w.out = nil
	}
	// A peer that answers before it has read everything may close: its answer
	// is looked for all the same, unless it just does not read.
	if err != nil && (ctx.Err() != nil || isTimeout(err)) {
		return nil, err
	}
	for {
		res, rerr := w.readAnswer(x.req)
		switch {
		case rerr != nil && err != nil:
			return nil, err
		case rerr != nil:
			return nil, rerr
		case res.StatusCode == http.StatusSwitchingProtocols:
			w.keep = false
			res.Body = &rawConn{w.in, w.conn}
			return res, nil
		case res.StatusCode >= 200:
			w.keep = err == nil && !res.Close && !w.stacked
			return res, nil
		case res.StatusCode != http.StatusContinue && x.trace.Interim != nil:
			x.trace.Interim(res.StatusCode, res.Header)
		}
	}
}

// rawConn is a connection after a 101: what was read behind the head comes first.
type rawConn struct {
	in *bufio.Reader
	*checkedConn
}

var _ io.ReadWriteCloser = (*rawConn)(nil)

// Read reads what the peer sends.
func (c *rawConn) Read(p []byte) (int, error) { return c.in.Read(p) }
