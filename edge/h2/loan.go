package h2

import "sync"

// loanBytes is the size of the buffers that connections take while they are busy, and
// loanKept the largest that is taken back: one that a large batch has made larger.
const (
	loanBytes = 32 << 10
	loanKept  = 256 << 10
)

var loans = sync.Pool{New: func() any { b := make([]byte, 0, loanBytes); return &b }}

// loan is where a buffer comes from and goes back to, so that a connection that idles
// holds none: there may be 20,000 of them.
type loan struct{ box *[]byte }

// take gives a buffer in the place of none, and leaves one that is there as it is.
func (l *loan) take(b []byte) []byte {
	if l.box != nil {
		return b
	}
	l.box = loans.Get().(*[]byte)
	return append((*l.box)[:0], b...)
}

// give takes the buffer back: what is in it is no longer needed.
func (l *loan) give(b []byte) []byte {
	if l.box == nil {
		return b[:0]
	}
	if cap(b) <= loanKept {
		*l.box = b[:0]
		loans.Put(l.box)
	}
	l.box = nil
	return nil
}

// park makes the reader ready to wait: what is left in its buffer goes to the front, and
// large buffers back. A frame that is not whole, or a read that took all that there was
// room for, asks for a large one.
func (c *conn) park() {
	c.batch = c.batchLoan.give(c.batch)
	left, filled := c.w-c.r, c.w == len(c.buf)
	copy(c.buf, c.buf[c.r:c.w])
	switch {
	case left > 0 || filled:
		c.r, c.w = 0, left
		c.hold(readBytes)
		return
	case c.w <= idleBytes && c.large.box != nil:
		c.large.give(c.buf)
		c.buf = c.small
	}
	c.r, c.w = 0, 0
}

// hold makes the read buffer a large one if n bytes need it.
func (c *conn) hold(n int) {
	if n <= len(c.buf) {
		return
	}
	b := c.large.take(c.buf[:c.w])
	c.buf = b[:cap(b)]
}
