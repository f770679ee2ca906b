//go:build unix

package origin

import (
	"crypto/tls"
	"net"
	"sync"
	"syscall"
)

// peeker looks whether an idle connection has something to read, its end
// included, which no answer of ours explains. It takes nothing out.
type peeker struct {
	raw  syscall.RawConn  // nil: it cannot be looked at
	look func(fd uintptr) // made once
	mu   sync.Mutex       // guards err and one
	err  error            // of the look
	one  [1]byte
}

func newPeeker(c net.Conn) *peeker {
	if secure, ok := c.(*tls.Conn); ok {
		c = secure.NetConn()
	}
	k := new(peeker)
	if s, ok := c.(syscall.Conn); ok {
		if raw, err := s.SyscallConn(); err == nil {
			k.raw = raw
		}
	}
	k.look = func(fd uintptr) {
		_, _, k.err = syscall.Recvfrom(int(fd), k.one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	}
	return k
}

// quiet reports whether nothing is there to be read. Under TLS a record that
// came late, such as a ticket, costs the connection, too: it is cheaper to make
// a new one than to read this one.
func (k *peeker) quiet() bool {
	if k.raw == nil {
		return true
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	// Control, not Read: a deadline that has passed meanwhile does not matter.
	err := k.raw.Control(k.look)
	return err == nil && (k.err == syscall.EAGAIN || k.err == syscall.EINTR)
}
