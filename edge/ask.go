package edge

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"edgecache/edge/origin"
)

// maxAttempts bounds the peers that one request tries: the first and three
// retries, as the seed has it.
const maxAttempts = 4

// filtered is a hook's own end of a request, on its way up as an error.
type filtered struct {
	phase  Phase
	result FilterResult
}

func (f *filtered) Error() string { return f.phase.String() + ": " + f.result.kind.String() }
func (f *filtered) Unwrap() error { return ErrRequestFiltered }

// errRetry asks for another peer; errRetryUnsent does so before this one was
// asked.
var (
	errRetry       = errors.New("a hook wants another peer")
	errRetryUnsent = fmt.Errorf("%w than the one chosen", errRetry)
)

// unheard makes the wish to retry a request that cannot be repeated what it
// is: a result that is not allowed here.
func unheard(err error) error {
	if errors.Is(err, errRetry) {
		return &hookError{PhaseResponseFilter, ErrHookResult}
	}
	return err
}

// ask runs upstream_peer to response_filter over as many peers as it takes.
// The session gets the peer, the request, the answer and the times. On
// success the answer's body is open and the caller's to close.
func (e *Engine) ask(s *Session, q *question) (*http.Response, error) {
	var last error
	for retries := s.RetryCount; ; retries++ {
		peer, pool, err := e.choose(s, last)
		if err != nil {
			return nil, err
		}
		s.RetryCount = retries
		res, err := e.attempt(s, q, peer, pool)
		if err == nil {
			if res, err = e.filterResponse(s, res); err == nil {
				return res, nil
			}
		}
		if fault := q.body.fault(); fault != nil {
			return nil, fault
		}
		s.tried = append(s.tried, peer)
		again := e.again(s, q, peer, err)
		if s.RetryCount >= e.tries(pool)-1 && (again || isAs[*origin.DialError](err)) {
			return nil, fmt.Errorf("%w: %w", ErrMaxRetriesExceeded, err)
		}
		if !again {
			return nil, unheard(err)
		}
		last = err
	}
}

func (e *Engine) tries(pool *origin.Pool) int {
	if pool == nil {
		return maxAttempts
	}
	return min(pool.Tries(), maxAttempts)
}

// choose is upstream_peer.
func (e *Engine) choose(s *Session, last error) (*origin.Peer, *origin.Pool, error) {
	s.trace.mark(PhaseUpstreamPeer)
	peer, err := e.hooks.proxy.UpstreamPeer(s)
	switch {
	case errors.Is(err, origin.ErrNoPeerLeft) && last != nil && !errors.Is(last, errRetry):
		return nil, nil, last
	case err != nil:
		return nil, nil, err
	case peer == nil:
		return nil, nil, ErrNoPeer
	}
	s.Peer = peer
	return peer, e.cfg.Upstreams[peer.Upstream], nil
}

// UpstreamPeer is the built-in choice: the route's upstream, by its balance.
func (e *Engine) UpstreamPeer(s *Session) (*origin.Peer, error) {
	if s.route == nil || s.route.pool == nil {
		return nil, ErrNoPeer
	}
	return s.route.pool.Pick(s.Cache.Key.Hash.Lo, s.tried)
}

// Tried lists the peers that have failed for this request; a view.
func (s *Session) Tried() []*origin.Peer { return s.tried }

// attempt asks one peer: upstream_request_filter, connected_to_upstream, the
// wire.
func (e *Engine) attempt(s *Session, q *question, peer *origin.Peer, pool *origin.Pool) (*http.Response, error) {
	if err := e.compose(s, q, peer, pool); err != nil {
		return nil, err
	}
	if b, ok := s.Request.Body.(spoilt); ok {
		return nil, b.err
	}
	client := e.plain
	if pool != nil {
		client = pool.Client()
	}
	w := &s.witness
	*w = witness{e: e, s: s, early: q.interim}
	trace := &w.trace
	trace.Witness = w
	asked := e.nanos()
	var res *http.Response
	var err error
	if s.Upstream != nil {
		s.sendBuffered(s.Upstream, q.body)
		res, err = client.Do(s.Ctx, peer, s.Upstream, trace)
	} else {
		res, err = client.DoPlain(s.Ctx, peer, s.plain, trace)
	}
	if trace.SentAt != 0 {
		s.RequestSent, s.Timing.UpstreamRequestSent = true, e.ours(trace.SentAt)
	}
	if err != nil {
		e.metrics.upstreamDone(peer, 0, e.nanos()-asked)
		if w.panicked != nil {
			return nil, w.panicked
		}
		if s.Ctx.Err() == nil && q.body.fault() == nil && !errors.Is(err, origin.ErrQueueFull) {
			peer.ReportFailure(e.now()) // a full queue is ours
		}
		return nil, err
	}
	if unasked(s, res) {
		res.Body.Close()
		return nil, &unaskedError{res.StatusCode}
	}
	peer.ReportSuccess()
	s.Response, s.ResponseReceived = res, true
	s.Timing.UpstreamResponseStart = e.ours(trace.FirstByteAt)
	e.metrics.upstreamDone(peer, res.StatusCode, trace.FirstByteAt-asked)
	return res, nil
}

// witness is the engine's at one attempt.
type witness struct {
	e        *Engine
	s        *Session
	early    interimHearer // nil: nobody hears of interim answers
	trace    origin.Trace
	panicked *panicError // a hook's
}

var _ origin.Witness = (*witness)(nil)

// Connected is connected_to_upstream.
func (w *witness) Connected(c origin.ConnInfo) (err error) {
	w.s.Timing.UpstreamConnect = w.e.ours(c.At)
	if w.panicked = w.e.caught(func() { err = w.e.connected(w.s, c) }); w.panicked != nil {
		return w.panicked
	}
	return err
}

// Interim hands a 1xx answer on.
func (w *witness) Interim(status int, h http.Header) {
	if w.early != nil {
		w.early.hearInterim(status, w.e.early(w.s, h))
	}
}

// ours is a time that edge/origin took, by the machine's clock, on the clock of
// the configuration.
func (e *Engine) ours(at int64) int64 {
	if e.cfg.Now == nil {
		return at
	}
	return at + e.nanos() - time.Now().UnixNano()
}

// unasked says whether an answer has a status that only a question of another
// kind can have: 101 without Upgrade, 304 without a condition, 200 to a CONNECT that was
// made an Upgrade.
func unasked(s *Session, res *http.Response) bool {
	if s.Request.Proto == HTTP2 && s.Request.Upgrade != "" && !joins(s.Upstream, res) {
		return true
	}
	switch res.StatusCode {
	case http.StatusSwitchingProtocols:
		return !s.asks("Upgrade")
	case http.StatusNotModified:
		return !s.asks("If-None-Match") && !s.asks("If-Modified-Since")
	}
	return false
}

func (e *Engine) filterUpstream(s *Session, req *http.Request) error {
	s.trace.mark(PhaseUpstreamRequestFilter)
	for _, f := range e.hooks.upstream {
		r, err := f.UpstreamRequestFilter(s, req)
		switch {
		case err != nil:
			return &hookError{PhaseUpstreamRequestFilter, err}
		case r.kind == resultContinue:
		case r.kind == resultSkip:
			return nil
		case r.kind == resultRetry:
			return errRetryUnsent
		default:
			return &filtered{PhaseUpstreamRequestFilter, r}
		}
	}
	return nil
}

// caught runs a hook where others hold a connection, and catches its panic.
func (e *Engine) caught(hook func()) (p *panicError) {
	defer func() {
		if r := recover(); r != nil {
			p = &panicError{value: r, stack: debug.Stack()}
			e.log.Error("panic in a hook", "panic", r, "stack", string(p.stack))
		}
	}()
	hook()
	return nil
}

func (e *Engine) connected(s *Session, c origin.ConnInfo) error {
	s.trace.mark(PhaseConnectedToUpstream)
	for _, f := range e.hooks.connected {
		if err := f.ConnectedToUpstream(s, c); err != nil {
			return &hookError{PhaseConnectedToUpstream, err}
		}
	}
	return nil
}

// filterResponse is response_filter: its changes are what is stored. A 304 goes
// through it, too, because its fields are stored with the old body.
func (e *Engine) filterResponse(s *Session, res *http.Response) (*http.Response, error) {
	e.clean(s, res)
	if res.StatusCode == http.StatusSwitchingProtocols {
		if s.Request.Proto == HTTP2 {
			delete(res.Header, "Sec-Websocket-Accept") // the key was ours
		}
		return res, nil // a tunnel is not an answer
	}
	s.trace.mark(PhaseResponseFilter)
	if len(e.hooks.response) == 0 {
		return res, nil
	}
	body, old := &originBody{ReadCloser: res.Body}, res.Header.Clone()
	res.Body = body
	kept := false
	defer func() {
		if !kept { // a panic, too, must give the connection back
			body.Close()
		}
	}()
	for _, f := range e.hooks.response {
		r, err := f.ResponseFilter(s, res)
		switch {
		case err != nil:
			return nil, &hookError{PhaseResponseFilter, err}
		case r.kind == resultRetry:
			return nil, errRetry
		case r.kind == resultReject, r.kind == resultRespond:
			if s.ResponseBody != nil {
				r.body = bytes.Clone(r.body) // it may be the buffer, which ends with the fetch
			}
			return nil, &filtered{PhaseResponseFilter, r}
		}
		if r.kind == resultSkip {
			break
		}
	}
	if res.Body != body {
		if res.StatusCode != http.StatusNotModified { // its head is about the stored body
			transformed(res, old)
		}
		res.Body = &replacedBody{ReadCloser: res.Body, origin: body}
	}
	if declared, err := strconv.ParseInt(res.Header.Get("Content-Length"), 10, 64); err == nil && bodyAllowed(s.Request.Method, res.StatusCode) {
		res.ContentLength = declared
	}
	kept = true
	return res, nil
}

// again says whether another peer may be asked after err.
func (e *Engine) again(s *Session, q *question, peer *origin.Peer, err error) bool {
	if errors.Is(err, errRetryUnsent) {
		return q.body == nil || s.RequestBody != nil || !q.body.touched.Load()
	}
	if errors.Is(err, errRetry) {
		return e.repeatable(s, q)
	}
	var dial *origin.DialError
	if errors.As(err, &dial) {
		return e.failToConnect(s, peer, err) && (q.body == nil || s.RequestBody != nil || !q.body.touched.Load())
	}
	var conn *origin.ConnError
	if errors.As(err, &conn) && s.Ctx.Err() == nil {
		return e.repeatable(s, q) || !conn.Sent && (q.body == nil || !q.body.touched.Load())
	}
	return false
}

// repeatable says whether the request may be sent twice: an idempotent method
// (RFC 9110, 9.2.2), a body that can be had again, and nothing sent to the
// client.
func (e *Engine) repeatable(s *Session, q *question) bool {
	switch s.Request.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete:
	default:
		return false
	}
	return (q.body == nil || s.RequestBody != nil || !q.body.touched.Load()) && (s.lane == nil || !s.lane.Started())
}

// failToConnect tells the hooks; without one the peer is marked unhealthy and
// the request tried elsewhere while it has been retried less than three times.
func (e *Engine) failToConnect(s *Session, peer *origin.Peer, err error) bool {
	if len(e.hooks.failed) == 0 {
		if peer.Healthy(e.now()) { // said once, not by every request that finds it so
			e.log.Warn("connect to upstream", "upstream", peer.Upstream, "peer", peer.Name(), "err", err)
		}
		peer.MarkUnhealthy(e.now())
		return true
	}
	retry := false
	for _, f := range e.hooks.failed {
		retry = f.FailToConnect(s, peer, err) || retry
	}
	return retry
}
