package edge

import (
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"

	"edgecache/cachestore"
	"edgecache/policy"
	"edgecache/purge"
)

// Forker is a user context that a fetch gets a copy of; any other is shared by
// the client's session and the fetch's, and must be safe for two goroutines.
type Forker interface{ Fork() any }

// fork prepares the user context of a fetch that the session may lead. It runs
// code of a hook's, so it comes before any lock.
func (s *Session) fork() {
	s.state.forked = s.UserCtx
	if forker, ok := s.UserCtx.(Forker); ok {
		s.state.forked = forker.Fork()
	}
}

// takeOff takes one of the places of fetches that may run at once; over the
// limit a request goes alone and is not stored.
func (e *Engine) takeOff() bool { return e.flying.take(int64(e.limits.Fetches)) }

func (e *Engine) landed() { e.flying.give() }

// newFlight makes a fetch for a session's request, nil when too many run.
func (e *Engine) newFlight(s *Session, kind Kind) *flight {
	fl := e.flightOf(s, s.Cache.Key.Clone(), kind)
	if fl == nil {
		return nil
	}
	if fl.wish = e.wish(s); fl.wish != nil {
		fl.fetch.state.ask.Has |= policy.HasRange
	}
	return fl
}

// flightOf makes a fetch of what is stored under a key, nil when too many run. Its
// purge number is read here, before anything goes up. It flies or is ground.
func (e *Engine) flightOf(s *Session, key policy.Key, kind Kind) *flight {
	if !e.takeOff() {
		return nil
	}
	all := new(struct { // in one piece: they begin together, and nothing of them stays
		flight flight
		fetch  Session
		fill   cachestore.Fill
	})
	fl := &all.flight
	fl.key, fl.base, fl.fetch, fl.fill = key, s.state.base, &all.fetch, &all.fill
	fl.headed = make(chan struct{})
	fl.over.Add(1)
	e.copySession(fl.fetch, s, key, kind)
	fl.fill.Prepare(cachestore.FillConfig{Ahead: e.limits.Ahead, Limit: e.limits.Object, Account: e.store().Account()})
	fl.seq, fl.end = e.index.Begin()
	return fl
}

// ground gives up a flight that does not fly.
func (e *Engine) ground(fl *flight) {
	fl.end.End()
	e.landed()
}

// copySession makes the zero f the session of a fetch: a deep copy of the request, nothing
// of the lane. It gets the whole, whatever the client does with it.
func (e *Engine) copySession(f, s *Session, k policy.Key, kind Kind) {
	f.engine, f.Kind, f.CacheEnabled, f.route, f.UserCtx, f.Scheme = e, kind, true, s.route, s.state.forked, s.Scheme
	f.copyRequest(s)
	f.Cache = CacheResult{Key: k, Status: s.Cache.Status, Reason: s.Cache.Reason, Age: -1}
	f.Timing.RequestStart = s.Timing.RequestStart
	f.Request.Method = http.MethodGet
	f.state.ask.Read(f.Request.Method, f.Request.Fields, &s.route.Rules)
	f.state.ask.HeadBytes = s.state.ask.HeadBytes
}

// copyRequest copies the request of another session, so that it outlives the lane's
// buffer: all in one block, without a body.
func (s *Session) copyRequest(o *Session) {
	r := &o.Request
	n := len(r.Host) + len(r.Path) + len(r.Query) + len(o.Client) + len(o.ID)
	for _, f := range r.Fields {
		n += len(f.Name) + len(f.Value)
	}
	block := make([]byte, 0, n)
	keep := func(b []byte) []byte {
		at := len(block)
		block = append(block, b...)
		return block[at:len(block):len(block)]
	}
	c := &s.Request
	*c = *r
	c.Body, c.Length = nil, 0
	c.Host, c.Path, c.Query, s.Client, s.ID = keep(r.Host), keep(r.Path), keep(r.Query), keep(o.Client), keep(o.ID)
	c.Fields = make(policy.Fields, len(r.Fields))
	for i, f := range r.Fields {
		c.Fields[i] = policy.Field{Name: keep(f.Name), Value: keep(f.Value)}
	}
}

// fly is the fetch's goroutine: ask, judge, take the body in, store it. What
// happens to those who read along does not touch it.
func (e *Engine) fly(fl *flight) {
	s := fl.fetch
	e.leashes.Tie(&fl.leash)
	s.Ctx = &fl.leash
	defer func() {
		if r := recover(); r != nil {
			err := &panicError{value: r, stack: debug.Stack()}
			e.log.Error("panic in a fetch", "panic", r, "stack", string(err.stack))
			e.lose(fl, err)
		}
		fl.leash.Untie()
		e.flights.remove(fl)
		fl.end.End()
		s.releaseBuffers()
		e.landed()
		fl.over.Done()
	}()
	res, err := e.ask(s, &question{shared: true, base: fl.base, wish: fl.wish, interim: fl})
	if err == nil && res.StatusCode == http.StatusNotModified {
		res.Body.Close()
		if e.confirm(fl, res) {
			return
		}
		// The stored answer was purged while it was being validated, or the
		// 304 is about another one.
		e.renew(fl)
		fl.base, s.tried = nil, s.tried[:0]
		res, err = e.ask(s, &question{shared: true, wish: fl.wish, interim: fl})
	}
	if err != nil {
		if !e.fallBack(fl, err) {
			e.lose(fl, err)
		}
		return
	}
	defer res.Body.Close()
	if policy.Fails(res.StatusCode) {
		if e.fallBack(fl, nil) {
			return
		}
	} else if fl.base != nil {
		fl.base.Recover()
	}
	if fl.wish != nil {
		if res = e.receivePart(fl, res); res == nil {
			return
		}
	}
	e.receive(fl, res)
}

// lose ends a flight that has no answer, or whose answer broke off.
func (e *Engine) lose(fl *flight, err error) {
	fl.fetch.Err = err
	fl.fill.Abort(err)
	if fl.fetch.ResponseReceived && fl.fetch.Timing.UpstreamResponseEnd == 0 {
		fl.fetch.Timing.UpstreamResponseEnd = e.nanos()
	}
	if fl.known() {
		fl.fetch.Cache.Unstored = policy.Aborted
	} else {
		e.flights.remove(fl)
		fl.publish(outcome{err: err})
	}
}

// confirm takes a 304: the stored answer's fields are brought up to date and
// it is fresh again, if no purge has made it unusable since (RFC 9111, 4.3.4).
func (e *Engine) confirm(fl *flight, res *http.Response) bool {
	s, base := fl.fetch, fl.base
	cover := e.index.Covers(fl.key, base.Tags, base.Checked())
	if cover.Strength == purge.Hard || cover.Seq > fl.seq || !policy.Freshens(&base.Validators, res.Header) {
		return false
	}
	rules := &s.route.Rules
	merged := policy.Merge(base.Head.Header(), res.Header, rules)
	d := e.decide(s, base.Head.Status, merged, false)
	if d.Store && !slices.Equal(d.Vary, base.Vary) {
		return false // it was not selected by what the origin now varies by
	}
	if e.settleKey(fl, merged, d.Store); d.Store && !fl.keep.Equal(fl.key) {
		return false // it would be looked for elsewhere now
	}
	for _, name := range d.Strip {
		merged.Del(name)
	}
	s.Status = res.StatusCode
	renewal := cachestore.Renewal{
		Head: cachestore.NewHead(base.Head.Status, merged, e.hidden), Life: d.Life,
		Tags: unite(base.Tags, d.Tags), PurgeSeq: fl.seq, SharedAuth: d.SharedAuth,
		Validators: validators(merged), StoredAt: e.nanos(),
	}
	v := base.With(renewal)
	s.Timing.UpstreamResponseEnd = e.nanos()
	if d.Store {
		s.trace.mark(PhaseCacheStore)
		if stored := e.swap(fl.key, base, &renewal); stored != nil {
			v, s.Cache.Stored = stored, true
		}
	} else {
		e.swap(fl.key, base, nil)
		s.Cache.Unstored = d.Why
	}
	fl.fill.Abort(ErrLost) // nobody reads it: the body is the base's
	fl.publish(outcome{variant: v, whole: true, shared: d.Store, why: policy.Revalidated, length: v.Body.Size, private: e.authorizedFetch(s)})
	return true
}

// swap renews base in whatever is stored under the key now, and returns what is
// stored in its place; nil takes base out. It gives up, with nil, when base is no
// longer there. It may wait for the disk.
func (e *Engine) swap(k policy.Key, base *cachestore.Variant, n *cachestore.Renewal) (stored *cachestore.Variant) {
	for {
		res, err := e.store().Load(e.ctx, k)
		if err != nil {
			return nil
		}
		// A sweep may have replaced the base by one with a shorter life, and its
		// body may have left memory, or come up to it.
		i := res.IndexOf(base.Body)
		if i < 0 {
			return nil
		}
		old := res.Variants[i]
		next := res.Without(old)
		if n != nil {
			if !old.Body.InMemory() && base.Body.InMemory() {
				old = base
			}
			stored = old.With(*n)
			next = next.With(stored)
		}
		if e.store().Replace(k, res, next) {
			return stored
		}
	}
}

// fallBack serves what is stored in place of a failure, if its life allows it:
// stale-if-error (RFC 5861, 4), or a dead origin (RFC 9111, 4.2.4). err nil is
// an answer with a 5xx status. The origin is not asked again at once.
func (e *Engine) fallBack(fl *flight, err error) bool {
	base, now := fl.base, e.nanos()
	if base == nil || errors.Is(err, ErrRequestFiltered) || isAs[*hookError](err) || isAs[*panicError](err) {
		return false
	}
	base.SetBack(now, err != nil)
	life := base.Life
	cover := e.index.Covers(fl.key, base.Tags, base.Checked())
	switch cover.Strength {
	case purge.None:
	case purge.Soft:
		life = life.Soften(min(cover.SoftAt, now), e.finder.window)
	default:
		return false
	}
	why, ok := policy.StandIn(&fl.fetch.state.ask, &life, now, err != nil)
	if !ok {
		return false
	}
	if fl.fetch.Kind == KindRefresh { // nobody waits for it: what is stored stays
		if err == nil {
			err = fmt.Errorf("%w: status %d", ErrBadUpstream, fl.fetch.Response.StatusCode)
		}
		e.lose(fl, err)
		return true
	}
	fl.fetch.Cache.Unstored = why
	fl.fetch.Err = err
	fl.fill.Abort(ErrLost)
	fl.publish(outcome{variant: base, whole: true, shared: true, stale: true, life: life, why: why, length: base.Body.Size, private: e.authorizedFetch(fl.fetch)})
	return true
}

func (e *Engine) authorizedFetch(s *Session) bool {
	return s.state.ask.Has&policy.HasAuthorization != 0
}

// unite joins the tags of an old and a new head: until the next 200 a purge of
// either reaches the object.
func unite(old, new []uint64) []uint64 {
	all := append(slices.Clone(old), new...)
	slices.Sort(all)
	return slices.Compact(all)
}

// validators reads what conditionals compare with.
func validators(h http.Header) policy.Validators {
	v := policy.Validators{}
	tag, at := h.Get("Etag"), h.Get("Last-Modified")
	both := append(append(make([]byte, 0, len(tag)+len(at)), tag...), at...)
	if n := len(tag); n > 0 {
		v.ETag = both[:n:n]
	}
	if at != "" {
		v.LastModified = both[len(tag):]
		if t, ok := policy.ParseDate(at); ok {
			v.Modified = t.Unix()
		}
	}
	if t, ok := policy.ParseDate(h.Get("Date")); ok {
		v.Date = t.Unix()
	}
	return v
}
