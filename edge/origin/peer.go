package origin

import (
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// Peer is one origin server of an upstream. Its address never changes; health
// and counters are atomic. It is safe for concurrent use.
type Peer struct {
	// Upstream is the name of the upstream that the peer belongs to.
	Upstream string
	// URL is scheme and host:port. Callers must not change it.
	URL *url.URL
	// Address is the host as it was configured: a literal or a name.
	Address string
	// Port is the TCP port.
	Port int

	health   health
	inFlight atomic.Int64
	stats    peerStats
	seed     uint64 // of its name, for hash
	index    int
	slots    slots
	idle     idleList
	dialer   dialer
}

type peerStats struct {
	dialled, reused, replaced, badAnswers, queueFull atomic.Int64
}

// PeerStats are counters of one peer since the start.
type PeerStats struct {
	Dialled    int64 // connections made
	Reused     int64 // requests that were sent on a connection used before
	Replaced   int64 // of those, the ones whose connection had died and was replaced
	BadAnswers int64 // heads and bodies that were refused
	QueueFull  int64 // requests that found the queue full
	Idle       int   // connections that wait for a request now
	Waiting    int   // requests that wait for a connection now
}

// Name returns host:port, as the log and the metrics print it.
func (p *Peer) Name() string { return p.URL.Host }

// Healthy reports whether the peer should be asked at the time now.
func (p *Peer) Healthy(now time.Time) bool { return p.health.healthy(now.UnixNano()) }

// MarkUnhealthy takes the peer out at once for fail.for, whatever it did
// before.
func (p *Peer) MarkUnhealthy(now time.Time) { p.health.mark(now.UnixNano()) }

// ReportSuccess says that the peer answered; it is healthy from now on.
func (p *Peer) ReportSuccess() { p.health.succeed() }

// ReportFailure says that the peer did not answer as it should; after
// fail.after of these in a row it is unhealthy for fail.for.
func (p *Peer) ReportFailure(now time.Time) { p.health.fail(now.UnixNano()) }

// InFlight returns the number of requests that were given to the peer and have
// not ended, those that wait for a connection included.
func (p *Peer) InFlight() int64 { return p.inFlight.Load() }

// Stats returns the peer's counters.
func (p *Peer) Stats() PeerStats {
	return PeerStats{
		Dialled:    p.stats.dialled.Load(),
		Reused:     p.stats.reused.Load(),
		Replaced:   p.stats.replaced.Load(),
		BadAnswers: p.stats.badAnswers.Load(),
		QueueFull:  p.stats.queueFull.Load(),
		Idle:       p.idle.len(),
		Waiting:    p.slots.waiting(),
	}
}

// hostField is the Host field that names the peer itself, without a default
// port (RFC 9110, 4.2.3).
func (p *Peer) hostField() string {
	host := p.URL.Host
	if p.URL.Scheme == "https" {
		return strings.TrimSuffix(host, ":443")
	}
	return strings.TrimSuffix(host, ":80")
}
