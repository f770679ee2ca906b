package h1

import (
	"io"
	"sync"
)

// output is a connection's write side: a buffer for heads and small bodies,
// and parts of larger bodies that are sent without being copied.
type output struct {
	dst     io.Writer // the wire, or TLS above it
	wire    *wire
	leaving *leaving // hears of a write that failed

	buf []byte   // formatted and not yet sent; nil while the connection idles
	box *[]byte  // where buf came from
	vec [][]byte // parts of a gathering write, buf among them; used again
	err error    // the first failed write; nothing is sent after it
}

// bufferPool keeps output buffers while connections idle.
var bufferPool = sync.Pool{New: func() any { b := make([]byte, 0, 2<<10); return &b }}

// maxKeptBuffer is the largest output buffer that is kept for the next use.
const maxKeptBuffer = 64 << 10

// unpark gets a buffer, unless there is one.
func (o *output) unpark() {
	if o.box == nil {
		o.box = bufferPool.Get().(*[]byte)
		o.buf = (*o.box)[:0]
	}
}

// park gives the buffer back while the connection idles. It must be flushed.
func (o *output) park() {
	if o.box == nil {
		return
	}
	if cap(o.buf) <= maxKeptBuffer {
		*o.box = o.buf[:0]
		bufferPool.Put(o.box)
	}
	o.box, o.buf = nil, nil
}

// part adds body bytes to the next gathering write, behind what is buffered.
// They must not change until sendParts has returned.
func (o *output) part(p []byte) {
	if len(o.vec) == 0 && len(o.buf) > 0 {
		o.vec = append(o.vec, o.buf)
	}
	o.vec = append(o.vec, p)
}

// sendParts sends the parts in as few system calls as there can be.
func (o *output) sendParts() error {
	if o.err != nil {
		return o.err
	}
	var err error
	if o.dst == io.Writer(o.wire) {
		err = o.wire.writev(o.vec)
	} else {
		err = o.encrypt(o.vec)
	}
	clear(o.vec)
	o.vec, o.buf = o.vec[:0], o.buf[:0]
	return o.sent(err)
}

// encrypt sends parts through TLS. Its records are gathered below it: it would
// make a system call of each.
func (o *output) encrypt(parts [][]byte) (err error) {
	o.wire.cork()
	for i := 0; i < len(parts) && err == nil; i++ {
		_, err = o.dst.Write(parts[i])
	}
	if e := o.wire.uncork(); err == nil {
		err = e
	}
	return err
}

// flush sends the buffer.
func (o *output) flush() error {
	if len(o.buf) == 0 || o.err != nil {
		return o.err
	}
	_, err := o.dst.Write(o.buf)
	o.buf = o.buf[:0]
	return o.sent(err)
}

// drop forgets parts that were not sent.
func (o *output) drop() { o.vec = o.vec[:0] }

// sent notes a write's failure.
func (o *output) sent(err error) error {
	if err != nil && o.err == nil {
		o.err = err
		o.leaving.lost()
	}
	return err
}
