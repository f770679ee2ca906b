package edge

import (
	"errors"
	"net/http"
	"strconv"

	"edgecache/cachestore"
	"edgecache/policy"
)

// serveParts answers from a stored part of a representation, with what is
// missing of it fetched on the way. False: it cannot; the request is a miss, and
// nothing went out.
func (e *Engine) serveParts(s *Session, use policy.Use) (done bool) {
	v := s.Cache.Variant
	if s.Request.Method != http.MethodGet { // a HEAD is told of the whole (RFC 9111, 3.3)
		return e.partMissing(s)
	}
	if v.Part.Slices == 0 {
		return e.serveLone(s, use)
	}
	return e.serveSparse(s, use, run{})
}

// partMissing makes the request a miss for want of the part that it asks for.
func (e *Engine) partMissing(s *Session) (done bool) {
	c := &s.Cache
	c.Status, c.Reason, c.Age, c.TTL, c.Tier = CacheMiss, policy.Partial, -1, 0, TierNone
	s.CacheEnabled, s.state.base = true, nil
	s.state.tail = s.state.tail[:0]
	if s.state.ask.Control.OnlyIfCached {
		e.fails(s, ErrUnsatisfied)
	}
	return s.ended
}

// serveSparse answers from a sparse object; first is already open, if it is. The
// first bytes are there before the head goes out, so until then the request can
// begin anew.
func (e *Engine) serveSparse(s *Session, use policy.Use, first run) (done bool) {
	c := &s.Cache
	v := c.Variant
	p := &sparse{e: e, s: s, of: v, by: c.Key, first: first}
	defer func() { p.first.close() }()
	e.shape(s, v.Head, &v.Validators, v.Part.Total)
	view := &s.state.view
	if !view.NoBody && view.From < view.To {
		if c.Status != CacheMiss && p.absent(view.From, view.To) {
			c.Status, c.Reason = CacheMiss, policy.Partial
		}
		next, err := p.seek(view.From, view.To)
		if err != nil {
			return e.sparseFailed(s, v, err)
		}
		p.first = next
		switch {
		case next.loan != nil:
			c.Tier = tierOf(next.loan)
		case c.Reason == policy.Partial && !p.asked:
			c.Reason = policy.Collapsed
		}
	}
	if use == policy.UseRefresh {
		e.refresh(s)
	}
	s.CacheEnabled = c.Status != CacheHit
	if s.state.found != nil {
		e.store().Hit(s.state.found, v)
	}
	if !e.sendHead(s, v.Head) {
		return true
	}
	if err := s.sendWanted(p); err != nil {
		if errors.Is(err, errChanged) {
			e.dropSparse(s, v)
		}
		s.lost(err)
		s.fail(err)
		return true
	}
	s.end(nil)
	return true
}

func tierOf(l *cachestore.Loan) Tier {
	if l.OnDisk() {
		return TierDisk
	}
	return TierMemory
}

// sparseFailed answers for a first slice that could not be had.
func (e *Engine) sparseFailed(s *Session, v *cachestore.Variant, err error) (done bool) {
	if errors.Is(err, errChanged) {
		e.dropSparse(s, v)
		s.state.rounds++
		s.state.whole = s.state.rounds >= maxRounds
		e.disown(s)
		return e.partMissing(s)
	}
	if errors.Is(err, errUnsteady) {
		s.state.avoid = true
		e.disown(s)
		return e.partMissing(s)
	}
	s.state.tail = s.state.tail[:0]
	e.failFetch(s, err)
	return true
}

// dropSparse takes a sparse object out of the store that is not the origin's any
// more: it starts anew.
func (e *Engine) dropSparse(s *Session, v *cachestore.Variant) {
	e.swap(s.Cache.Key, v, nil)
	e.shed(s.Cache.Key, v.Part)
}

// serveLone answers from a stored part to which no other can be joined.
func (e *Engine) serveLone(s *Session, use policy.Use) (done bool) {
	v := s.Cache.Variant
	if !e.shapePart(s, v, v.Part.From+v.Body.Size) {
		return e.partMissing(s)
	}
	l := e.store().Open(s.state.found, v)
	defer l.Close()
	view := &s.state.view
	if !view.NoBody {
		if _, err := l.Chunk(s.Ctx, int((view.From-v.Part.From)/cachestore.ChunkSize)); err != nil {
			e.forget(s.Ctx, s.Cache.Key, v)
			return e.partMissing(s)
		}
	}
	if use == policy.UseRefresh {
		e.refresh(s)
	}
	s.Cache.Tier, s.CacheEnabled = tierOf(l), s.Cache.Status == CacheStale
	e.store().Hit(s.state.found, v)
	e.sendFrom(s, v.Head, loanSpans{s, l, v.Part.From})
	return true
}

// shapePart decides how a part that ends before end answers the request. False:
// it has not all that is wanted.
func (e *Engine) shapePart(s *Session, v *cachestore.Variant, end int64) (ok bool) {
	st, p := &s.state, v.Part
	size := p.Total
	switch {
	case size < 0 && p.ToEnd:
		size = end
	case size < 0:
		size = maxOffset
	}
	e.shape(s, v.Head, &v.Validators, size)
	view := &st.view
	switch {
	case view.Status == http.StatusNotModified || view.Status == http.StatusPreconditionFailed:
		return true
	case view.Status != http.StatusPartialContent || st.parts != nil || view.From < p.From || view.To > end:
		st.tail, st.parts = st.tail[:0], nil
		return false
	}
	if p.Total < 0 { // how long the whole is nobody knows
		st.tail = st.tail[:0]
		st.value(nameContentRange, func(b []byte) []byte {
			b = strconv.AppendInt(append(b, "bytes "...), view.From, 10)
			b = strconv.AppendInt(append(b, '-'), view.To-1, 10)
			return append(b, "/*"...)
		})
	}
	return true
}

// shapeAsIs passes a part on to the client whose very range was asked for: what
// the origin made of it is the answer, and its Content-Range, too.
func (e *Engine) shapeAsIs(s *Session, v *cachestore.Variant, o *outcome) {
	st := &s.state
	size := o.piece.to - o.piece.from
	e.shape(s, v.Head, &v.Validators, -1)
	if view := &st.view; view.Status == http.StatusOK {
		view.Status, view.From, view.To, view.Length = http.StatusPartialContent, o.piece.from, o.piece.to, size
		st.value(nameContentRange, func(b []byte) []byte {
			return append(b, o.response.Header.Get("Content-Range")...)
		})
	}
}

// ridePiece answers from a part that arrives. True asks for another flight.
func (e *Engine) ridePiece(s *Session, fl *flight, r *cachestore.Reader, leads bool) (again bool) {
	o := &fl.out
	v, now := o.variant, e.nanos()
	s.Cache.Variant, s.Cache.TTL = v, 0
	if o.response != nil && len(o.response.Header["Age"]) > 0 {
		s.Cache.Age = seconds(v.Life.Age(now))
	}
	if o.shared {
		s.Cache.TTL = remaining(&v.Life, now)
	}
	got := run{piece: *o.piece, flight: fl, reader: r}
	if o.shared && v.Part.Slices != 0 {
		if e.serveSparse(s, policy.UseServe, got) {
			return false
		}
		e.forsake(s)
		return true
	}
	switch {
	case leads && fl.wish.is(s):
		e.shapeAsIs(s, v, o)
	case !e.shapePart(s, v, o.piece.to):
		if leads {
			e.relayInstead(s, fl, r)
			return false
		}
		s.state.avoid = s.state.rounds >= maxRounds
		return true
	}
	e.sendFrom(s, v.Head, &fillSpans{s: s, r: r, begin: o.piece.from})
	return false
}
