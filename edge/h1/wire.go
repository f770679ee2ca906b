package h1

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// wire is a socket with its deadlines. TLS, where there is any, runs above it,
// so that a deadline that was armed too early may be renewed without harm.
//
// Arming a deadline costs as much as parsing a request, so an armed one is left
// as it is while it does not come too late; when it fires too early the wait
// goes on with the right one.
type wire struct {
	net.Conn
	stall  time.Duration // a write that makes no progress for so long fails
	counts *counters

	readBy  time.Time // armed; zero = unknown
	writeBy time.Time
	vec     net.Buffers

	writing sync.Mutex // TLS may answer a key update while it is corked
	corked  *[]byte    // gathers writes; nil when they go out at once
	shaking bool       // a handshake goes on: its alert says why it failed
	alert   byte
}

var (
	errStalled = errors.New("client took no byte for limits.write_stall")
	errLate    = errors.New("client sent no byte in time")
	longAgo    = time.Unix(1, 0)
)

// Read reads from the socket. Its deadline is what readUntil armed last.
func (w *wire) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	w.counts.bytesIn.Add(int64(n))
	return n, err
}

// armRead makes Read return not much later than at t.
func (w *wire) armRead(t time.Time) {
	if !w.readBy.IsZero() && !w.readBy.After(t) {
		return
	}
	w.readBy = t
	_ = w.SetReadDeadline(t)
}

// forgetRead says that the armed deadline has fired or was changed.
func (w *wire) forgetRead() { w.readBy = time.Time{} }

// waitForever takes the read deadline off.
func (w *wire) waitForever() {
	w.forgetRead()
	_ = w.SetReadDeadline(time.Time{})
}

// interrupt ends a Read that another goroutine waits in.
func (w *wire) interrupt() { _ = w.SetReadDeadline(longAgo) }

// corkBytes is how much is gathered under TLS: records of 32 KiB and one head.
const corkBytes = 40 << 10

var corkPool = sync.Pool{New: func() any { b := make([]byte, 0, corkBytes); return &b }}

// cork gathers what is written from now on.
func (w *wire) cork() {
	w.writing.Lock()
	defer w.writing.Unlock()
	w.corked = corkPool.Get().(*[]byte)
}

// uncork sends what was gathered.
func (w *wire) uncork() error {
	w.writing.Lock()
	defer w.writing.Unlock()
	box := w.corked
	w.corked = nil
	_, err := w.push(*box)
	*box = (*box)[:0]
	corkPool.Put(box)
	return err
}

// Write sends all of p, or gathers it while corked.
func (w *wire) Write(p []byte) (int, error) {
	w.writing.Lock()
	defer w.writing.Unlock()
	if w.shaking {
		w.noteAlertLocked(p)
	}
	if w.corked == nil {
		return w.push(p)
	}
	if box := w.corked; len(*box)+len(p) > cap(*box) {
		if _, err := w.push(*box); err != nil {
			return 0, err
		}
		*box = (*box)[:0]
		if len(p) > cap(*box) {
			return w.push(p)
		}
	}
	*w.corked = append(*w.corked, p...)
	return len(p), nil
}

// push sends all of p. It fails when the client takes nothing for the stall.
func (w *wire) push(p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	moved := time.Now()
	w.armWrite(moved)
	for {
		m, err := w.Conn.Write(p[n:])
		n += m
		w.counts.bytesOut.Add(int64(m))
		if err == nil {
			return n, nil
		}
		if moved, err = w.goOn(moved, int64(m), err); err != nil {
			return n, err
		}
	}
}

// writev sends all parts with as few system calls as the socket allows. It uses
// parts up: its elements are cut and cleared.
func (w *wire) writev(parts [][]byte) error {
	moved := time.Now()
	w.armWrite(moved)
	w.vec = net.Buffers(parts)
	for {
		m, err := w.vec.WriteTo(w.Conn)
		w.counts.bytesOut.Add(m)
		if err == nil {
			w.vec = nil
			return nil
		}
		if moved, err = w.goOn(moved, m, err); err != nil {
			w.vec = nil
			return err
		}
	}
}

// armWrite makes the next write end between half a stall and a whole one.
func (w *wire) armWrite(now time.Time) {
	if w.writeBy.Sub(now) < w.stall/2 {
		w.writeBy = now.Add(w.stall)
		_ = w.SetWriteDeadline(w.writeBy)
	}
}

// goOn judges a write that ended early: it may go on while the client still
// takes something. moved is when it last did.
func (w *wire) goOn(moved time.Time, sent int64, err error) (time.Time, error) {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return moved, err
	}
	now := time.Now()
	if sent > 0 {
		moved = now
	}
	if now.Sub(moved) >= w.stall {
		w.counts.writeStalls.Add(1)
		return moved, errStalled
	}
	w.writeBy = moved.Add(w.stall)
	_ = w.SetWriteDeadline(w.writeBy)
	return moved, nil
}
