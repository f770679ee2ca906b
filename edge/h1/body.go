package h1

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"edgecache/edge"
)

// body is a request's body. It has one reader at a time: the engine (or the
// transport on its behalf) while the request runs, then the lane, which reads
// the rest away. Only ended and failed may be asked by others meanwhile.
type body struct {
	in   *input
	lane *lane // sends the 100 that the client waits for
	pace pace

	expect bool  // the client waits for a 100; the lane knows whether it has it
	left   int64 // bytes of the body, or of the chunk at hand
	total  int64 // as announced; -1 chunked
	part   chunkPart
	excess int         // bytes of chunk lines beyond what is usual
	ahead  []byte      // read before the session began
	early  int64       // bytes of it
	err    error       // sticky
	ended  atomic.Bool // it came as a whole
	failed atomic.Bool // err is set
}

// chunkPart says what of a chunked body comes next (RFC 9112, 7.1).
type chunkPart uint8

const (
	chunkSize chunkPart = iota
	chunkData
	chunkEnd
	trailerLine
)

// Bounds of what a chunked body may carry beside its data.
const (
	maxChunkExtension = 256      // bytes of extensions a chunk
	maxChunkExcess    = 16 << 10 // bytes of chunk lines, after 16 and twice the data are forgiven for each chunk
	maxTrailerBytes   = 4 << 10
	maxTrailerLines   = 32
)

var (
	bodyChunkSize  = &edge.BodyError{Status: 400, Detail: "malformed chunk size"}
	bodyExtension  = &edge.BodyError{Status: 400, Detail: "malformed or over-long chunk extension"}
	bodyExcess     = &edge.BodyError{Status: 400, Detail: "more chunk lines than data"}
	bodyChunkEnd   = &edge.BodyError{Status: 400, Detail: "chunk data not followed by CRLF"}
	bodyLineEnd    = &edge.BodyError{Status: 400, Detail: "line ended by a bare LF"}
	bodyLineLong   = &edge.BodyError{Status: 400, Detail: "line over 1 KiB"}
	bodyTrailer    = &edge.BodyError{Status: 400, Detail: "malformed trailer"}
	bodyTrailers   = &edge.BodyError{Status: 400, Detail: "trailers over their limits"}
	bodyTooSlow    = &edge.BodyError{Status: 408, Detail: "slower than limits.body_min_rate"}
	bodyUnexpected = &edge.BodyError{Status: 400, Detail: "read after the final answer, without a 100"}
)

// reset makes it the body of the next head; none when length is 0.
func (b *body) reset(f *framing) {
	*b = body{in: b.in, lane: b.lane, pace: b.pace, expect: f.expect, total: f.length}
	b.pace.Reset()
	switch {
	case f.length > 0:
		b.left = f.length
	case f.length == 0:
		b.ended.Store(true)
	default:
		b.in.room(lineBytes)
	}
}

// Read gives body bytes without their framing. A fault is a *BodyError.
func (b *body) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(b.ahead) > 0 {
		n := copy(p, b.ahead)
		b.ahead = b.ahead[n:]
		return n, nil
	}
	if err := b.advance(); err != nil {
		return 0, err
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.copyTo(p)
	if err != nil {
		return 0, b.fail(err)
	}
	b.used(n)
	return n, nil
}

// readAhead reads up to max bytes before anybody asks, so that a fault in them
// is found before the request is answered.
func (b *body) readAhead(max int64) error {
	if b.total > 0 {
		max = min(max, b.total)
	}
	var ahead []byte
	for int64(len(ahead)) < max {
		ahead = slices.Grow(ahead, 512)
		n, err := b.Read(ahead[len(ahead):min(int64(cap(ahead)), max)])
		ahead = ahead[:len(ahead)+n]
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	b.ahead, b.early = ahead, int64(len(ahead))
	return nil
}

// copyTo takes buffered bytes, or reads past the buffer when it is empty.
func (b *body) copyTo(p []byte) (int, error) {
	if have := b.in.buffered(); len(have) > 0 {
		n := copy(p, have)
		b.in.consume(n)
		return n, nil
	}
	return b.pace.read(b.in, p)
}

// skip throws away up to max bytes, those read ahead included, and says whether
// the body ended cleanly.
func (b *body) skip(max int64) bool {
	b.ahead = nil
	max -= b.early
	for max >= 0 {
		if err := b.advance(); err != nil {
			return err == io.EOF
		}
		if len(b.in.buffered()) == 0 {
			if err := b.pace.fill(b.in); err != nil {
				b.fail(err)
				return false
			}
		}
		n := int(min(int64(len(b.in.buffered())), b.left))
		b.in.consume(n)
		b.used(n)
		max -= int64(n)
	}
	return false
}

// advance goes to where data comes next: afterwards left is above 0. It
// returns io.EOF at the body's end.
func (b *body) advance() error {
	if b.err != nil {
		return b.err
	}
	if b.ended.Load() {
		return io.EOF
	}
	if b.expect && !b.lane.wantBody() {
		return b.fail(bodyUnexpected)
	}
	for b.total < 0 && b.part != chunkData {
		if err := b.frame(); err != nil {
			return b.fail(err)
		}
		if b.ended.Load() {
			return io.EOF
		}
	}
	return nil
}

// used counts data that was given away.
func (b *body) used(n int) {
	b.left -= int64(n)
	if b.left > 0 {
		return
	}
	if b.total < 0 {
		b.part = chunkEnd
		return
	}
	b.end()
}

// frame reads what stands between the data of two chunks, or after the last.
func (b *body) frame() error {
	line, err := b.line()
	if err != nil {
		return err
	}
	switch b.part {
	case chunkEnd:
		if len(line) > 0 {
			return bodyChunkEnd
		}
		b.part = chunkSize
		return nil
	case trailerLine:
		return b.trailer(line)
	}
	return b.size(line)
}

// size reads a chunk's first line.
func (b *body) size(line []byte) error {
	size, extension, ok := parseChunkLine(line)
	if !ok {
		return bodyChunkSize
	}
	if len(extension) > maxChunkExtension || !validExtensions(extension) {
		return bodyExtension
	}
	b.excess += len(line) + 4 - 16
	b.excess = int(max(0, int64(b.excess)-2*min(size, maxChunkExcess)))
	if b.excess > maxChunkExcess {
		return bodyExcess
	}
	b.left, b.part = size, chunkData
	if size == 0 {
		b.part, b.excess = trailerLine, 0
	}
	return nil
}

// trailer checks one trailer line and drops it. While trailers are read, left
// counts their lines and excess their bytes.
func (b *body) trailer(line []byte) error {
	if len(line) == 0 {
		b.end()
		return nil
	}
	b.left++
	b.excess += len(line)
	if b.left > maxTrailerLines || b.excess > maxTrailerBytes {
		return bodyTrailers
	}
	if _, _, f := field(line); f != nil {
		return bodyTrailer
	}
	return nil
}

// line gives the next line without its CRLF, a view until the next read.
func (b *body) line() ([]byte, error) {
	b.in.room(lineBytes)
	for seen := 0; ; {
		have := b.in.buffered()
		if i := bytes.IndexByte(have[seen:], '\n'); i >= 0 {
			end := seen + i
			if end == 0 || have[end-1] != '\r' {
				return nil, bodyLineEnd
			}
			b.in.consume(end + 1)
			return have[:end-1], nil
		}
		if b.part == chunkEnd && len(have) > 0 && have[0] != '\r' {
			return nil, bodyChunkEnd
		}
		if seen = len(have); seen >= lineBytes {
			return nil, bodyLineLong
		}
		if err := b.pace.fill(b.in); err != nil {
			return nil, err
		}
	}
}

// end marks the clean end.
func (b *body) end() {
	b.ended.Store(true)
	b.lane.bodyEnded()
}

// fail keeps the first error. The connection's own errors become faults, too:
// a body that was cut must never look whole.
func (b *body) fail(err error) error {
	fault, ok := err.(*edge.BodyError)
	lost := false
	switch {
	case ok:
	case errors.Is(err, errLate):
		fault = bodyTooSlow
		b.in.wire.counts.slowBodies.Add(1)
	default:
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		fault = &edge.BodyError{Status: 400, Detail: "cut", Err: err}
		lost = true
	}
	b.in.wire.counts.bodyFaults.Add(1)
	b.err = fault
	b.failed.Store(true)
	if lost {
		b.lane.lost() // afterwards: whoever asks from now on sees it by over
	}
	return fault
}

// over says that nobody reads the connection for the body any more.
func (b *body) over() bool { return b.ended.Load() || b.failed.Load() }

// pace is an edge.Pace over an input.
type pace struct{ edge.Pace }

// read reads into dst, for as long as the credit lasts.
func (p *pace) read(in *input, dst []byte) (int, error) {
	start := time.Now()
	n, err := in.readUntil(dst, start.Add(p.Left()), nil)
	p.Waited(start, n)
	return n, err
}

// fill reads into the buffer, for as long as the credit lasts.
func (p *pace) fill(in *input) error {
	start, had := time.Now(), in.w-in.r
	err := in.fill(start.Add(p.Left()), nil)
	p.Waited(start, in.w-in.r-had)
	return err
}
