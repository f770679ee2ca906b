package origin

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"
)

// names is a resolver with fixed answers.
type names map[string][]netip.Addr

func (n names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	return n[host], nil
}

func TestAddrRule(t *testing.T) {
	const (
		yes    = "always"
		opt    = "with allow_private" // as a name; as a literal always
		never  = "never"
		noName = "as a name never, not even with allow_private"
	)
	for _, c := range []struct{ addr, want string }{
		{"93.184.216.34", yes},
		{"10.0.0.1", yes},
		{"192.168.1.1", yes},
		{"172.17.0.2", yes},
		{"2001:db8::1", yes},
		{"fd00::1", yes},
		{"127.0.0.1", opt},
		{"127.8.8.8", opt},
		{"0.0.0.0", opt},
		{"0.1.2.3", opt},
		{"::1", opt},
		{"::", opt},
		{"::ffff:127.0.0.1", opt},
		{"::127.0.0.1", opt},
		{"64:ff9b::7f00:1", opt},
		{"2002:7f00:1::", opt},
		{"fe80::1", opt},
		{"fe80::1%eth0", opt},
		{"fd00:ec2::254", opt},
		{"100.100.100.200", opt},
		{"192.0.0.192", opt},
		{"168.63.129.16", opt},
		{"169.254.0.0", never},
		{"169.254.169.254", never},
		{"169.254.255.255", never},
		{"::ffff:169.254.169.254", never},
		{"::169.254.169.254", never},
		{"64:ff9b::a9fe:a9fe", never},
		{"2002:a9fe:a9fe::", never},
		{"224.0.0.1", never},
		{"ff02::1", never},
	} {
		addr := netip.MustParseAddr(c.addr)
		got := yes
		switch {
		case ruleNameAny.check(addr) != nil && ruleLiteral.check(addr) != nil:
			got = never
		case ruleNameAny.check(addr) != nil:
			got = noName
		case ruleName.check(addr) != nil:
			got = opt
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.addr, got, c.want)
		}
	}
}

// TestOriginDNSRebind is the case origin-dns-rebind: what a name resolves to
// is judged when the connection is made.
func TestOriginDNSRebind(t *testing.T) {
	s := newScript(t, answers(hello))
	_, port, _ := net.SplitHostPort(s.ln.Addr().String())
	loop, meta := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("169.254.169.254")
	mapped := netip.MustParseAddr("::ffff:127.0.0.1")
	for _, c := range []struct {
		name, host string
		addrs      []netip.Addr
		private    bool
		ok         bool
	}{
		{"a name at loopback", "o.example", []netip.Addr{loop}, false, false},
		{"a name at mapped loopback", "o.example", []netip.Addr{mapped}, false, false},
		{"allow_private", "o.example", []netip.Addr{loop}, true, true},
		{"metadata with allow_private", "o.example", []netip.Addr{meta}, true, false},
		{"the bad address is passed over", "o.example", []netip.Addr{meta, loop}, true, true},
		{"the second address answers", "o.example", []netip.Addr{netip.MustParseAddr("127.0.0.2"), loop}, true, true},
		{"localhost", "localhost", []netip.Addr{loop}, false, true},
		{"localhost. in capitals", "LOCALHOST.", []netip.Addr{loop}, false, true},
		{"localhost that became metadata", "localhost", []netip.Addr{meta}, false, false},
		{"a literal", "127.0.0.1", nil, false, true},
		{"a number that some take for loopback", "2130706433", []netip.Addr{loop}, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newTestPool(t, Config{
				Peers:        []string{"http://" + c.host + ":" + port},
				AllowPrivate: c.private,
				Resolver:     names{"o.example": c.addrs, "localhost": c.addrs, "localhost.": c.addrs, "2130706433": c.addrs},
			})
			_, body, err := fetch(t, p, get("/"), nil)
			var dial *DialError
			switch {
			case c.ok && (err != nil || body != "hello"):
				t.Errorf("got %q %v", body, err)
			case !c.ok && (!errors.As(err, &dial) || !errors.Is(err, ErrForbiddenAddress)):
				t.Errorf("got %q %v", body, err)
			}
		})
	}
}

// TestRebindBetweenRequests: the address is looked up and judged anew for each
// connection.
func TestRebindBetweenRequests(t *testing.T) {
	s := newScript(t, once(hello))
	_, port, _ := net.SplitHostPort(s.ln.Addr().String())
	dns := names{"o.example": {netip.MustParseAddr("127.0.0.1")}}
	p := newTestPool(t, Config{Peers: []string{"http://o.example:" + port}, AllowPrivate: true, Resolver: dns})
	if _, _, err := fetch(t, p, get("/"), nil); err != nil {
		t.Fatal(err)
	}
	p.Peers()[0].idle.drain()
	dns["o.example"] = []netip.Addr{netip.MustParseAddr("169.254.169.254")}
	if _, _, err := fetch(t, p, get("/"), nil); !errors.Is(err, ErrForbiddenAddress) {
		t.Errorf("got %v", err)
	}
}

// TestControlChecksTheSocket judges the address that is connected to.
func TestControlChecksTheSocket(t *testing.T) {
	d := dialer{rule: ruleName}
	for address, ok := range map[string]bool{
		"127.0.0.1:80":            false,
		"169.254.169.254:80":      false,
		"[::1]:80":                false,
		"[fe80::1%lo]:80":         false,
		"[::ffff:169.254.1.1]:80": false,
		"93.184.216.34:80":        true,
	} {
		if err := d.control("tcp", address, nil); (err == nil) != ok {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestNameWithoutAddresses(t *testing.T) {
	p := newTestPool(t, Config{Peers: []string{"http://none.example"}, Resolver: names{}})
	_, _, err := fetch(t, p, get("/"), nil)
	var dns *net.DNSError
	if !errors.As(err, &dns) || Sent(err) {
		t.Errorf("got %v", err)
	}
}

// slow is a DNS that never answers.
type slow struct{}

func (slow) LookupNetIP(ctx context.Context, _, _ string) ([]netip.Addr, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestConnectTimeoutIsNoUpstreamTimeout: nothing was sent, so it is a failed
// connect, 502 and not 504.
func TestConnectTimeoutIsNoUpstreamTimeout(t *testing.T) {
	p := newTestPool(t, Config{
		Peers:    []string{"http://o.example"},
		Resolver: slow{},
		Timeouts: Timeouts{Connect: 10 * time.Millisecond},
	})
	_, _, err := fetch(t, p, get("/"), nil)
	var dial *DialError
	if !errors.As(err, &dial) || errors.Is(err, ErrTimeout) || Sent(err) {
		t.Errorf("got %v", err)
	}
}
