package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// server is a cache that runs, as the measurement sees it.
type server struct {
	name    string
	plain   string                 // address
	tls     string                 // the same, "" where it has none
	h2      bool                   // TLS offers it
	pid     int                    // it and all below it are what costs
	logger  int                    // pid of a process beside it that writes the log, or 0
	log     string                 // file
	hit     func(http.Header) bool // does an answer say that it was stored
	metrics string                 // url, "" where there are none
	ends    []func() error         // in this order

	sent int64 // requests since the log was counted
}

func (s *server) called() string { return s.name }

// cpu is what the server has used, and apart from it the writer of its log.
func (s *server) cpu() (own, logger time.Duration, err error) {
	if own, err = system.cpu(s.pid); err == nil && s.logger != 0 {
		logger, err = system.cpu(s.logger)
	}
	return own, logger, err
}

// resident is its memory in bytes, its log's writer not included.
func (s *server) resident() (int64, error) { return system.resident(s.pid) }

func (s *server) stop() (err error) {
	for _, end := range s.ends {
		err = errors.Join(err, end())
	}
	return err
}

// url is where a path is asked for over a wire; "" where the server has not got it.
func (s *server) url(w wire, path string) string {
	switch {
	case w == overPlain:
		return "http://" + s.plain + path
	case s.tls == "", w == overH2 && !s.h2:
		return ""
	}
	return "https://" + s.tls + path
}

// command runs a rival.
type command struct {
	cmd   *exec.Cmd
	said  bytes.Buffer
	ended chan struct{}
	err   error
}

// stopTime bounds a rival's end.
const stopTime = 15 * time.Second

func start(line []string) (*command, error) {
	c := &command{cmd: exec.Command(line[0], line[1:]...), ended: make(chan struct{})}
	c.cmd.Stdout, c.cmd.Stderr = &c.said, &c.said
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", line[0], err)
	}
	go func() {
		c.err = c.cmd.Wait()
		close(c.ended)
	}()
	return c, nil
}

func (c *command) pid() int { return c.cmd.Process.Pid }

// stop ends it; how a rival leaves is no concern of ours.
func (c *command) stop() error {
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.ended:
		return nil
	case <-time.After(stopTime):
		_ = c.cmd.Process.Kill()
		<-c.ended
		return fmt.Errorf("%s did not end within %v of SIGTERM", c.cmd.Path, stopTime)
	}
}

// listens waits until an address takes connections.
func (c *command) listens(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	for {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-c.ended:
			return fmt.Errorf("%s ended before it listened: %w\n%s", c.cmd.Path, c.err, c.said.String())
		case <-ctx.Done():
			return fmt.Errorf("%s does not listen: %w", c.cmd.Path, ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// freeAddrs are addresses that were free a moment ago, each another one.
func freeAddrs(n int) (addrs []string, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer l.Close() // only at the end, so that they differ
		addrs = append(addrs, l.Addr().String())
	}
	return addrs, nil
}

// settleTime is how long a log must have stood still, since the last request, to be whole:
// its writers flush within a second.
const settleTime = 1300 * time.Millisecond

// countLog waits until the log stands still, counts its lines, and empties it.
func (s *server) countLog(ctx context.Context) (lines int64, err error) {
	for begun := time.Now(); time.Since(begun) < 20*time.Second; {
		info, err := os.Stat(s.log)
		if err != nil {
			return 0, err
		}
		if time.Since(begun) >= settleTime && time.Since(info.ModTime()) >= settleTime {
			break
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	f, err := os.Open(s.log)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if lines, err = countLines(f); err != nil {
		return lines, err
	}
	return lines, os.Truncate(s.log, 0) // they all append
}

func countLines(r io.Reader) (lines int64, err error) {
	buf := make([]byte, 1<<20)
	for {
		n, err := r.Read(buf)
		lines += int64(bytes.Count(buf[:n], []byte{'\n'}))
		if err == io.EOF {
			return lines, nil
		}
		if err != nil {
			return lines, err
		}
	}
}
