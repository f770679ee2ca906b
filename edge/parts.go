package edge

import (
	"crypto/rand"
	"io"
	"strconv"

	"edgecache/cachestore"
	"edgecache/policy"
)

// parts is an answer of several ranges: multipart/byteranges (RFC 9110, 14.6).
type parts struct {
	spans    []policy.Span // in the order asked
	boundary string        // in no body, because nobody can guess it
	kind     []byte        // Content-Type of the representation; nil: none
	size     int64         // of the representation
}

// spanSource sends bytes of one representation to a session: from is in, to is
// not.
type spanSource interface{ sendSpan(from, to int64) error }

// newParts makes an answer of several ranges, nil where the whole is shorter.
func newParts(spans []policy.Span, h *cachestore.Head, size int64) *parts {
	p := &parts{spans: spans, boundary: rand.Text(), kind: h.Get("Content-Type"), size: size}
	if p.length() >= size {
		return nil
	}
	return p
}

// length is how many bytes the body has, delimiters and all.
func (p *parts) length() int64 {
	n := int64(len(p.appendEnd(nil)))
	for i, s := range p.spans {
		n += int64(len(p.appendHead(nil, i))) + s.To - s.From
	}
	return n
}

// appendHead appends what stands before part i.
func (p *parts) appendHead(b []byte, i int) []byte {
	if i > 0 {
		b = append(b, "\r\n"...)
	}
	b = append(append(b, "--"...), p.boundary...)
	if p.kind != nil {
		b = append(append(b, "\r\nContent-Type: "...), p.kind...)
	}
	b = append(b, "\r\nContent-Range: "...)
	b = appendContentRange(b, p.spans[i], p.size)
	return append(b, "\r\n\r\n"...)
}

func (p *parts) appendEnd(b []byte) []byte {
	return append(append(append(b, "\r\n--"...), p.boundary...), "--\r\n"...)
}

func appendContentRange(b []byte, s policy.Span, size int64) []byte {
	b = strconv.AppendInt(append(b, "bytes "...), s.From, 10)
	b = strconv.AppendInt(append(b, '-'), s.To-1, 10)
	return strconv.AppendInt(append(b, '/'), size, 10)
}

// outerHead is the head under which the answer leaves: the object's own, or, for
// several ranges, one whose Content-Type is theirs (RFC 9110, 15.3.7.2).
func (s *Session) outerHead(h *cachestore.Head) *cachestore.Head {
	p := s.state.parts
	if p == nil {
		return h
	}
	header := deliveredHeader(h)
	header["Content-Type"] = []string{"multipart/byteranges; boundary=" + p.boundary}
	return cachestore.NewHead(h.Status, header, nil)
}

// rising says whether no part begins before the end of the one before it, so that
// they can be sent while the body arrives.
func (p *parts) rising() bool {
	for i := range p.spans[1:] {
		if p.spans[i+1].From < p.spans[i].To {
			return false
		}
	}
	return true
}

// sendWanted sends what the view wants of a representation: a span, or several.
func (s *Session) sendWanted(from spanSource) error {
	p, view := s.state.parts, &s.state.view
	switch {
	case view.NoBody:
		return nil
	case p == nil:
		return from.sendSpan(view.From, view.To)
	}
	for i, span := range p.spans {
		if err := s.send(p.appendHead(nil, i)); err != nil {
			return clientGone(err)
		}
		if err := from.sendSpan(span.From, span.To); err != nil {
			return err
		}
	}
	if err := s.send(p.appendEnd(nil)); err != nil {
		return clientGone(err)
	}
	return nil
}

// bodySpans sends from a body that is in memory.
type bodySpans struct {
	s *Session
	b *cachestore.Body
}

func (b bodySpans) sendSpan(from, to int64) error {
	for from < to {
		p := b.b.At(from)
		if p == nil {
			return cachestore.ErrChunkGone
		}
		p = p[:min(int64(len(p)), to-from)]
		if err := b.s.send(p); err != nil {
			return clientGone(err)
		}
		from += int64(len(p))
	}
	return nil
}

// loanSpans sends from a stored body, wherever it is; begin is where that begins
// in the representation.
type loanSpans struct {
	s     *Session
	l     *cachestore.Loan
	begin int64
}

func (l loanSpans) sendSpan(from, to int64) error {
	_, err := sendLoan(l.s, l.l, from-l.begin, to-l.begin)
	return err
}

// fillSpans sends from a body that arrives. There is no way back but to what the
// last view has.
type fillSpans struct {
	s     *Session
	r     *cachestore.Reader
	begin int64  // where the body begins in the representation
	view  []byte // what the reader gave last
	at    int64  // where view begins in the representation
}

func (f *fillSpans) sendSpan(from, to int64) error {
	for from < to {
		if from < f.at || from >= f.at+int64(len(f.view)) {
			if err := f.next(from); err != nil {
				return err
			}
		}
		p := f.view[from-f.at:]
		p = p[:min(int64(len(p)), to-from)]
		if err := f.s.send(p); err != nil {
			return clientGone(err)
		}
		from += int64(len(p))
	}
	return nil
}

// next waits for the bytes from a place on.
func (f *fillSpans) next(from int64) (err error) {
	f.view = nil
	f.r.Skip(from - f.begin)
	if !f.r.Ready() {
		if err := f.s.lane.Flush(); err != nil {
			return clientGone(err)
		}
	}
	f.at = from
	if f.view, err = f.r.Next(f.s.Ctx); err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

var (
	_ spanSource = bodySpans{}
	_ spanSource = loanSpans{}
	_ spanSource = (*fillSpans)(nil)
	_ spanSource = (*sparse)(nil)
)
