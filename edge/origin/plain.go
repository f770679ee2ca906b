package origin

import (
	"bytes"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// Plain is a request that can be written and answered on one goroutine, without
// net/http's client: there is no body to send while the answer may come, and nothing about
// it that net/http would have to put right, or refuse. It is immutable.
type Plain struct {
	method string
	head   []byte
}

// Head is the request's head as it goes up, with the line ends and the empty line: a
// view, nil of the zero Plain.
func (q Plain) Head() []byte { return q.head }

// Fields are the request's fields but Host, as they go up: views.
func (q Plain) Fields() iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		_, rest, _ := bytes.Cut(q.head, []byte("\r\n"))
		_, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		for {
			var line []byte
			line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
			name, value, ok := bytes.Cut(line, []byte(": "))
			if !ok || !yield(name, value) {
				return
			}
		}
	}
}

// Has says whether a field with a value goes up; its name is spelt canonically.
func (q Plain) Has(name string) bool {
	for n, value := range q.Fields() {
		if string(n) == name && len(value) > 0 {
			return true
		}
	}
	return false
}

// Draft is the room in which the head of a plain request is put together: its fields
// in any order, which Write sorts by their names.
type Draft struct {
	scratch []byte // names and values
	lines   []draftLine
	text    []byte // the last head that was written
	wrong   bool   // one of the fields is none
}

// draftLine is where in the scratch a field lies.
type draftLine struct{ name, value, end int }

var drafts = sync.Pool{New: func() any { return &Draft{lines: make([]draftLine, 0, 32)} }}

// NewDraft gives an empty draft; who takes it gives it back with Free.
func NewDraft() *Draft { return drafts.Get().(*Draft) }

// Free gives the room back. There may be none.
func (d *Draft) Free() {
	if d == nil || cap(d.text) > keptLine || cap(d.scratch) > keptLine {
		return
	}
	d.scratch, d.lines, d.wrong = d.scratch[:0], d.lines[:0], false
	drafts.Put(d)
}

// Add adds a field line, its name in the spelling of http.CanonicalHeaderKey. Lines
// of one name keep their order.
func (d *Draft) Add(name, value []byte) {
	at := len(d.scratch)
	if !addLine(d, name, value) {
		return
	}
	upper := true
	for i, c := range d.scratch[at : at+len(name)] {
		switch {
		case upper && 'a' <= c && c <= 'z':
			d.scratch[at+i] = c - ('a' - 'A')
		case !upper && 'A' <= c && c <= 'Z':
			d.scratch[at+i] = c + ('a' - 'A')
		}
		upper = c == '-'
	}
}

// addLine adds a field line as it is spelt, if it is one.
func addLine[T string | []byte](d *Draft, name, value T) (ok bool) {
	if !validName(name) || !validValue(value) {
		d.wrong = true
		return false
	}
	line := draftLine{name: len(d.scratch)}
	d.scratch = append(d.scratch, name...)
	line.value = len(d.scratch)
	d.scratch = append(d.scratch, value...)
	line.end = len(d.scratch)
	d.lines = append(d.lines, line)
	return true
}

func (d *Draft) name(l draftLine) []byte  { return d.scratch[l.name:l.value] }
func (d *Draft) value(l draftLine) []byte { return d.scratch[l.value:l.end] }

// Plain makes the request of the fields added so far, in memory of its own. Path is
// absolute, query what stands behind its '?', if there is one; host may be empty: p's name
// then. ok is false when it must be left to net/http.
func (d *Draft) Plain(p *Peer, method string, path, query []byte, hasQuery bool, host []byte) (q Plain, ok bool) {
	if len(path) == 0 || path[0] != '/' || bytes.HasPrefix(path, []byte("//")) || method == "CONNECT" {
		return Plain{}, false
	}
	d.begin(method)
	d.text = append(d.text, path...)
	if hasQuery {
		d.text = append(append(d.text, '?'), query...)
	}
	if len(host) == 0 {
		host = []byte(p.hostField())
	}
	if !d.write(method, host) {
		return Plain{}, false
	}
	return Plain{method, bytes.Clone(d.text)}, true
}

// begin starts the text anew, up to where the target stands.
func (d *Draft) begin(method string) { d.text = append(append(d.text[:0], method...), ' ') }

// write writes the rest of the head behind a target. It is false when the head cannot be
// ours.
func (d *Draft) write(method string, host []byte) (ok bool) {
	b := d.text
	if d.wrong || !validName(method) || !plainHost(host) || !plainTarget(b[len(method)+1:]) {
		return false
	}
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(append(b, host...), "\r\n"...)
	slices.SortStableFunc(d.lines, func(x, y draftLine) int { return bytes.Compare(d.name(x), d.name(y)) })
	for _, l := range d.lines {
		if string(d.name(l)) == "User-Agent" { // the first is the one that counts
			if agent := d.value(l); len(agent) > 0 {
				b = appendField(b, d.name(l), agent)
			}
			break
		}
	}
	switch method {
	case "POST", "PUT", "PATCH": // RFC 9110, 8.6: a method that expects a body says that there is none
		b = append(b, "Content-Length: 0\r\n"...)
	}
	for _, l := range d.lines {
		if name := d.name(l); !notOurs(name) {
			b = appendField(b, name, d.value(l))
		}
	}
	d.text = append(b, "\r\n"...)
	return true
}

// notOurs says that framing and connection decide a field, not who asks.
func notOurs(name []byte) bool {
	switch string(name) {
	case "Host", "User-Agent", "Content-Length", "Transfer-Encoding", "Trailer":
		return true
	}
	return false
}

func appendField(b, name, value []byte) []byte {
	b = append(append(b, name...), ": "...)
	b = append(b, bytes.Trim(value, " \t")...)
	return append(b, "\r\n"...)
}

// plainHead writes the head of a request that can be plain; nil when it cannot. Who
// has it gives it back with Free.
func plainHead(p *Peer, r *http.Request) *Draft {
	if hasBody(r) || r.ContentLength != 0 || r.Close || r.URL == nil || r.Method == "CONNECT" ||
		len(r.TransferEncoding) > 0 || len(r.Trailer) > 0 || len(r.Header["Expect"]) > 0 {
		return nil
	}
	d := NewDraft()
	for name, values := range r.Header {
		for _, v := range values {
			addLine(d, name, v)
		}
		d.wrong = d.wrong || !validName(name)
	}
	method := or(r.Method, "GET")
	d.begin(method)
	d.text = appendTarget(d.text, r.URL)
	if !d.write(method, []byte(or(r.Host, p.hostField()))) {
		d.Free()
		return nil
	}
	return d
}

// request takes the head apart again, for a connection that net/http's client has
// taken over.
func (q Plain) request(p *Peer) *http.Request {
	line, rest, _ := strings.Cut(string(q.head), "\r\n")
	target := line[len(q.method)+1 : len(line)-len(" HTTP/1.1")]
	path, query, hasQuery := strings.Cut(target, "?")
	r := &http.Request{Method: q.method, Header: http.Header{}, URL: &url.URL{
		Scheme: p.URL.Scheme, Host: p.URL.Host, Opaque: path, RawQuery: query, ForceQuery: hasQuery && query == "",
	}}
	host, _, _ := strings.Cut(rest, "\r\n")
	r.Host = strings.TrimPrefix(host, "Host: ")
	for name, value := range q.Fields() {
		if n := string(name); n != "Content-Length" { // net/http says that itself
			r.Header[n] = append(r.Header[n], string(value))
		}
	}
	return r
}

// plainHost says that a Host field is one (RFC 3986, 3.2.2), needs no Punycode and has no
// zone to lose.
func plainHost(host []byte) bool {
	for _, c := range host {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte("!$&'()*+,-.:;=[]_~", c) < 0:
			return false
		}
	}
	return len(host) > 0
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
