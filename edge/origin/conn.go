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
	first   time.Duration // from a request to the end of its answer's head, where net/http does not look at that
	onClose func()
	closed  sync.Once

	// Ours until the connection is handed over to net/http. An armed deadline is
	// left as it is while it does not come too late, because arming costs much;
	// when it fires too early the wait goes on with the right one.
	handed  bool
	headBy  time.Time // the head of the answer must be there
	readBy  time.Time // armed; zero = unknown
	writeBy time.Time

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
	c.use, c.headBy = use{}, time.Time{}
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
	n, phase, err := c.readInTime(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.noteErrLocked(err, phase)
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

// readInTime is one read, with the deadline of what is waited for.
func (c *checkedConn) readInTime(p []byte) (n int, phase Phase, err error) {
	if c.handed {
		c.armRead()
		n, err = c.Conn.Read(p)
		return n, PhaseIdle, err
	}
	by, phase := c.due()
	if c.readBy.IsZero() || by.Before(c.readBy) {
		c.armBy(by)
	}
	for {
		n, err = c.Conn.Read(p)
		if n > 0 || !isTimeout(err) || by.IsZero() || !time.Now().Before(by) {
			return n, phase, err
		}
		c.armBy(by)
	}
}

func (c *checkedConn) armBy(t time.Time) {
	c.readBy = t
	c.Conn.SetReadDeadline(t)
}

// due says until when a read may wait, and for what. A tunnel waits for ever.
func (c *checkedConn) due() (time.Time, Phase) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch c.scan.state {
	case scanHead:
		if c.headBy.IsZero() {
			c.headBy = time.Now().Add(c.first)
		}
		return c.headBy, PhaseFirstByte
	case scanTunnel:
		return time.Time{}, PhaseIdle
	}
	return time.Now().Add(c.idle), PhaseIdle
}

// handOver leaves the deadlines to net/http and to the old rules, which arm for
// each read and write.
func (c *checkedConn) handOver() {
	c.handed = true
	c.Conn.SetDeadline(time.Time{})
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
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
	if isTimeout(err) && c.use.expired == "" {
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
	c.armWrite(time.Now())
	n, err := c.Conn.Write(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.use.written -= int64(len(p) - n)
	if err != nil {
		c.noteErrLocked(err, PhaseWrite)
	}
	return n, err
}

// armWrite bounds the next write: a head of ours, which no peer leaves unread for
// long, between half the time and all of it, a body by all of it.
func (c *checkedConn) armWrite(now time.Time) {
	if c.handed || c.writeBy.Sub(now) < c.idle/2 {
		c.writeBy = now.Add(c.idle)
		c.Conn.SetWriteDeadline(c.writeBy)
	}
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
	c.readBy = time.Time{}
	c.Conn.SetDeadline(time.Time{})
}
