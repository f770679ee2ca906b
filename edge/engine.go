// Package edge runs a request through its phases, in one order for every
// protocol:
//
//	request_filter → cache_lookup ─hit→ delivery → logging
//	                 └miss→ upstream_peer → upstream_request_filter
//	                        → connected_to_upstream → response_filter
//	                        → cache_store → delivery → logging
//
// A lane (edge/h1 …) parses bytes into a Session and calls Engine.Begin, which
// answers from memory without ever waiting, and Engine.Finish for the rest.
package edge

import (
	"context"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"edgecache/cachestore"
	"edgecache/edge/origin"
	"edgecache/policy"
	"edgecache/purge"
)

// Engine runs the phases. It never changes after New and is safe for any
// number of lanes.
type Engine struct {
	cfg       Config
	limits    Limits
	hooks     hooks
	router    *router
	finder    finder
	flights   *flights
	flying    slots // fetches that may be stored
	refreshes slots // background refreshes
	index     *purge.Index
	trusted   network
	plain     *origin.Client // for peers of a Proxy's own
	log       *slog.Logger
	metrics   *Metrics
	explain   *Explain
	ghosts    *ghosts // nil: there are none
	clock     func() time.Time
	id        string    // in Via and CDN-Loop
	statusID  []byte    // our member of Cache-Status
	viaDown   [4][]byte // by protocol
	viaUp     [4]string
	altSvc    []byte // the field's value; none when empty
	token     string
	hidden    []string // fields that are stored but not delivered
	draining  atomic.Bool

	ctx     context.Context // ends with Close
	stop    context.CancelFunc
	leashes origin.Leashes // of what is asked of origins; they end with ctx
	crew    crew           // runs fetches
	tasks   sync.WaitGroup // the ghosts'
}

// NewSession makes the session that a lane uses for one request after another
// of a connection (HTTP/1.1) or for one stream. Request is the lane's to fill.
func (e *Engine) NewSession(l Lane) *Session {
	s := &Session{engine: e, lane: l, Ctx: e.ctx}
	s.inliner, _ = l.(Inliner)
	return s
}

// Begin runs request_filter and cache_lookup. It never waits for disk or
// network, unless a hook does. It returns true when the request is over:
// answered from memory or rejected, and logged. Otherwise the lane calls
// Finish, on the same goroutine (HTTP/1.1) or on the stream's own.
func (e *Engine) Begin(s *Session) (done bool) {
	defer func() {
		if r := recover(); r != nil {
			e.panicked(s, r)
		}
		if s.ended {
			done = true
			e.conclude(s)
		}
	}()
	s.Timing.RequestStart = e.nanos()
	s.Ctx, s.CacheEnabled, s.Cache.Age = e.ctx, true, -1
	if e.admit(s) {
		e.lookup(s)
	}
	return s.ended
}

// Finish runs the rest of the phases after a Begin that was not done. When it
// returns the request is over and logged, and nothing reads the request's
// body or fields any more.
func (e *Engine) Finish(s *Session) {
	defer func() {
		if r := recover(); r != nil {
			e.panicked(s, r)
		}
		e.conclude(s)
	}()
	switch {
	case s.Request.Method == methodPurge:
		e.purge(s)
	case s.Cache.Status == CacheBypass:
		e.relay(s)
	default:
		if s.state.long {
			s.state.long = false
			if e.serveFound(s, e.finder.find(s, e.nanos())); s.ended {
				return
			}
		}
		if s.state.onDisk || s.state.hollow {
			if e.serveStored(s) {
				return
			}
		}
		e.miss(s)
	}
}

// Release ends a session's use of one request: buffers go back, every field is
// zero again. A lane calls it after Begin (done) or Finish, before it parses
// the next request.
func (e *Engine) Release(s *Session) { s.reset() }

// Inline says whether Begin may run on a loop that must not block.
func (e *Engine) Inline() bool { return e.hooks.inline }

// Drain makes every later answer the last one of its connection.
func (e *Engine) Drain() { e.draining.Store(true) }

// Metrics are the engine's counters.
func (e *Engine) Metrics() *Metrics { return e.metrics }

// Explain remembers the last requests.
func (e *Engine) Explain() *Explain { return e.explain }

// Close ends background work: fetches that run are cut. Lanes must have been
// shut down before, so that none starts another.
func (e *Engine) Close() error {
	e.stop()
	e.leashes.Cut()
	e.crew.close()
	e.tasks.Wait()
	return nil
}

// lookup is cache_lookup and, on a hit in memory, the answer.
func (e *Engine) lookup(s *Session) {
	st, rules := &s.state, &s.route.Rules
	ok, why := st.ask.Lookup(rules)
	switch {
	case s.Request.Method == methodPurge:
		s.bypass(policy.PurgeRequest)
		return
	case !s.CacheEnabled:
		s.bypass(policy.BypassHook)
		return
	case !ok:
		s.bypass(why)
		return
	case s.Request.Upgrade != "":
		s.bypass(policy.BypassRequest)
		return
	}
	s.trace.mark(PhaseCacheLookup)
	if !e.makeKey(s) {
		s.bypass(policy.BypassHook)
		return
	}
	e.serveFound(s, e.finder.find(s, s.Timing.RequestStart))
}

// makeKey makes the request's key, with what the hooks add. False: one failed.
func (e *Engine) makeKey(s *Session) (ok bool) {
	for _, h := range e.hooks.key {
		extra, err := h.CacheKey(s)
		if err != nil {
			e.log.Warn("cache key hook", "err", err)
			return false
		}
		s.state.extra = appendExtra(s.state.extra, extra)
	}
	e.finder.key(s)
	return true
}

// serveFound answers at once when memory has what the client may get. What is
// on disk is left to Finish.
func (e *Engine) serveFound(s *Session, use policy.Use) {
	switch {
	case s.state.onDisk:
	case use == policy.UseServe || use == policy.UseRefresh:
		if s.Cache.Variant.Part != nil || !s.Cache.Variant.Body.InMemory() {
			s.state.hollow = true
			return
		}
		if s.inliner != nil && s.Request.Method != http.MethodHead && !s.inliner.Inline(s.Cache.Variant.Body.Size) {
			s.state.long = true
			return
		}
		if use == policy.UseRefresh {
			e.refresh(s)
		}
		s.CacheEnabled = s.Cache.Status == CacheStale
		e.finder.store.Hit(s.state.found, s.Cache.Variant)
		s.Cache.Tier = TierMemory
		e.deliver(s)
	case s.state.ask.Control.OnlyIfCached:
		e.fails(s, ErrUnsatisfied)
	}
}

// appendExtra adds a hook's part of the key, its length in front.
func appendExtra(b, extra []byte) []byte {
	n := len(extra)
	b = append(b, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	return append(b, extra...)
}

// bypass says that the store is not asked and nothing is stored.
func (s *Session) bypass(why policy.Reason) {
	s.Cache.Status, s.Cache.Reason, s.CacheEnabled = CacheBypass, why, false
}

// panicked ends a request whose hook panicked. The process goes on.
func (e *Engine) panicked(s *Session, value any) {
	err := &panicError{value: value, stack: debug.Stack()}
	e.log.Error("panic while a request was served", "panic", value, "stack", string(err.stack))
	s.Err = err
	s.state.delivered = true // the filter may be what panicked
	if s.ended || s.lane.Started() {
		s.fail(err)
		s.Cache.Reason = policy.HookPanic
		return
	}
	s.state.tail = s.state.tail[:0]
	s.state.view.Close = true
	e.refuse(s, http.StatusInternalServerError, policy.HookPanic)
}

// background runs a fetch, unless the engine is closing.
func (e *Engine) background(f func()) bool {
	return e.ctx.Err() == nil && e.crew.run(f)
}

// conclude is logging: last, exactly once for every request.
func (e *Engine) conclude(s *Session) {
	if s.logged {
		return
	}
	s.logged = true
	s.Timing.ResponseSent = e.nanos()
	s.trace.mark(PhaseLogging)
	for _, h := range e.hooks.logging {
		e.logOne(h, s)
	}
	if s.state.record == nil { // most fetches have no record of their own
		s.state.record = new(Record)
	}
	rec := s.state.record
	s.record(rec)
	e.metrics.observe(rec)
	e.explain.add(s, rec)
	if e.ghosts != nil {
		e.ghosts.tell(s)
	}
	if e.cfg.AccessLog != nil {
		e.cfg.AccessLog.Write(rec)
	}
}

func (e *Engine) logOne(h Logger, s *Session) {
	defer func() {
		if r := recover(); r != nil {
			e.log.Error("panic in a logging hook", "panic", r, "stack", string(debug.Stack()))
		}
	}()
	h.Logging(s, s.Err)
}

var _ Proxy = (*Engine)(nil)

// store is where objects are kept.
func (e *Engine) store() cachestore.Store { return e.finder.store }
