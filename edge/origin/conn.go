package origin

import (
	"errors"
	"net"
	"sync"
	"time"
)

// checkedConn is a connection to a peer below net/http. Every byte that the
// peer sends passes the scanner before net/http sees it; every byte of a
// request is counted; reads of a body and writes have a deadline of their own.
//
// net/http reads and writes on goroutines of its own, begin and the questions
// come from the goroutine of Do, so the state has a lock. It is held only to
// look at bytes that are already here.
type checkedConn struct {
	net.Conn
	idle    time.Duration
	onClose func()
	closed  sync.Once

	mu     sync.Mutex
	scan   scanner
	use    use
	broken bool // a read failed, or the peer sent what it must not
}

// use is what happened on the connection for one request.
type use struct {
	written int64 // bytes of the request
	read    int64 // bytes of the answer
	sentAt  int64 // when the latest byte was written
	firstAt int64 // when the first byte of the final answer was read
	expired Phase // a deadline of ours passed
}

// errBadAnswer ends net/http's read of a connection whose scanner refused it.
var errBadAnswer = errors.New("answer refused")

// errEnded refuses a second request on a connection that broke.
var errEnded = errors.New("connection is no longer usable")

// begin expects the answer to a request that is about to be written.
func (c *checkedConn) begin(method string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken || c.scan.state != scanIdle {
		return errEnded
	}
	c.use = use{}
	c.scan.begin(method)
	return nil
}

// complete reports whether the last answer ended as it should and nothing
// followed, so that another request may be sent.
func (c *checkedConn) complete() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.broken && c.scan.complete()
}

// atEnd reports whether the end of the connection, or of the body, was the end
// of the answer.
func (c *checkedConn) atEnd() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.scan.state == scanIdle || c.scan.state == scanClose
}

// verdict returns what was found wrong, if anything, and what happened so far.
func (c *checkedConn) verdict() (*fault, use) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.scan.fault, c.use
}

// Read returns bytes that passed the scanner, never beyond the answer's end.
func (c *checkedConn) Read(p []byte) (int, error) {
	c.armRead()
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.noteErrLocked(err, PhaseIdle)
	}
	good := c.passLocked(p[:n])
	switch f := c.scan.fault; {
	case f == nil:
		return good, err
	case f.reason == ReasonSurplus && good > 0:
		c.broken = true
		return good, nil // the answer itself is whole; the next Read ends
	}
	c.broken = true
	return 0, errBadAnswer
}

// armRead sets the deadline of one read: only a body has one here; the wait
// for a head is bounded by net/http, and an idle connection by its timer.
func (c *checkedConn) armRead() {
	c.mu.Lock()
	defer c.mu.Unlock()
	var at time.Time
	switch c.scan.state {
	case scanLength, scanClose, scanSize, scanData, scanDataCR, scanDataLF, scanTrailer:
		at = time.Now().Add(c.idle)
	}
	c.Conn.SetReadDeadline(at)
}

// passLocked gives bytes to the scanner. Bytes that came before any of the
// request was written cannot be its answer.
func (c *checkedConn) passLocked(b []byte) int {
	if len(b) == 0 || c.scan.fault != nil {
		return 0
	}
	if c.scan.state == scanHead && c.use.written == 0 {
		c.scan.refuse(ReasonEarly)
		return 0
	}
	if c.use.firstAt == 0 {
		c.use.firstAt = time.Now().UnixNano()
	}
	interims := c.scan.interims
	n := c.scan.scan(b)
	c.use.read += int64(n)
	if c.scan.interims > interims && c.scan.state == scanHead && c.scan.bytes == 0 {
		c.use.firstAt = 0 // the final answer has not begun yet
	}
	return n
}

func (c *checkedConn) noteErrLocked(err error, phase Phase) {
	c.broken = true
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() && c.use.expired == "" {
		c.use.expired = phase
	}
}

// Write sends bytes of a request, or of a tunnel.
func (c *checkedConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	tunnel := c.scan.state == scanTunnel
	if !tunnel {
		// Counted before the bytes leave: an answer to them may be read
		// before this goroutine runs again.
		c.use.written += int64(len(p))
		c.use.sentAt = time.Now().UnixNano()
	}
	c.mu.Unlock()
	if tunnel {
		return c.Conn.Write(p)
	}
	c.Conn.SetWriteDeadline(time.Now().Add(c.idle))
	n, err := c.Conn.Write(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.use.written -= int64(len(p) - n)
	if err != nil {
		c.noteErrLocked(err, PhaseWrite)
	}
	return n, err
}

// Close closes the connection and takes it off its list.
func (c *checkedConn) Close() error {
	err := net.ErrClosed
	c.closed.Do(func() {
		err = c.Conn.Close()
		if c.onClose != nil {
			c.onClose()
		}
	})
	return err
}

// CloseWrite ends one direction of a tunnel.
func (c *checkedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// startTunnel lifts the deadlines once an answer has switched protocols.
func (c *checkedConn) startTunnel() {
	c.Conn.SetDeadline(time.Time{})
}
