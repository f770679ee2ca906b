package h1

import (
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// smallBuffer holds nearly every head, and is what a connection starts with.
const smallBuffer = 4 << 10

// lineBytes bounds a chunk's first line and a trailer line, and is the room
// that a body finds in the buffer at least.
const lineBytes = 1 << 10

// input is a connection's read buffer. The head of the request at hand stays
// where it is until release: the session's fields are views into it. What
// follows the head (body, pipelined requests) is at buf[r:w].
type input struct {
	src     io.Reader // the wire, or TLS above it
	wire    *wire
	maxHead int
	buf     []byte
	base    int // below it lies the head at hand
	r, w    int
	held    []byte // the head's buffer, when the body needed another one
	err     error  // the connection's end, found by a watch
}

var smallBuffers = sync.Pool{New: func() any { return new([smallBuffer]byte) }}

func newBuffer(size int) []byte {
	if size <= smallBuffer {
		return smallBuffers.Get().(*[smallBuffer]byte)[:]
	}
	return make([]byte, size)
}

func dropBuffer(b []byte) {
	if cap(b) == smallBuffer {
		smallBuffers.Put((*[smallBuffer]byte)(b[:smallBuffer]))
	}
}

// buffered gives what came and was not consumed.
func (in *input) buffered() []byte { return in.buf[in.r:in.w] }

// consume takes n buffered bytes off.
func (in *input) consume(n int) {
	in.r += n
	if in.r == in.w {
		in.r, in.w = in.base, in.base
	}
}

// keep says that the first n buffered bytes are the head at hand.
func (in *input) keep(n int) {
	in.r += n
	in.base = in.r
	if in.r == in.w {
		in.w = in.r
	}
}

// release ends the head at hand and gives big buffers back.
func (in *input) release() {
	if in.held != nil {
		dropBuffer(in.held)
		in.held = nil
	}
	in.base = 0
	if n := in.w - in.r; len(in.buf) > smallBuffer && n <= smallBuffer {
		small := newBuffer(smallBuffer)
		copy(small, in.buf[in.r:in.w])
		in.buf, in.r, in.w = small, 0, n
	}
	in.consume(0)
}

// close gives the buffers back.
func (in *input) close() {
	in.release()
	dropBuffer(in.buf)
	in.buf, in.r, in.w = nil, 0, 0
}

// room makes sure that at least n bytes can be buffered after the head at hand.
func (in *input) room(n int) {
	if len(in.buf)-in.r >= n {
		return
	}
	if len(in.buf)-in.base >= n {
		in.w = in.base + copy(in.buf[in.base:], in.buf[in.r:in.w])
		in.r = in.base
		return
	}
	fresh := newBuffer(max(n, in.w-in.r))
	rest := copy(fresh, in.buf[in.r:in.w])
	if in.base > 0 {
		in.held = in.buf
	} else {
		dropBuffer(in.buf)
	}
	in.buf, in.base, in.r, in.w = fresh, 0, 0, rest
}

// fill reads once into the free room, until the deadline at most. An early
// wake-up ends it only when stop says so.
func (in *input) fill(until time.Time, stop *atomic.Bool) error {
	if in.w == len(in.buf) {
		in.room(in.w - in.r + 1)
	}
	n, err := in.readUntil(in.buf[in.w:], until, stop)
	in.w += n
	return err
}

// fillHead is fill while a head arrives: the buffer grows up to the head's limit.
func (in *input) fillHead(until time.Time) error {
	if in.w-in.r == len(in.buf) {
		in.room(min(len(in.buf)*4, max(in.maxHead, smallBuffer+1)))
	}
	return in.fill(until, nil)
}

// readUntil reads at least one byte into p, or fails with errLate at the
// deadline, or with the connection's error. Whoever wants it to end sets stop
// first and then interrupts the wire.
func (in *input) readUntil(p []byte, until time.Time, stop *atomic.Bool) (int, error) {
	for in.err == nil {
		in.wire.armRead(until)
		if stop != nil && stop.Load() {
			return 0, errLate
		}
		n, err := in.src.Read(p)
		if n > 0 {
			return n, nil
		}
		if err == nil {
			continue
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			in.err = err
			break
		}
		in.wire.forgetRead()
		if !time.Now().Before(until) {
			return 0, errLate
		}
	}
	return 0, in.err
}
