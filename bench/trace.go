// Package bench makes, reads and replays workloads: what a cache is asked for,
// in which order and in which sizes.
package bench

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/klauspost/compress/zstd"
)

// Request is one request of a trace.
type Request struct {
	Time float64 // as the trace counts it; Unix seconds in an access log
	ID   string  // what was asked for; scheme://host/uri in a log, /uri where it has no host
	Size int64   // body bytes
}

// Format is the notation of a trace.
type Format int

// The notations that a Reader tells apart by the first line of the input.
const (
	Lines       Format = iota // time id size, separated by blanks or commas
	AccessLog                 // a JSON object a line: edge's access log, or one like it
	CombinedLog               // the combined format, edge's or another server's
)

func (f Format) String() string {
	return [...]string{"trace", "access log", "combined log"}[f]
}

// IsLog says whether a server wrote it: ids are uris, and lines stand in the
// order in which requests ended.
func (f Format) IsLog() bool { return f != Lines }

// Limits bounds what a reader accepts; a zero field means its default.
type Limits struct {
	LineBytes int   // longest line, default 128 KiB: an 8 KiB uri, each byte escaped, and room
	Lines     int   // most lines, default 50 million
	IDBytes   int64 // most bytes of distinct ids that Load keeps, default 256 MiB
}

func (l Limits) withDefaults() Limits {
	if l.LineBytes <= 0 {
		l.LineBytes = 128 << 10
	}
	if l.Lines <= 0 {
		l.Lines = 50_000_000
	}
	if l.IDBytes <= 0 {
		l.IDBytes = 256 << 20
	}
	return l
}

// The bounds of a trace, as errors; a LineError wraps them.
var (
	ErrLineTooLong  = errors.New("line is longer than the limit")
	ErrTooManyLines = errors.New("more lines than the limit")
	ErrTooManyIDs   = errors.New("ids take more bytes than the limit")
)

// LineError says which line of a trace could not be taken.
type LineError struct {
	Line int
	Err  error
}

func (e *LineError) Error() string { return fmt.Sprintf("trace line %d: %v", e.Line, e.Err) }

// Unwrap returns what was wrong with the line.
func (e *LineError) Unwrap() error { return e.Err }

// Reader reads a trace request by request; it holds one line at a time.
type Reader struct {
	in     *bufio.Reader
	limits Limits
	format Format
	line   int
	buf    []byte
}

// record is a request whose id is a view into the reader's line.
type record struct {
	time  float64
	id    []byte
	size  int64
	fresh int32 // as in Workload.Fresh
}

// maxWindow is the most that a zstd trace may ask to look back, as much as its
// level --long does.
const maxWindow = 128 << 20

// NewReader opens a trace, unpacking gzip or zstd when the first bytes say so.
func NewReader(r io.Reader, limits Limits) (*Reader, error) {
	in, err := unpacked(bufio.NewReaderSize(r, readAhead))
	if err != nil {
		return nil, err
	}
	head, err := in.Peek(readAhead)
	if err != nil && err != io.EOF && len(head) == 0 {
		return nil, fmt.Errorf("read trace: %w", err)
	}
	return &Reader{in: in, limits: limits.withDefaults(), format: formatOf(head)}, nil
}

// readAhead is how much of the input is held beside a line.
const readAhead = 64 << 10

func unpacked(in *bufio.Reader) (*bufio.Reader, error) {
	magic, _ := in.Peek(4)
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		plain, err := gzip.NewReader(in)
		if err != nil {
			return nil, fmt.Errorf("open gzip trace: %w", err)
		}
		return bufio.NewReaderSize(plain, readAhead), nil
	case bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		// One worker decodes on our goroutine: there is nothing to close.
		plain, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, fmt.Errorf("open zstd trace: %w", err)
		}
		return bufio.NewReaderSize(plain, readAhead), nil
	}
	return in, nil
}

// formatOf tells the notation by the first line, or by as much of it as there is.
func formatOf(head []byte) Format {
	line, _, _ := bytes.Cut(bytes.TrimLeft(head, " \t\r\n"), []byte("\n"))
	if bytes.HasPrefix(line, []byte("{")) {
		return AccessLog
	}
	if _, err := parseLine(line); err != nil && looksCombined(line) {
		return CombinedLog
	}
	return Lines
}

// Format returns the notation that the first line announced.
func (r *Reader) Format() Format { return r.format }

// Line returns the number of the line that was read last, from 1.
func (r *Reader) Line() int { return r.line }

// Next returns the next request, and io.EOF after the last one. Any other
// error is a *LineError, or comes from the input.
func (r *Reader) Next() (Request, error) {
	rec, err := r.next()
	if err != nil {
		return Request{}, err
	}
	return Request{Time: rec.time, ID: string(rec.id), Size: rec.size}, nil
}

func (r *Reader) next() (record, error) {
	for {
		line, err := r.readLine()
		if err != nil {
			return record{}, err
		}
		if len(line) == 0 {
			continue
		}
		var rec record
		asked := true
		switch r.format {
		case AccessLog:
			rec, asked, err = parseLogLine(line)
		case CombinedLog:
			rec, asked, err = parseCombined(line)
		default:
			rec, err = parseLine(line)
		}
		if err != nil {
			return record{}, &LineError{r.line, err}
		}
		if asked {
			return rec, nil
		}
	}
}

// readLine returns the next line without its end and blanks around it.
func (r *Reader) readLine() ([]byte, error) {
	r.buf = r.buf[:0]
	for {
		part, err := r.in.ReadSlice('\n')
		if len(r.buf)+len(part) > r.limits.LineBytes+1 {
			return nil, &LineError{r.line + 1, ErrLineTooLong}
		}
		r.buf = append(r.buf, part...)
		if err == bufio.ErrBufferFull {
			continue
		}
		if err == io.EOF && len(r.buf) > 0 {
			err = nil
		}
		if err == io.EOF {
			return nil, io.EOF
		}
		if err != nil {
			return nil, &LineError{r.line + 1, err}
		}
		break
	}
	r.line++
	if r.line > r.limits.Lines {
		return nil, &LineError{r.line, ErrTooManyLines}
	}
	line := bytes.TrimSpace(r.buf)
	if len(line) > r.limits.LineBytes {
		return nil, &LineError{r.line, ErrLineTooLong}
	}
	return line, nil
}

// parseLine takes one line `time id size`. What follows the time decides
// whether the line is separated by blanks or by commas.
func parseLine(line []byte) (record, error) {
	fields, err := splitFields(line)
	if err != nil {
		return record{}, err
	}
	at, err := strconv.ParseFloat(string(fields[0]), 64)
	if err != nil || math.IsNaN(at) || math.IsInf(at, 0) {
		return record{}, fmt.Errorf("time %.40q is not a number", fields[0])
	}
	size, err := strconv.ParseInt(string(fields[2]), 10, 64)
	if err != nil || size < 0 {
		return record{}, fmt.Errorf("size %.40q is not a number of bytes", fields[2])
	}
	return record{time: at, id: fields[1], size: size}, nil
}

func splitFields(line []byte) (fields [3][]byte, err error) {
	var parts [][]byte
	first := bytes.IndexAny(line, ", \t")
	if first >= 0 && bytes.HasPrefix(bytes.TrimLeft(line[first:], " \t"), []byte(",")) {
		parts = bytes.Split(line, []byte(","))
	} else {
		parts = bytes.Fields(line)
	}
	if len(parts) != 3 {
		return fields, fmt.Errorf("%d fields, want three: time id size", len(parts))
	}
	for i, part := range parts {
		fields[i] = bytes.TrimSpace(part)
		if len(fields[i]) == 0 {
			return fields, fmt.Errorf("field %d is empty, want time id size", i+1)
		}
	}
	return fields, nil
}
