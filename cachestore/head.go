package cachestore

import (
	"bytes"
	"iter"
	"net/http"
	"slices"
	"strings"

	"edgecache/policy"
)

// Head is the header section of an answer, built once: one block of HTTP/1.1
// field lines "Name: value\r\n", names canonical and sorted, in three spans. It
// is immutable. A 200 is the kept and the representation span, a 304 the kept
// one alone; what differs from answer to answer (Age, Content-Length …) is in
// none of them.
type Head struct {
	Status         int
	Dropped        int // fields that could not be written as one line: a bug or an attack
	block          []byte
	kept, unhidden int // ends of the first and of the second span
}

// describes says whether a 304 leaves a field out: the client has it (RFC 9110,
// 15.4.5). Last-Modified is such a one where there is an ETag.
func describes(canonical string, etag bool) bool {
	switch canonical {
	case "Content-Digest", "Content-Disposition", "Content-Encoding", "Content-Language",
		"Content-Md5", "Content-Range", "Content-Type", "Digest", "Repr-Digest":
		return true
	case "Last-Modified":
		return etag
	}
	return false
}

// unstored says whether a field is never kept: those of one connection, and
// those that are formatted for each answer (RFC 9110, 7.6.1; RFC 9111, 3.1 and
// 5.1).
func unstored(canonical string) bool {
	return canonical == "Age" || canonical == "Content-Length" || policy.IsHopByHop(canonical)
}

// span says in which part of the block a field stands.
type span uint8

const (
	spanKept span = iota
	spanRepresentation
	spanHidden
	spanNone
)

// NewHead builds a head. Names in hidden (canonical) are not delivered but kept
// for Header, because merging a 304 needs them. Fields of connection and
// transfer are left out, and those that Connection names. A field whose name is
// no token, or whose value has CR, LF or NUL, is dropped and counted.
func NewHead(status int, h http.Header, hidden []string) *Head {
	d := &Head{Status: status}
	s := sorter{hidden: hidden, named: policy.ConnectionNames(h), etag: len(h["Etag"]) > 0}
	var room [16]headField
	fields, size := room[:0], 0
	for name, values := range h {
		f := headField{name: name, values: values}
		f.canonical, f.bad = canonicalName(name)
		if f.at = s.span(f.canonical); f.at == spanNone {
			continue
		}
		fields = append(fields, f)
		for _, v := range values {
			size += len(name) + len(v) + len(": \r\n")
		}
	}
	slices.SortFunc(fields, headField.compare)
	d.block = make([]byte, 0, size)
	for i := range fields {
		d.add(&fields[i])
	}
	return d
}

// headField is one field on its way into a head.
type headField struct {
	name, canonical string
	values          []string
	at              span
	bad             bool // the name is no token
}

// compare orders by span and then by canonical form first, so that heads of one answer
// are equal however a hook has spelt a field.
func (f headField) compare(o headField) int {
	if f.at != o.at {
		return int(f.at) - int(o.at)
	}
	if c := strings.Compare(f.canonical, o.canonical); c != 0 {
		return c
	}
	return strings.Compare(f.name, o.name)
}

// canonicalName is http.CanonicalHeaderKey, which most names are already, and says
// whether it is no token.
func canonicalName(name string) (canonical string, bad bool) {
	upper := true
	for i := range len(name) {
		c := name[i]
		if !tokenBytes[c] || upper && 'a' <= c && c <= 'z' || !upper && 'A' <= c && c <= 'Z' {
			canonical = http.CanonicalHeaderKey(name)
			return canonical, !isToken(canonical)
		}
		upper = c == '-'
	}
	return name, name == ""
}

// sorter puts fields into spans.
type sorter struct {
	hidden []string
	named  map[string]bool // by Connection
	etag   bool            // there is one
}

func (s *sorter) span(canonical string) span {
	switch {
	case unstored(canonical), s.named[canonical]:
		return spanNone
	case slices.Contains(s.hidden, canonical):
		return spanHidden
	case describes(canonical, s.etag):
		return spanRepresentation
	}
	return spanKept
}

// add appends a field's lines; fields come in the order of their spans.
func (h *Head) add(f *headField) {
	if f.bad {
		h.Dropped += len(f.values)
	} else {
		for _, v := range f.values {
			if strings.IndexByte(v, '\r') >= 0 || strings.IndexByte(v, '\n') >= 0 || strings.IndexByte(v, 0) >= 0 {
				h.Dropped++
				continue
			}
			h.block = append(h.block, f.canonical...)
			h.block = append(h.block, ": "...)
			h.block = append(h.block, strings.Trim(v, " \t")...)
			h.block = append(h.block, "\r\n"...)
		}
	}
	switch f.at {
	case spanKept:
		h.kept, h.unhidden = len(h.block), len(h.block)
	case spanRepresentation:
		h.unhidden = len(h.block)
	}
}

// isToken says whether s is a token (RFC 9110, 5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		if !tokenBytes[s[i]] {
			return false
		}
	}
	return s != ""
}

var tokenBytes = func() (t [256]bool) {
	for c := range t {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
			t[c] = true
		default:
			t[c] = strings.IndexByte("!#$%&'*+-.^_`|~", byte(c)) >= 0
		}
	}
	return t
}()

// Kept returns the lines that a 304 has, too: a view.
func (h *Head) Kept() []byte { return h.block[:h.kept:h.kept] }

// Representation returns the lines that describe the content: a view.
func (h *Head) Representation() []byte { return h.block[h.kept:h.unhidden:h.unhidden] }

// Delivered returns the lines of Kept and Representation in one view.
func (h *Head) Delivered() []byte { return h.block[:h.unhidden:h.unhidden] }

// Get returns the first value of a canonical name in any span: a view, nil when
// there is none.
func (h *Head) Get(name string) []byte {
	for n, v := range lines(h.block) {
		if string(n) == name {
			return v
		}
	}
	return nil
}

// coding is the Content-Encoding, nil for none: a view. It is not single when
// there is more than one.
func (h *Head) coding() (value []byte, single bool) {
	single = true
	for n, v := range lines(h.Delivered()) {
		if string(n) == "Content-Encoding" {
			single = value == nil
			value = v
		}
	}
	return value, single
}

// Fields yields names and values of what is delivered, as views.
func (h *Head) Fields() iter.Seq2[[]byte, []byte] { return lines(h.Delivered()) }

// Header returns a copy of all fields, hidden ones too, for a merge.
func (h *Head) Header() http.Header {
	c := make(http.Header)
	for n, v := range lines(h.block) {
		name := string(n)
		c[name] = append(c[name], string(v))
	}
	return c
}

// Held is how many bytes of memory the head takes.
func (h *Head) Held() int64 { return rounded(int64(cap(h.block))) + rounded(headBytes) }

// lines yields the fields of a block that add has built: no value has a line
// end in it, and the first ": " ends the name.
func lines(block []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func([]byte, []byte) bool) {
		for len(block) > 0 {
			end := bytes.IndexByte(block, '\n')
			line := block[:end-1]
			block = block[end+1:]
			colon := bytes.IndexByte(line, ':')
			if !yield(line[:colon:colon], line[colon+2:]) {
				return
			}
		}
	}
}
