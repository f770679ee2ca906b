//go:build unix

package origin

import (
	"crypto/tls"
	"net"
	"syscall"
)

// peeker looks whether an idle connection has something to read, its end
// included, which no answer of ours explains. It takes nothing out.
type peeker struct {
	raw syscall.RawConn // nil: it cannot be looked at
}

func newPeeker(c net.Conn) peeker {
	if secure, ok := c.(*tls.Conn); ok {
		c = secure.NetConn()
	}
	if s, ok := c.(syscall.Conn); ok {
		if raw, err := s.SyscallConn(); err == nil {
			return peeker{raw}
		}
	}
	return peeker{}
}

// quiet reports whether nothing is there to be read. Under TLS a record that
// came late, such as a ticket, costs the connection, too: it is cheaper to make
// a new one than to read this one.
func (k peeker) quiet() bool {
	if k.raw == nil {
		return true
	}
	var peeked error
	var one [1]byte
	// Control, not Read: a deadline that has passed meanwhile does not matter.
	err := k.raw.Control(func(fd uintptr) {
		_, _, peeked = syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	})
	return err == nil && (peeked == syscall.EAGAIN || peeked == syscall.EINTR)
}
