package h2

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// shim is the net.Conn under crypto/tls whose Write never waits for the client. It tries
// the socket once; what that does not take is the backlog, which a goroutine, there only
// while there is one, sends as fast as the client reads. Until start it is the conn that
// it wraps, waits and deadlines included.
//
// A Write that would leave more than the bound fails with errBacklog. So whoever writes
// much looks at Backlog first, and only a client that makes us write without reading ever
// comes to the bound. The first error sticks: each later Write returns it.
//
// From start on the write deadline is the shim's own: crypto/tls puts it into the past
// behind its last alert, which would cut off what is still on its way.
type shim struct {
	net.Conn
	stall time.Duration // limits.write_stall: a client that takes no byte for so long is cut
	bound int           // of the backlog, in bytes
	woken func()        // see start

	socket syscall.RawConn // nil: not a socket, everything goes through the backlog
	once   attempt         // Write's, under mu
	again  attempt         // the flusher's

	started atomic.Bool
	size    atomic.Int64 // of the backlog: waiting, and what the flusher holds
	running sync.WaitGroup

	corked   bool // with gathered of whoever writes, one at a time
	gathered []byte
	loan     loan

	mu       sync.Mutex
	waiting  []byte // behind what the flusher holds
	flushing bool
	closed   bool
	err      error
	moved    chan struct{} // closed when the backlog shrinks or err is set; nil: nobody waits
}

var _ net.Conn = (*shim)(nil)

var (
	errBacklog = errors.New("client makes us write more than it reads")
	errStalled = errors.New("client took no byte for limits.write_stall")
)

// keptBacklog is the largest buffer that is used again while a flusher runs.
const keptBacklog = 64 << 10

func newShim(nc net.Conn, stall time.Duration, bound int) *shim {
	s := &shim{Conn: nc, stall: stall, bound: bound}
	if c, ok := nc.(syscall.Conn); ok {
		s.socket, _ = c.SyscallConn()
	}
	s.once.call, s.again.call = s.once.try, s.again.wait
	return s
}

// start makes Write one that does not wait. woken is called on the flusher's goroutine
// whenever the backlog has become empty, and when it was given up: Write then returns an
// error, and the conn below is closed so that a Read ends, too. It may write. No Write may
// run during start.
func (s *shim) start(woken func()) {
	s.woken = woken
	_ = s.Conn.SetWriteDeadline(time.Time{})
	s.started.Store(true)
}

// Backlog is how many bytes Write has taken and the socket has not.
func (s *shim) Backlog() int { return int(s.size.Load()) }

// Write takes all of p or fails; it does not keep p.
func (s *shim) Write(p []byte) (int, error) {
	if !s.started.Load() {
		return s.Conn.Write(p)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.corked && s.err == nil {
		s.gathered = s.loan.take(s.gathered)
		s.gathered = append(s.gathered, p...)
		return len(p), nil
	}
	return s.push(p)
}

// push tries once, and leaves the rest to the flusher. mu is held.
func (s *shim) push(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n := 0
	if !s.flushing && s.socket != nil {
		if n, s.err = s.once.run(s.socket, p); s.err != nil {
			return n, s.err
		}
	}
	rest := p[n:]
	if len(rest) == 0 {
		return n, nil
	}
	if int(s.size.Load())+len(rest) > s.bound {
		s.err = errBacklog
		return n, s.err
	}
	s.waiting = append(s.waiting, rest...)
	s.size.Add(int64(len(rest)))
	if !s.flushing {
		s.flushing = true
		s.running.Add(1)
		go s.flush()
	}
	return len(p), nil
}

// flush sends the backlog to its end or to the first error.
func (s *shim) flush() {
	defer s.running.Done()
	var holds []byte
	told := false
	for {
		s.mu.Lock()
		if len(s.waiting) == 0 && told {
			s.waiting = nil
			_ = s.Conn.SetWriteDeadline(time.Time{}) // or it would end a later attempt
			s.flushing = false
			s.mu.Unlock()
			return
		}
		holds, s.waiting = s.waiting, holds[:0]
		s.mu.Unlock()
		if len(holds) == 0 {
			told = true
			s.woken()
			continue
		}
		told = false
		if err := s.send(holds); err != nil {
			s.giveUp(err)
			return
		}
		if cap(holds) > keptBacklog {
			holds = nil
		}
	}
}

// send writes all of p as the client takes it. The limit holds from one byte to the next,
// not for the whole.
func (s *shim) send(p []byte) error {
	for len(p) > 0 {
		_ = s.Conn.SetWriteDeadline(time.Now().Add(s.stall))
		n, err := s.some(p)
		p = p[n:]
		if n > 0 {
			s.shrink(n)
		}
		switch {
		case n > 0 && errors.Is(err, os.ErrDeadlineExceeded):
		case errors.Is(err, os.ErrDeadlineExceeded):
			return errStalled
		case err != nil:
			return err
		}
	}
	return nil
}

// some waits until the client takes a part of p.
func (s *shim) some(p []byte) (int, error) {
	if s.socket != nil {
		return s.again.run(s.socket, p)
	}
	return s.Conn.Write(p)
}

func (s *shim) shrink(n int) {
	s.size.Add(int64(-n))
	s.mu.Lock()
	s.wakeLocked()
	s.mu.Unlock()
}

func (s *shim) wakeLocked() {
	if s.moved != nil {
		close(s.moved)
		s.moved = nil
	}
}

// giveUp ends the flusher: nothing more goes out, and what waits is dropped.
func (s *shim) giveUp(err error) {
	s.mu.Lock()
	if s.err == nil {
		s.err = err
	}
	s.waiting, s.flushing = nil, false
	s.size.Store(0)
	s.wakeLocked()
	closed := s.closed
	s.mu.Unlock()
	if !closed {
		_ = s.Conn.Close()
	}
	s.woken()
}

// await returns when the backlog is at most so many bytes, or with the error that keeps it
// from being sent. It ends in time: each byte does, or the stall.
func (s *shim) await(bytes int) error {
	for {
		s.mu.Lock()
		if s.err != nil || int(s.size.Load()) <= bytes {
			defer s.mu.Unlock()
			return s.err
		}
		if s.moved == nil {
			s.moved = make(chan struct{})
		}
		moved := s.moved
		s.mu.Unlock()
		<-moved
	}
}

// Close closes the conn below and drops the backlog; await(0) before it sends that first.
// It returns when the flusher has ended: woken must not call it, nor may whoever does hold
// a lock that woken takes.
func (s *shim) Close() error {
	s.mu.Lock()
	s.closed = true
	if s.err == nil {
		s.err = net.ErrClosed
	}
	s.wakeLocked()
	s.mu.Unlock()
	err := s.Conn.Close()
	s.running.Wait()
	return err
}

// CloseWrite ends our direction, where the conn below can. A backlog is not waited for.
func (s *shim) CloseWrite() error {
	if c, ok := s.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return errors.ErrUnsupported
}

// SetDeadline sets the read deadline; the write deadline, too, only before start.
func (s *shim) SetDeadline(t time.Time) error {
	if s.started.Load() {
		return s.Conn.SetReadDeadline(t)
	}
	return s.Conn.SetDeadline(t)
}

// SetWriteDeadline does nothing from start on.
func (s *shim) SetWriteDeadline(t time.Time) error {
	if s.started.Load() {
		return nil
	}
	return s.Conn.SetWriteDeadline(t)
}

// attempt is one write to a socket without the waiting that net's Write does. Its function
// is made once: made for each write it would be an allocation.
type attempt struct {
	call func(fd uintptr) bool
	p    []byte
	n    int
	err  error
}

// run calls the function on the socket; a socket that is full is no error.
func (a *attempt) run(socket syscall.RawConn, p []byte) (int, error) {
	a.p, a.n, a.err = p, 0, nil
	err := socket.Write(a.call)
	a.p = nil
	if err == nil && a.err != syscall.EAGAIN {
		err = a.err
	}
	return a.n, err
}

// try writes what goes at once.
func (a *attempt) try(fd uintptr) bool {
	for {
		n, err := syscall.Write(int(fd), a.p)
		if err == syscall.EINTR {
			continue
		}
		a.n, a.err = max(n, 0), err
		return true
	}
}

// wait writes as soon as something goes.
func (a *attempt) wait(fd uintptr) bool {
	a.try(fd)
	return a.err != syscall.EAGAIN
}

// cork gathers what crypto/tls writes record by record; uncork tries to send it with one
// system call.
func (s *shim) cork() {
	s.mu.Lock()
	s.corked = true
	s.mu.Unlock()
}

func (s *shim) uncork() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.corked = false
	if len(s.gathered) == 0 {
		return s.err
	}
	_, err := s.push(s.gathered)
	s.gathered = s.loan.give(s.gathered)
	return err
}
