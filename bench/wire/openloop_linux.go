package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"edgecache/bench"
)

// openLoop asks at a steady rate that does not wait for the answers: a request
// counts from when it was due, also when no connection was free for it.
type openLoop struct {
	addr  string
	path  func(i int) string // of request i
	rate  int                // requests a second
	span  time.Duration
	conns int
	body  int // bytes of each answer's
}

// openConn is one connection of it.
type openConn struct {
	fd   int
	due  time.Time
	head []byte // of the answer that comes, until it is whole
	left int    // bytes of its body to come; below 0: the head is not whole
}

// late is how long after its end a run waits for answers.
const late = 20 * time.Second

// run spins on one thread: a timer of the runtime is up to a millisecond late,
// many times what an answer takes. It yields its core to the origin meanwhile.
func (o openLoop) run(ctx context.Context) (h *bench.Histogram, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	h = &bench.Histogram{}
	poll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return h, fmt.Errorf("epoll_create: %w", err)
	}
	defer syscall.Close(poll)
	byFD, free := map[int32]*openConn{}, []*openConn(nil)
	for range o.conns {
		fd, err := dialRaw(o.addr)
		if err != nil {
			return h, err
		}
		defer syscall.Close(fd)
		c := &openConn{fd: fd, left: -1}
		byFD[int32(fd)], free = c, append(free, c)
		e := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)}
		if err := syscall.EpollCtl(poll, syscall.EPOLL_CTL_ADD, fd, &e); err != nil {
			return h, fmt.Errorf("epoll_ctl: %w", err)
		}
	}
	return h, o.spin(ctx, h, poll, byFD, free)
}

// total is how many requests a run makes.
func (o openLoop) total() int { return int(o.span.Seconds() * float64(o.rate)) }

func (o openLoop) spin(ctx context.Context, h *bench.Histogram, poll int, byFD map[int32]*openConn, free []*openConn) error {
	var request []byte
	total := o.total()
	start := time.Now()
	events, buf := make([]syscall.EpollEvent, o.conns), make([]byte, 256<<10)
	for asked, answered := 0, 0; answered < total; {
		for ; asked < total && len(free) > 0; asked++ {
			due := start.Add(time.Duration(asked) * time.Second / time.Duration(o.rate))
			if time.Until(due) > 0 {
				break
			}
			c := free[0]
			free = free[1:]
			c.due = due
			request = fmt.Appendf(request[:0], "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", o.path(asked), o.addr)
			if _, err := syscall.Write(c.fd, request); err != nil {
				return fmt.Errorf("ask %s: %w", o.addr, err)
			}
		}
		n, err := syscall.EpollWait(poll, events, 0)
		if err != nil && err != syscall.EINTR {
			return fmt.Errorf("epoll_wait: %w", err)
		}
		for _, e := range events[:max(n, 0)] {
			c := byFD[e.Fd]
			whole, err := o.read(c, buf)
			if err != nil {
				return err
			}
			if whole {
				h.Add(time.Since(c.due))
				answered++
				free = append(free, c)
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		yield()
		if time.Since(start) > o.span+late {
			return fmt.Errorf("%d of %d answers have not come", total-answered, total)
		}
	}
	return nil
}

// yield gives the core to who waits for it.
func yield() { _, _, _ = syscall.Syscall(syscall.SYS_SCHED_YIELD, 0, 0, 0) } // cannot fail

// read takes what has come and says whether the answer is whole.
func (o openLoop) read(c *openConn, buf []byte) (whole bool, err error) {
	for {
		n, err := syscall.Read(c.fd, buf)
		if err == syscall.EAGAIN || err == syscall.EINTR {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("read from %s: %w", o.addr, err)
		}
		if n == 0 {
			return false, fmt.Errorf("%s closed a connection", o.addr)
		}
		if whole, err := c.take(buf[:n], o.body); whole || err != nil {
			return whole, err
		}
	}
}

// take adds bytes to the answer.
func (c *openConn) take(p []byte, body int) (whole bool, err error) {
	if c.left < 0 {
		c.head = append(c.head, p...)
		end := bytes.Index(c.head, []byte("\r\n\r\n"))
		if end < 0 {
			return false, nil
		}
		length, err := parseHead(c.head[:end])
		if err != nil {
			return false, err
		}
		if length != body {
			return false, fmt.Errorf("answer of %d bytes, want %d", length, body)
		}
		p, c.left = c.head[end+4:], length
	}
	if c.left -= len(p); c.left < 0 {
		return false, errors.New("answer is longer than it says")
	}
	if c.left > 0 {
		c.head = c.head[:0]
		return false, nil
	}
	c.head, c.left = c.head[:0], -1
	return true, nil
}

// parseHead wants a 200 and gives its length.
func parseHead(head []byte) (length int, err error) {
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 200 ")) {
		return 0, fmt.Errorf("answer begins with %.40q", head)
	}
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		if bytes.EqualFold(name, []byte("Content-Length")) {
			return strconv.Atoi(string(bytes.TrimSpace(value)))
		}
	}
	return 0, errors.New("answer has no Content-Length")
}

// dialRaw connects and gives the descriptor, which the caller closes.
func dialRaw(addr string) (fd int, err error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return 0, err
	}
	var failed error
	if err := raw.Control(func(own uintptr) { fd, failed = syscall.Dup(int(own)) }); err != nil {
		return 0, err
	}
	return fd, failed // as non-blocking as the one it was made of
}

// files is how many descriptors a process may have; the limit is raised as far
// as it goes first.
func files() (int, error) {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 0, fmt.Errorf("getrlimit: %w", err)
	}
	if l.Cur < l.Max {
		l.Cur = l.Max
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l) // what there is then is enough, or idle says what it reached
		if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
			return 0, fmt.Errorf("getrlimit: %w", err)
		}
	}
	return int(min(l.Cur, 1<<20)), nil
}
