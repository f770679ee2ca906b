package edge

import (
	"errors"
	"net/http"

	"edgecache/cachestore"
	"edgecache/edge/origin"
	"edgecache/policy"
	"edgecache/purge"
)

// maxRounds bounds the flights that one request follows before it goes alone.
const maxRounds = 3

// miss answers a request whose answer must be fetched: it follows a fetch that
// is on its way, or leads one. A body under GET goes up, so what comes back
// may be an answer to it and is not kept.
func (e *Engine) miss(s *Session) {
	if s.state.ask.Body {
		s.bypass(policy.FatGet)
		e.relay(s)
		return
	}
	s.fork()
	for {
		b := e.board(s)
		switch {
		case b.look:
			if e.serveStored(s) {
				return
			}
			continue
		case b.flight == nil:
			e.relay(s)
			return
		}
		if !e.ride(s, b) {
			return
		}
	}
}

// boarding is how a request got on: by a flight of its own (it leads), by
// another's, alone (no flight), or not at all, because the store has changed.
type boarding struct {
	flight *flight
	reader *cachestore.Reader
	leads  bool
	look   bool
}

// board joins a flight, or starts one. A HEAD only follows: what it would
// fetch could not be stored.
func (e *Engine) board(s *Session) boarding {
	st := &s.state
	if st.followed = false; s.Cache.Reason != policy.Collapsed {
		st.forward = s.lookupMissed()
	}
	sh := e.flights.shard(s.Cache.Key.Hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if !st.marked {
		if fl, r := sh.joinLocked(s, e); fl != nil {
			s.Cache.Reason = policy.Collapsed
			return boarding{flight: fl, reader: r}
		}
	}
	res, presence := e.store().Peek(s.Cache.Key)
	if (res != st.found || presence == cachestore.OnDisk) && st.looks < maxRounds {
		st.looks++ // a fetch has ended since the lookup: what it stored may do
		return boarding{look: true}
	}
	if s.Request.Method != http.MethodGet || st.marked {
		return boarding{} // nothing is kept of it: no flight is needed, and a part, or a 304, is enough
	}
	fl := e.newFlight(s, KindClient)
	if fl == nil {
		return boarding{}
	}
	fl.interim = make(chan interim, 8)
	r, err := fl.fill.Join()
	if err != nil || !e.background(func() { e.fly(fl) }) {
		e.ground(fl)
		return boarding{}
	}
	if !st.marked {
		sh.add(fl)
	}
	return boarding{flight: fl, reader: r, leads: true}
}

// ride waits for the head, and sends the answer if it is this client's. True
// asks for another flight: this one failed, may not be shared, was selected by
// other request values, or is older than a purge that this client has seen.
func (e *Engine) ride(s *Session, b boarding) (again bool) {
	fl := b.flight
	defer fl.leave(b.reader) // after a hook's panic, too: the fetch would wait for a reader that never reads
	if !e.waitHead(s, fl, b.leads) {
		e.fails(s, ErrClientGone)
		return false
	}
	if !b.leads {
		return e.follow(s, fl, b.reader)
	}
	o := &fl.out
	o.brief(s)
	switch {
	case o.err != nil:
		e.debrief(s, fl)
		e.failFetch(s, o.err)
		return false
	case o.piece != nil:
		if !o.shared {
			s.Cache.Unstored = o.why
		}
		s.Cache.Stored = o.shared
		return e.ridePiece(s, fl, b.reader, true)
	case !o.shared && !o.stale && s.state.ask.Has&policy.HasRange != 0 && o.variant.Head.Status == http.StatusOK:
		// The whole would come for the sake of a part, and not be kept.
		s.Cache.Unstored = o.why
		e.relayInstead(s, fl, b.reader)
		return false
	}
	s.Cache.Stored, s.state.own = o.shared && !o.stale, o.own
	if e.farRange(s, fl) {
		e.relayInstead(s, fl, b.reader)
		return false
	}
	if !e.serveFlight(s, fl, b.reader) {
		e.forsake(s)
		return true
	}
	e.debrief(s, fl)
	return false
}

// forsake forgets what a fetch told about itself whose answer, a stored one,
// could not be read: the request begins anew.
func (e *Engine) forsake(s *Session) {
	st := &s.state
	st.rounds++
	st.avoid, st.base = st.rounds >= maxRounds, nil
	e.disown(s)
	s.Cache.Status, s.Cache.Reason, s.Cache.Age, s.Cache.TTL = CacheMiss, policy.EvictedChunk, -1, 0
}

// disown takes back what brief has told a session of its fetch.
func (e *Engine) disown(s *Session) {
	s.Response, s.Peer, s.Upstream, s.plain, s.tried = nil, nil, nil, origin.Plain{}, s.tried[:0]
	s.RequestSent, s.ResponseReceived, s.Cache.Stored = false, false, false
	s.RetryCount, s.state.own, s.state.followed, s.state.followStatus = 0, nil, false, 0
	s.trace.forget()
}

// farRange says whether a Range begins so far behind what the fill has that a
// bounded request of its own is better than waiting for all before it.
func (e *Engine) farRange(s *Session, fl *flight) bool {
	o := &fl.out
	if s.state.ask.Has&policy.HasRange == 0 || o.whole || o.length < 0 || o.variant.Head.Status != http.StatusOK {
		return false
	}
	value, _ := s.Request.Fields.Get("Range")
	span, _, result := policy.ParseRange(value, o.length, e.limits.Ranges)
	return (result == policy.RangeOne || result == policy.RangeMany) && span.From > fl.fill.Written()+e.limits.Ahead
}

// relayInstead forgets what a fetch told about itself: the request for a part
// goes alone.
func (e *Engine) relayInstead(s *Session, fl *flight, r *cachestore.Reader) {
	fl.leave(r)
	e.disown(s)
	s.Cache.Reason, s.CacheEnabled = policy.Partial, false
	e.relay(s)
}

// follow is ride for those who do not lead.
func (e *Engine) follow(s *Session, fl *flight, r *cachestore.Reader) (again bool) {
	st, o := &s.state, &fl.out
	st.rounds++
	st.followed, st.followStatus = true, o.status()
	switch {
	case isAs[*filtered](o.err):
		st.avoid = true // a hook's answer is the answer to one request
		return true
	case o.err != nil && st.rounds >= maxRounds-1:
		e.failFetch(s, o.err)
		return false
	case o.err != nil:
		return true // one of those who waited takes the lead
	case !fl.suits(s):
		st.marked = st.marked || !o.shared
		st.avoid = st.rounds >= maxRounds
		return true
	case e.index.Covers(fl.key, o.variant.Tags, fl.seq).Strength != purge.None:
		st.avoid = st.rounds >= maxRounds
		return true
	case !fl.lasts(s, e.nanos()):
		st.avoid = true
		return true
	}
	if o.piece != nil {
		return e.ridePiece(s, fl, r, false)
	}
	if e.farRange(s, fl) {
		e.relayInstead(s, fl, r)
		return false
	}
	if !e.serveFlight(s, fl, r) {
		e.forsake(s)
		return true
	}
	return false
}

// waitHead waits for the flight's outcome, passing interim answers on to the
// leader's client. False: the client left first.
func (e *Engine) waitHead(s *Session, fl *flight, leads bool) bool {
	gone := s.lane.Gone()
	var early chan interim
	if leads {
		early = fl.interim
	}
	for {
		select {
		case <-fl.headed:
			e.drainInterim(s, early)
			return true
		case i := <-early:
			_ = s.lane.Interim(i.status, i.header) // a client that cannot be told is found out at the head
		case <-gone:
			return false
		}
	}
}

func (e *Engine) drainInterim(s *Session, early chan interim) {
	for {
		select {
		case i := <-early:
			_ = s.lane.Interim(i.status, i.header)
		default:
			return
		}
	}
}

// failFetch answers a request whose fetch failed: a hook's own answer, or an
// error.
func (e *Engine) failFetch(s *Session, err error) {
	var f *filtered
	if errors.As(err, &f) && (f.result.kind == resultReject || f.result.kind == resultRespond) {
		e.apply(s, f.phase, f.result)
		return
	}
	e.fails(s, err)
}

// brief tells the leader's session what the fetch knew at the head.
func (o *outcome) brief(s *Session) {
	s.Peer, s.Response, s.Upstream, s.plain = o.peer, o.response, o.upstream, o.plain
	s.RetryCount, s.RequestSent, s.ResponseReceived = o.retries, o.timing.UpstreamRequestSent != 0, o.response != nil
	s.Timing.takeUpstream(o.timing)
	s.trace.splice(o.trace.list())
}

// debrief waits for the end of a fetch whose whole answer the leader sent, and
// takes over what happened after the head, for the one log record. A client
// that has left, wanted only a part, or was answered by a hook is logged with
// what is known: for it nobody reads the body to its end.
func (e *Engine) debrief(s *Session, fl *flight) {
	part := s.state.view.NoBody || s.state.view.Status == http.StatusPartialContent || s.Cache.Reason == policy.Responded
	if fl.out.err == nil && (s.Err != nil || part) {
		return
	}
	fl.over.Wait()
	f := fl.fetch
	s.Timing.takeUpstream(f.Timing)
	s.Cache.Stored, s.Cache.Unstored = f.Cache.Stored, f.Cache.Unstored
	if s.UserCtx == nil {
		s.UserCtx = f.UserCtx
	}
}

// takeUpstream copies the upstream times.
func (t *Timing) takeUpstream(f Timing) {
	t.UpstreamConnect, t.UpstreamRequestSent = f.UpstreamConnect, f.UpstreamRequestSent
	t.UpstreamResponseStart, t.UpstreamResponseEnd = f.UpstreamResponseStart, f.UpstreamResponseEnd
}
