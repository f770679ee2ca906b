package origin

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func peersNamed(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("http://10.0.0.%d:8000", i+1))
	}
	return out
}

func TestNewPoolRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  Config
		want string
	}{
		{"a peer without a scheme", Config{Peers: []string{"10.0.0.1:8000"}}, "peer \"10.0.0.1:8000\""},
		{"ftp", Config{Peers: []string{"ftp://a"}}, "http or https"},
		{"no host", Config{Peers: []string{"http://:80"}}, "has no host"},
		{"a path", Config{Peers: []string{"http://a/b"}}, "scheme, host and port only"},
		{"a query", Config{Peers: []string{"http://a?b"}}, "scheme, host and port only"},
		{"a user", Config{Peers: []string{"http://u:p@a"}}, "scheme, host and port only"},
		{"port 0", Config{Peers: []string{"http://a:0"}}, "1 to 65535"},
		{"port 65536", Config{Peers: []string{"http://a:65536"}}, "1 to 65535"},
		{"the same twice", Config{Peers: []string{"http://a", "http://A:80"}}, "there twice"},
		{"a metadata address", Config{Peers: []string{"http://169.254.169.254"}, AllowPrivate: true}, "not allowed"},
		{"a mapped metadata address", Config{Peers: []string{"http://[::ffff:169.254.1.1]"}}, "not allowed"},
		{"an unknown balance", Config{Balance: "random"}, "round_robin, least_conn or hash"},
		{"a host with a space", Config{Host: "a b"}, "client, origin, or a name"},
		{"tries below 1", Config{Tries: -1}, "at least 1"},
		{"max_conns below 0", Config{MaxConns: -1}, "max_conns"},
		{"a negative timeout", Config{Timeouts: Timeouts{Idle: -1}}, "above 0"},
		{"a negative fail.for", Config{FailFor: -1}, "above 0"},
		{"a missing CA", Config{TLS: TLSConfig{CA: "testdata/none.pem"}}, "tls.ca"},
		{"a CA that is none", Config{TLS: TLSConfig{CA: "testdata/origin-response.jsonl"}}, "no PEM"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.cfg.Name = "shop"
			_, err := NewPool(c.cfg)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "upstream shop") {
				t.Errorf("got %v, want it to say %q", err, c.want)
			}
		})
	}
}

func TestPeerIdentity(t *testing.T) {
	p := newTestPool(t, Config{Peers: []string{"http://Origin.example", "https://[2001:db8::1]:444/"}})
	for i, want := range []struct {
		name, address string
		port          int
	}{{"origin.example:80", "origin.example", 80}, {"[2001:db8::1]:444", "2001:db8::1", 444}} {
		q := p.Peers()[i]
		if q.Name() != want.name || q.Address != want.address || q.Port != want.port || q.Upstream != "main" {
			t.Errorf("peer %d: %+v", i, q)
		}
	}
	if p.Tries() != 4 {
		t.Errorf("tries %d", p.Tries())
	}
}

func TestHostMode(t *testing.T) {
	for _, c := range []struct{ mode, peer, want string }{
		{"", "http://10.0.0.1:8000", "www.example.com"},
		{"client", "http://10.0.0.1:8000", "www.example.com"},
		{"origin", "http://10.0.0.1:8000", "10.0.0.1:8000"},
		{"origin", "http://o.example", "o.example"},
		{"origin", "https://o.example:443", "o.example"},
		{"origin", "https://o.example:80", "o.example:80"},
		{"fixed.example", "http://10.0.0.1", "fixed.example"},
	} {
		p := newTestPool(t, Config{Peers: []string{c.peer}, Host: c.mode})
		if got := string(p.HostMode().AppendHost(nil, []byte("www.example.com"), p.Peers()[0])); got != c.want {
			t.Errorf("host %q of %s: got %q, want %q", c.mode, c.peer, got, c.want)
		}
	}
}

func TestS05NoPeer(t *testing.T) {
	p := newTestPool(t, Config{})
	if _, err := p.Pick(0, nil); !errors.Is(err, ErrNoPeer) {
		t.Errorf("got %v", err)
	}
}

func mustPick(t *testing.T, p *Pool, hash uint64, tried ...*Peer) *Peer {
	t.Helper()
	q, err := p.Pick(hash, tried)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// TestS22AnotherPeer: no peer is picked twice for one request, whatever the
// balance, and then there is none left.
func TestS22AnotherPeer(t *testing.T) {
	for _, balance := range []string{"round_robin", "least_conn", "hash"} {
		t.Run(balance, func(t *testing.T) {
			p := newTestPool(t, Config{Peers: peersNamed(4), Balance: balance})
			p.Peers()[1].MarkUnhealthy(time.Now())
			var tried []*Peer
			for range 4 {
				q := mustPick(t, p, 7, tried...)
				if slices.Contains(tried, q) {
					t.Fatalf("%s twice", q.Name())
				}
				tried = append(tried, q)
			}
			if tried[3] != p.Peers()[1] {
				t.Error("the unhealthy peer was not the last")
			}
			if _, err := p.Pick(7, tried); !errors.Is(err, ErrNoPeerLeft) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestRoundRobinIsEven(t *testing.T) {
	p := newTestPool(t, Config{Peers: peersNamed(3)})
	count := map[*Peer]int{}
	for range 30 {
		count[mustPick(t, p, 0)]++
	}
	for _, q := range p.Peers() {
		if count[q] != 10 {
			t.Errorf("%s got %d of 30", q.Name(), count[q])
		}
	}
}

// TestRoundRobinSpreadsALoss: the share of a peer that is out does not fall to
// its neighbour alone.
func TestRoundRobinSpreadsALoss(t *testing.T) {
	p := newTestPool(t, Config{Peers: peersNamed(3)})
	p.Peers()[1].MarkUnhealthy(time.Now())
	count := map[*Peer]int{}
	for range 30 {
		count[mustPick(t, p, 0)]++
	}
	if count[p.Peers()[0]] != 15 || count[p.Peers()[2]] != 15 {
		t.Errorf("got %v", count)
	}
}

func TestLeastConn(t *testing.T) {
	p := newTestPool(t, Config{Peers: peersNamed(3), Balance: "least_conn"})
	for i, n := range []int64{2, 1, 3} {
		p.Peers()[i].inFlight.Store(n)
	}
	if q := mustPick(t, p, 0); q != p.Peers()[1] {
		t.Errorf("got %s", q.Name())
	}
	p.Peers()[1].inFlight.Store(2)
	a, b := mustPick(t, p, 0), mustPick(t, p, 0)
	if a == b || a == p.Peers()[2] || b == p.Peers()[2] {
		t.Errorf("equals do not take turns: %s, %s", a.Name(), b.Name())
	}
}

// TestHashMovesLittle: a key keeps its peer; when one of ten is lost only its
// own keys move, and they spread over the rest.
func TestHashMovesLittle(t *testing.T) {
	const keys = 20000
	p := newTestPool(t, Config{Peers: peersNamed(10), Balance: "hash"})
	before := map[uint64]*Peer{}
	share := map[*Peer]int{}
	for k := range uint64(keys) {
		before[k] = mustPick(t, p, k)
		share[before[k]]++
	}
	for _, q := range p.Peers() {
		if n := share[q]; n < keys/10*8/10 || n > keys/10*12/10 {
			t.Errorf("%s has %d of %d", q.Name(), n, keys)
		}
	}
	lost := p.Peers()[3]
	lost.MarkUnhealthy(time.Now())
	to := map[*Peer]int{}
	for k := range uint64(keys) {
		now := mustPick(t, p, k)
		if before[k] != lost && now != before[k] {
			t.Fatalf("key %d moved from %s to %s", k, before[k].Name(), now.Name())
		}
		if before[k] == lost {
			to[now]++
		}
	}
	for _, q := range p.Peers() {
		if q != lost && (to[q] < share[lost]/9/2 || to[q] > share[lost]/9*2) {
			t.Errorf("%s took %d of %d", q.Name(), to[q], share[lost])
		}
	}
	lost.ReportSuccess()
	for k := range uint64(keys) {
		if mustPick(t, p, k) != before[k] {
			t.Fatalf("key %d did not come back", k)
		}
	}
}

func TestHealth(t *testing.T) {
	at := func(seconds int) time.Time { return time.Unix(int64(1000+seconds), 0) }
	for _, c := range []struct {
		name string
		do   func(*Peer)
		at   int
		want bool
	}{
		{"new", func(*Peer) {}, 0, true},
		{"two failures", func(p *Peer) { p.ReportFailure(at(0)); p.ReportFailure(at(0)) }, 0, true},
		{"three failures", func(p *Peer) { p.ReportFailure(at(0)); p.ReportFailure(at(0)); p.ReportFailure(at(0)) }, 0, false},
		{"three, but not in a row", func(p *Peer) {
			p.ReportFailure(at(0))
			p.ReportFailure(at(0))
			p.ReportSuccess()
			p.ReportFailure(at(0))
		}, 0, true},
		{"a nanosecond before its time is over", func(p *Peer) { p.MarkUnhealthy(at(0).Add(1)) }, 10, false},
		{"when its time is over", func(p *Peer) { p.MarkUnhealthy(at(0)) }, 10, true},
		{"one more failure after that", func(p *Peer) { p.MarkUnhealthy(at(0)); p.ReportFailure(at(11)) }, 12, false},
		{"a success ends it", func(p *Peer) { p.MarkUnhealthy(at(0)); p.ReportSuccess() }, 1, true},
		{"and counts from nothing", func(p *Peer) { p.MarkUnhealthy(at(0)); p.ReportSuccess(); p.ReportFailure(at(1)) }, 1, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newTestPool(t, Config{Peers: peersNamed(1)}).Peers()[0]
			c.do(p)
			if got := p.Healthy(at(c.at)); got != c.want {
				t.Errorf("healthy %v, want %v", got, c.want)
			}
		})
	}
}

// TestAllUnhealthy: the one that failed longest ago is asked, and each comes
// back after fail.for.
func TestAllUnhealthy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPool(t, Config{Peers: peersNamed(3), FailFor: 10 * time.Second})
		for _, i := range []int{2, 0, 1} {
			p.Peers()[i].MarkUnhealthy(time.Now())
			time.Sleep(time.Second)
		}
		if q := mustPick(t, p, 0); q != p.Peers()[2] {
			t.Errorf("got %s", q.Name())
		}
		if q := mustPick(t, p, 0, p.Peers()[2]); q != p.Peers()[0] {
			t.Errorf("then %s", q.Name())
		}
		p.Peers()[2].ReportFailure(time.Now())
		if q := mustPick(t, p, 0); q != p.Peers()[0] {
			t.Errorf("after it failed again %s", q.Name())
		}
		time.Sleep(7*time.Second + time.Nanosecond) // only the second is over its ten
		time.Sleep(time.Second)
		if q := mustPick(t, p, 0); q != p.Peers()[0] || !q.Healthy(time.Now()) {
			t.Errorf("got %s, healthy %v", q.Name(), q.Healthy(time.Now()))
		}
	})
}
