package origin

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// answerBuffer is what one read of an answer brings at most, but for a large
// body, which is read past it.
const answerBuffer = 4 << 10

// notOurs says that framing and connection decide a field, not r.Header.
func notOurs(name string) bool {
	switch name {
	case "Host", "User-Agent", "Content-Length", "Transfer-Encoding", "Trailer":
		return true
	}
	return false
}

// headBox is the room in which the head of a plain request is formatted.
type headBox struct {
	text  []byte
	lines []headLine
}

type headLine struct {
	name   string
	values []string
}

var headBoxes = sync.Pool{New: func() any { return &headBox{lines: make([]headLine, 0, 32)} }}

// plainHead formats the head of a request that can be written and answered on one
// goroutine, without net/http's client: there is no body to send while the answer may
// come, and nothing about it that net/http would have to put right, or refuse. It is
// nil when there is. Who has it gives it back with free.
func plainHead(p *Peer, r *http.Request) *headBox {
	if hasBody(r) || r.ContentLength != 0 || r.Close || r.URL == nil || r.Method == "CONNECT" ||
		len(r.TransferEncoding) > 0 || len(r.Trailer) > 0 || len(r.Header["Expect"]) > 0 {
		return nil
	}
	h := headBoxes.Get().(*headBox)
	if !h.format(p, r) {
		h.free()
		return nil
	}
	return h
}

// free gives the room back. There may be none.
func (h *headBox) free() {
	if h != nil && cap(h.text) <= keptLine {
		clear(h.lines)
		headBoxes.Put(h)
	}
}

// format is false when the head cannot be ours.
func (h *headBox) format(p *Peer, r *http.Request) (ok bool) {
	b, method, host := h.text[:0], or(r.Method, "GET"), or(r.Host, p.hostField())
	if !validName(method) || !plainHost(host) {
		return false
	}
	b = append(append(b, method...), ' ')
	from := len(b)
	b = appendTarget(b, r.URL)
	if !plainTarget(b[from:]) {
		return false
	}
	b = append(b, " HTTP/1.1\r\n"...)
	b = appendField(b, "Host", host)
	if agent := r.Header["User-Agent"]; len(agent) > 0 && agent[0] != "" {
		b = appendField(b, "User-Agent", agent[0])
	}
	switch method {
	case "POST", "PUT", "PATCH": // RFC 9110, 8.6: a method that expects a body says that there is none
		b = appendField(b, "Content-Length", "0")
	}
	if !h.sort(r.Header) {
		return false
	}
	for _, l := range h.lines {
		for _, value := range l.values {
			b = appendField(b, l.name, value)
		}
	}
	h.text = append(b, "\r\n"...)
	return true
}

// sort puts the fields that are ours to send in the order of their names. It is false
// when one of them all is none.
func (h *headBox) sort(fields http.Header) (ok bool) {
	h.lines = h.lines[:0]
	for name, values := range fields {
		if !validName(name) {
			return false
		}
		for _, v := range values {
			if !validValue(v) {
				return false
			}
		}
		if !notOurs(name) {
			h.lines = append(h.lines, headLine{name, values})
		}
	}
	slices.SortFunc(h.lines, func(a, b headLine) int { return strings.Compare(a.name, b.name) })
	return true
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

// appendTarget is u.RequestURI, without a string in between where u is what a cache asks for.
func appendTarget(b []byte, u *url.URL) []byte {
	if u.Opaque == "" || u.Opaque[0] != '/' || strings.HasPrefix(u.Opaque, "//") {
		return append(b, u.RequestURI()...)
	}
	b = append(b, u.Opaque...)
	if u.ForceQuery || u.RawQuery != "" {
		b = append(append(b, '?'), u.RawQuery...)
	}
	return b
}

func plainTarget(target []byte) bool {
	for _, c := range target {
		if c <= ' ' || c == 0x7f {
			return false
		}
	}
	return len(target) > 0 && (target[0] == '/' || string(target) == "*")
}

func appendField(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, strings.Trim(value, " \t\r\n")...)
	return append(b, "\r\n"...)
}

// converse sends a plain request and reads the head of its final answer, all on
// this goroutine. Interim answers are handed on as they come.
func (x exchange) converse(ctx context.Context) (*http.Response, error) {
	w := x.wire
	if w.in == nil {
		w.in = bufio.NewReaderSize(w.conn, answerBuffer)
	}
	_, err := w.conn.Write(x.head.text)
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
		case res.StatusCode != http.StatusContinue && x.trace.Witness != nil:
			x.trace.Witness.Interim(res.StatusCode, res.Header)
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
