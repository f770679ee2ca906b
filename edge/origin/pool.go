package origin

import (
	"fmt"
	"net/url"
	"slices"
	"time"
)

// Pool is one upstream: its peers, how one of them is chosen, and the client
// that asks it. It never changes after NewPool and is safe for concurrent use.
type Pool struct {
	name     string
	peers    []*Peer
	balancer balancer
	tries    int
	host     HostMode
	client   *Client
}

// NewPool returns the upstream that c describes. It connects to nothing. An
// error names the upstream, the setting, and what would be right.
func NewPool(c Config) (*Pool, error) {
	c = c.withDefaults()
	pool, err := newPool(c)
	if err != nil {
		return nil, fmt.Errorf("upstream %s: %w", c.Name, err)
	}
	return pool, nil
}

func newPool(c Config) (*Pool, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	host, err := parseHostMode(c.Host)
	if err != nil {
		return nil, err
	}
	p := &Pool{name: c.Name, tries: c.Tries, host: host, client: NewClient(c)}
	if err := p.addPeers(c); err != nil {
		return nil, err
	}
	p.balancer, err = newBalancer(c.Balance, len(p.peers))
	return p, err
}

func newBalancer(kind string, peers int) (balancer, error) {
	turns := roundRobin{credit: make([]int, peers)}
	switch kind {
	case "round_robin":
		return &turns, nil
	case "least_conn":
		return &leastConn{turns: roundRobin{credit: make([]int, peers)}}, nil
	case "hash":
		return rendezvous{}, nil
	}
	return nil, fmt.Errorf("balance %q: give round_robin, least_conn or hash", kind)
}

func (p *Pool) addPeers(c Config) error {
	secure, err := c.TLS.tlsConfig()
	if err != nil {
		return err
	}
	for _, raw := range c.Peers {
		u, port, err := parsePeer(raw)
		if err != nil {
			return err
		}
		peer := newPeer(c, u, port)
		if slices.ContainsFunc(p.peers, func(q *Peer) bool { return q.Name() == peer.Name() }) {
			return fmt.Errorf("peer %q: is there twice", raw)
		}
		if u.Scheme == "https" {
			peer.dialer.tls = secure.Clone()
			peer.dialer.tls.ServerName = or(c.TLS.Name, u.Hostname())
		}
		peer.index = len(p.peers)
		p.peers = append(p.peers, peer)
	}
	return nil
}

func newPeer(c Config, u *url.URL, port int) *Peer {
	p := &Peer{Upstream: c.Name, URL: u, Address: u.Hostname(), Port: port, seed: seedOf(u.Host)}
	p.health.after, p.health.span = int64(c.FailAfter), c.FailFor
	p.slots.max, p.slots.queue = c.MaxConns, max(c.Queue, 0)
	p.idle.max = maxIdle
	p.dialer = dialer{
		host:     u.Hostname(),
		port:     port,
		rule:     ruleOf(u.Hostname(), c.AllowPrivate),
		resolver: c.Resolver,
		timeout:  c.Timeouts.Connect,
	}
	return p
}

// Name returns the upstream's name.
func (p *Pool) Name() string { return p.name }

// Peers returns the peers in the order of the configuration. The caller must
// not change the slice.
func (p *Pool) Peers() []*Peer { return p.peers }

// Tries returns how many attempts a request may have.
func (p *Pool) Tries() int { return p.tries }

// HostMode says which Host field the peers get.
func (p *Pool) HostMode() HostMode { return p.host }

// Client returns the client that asks the peers.
func (p *Pool) Client() *Client { return p.client }

// Pick returns the peer to ask next: a healthy one that was not tried for this
// request, by the upstream's balance. When all of these are unhealthy it is
// the one that failed longest ago, so that a peer that came up again is found
// whatever its health said. hash matters with balance hash only: it should be
// that of the key. The error is ErrNoPeer or ErrNoPeerLeft.
func (p *Pool) Pick(hash uint64, tried []*Peer) (*Peer, error) {
	if len(p.peers) == 0 {
		return nil, fmt.Errorf("upstream %s: %w", p.name, ErrNoPeer)
	}
	if len(p.peers) == 1 && len(tried) == 0 {
		return p.peers[0], nil // whatever its health says
	}
	now := time.Now()
	healthy := make([]*Peer, 0, len(p.peers))
	var oldest *Peer
	for _, peer := range p.peers {
		switch {
		case slices.Contains(tried, peer):
		case peer.Healthy(now):
			healthy = append(healthy, peer)
		case oldest == nil || peer.health.failedAt.Load() < oldest.health.failedAt.Load():
			oldest = peer
		}
	}
	switch {
	case len(healthy) > 0:
		return p.balancer.choose(hash, healthy), nil
	case oldest != nil:
		return oldest, nil
	}
	return nil, fmt.Errorf("upstream %s: %w", p.name, ErrNoPeerLeft)
}

// Close closes the idle connections and lets no new request begin. Requests
// that run go on, and close their connections at their end. The pool starts no
// goroutine of its own.
func (p *Pool) Close() {
	for _, peer := range p.peers {
		peer.idle.close()
	}
}
