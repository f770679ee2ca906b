package origin

import (
	"bytes"
	"strings"
)

// scanner reads the bytes of answers on one connection as they arrive, refuses
// a head or a chunk that two readers could understand differently, and knows
// where each answer ends. It is fed any split of the bytes and comes to the
// same verdict. It does no locking.
//
// What it accepts is what RFC 9112 defines, minus what only leniency would
// allow: bare LF (2.2), space before a colon (5.1), obs-fold (5.2), any
// Transfer-Encoding but one "chunked" and that only in HTTP/1.1 without
// Content-Length (6.1, 6.3), white space around a chunk size (7.1).
type scanner struct {
	maxBytes int // of one head, and of one trailer section
	maxLines int

	state    scanState
	bodiless bool // the request was HEAD
	line     []byte
	bytes    int // of this section so far
	lines    int
	interims int

	head  headFacts
	left  int64 // bytes of body or chunk still to come
	fault *fault
}

// headFacts is what the framing needs to know of one head.
type headFacts struct {
	status   int
	http10   bool
	length   int64 // -1: none
	codings  int   // Transfer-Encoding fields
	gotFirst bool  // the status line has been read
}

type scanState uint8

const (
	scanIdle    scanState = iota // no answer is expected, or the last one is complete
	scanHead                     // status line and fields
	scanLength                   // a body of known length
	scanClose                    // a body that ends with the connection
	scanSize                     // the line with a chunk's size
	scanData                     // a chunk's data
	scanDataCR                   // the CR after it
	scanDataLF                   // the LF after that
	scanTrailer                  // fields after the last chunk
	scanTunnel                   // after a 101: not HTTP any more
)

const (
	// maxInterims bounds the 1xx answers before one final answer.
	maxInterims = 100
	// maxSizeLine bounds a chunk's size and extensions, in bytes with CRLF.
	maxSizeLine = 256
	// keptLine is the largest line buffer that an idle connection keeps.
	keptLine = 4 << 10
)

// fault is a verdict against the peer; inBody says that the head was good.
type fault struct {
	reason string
	inBody bool
}

// begin expects the answer to a new request.
func (s *scanner) begin(method string) {
	s.state = scanHead
	s.bodiless = method == "HEAD"
	s.interims = 0
	s.nextSection()
	s.head = headFacts{length: -1}
}

func (s *scanner) nextSection() {
	s.line = s.line[:0]
	if cap(s.line) > keptLine {
		s.line = nil
	}
	s.bytes, s.lines = 0, 0
}

// complete says that the expected answer has been read to its end.
func (s *scanner) complete() bool { return s.state == scanIdle && s.fault == nil }

// scan reads b and returns how much of it belongs to the answer: all of it,
// unless a fault is found. Surplus bytes are a fault, but the answer before
// them is good, so scan then returns its length and keeps the fault.
func (s *scanner) scan(b []byte) int {
	n := 0
	for n < len(b) && s.fault == nil {
		n += s.step(b[n:])
	}
	return n
}

// step consumes at least one byte, or sets the fault.
func (s *scanner) step(b []byte) int {
	switch s.state {
	case scanHead, scanTrailer, scanSize:
		return s.stepLine(b)
	case scanLength, scanData:
		return s.stepData(b)
	case scanDataCR:
		return s.stepByte(b[0], '\r', scanDataLF)
	case scanDataLF:
		return s.stepByte(b[0], '\n', scanSize)
	case scanClose, scanTunnel:
		return len(b)
	}
	s.refuse(ReasonSurplus)
	return 0
}

func (s *scanner) refuse(reason string) {
	s.fault = &fault{reason: reason, inBody: s.state != scanHead}
}

func (s *scanner) stepData(b []byte) int {
	n := int(min(int64(len(b)), s.left))
	s.left -= int64(n)
	if s.left > 0 {
		return n
	}
	if s.state == scanLength {
		s.state = scanIdle
	} else {
		s.state = scanDataCR
	}
	return n
}

func (s *scanner) stepByte(got, want byte, next scanState) int {
	if got != want {
		s.refuse(ReasonChunk)
		return 0
	}
	s.state = next
	return 1
}

// stepLine gathers one line and hands it on when its LF has come.
func (s *scanner) stepLine(b []byte) int {
	i := bytes.IndexByte(b, '\n')
	seg := b
	if i >= 0 {
		seg = b[:i+1]
	}
	if !s.admit(seg) {
		return 0
	}
	if i < 0 {
		s.line = append(s.line, seg...)
		return len(seg)
	}
	line := seg
	if len(s.line) > 0 {
		s.line = append(s.line, seg...)
		line = s.line
	}
	s.takeLine(line)
	s.line = s.line[:0]
	return len(seg)
}

// admit checks the limits before anything is kept, and that the first line
// begins as an answer does, so that a peer that speaks something else is
// found out at once.
func (s *scanner) admit(seg []byte) bool {
	if s.state == scanSize {
		if len(s.line)+len(seg) > maxSizeLine {
			s.refuse(ReasonChunk)
		}
		return s.fault == nil
	}
	if s.state == scanHead && !s.head.gotFirst && !prefixOfAnswer(s.line, seg) {
		s.refuse(ReasonStatusLine)
		return false
	}
	s.bytes += len(seg)
	if s.bytes > s.maxBytes {
		s.refuse(ReasonHeadBytes)
		return false
	}
	return true
}

const answerPrefix = "HTTP/1."

func prefixOfAnswer(line, seg []byte) bool {
	if len(line) >= len(answerPrefix) {
		return true // it was checked when it came
	}
	want := answerPrefix[len(line):]
	n := min(len(want), len(seg))
	return string(seg[:n]) == want[:n]
}

// takeLine reads one whole line, LF included.
func (s *scanner) takeLine(line []byte) {
	if len(line) < 2 || line[len(line)-2] != '\r' {
		s.refuse(ReasonBareLF)
		return
	}
	line = line[:len(line)-2]
	switch {
	case bytes.IndexByte(line, '\r') >= 0:
		s.refuse(ReasonBareCR)
	case s.state == scanSize:
		s.takeSize(line)
	case s.state == scanHead && !s.head.gotFirst:
		s.takeStatus(line)
	case len(line) == 0 && s.state == scanHead:
		s.endHead()
	case len(line) == 0:
		s.state = scanIdle
		s.nextSection()
	default:
		s.takeField(line)
	}
}

// takeStatus reads a status line (RFC 9112, 4). The space before an empty
// reason may be missing, as many origins leave it out.
func (s *scanner) takeStatus(line []byte) {
	if len(line) < 12 || line[8] != ' ' || (line[7] != '1' && line[7] != '0') {
		s.refuse(ReasonStatusLine)
		return
	}
	status := 0
	for _, c := range line[9:12] {
		if c < '0' || c > '9' {
			s.refuse(ReasonStatus)
			return
		}
		status = status*10 + int(c-'0')
	}
	if status < 100 || (len(line) > 12 && line[12] != ' ') {
		s.refuse(ReasonStatus)
		return
	}
	if !validValue(line[12:]) {
		s.refuse(ReasonStatusLine)
		return
	}
	s.head.gotFirst = true
	s.head.http10 = line[7] == '0'
	s.head.status = status
}

// takeField reads a field line (RFC 9112, 5) of a head or a trailer section.
func (s *scanner) takeField(line []byte) {
	s.lines++
	name, value, ok := bytes.Cut(line, []byte{':'})
	value = bytes.Trim(value, " \t")
	switch {
	case s.lines > s.maxLines:
		s.refuse(ReasonHeadLines)
	case line[0] == ' ' || line[0] == '\t':
		s.refuse(ReasonFold)
	case !ok || !validName(name):
		s.refuse(ReasonFieldName)
	case !validValue(value):
		s.refuse(ReasonFieldValue)
	case s.state == scanTrailer:
		s.takeTrailer(name)
	case strings.EqualFold(string(name), "Content-Length"):
		s.takeLength(value)
	case strings.EqualFold(string(name), "Transfer-Encoding"):
		s.takeCoding(value)
	}
}

// takeTrailer refuses fields that would change the framing after the fact
// (RFC 9110, 6.5.1).
func (s *scanner) takeTrailer(name []byte) {
	switch strings.ToLower(string(name)) {
	case "content-length", "transfer-encoding", "trailer":
		s.refuse(ReasonChunk)
	}
}

func (s *scanner) takeLength(value []byte) {
	n, ok := parseDigits(value)
	switch {
	case !ok:
		s.refuse(ReasonLength)
	case s.head.length >= 0 && s.head.length != n:
		s.refuse(ReasonLengths)
	default:
		s.head.length = n
	}
}

func (s *scanner) takeCoding(value []byte) {
	s.head.codings++
	if s.head.codings > 1 || !strings.EqualFold(string(value), "chunked") {
		s.refuse(ReasonCoding)
	}
}

// endHead decides how the body is framed (RFC 9112, 6.3).
func (s *scanner) endHead() {
	h := s.head
	switch {
	case h.codings > 0 && h.http10:
		s.refuse(ReasonCoding)
		return
	case h.codings > 0 && h.length >= 0:
		s.refuse(ReasonCodingLength)
		return
	}
	s.nextSection()
	switch {
	case h.status == 101:
		s.state = scanTunnel
	case h.status < 200:
		s.endInterim()
	case s.bodiless || h.status == 204 || h.status == 304 || h.length == 0:
		s.state = scanIdle
	case h.codings > 0:
		s.state = scanSize
	case h.length > 0:
		s.left, s.state = h.length, scanLength
	default:
		s.state = scanClose
	}
}

func (s *scanner) endInterim() {
	s.interims++
	if s.interims > maxInterims {
		s.refuse(ReasonInterims)
		return
	}
	s.head = headFacts{length: -1}
}

// takeSize reads a chunk's size line (RFC 9112, 7.1): digits, then nothing or
// extensions without control characters.
func (s *scanner) takeSize(line []byte) {
	digits, ext, _ := bytes.Cut(line, []byte{';'})
	size, ok := parseHex(digits)
	if !ok || !validValue(ext) {
		s.refuse(ReasonChunk)
		return
	}
	s.nextSection()
	if size == 0 {
		s.state = scanTrailer
		return
	}
	s.left, s.state = size, scanData
}
