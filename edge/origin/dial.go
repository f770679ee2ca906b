package origin

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"
)

// dialer makes connections to one peer. The peer's name is looked up here, and
// each address is judged by the socket that is about to connect to it, so that
// nothing that the DNS says in between has an effect.
type dialer struct {
	host     string
	port     int
	rule     addrRule
	resolver Resolver
	timeout  time.Duration
	tls      *tls.Config // nil for http
}

// dial connects and, for https, shakes hands, all within the timeout.
func (d *dialer) dial(ctx context.Context) (net.Conn, uint16, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	raw, err := d.connect(ctx)
	if err != nil || d.tls == nil {
		return raw, 0, err
	}
	secure := tls.Client(raw, d.tls)
	if err := secure.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, 0, &tlsError{err}
	}
	return secure, secure.ConnectionState().Version, nil
}

// connect tries the peer's addresses one after the other; each gets an equal
// share of the time that is left.
func (d *dialer) connect(ctx context.Context) (net.Conn, error) {
	addrs, err := d.addrs(ctx)
	if err != nil {
		return nil, err
	}
	var errs []error
	for i, addr := range addrs {
		conn, err := d.connectTo(ctx, addr, len(addrs)-i)
		if err == nil {
			return conn, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(errs...)
}

func (d *dialer) connectTo(ctx context.Context, addr netip.Addr, left int) (net.Conn, error) {
	if deadline, ok := ctx.Deadline(); ok && left > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/time.Duration(left))
		defer cancel()
	}
	nd := net.Dialer{KeepAlive: 30 * time.Second, Control: d.control}
	return nd.DialContext(ctx, "tcp", netip.AddrPortFrom(addr, uint16(d.port)).String())
}

// addrs returns the addresses to try, at most maxAddrs.
func (d *dialer) addrs(ctx context.Context) ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(d.host); err == nil {
		return []netip.Addr{addr}, nil
	}
	addrs, err := d.resolver.LookupNetIP(ctx, "ip", d.host)
	if err != nil {
		return nil, err
	}
	if len(addrs) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: d.host, IsNotFound: true}
	}
	return addrs[:min(len(addrs), maxAddrs)], nil
}

// maxAddrs bounds the addresses of one name that are tried for one connection.
const maxAddrs = 8

// control runs on each socket just before it connects.
func (d *dialer) control(_, address string, _ syscall.RawConn) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return err
	}
	return d.rule.check(addr)
}

func hostPort(host string, port int) string {
	return net.JoinHostPort(host, strconv.Itoa(port))
}
