package h1

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"
)

// halfCloseGrace is how long a client that has sent its end is waited for: it
// may have closed one direction only and still read the answer.
const halfCloseGrace = 2 * time.Second

// watchDelay is how long an answer may take before the client is watched: most are
// there by then, and need no goroutine that reads beside them.
const watchDelay = 20 * time.Millisecond

// leaving finds out whether the client leaves while its answer is awaited. The
// only way is to read: what comes is the next request's and stays in the
// buffer. It starts some time after somebody has asked, when the request's body is over,
// and must be stopped before the buffer is used again.
type leaving struct {
	c *conn

	mu      sync.Mutex
	gone    chan struct{} // nil until asked
	closed  bool          // gone is closed
	reading bool
	timer   *time.Timer   // nil until the first ask of the connection
	due     bool          // it has fired, or need not
	stopped chan struct{} // closed by stop
	done    chan struct{} // closed when the read has returned
}

// ask gives the channel that is closed when the client has left.
func (v *leaving) ask() <-chan struct{} {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.gone == nil {
		v.gone = make(chan struct{})
		switch {
		case v.c.body.over() && v.c.in.err != nil: // while it is read, the connection's end is its reader's
			v.leftLocked()
		case v.timer == nil:
			v.timer = time.AfterFunc(watchDelay, v.begin)
		default:
			v.timer.Reset(watchDelay)
		}
	}
	return v.gone
}

// begin starts the watch. The timer of an earlier request may have been on its way:
// then it starts early, which harms nobody.
func (v *leaving) begin() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.gone == nil {
		return
	}
	v.due = true
	if v.c.body.ended.Load() {
		v.readLocked()
	}
}

// bodyEnded starts what ask could not while the body was being read.
func (v *leaving) bodyEnded() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.due {
		v.readLocked()
	}
}

// lost says that the connection broke elsewhere.
func (v *leaving) lost() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.leftLocked()
}

func (v *leaving) leftLocked() {
	if v.gone != nil && !v.closed {
		v.closed = true
		close(v.gone)
	}
}

// readLocked starts the read, unless a next request is there already: then
// the client's end could only be seen behind it.
func (v *leaving) readLocked() {
	in := &v.c.in
	if v.reading || len(in.buffered()) > 0 {
		return
	}
	if in.err != nil {
		v.leftLocked()
		return
	}
	in.room(1)
	v.reading, v.stopped, v.done = true, make(chan struct{}), make(chan struct{})
	v.c.wire.waitForever()
	go v.read(v.stopped, v.done)
}

func (v *leaving) read(stopped, done chan struct{}) {
	in := &v.c.in
	n, err := in.src.Read(in.buf[in.w:])
	in.w += n
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		in.err = err
	}
	end := in.err
	close(done)
	if end == nil {
		return
	}
	if end == io.EOF {
		grace := time.NewTimer(halfCloseGrace)
		defer grace.Stop()
		select {
		case <-stopped:
			return
		case <-grace.C:
		}
		if v.c.lane.Started() {
			return // it reads what it asked for; a failing write will tell
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	select {
	case <-stopped: // the channel is the next request's by now
	default:
		v.leftLocked()
	}
}

// stop ends the read. Afterwards the buffer is the connection's again.
func (v *leaving) stop() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.gone != nil && v.timer != nil {
		v.timer.Stop()
	}
	if v.reading {
		close(v.stopped)
		v.c.wire.interrupt()
		<-v.done // not under a lock that read needs: it is closed first
		v.c.wire.forgetRead()
	}
	v.reading, v.gone, v.closed, v.due = false, nil, false, false
}
