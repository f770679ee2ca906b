package origin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Client sends one request to one peer of its pool. It is safe for concurrent
// use.
type Client struct {
	timeouts  Timeouts
	headBytes int
	headLines int
}

// NewClient returns a client with the timeouts and limits of c. A Pool has one.
func NewClient(c Config) *Client {
	c = c.withDefaults()
	return &Client{timeouts: c.Timeouts, headBytes: c.HeadBytes, headLines: c.HeadLines}
}

// ConnInfo describes a connection that a request is about to be sent on.
type ConnInfo struct {
	Peer       *Peer
	Reused     bool   // it has carried a request before
	TLSVersion uint16 // of crypto/tls; 0 in the clear
	Remote     string // address:port that it really leads to
	At         int64  // Unix nanoseconds
}

// Witness is told of what happens while Do runs.
type Witness interface {
	// Connected is called on Do's goroutine for each connection that is used,
	// before anything is sent on it: once, or twice when a reused one turns
	// out to be dead. An error closes the connection and ends Do with a
	// *DialError.
	Connected(ConnInfo) error
	// Interim is called for each 1xx answer but 100 and 101, perhaps on another
	// goroutine than Do's, never after Do has returned: Do waits for it. The
	// header is the callee's.
	Interim(status int, h http.Header)
}

// Trace takes down what happened to one request. Do fills it in before it
// returns; times are Unix nanoseconds, 0 for what did not happen.
type Trace struct {
	// Witness is told of what happens while Do runs; nil is told nothing.
	Witness Witness

	ConnectAt   int64 // the connection was there
	SentAt      int64 // the latest part of the request was written
	FirstByteAt int64 // the final answer began
	Reused      bool  // the connection had carried a request before
}

// Do makes one attempt to have p answer r. It follows no redirect and repeats
// nothing, but for one thing: when a reused connection turns out to be dead
// before a byte of the answer, and r may be repeated or none of it was
// written, one new connection takes its place, which p's stats count.
//
// With max_conns Do first waits for its turn. The turn, and the connection,
// are given back when the answer's body has been read to its end or closed, so
// one of these must happen. The body's Read returns io.EOF only when the body
// was whole: a *BodyError or *TimeoutError says otherwise. ctx ends the wait,
// the attempt and the body.
//
// r.URL's scheme and host are not looked at; r.Host is sent, or p's name when
// it is empty. Without a User-Agent in r none is sent. r.Body may still be read
// after Do has returned, until the answer's body is at its end, so what it
// reads from must live on. After a *DialError or ErrQueueFull r.Body has been
// neither read nor closed; in all other cases it is closed. A body of unknown
// length needs ContentLength -1. (When a reused connection was replaced, r has
// GetBody or no body, and the body may have been closed even then.)
//
// After a 101 the body is an io.ReadWriteCloser with CloseWrite: the raw
// connection, which lives until it is closed or ctx ends.
func (c *Client) Do(ctx context.Context, p *Peer, r *http.Request, t *Trace) (*http.Response, error) {
	if t == nil {
		t = new(Trace)
	}
	r = onceClosed(r)
	x := exchange{method: or(r.Method, "GET"), req: r, trace: t}
	if d := plainHead(p, r); d != nil {
		defer d.Free()
		x.head = d.text
	}
	res, err := c.admitted(ctx, p, x)
	if err != nil && !untouched(err) {
		closeBody(r)
	}
	return res, err
}

// DoPlain is Do of a plain request.
func (c *Client) DoPlain(ctx context.Context, p *Peer, q Plain, t *Trace) (*http.Response, error) {
	if t == nil {
		t = new(Trace)
	}
	return c.admitted(ctx, p, exchange{method: q.method, head: q.head, trace: t})
}

// untouched reports whether the request's body is as it was, by Do's promise.
func untouched(err error) bool {
	var dial *DialError
	return errors.As(err, &dial) || errors.Is(err, ErrQueueFull)
}

// admitted waits for the turn of x and makes the attempt.
func (c *Client) admitted(ctx context.Context, p *Peer, x exchange) (*http.Response, error) {
	p.inFlight.Add(1)
	if err := p.slots.take(ctx); err != nil {
		p.inFlight.Add(-1)
		return nil, p.notAdmitted(err)
	}
	res, err := c.attempt(ctx, p, x)
	if err != nil {
		p.release()
		return nil, err
	}
	return res, nil
}

func (p *Peer) notAdmitted(err error) error {
	if errors.Is(err, ErrQueueFull) {
		p.stats.queueFull.Add(1)
		return fmt.Errorf("ask %s: %w", p.Name(), err)
	}
	return &ConnError{Peer: p.Name(), Err: err}
}

func (p *Peer) release() {
	p.inFlight.Add(-1)
	p.slots.give()
}

// attempt uses an idle connection if there is one, and a new one otherwise or
// if that was dead.
func (c *Client) attempt(ctx context.Context, p *Peer, x exchange) (*http.Response, error) {
	if p.idle.isClosed() {
		return nil, fmt.Errorf("ask %s: %w", p.Name(), ErrClosed)
	}
	if w := p.idleWire(x.head == nil); w != nil {
		x.wire, x.reused = w, true
		res, err := c.send(ctx, p, x)
		if !errors.Is(err, errStale) {
			return res, err
		}
		p.stats.replaced.Add(1)
		p.idle.drain()
		if errors.Is(err, errSpent) {
			return c.again(ctx, p, x)
		}
	}
	return c.fresh(ctx, p, x)
}

// fresh sends the request of x on a new connection.
func (c *Client) fresh(ctx context.Context, p *Peer, x exchange) (*http.Response, error) {
	w, err := c.connect(ctx, p)
	if err != nil {
		return nil, err
	}
	x.wire, x.reused = w, false
	return c.send(ctx, p, x)
}

// again sends the request of x, whose body was given to a connection that was dead,
// on a new one.
func (c *Client) again(ctx context.Context, p *Peer, x exchange) (*http.Response, error) {
	if x.req == nil {
		return c.fresh(ctx, p, x)
	}
	closeBody(x.req)
	r, err := rewound(x.req)
	if err != nil {
		return nil, &ConnError{Peer: p.Name(), Sent: true, Err: err}
	}
	x.req = r
	res, err := c.fresh(ctx, p, x)
	if err != nil {
		closeBody(r)
	}
	return res, err
}

// idleWire returns an idle connection that is not known to be dead.
func (p *Peer) idleWire(full bool) *wire {
	for w := p.idle.take(full); w != nil; w = p.idle.take(full) {
		if w.reusable() && w.peek.quiet() {
			return w
		}
		w.close()
	}
	return nil
}

// exchange is one request on one connection.
type exchange struct {
	wire   *wire
	reused bool
	method string
	head   []byte        // of a plain request; nil: it is for net/http's client
	req    *http.Request // nil: there is no more of it than its head
	trace  *Trace
}

// errStale says that a reused connection was dead and another may be tried;
// errSpent is the kind where the request's body had been handed over.
var (
	errStale = errors.New("reused connection was dead")
	errSpent = fmt.Errorf("%w, with the request on it", errStale)
)

// send tells the caller of the connection, sends the request, and waits for a
// head that passed the scanner.
func (c *Client) send(ctx context.Context, p *Peer, x exchange) (*http.Response, error) {
	if err := x.announce(p); err != nil {
		x.wire.close()
		return nil, &DialError{Peer: p.Name(), Err: err}
	}
	if err := x.wire.conn.begin(x.method); err != nil {
		x.wire.close()
		if x.reused {
			return nil, errStale
		}
		p.stats.badAnswers.Add(1)
		return nil, &HeadError{Peer: p.Name(), Reason: ReasonEarly}
	}
	res, grip, err := c.exchange(ctx, p, x)
	f, u := x.wire.conn.verdict()
	x.trace.SentAt, x.trace.FirstByteAt = u.sentAt, u.firstAt
	if err != nil {
		x.wire.close()
		grip.loose()
		return nil, c.failed(ctx, p, x, attemptFailure{f, u, err})
	}
	x.deliver(ctx, p, res, c.timeouts.Idle, grip)
	return res, nil
}

// grip is what a context has of an exchange.
type grip struct {
	leash *Leash
	stop  func() bool // nil: the leash's
}

// loose must be called when the exchange is over, and reports whether the context had
// no part in that.
func (g grip) loose() bool {
	if g.stop == nil {
		return g.leash.release()
	}
	return g.stop()
}

// gripped has the connection closed when the context ends.
func (x exchange) gripped(ctx context.Context) grip {
	if l, ok := ctx.(*Leash); ok {
		l.hold(x.wire.conn)
		return grip{leash: l}
	}
	return grip{stop: context.AfterFunc(ctx, func() { x.wire.conn.Close() })}
}

// exchange sends the request and reads the answer's head, by ourselves where
// that can be done, else by net/http's client.
func (c *Client) exchange(ctx context.Context, p *Peer, x exchange) (*http.Response, grip, error) {
	if x.wire.cc == nil && x.head != nil {
		g := x.gripped(ctx)
		res, err := x.converse(ctx)
		return res, g, err
	}
	own, cancel := context.WithCancel(ctx)
	g := grip{stop: func() bool { cancel(); return true }}
	if err := c.hand(ctx, p, x.wire); err != nil {
		return nil, g, err
	}
	interims := &interims{told: x.trace.Witness}
	r := x.req
	if r == nil {
		r = Plain{x.method, x.head}.request(p)
	}
	res, err := x.wire.cc.RoundTrip(outgoing(interims.watch(own), p, r))
	interims.end()
	return res, g, err
}

// announce fills in the trace and asks the caller whether to go on.
func (x exchange) announce(p *Peer) error {
	now := time.Now().UnixNano()
	if x.reused {
		p.stats.reused.Add(1)
	}
	x.trace.ConnectAt, x.trace.Reused = now, x.reused
	x.trace.SentAt, x.trace.FirstByteAt = 0, 0
	if x.trace.Witness == nil {
		return nil
	}
	return x.trace.Witness.Connected(ConnInfo{
		Peer:       p,
		Reused:     x.reused,
		TLSVersion: x.wire.tlsVersion,
		Remote:     x.wire.remote,
		At:         now,
	})
}

type attemptFailure struct {
	fault *fault
	use   use
	err   error
}

// failed turns what is known of a failed exchange into the error to return.
func (c *Client) failed(ctx context.Context, p *Peer, x exchange, a attemptFailure) error {
	sent := a.use.written > 0
	var timeout net.Error
	switch {
	case a.fault != nil && a.fault.reason == ReasonEarly && x.reused:
		// A late remainder of the answer before: the connection is bad.
	case a.fault != nil:
		p.stats.badAnswers.Add(1)
		return &HeadError{Peer: p.Name(), Reason: a.fault.reason}
	case ctx.Err() != nil:
		return &ConnError{Peer: p.Name(), Sent: sent, Err: context.Cause(ctx)}
	case a.use.expired != "":
		return &TimeoutError{Peer: p.Name(), Phase: a.use.expired, Sent: sent}
	case errors.As(a.err, &timeout) && timeout.Timeout():
		return &TimeoutError{Peer: p.Name(), Phase: PhaseFirstByte, Sent: sent}
	}
	if x.reused && a.use.read == 0 && x.repeatable(sent) {
		return errSpent
	}
	return &ConnError{Peer: p.Name(), Sent: sent, Heard: a.use.read > 0, Err: a.err}
}
