package edge

import (
	"errors"
	"io"

	"edgecache/cachestore"
	"edgecache/policy"
)

// serveFlight sends the flight's answer to this client, from the fill while it
// arrives, or from the store when the stored body is whole. False: that could
// not be read, and nothing went out.
func (e *Engine) serveFlight(s *Session, fl *flight, r *cachestore.Reader) (served bool) {
	o := &fl.out
	v := o.variant
	s.Cache.Variant = v
	now := e.nanos()
	if o.whole {
		e.landOutcome(s, o, now)
		return e.serveWhole(s, fl.key, v)
	}
	if o.response != nil && len(o.response.Header["Age"]) > 0 {
		s.Cache.Age = seconds(v.Life.Age(now))
	}
	s.Cache.Unstored, s.Cache.TTL = policy.None, remaining(&v.Life, now)
	if !o.shared {
		s.Cache.Unstored, s.Cache.TTL = o.why, 0
	}
	e.stream(s, v, o.length, r)
	return true
}

// serveWhole sends a stored answer that was confirmed, or that stands in for a
// failure.
func (e *Engine) serveWhole(s *Session, k policy.Key, v *cachestore.Variant) (served bool) {
	if v.Part != nil {
		return e.serveParts(s, policy.UseServe)
	}
	if v.Body.InMemory() {
		s.Cache.Tier = TierMemory
		e.deliver(s)
		return true
	}
	l := e.store().Open(&cachestore.Resource{Key: k}, v)
	defer l.Close()
	first, ok := e.readAhead(s, l)
	if ok {
		e.sendBelow(s, l, first)
	}
	return ok
}

// landOutcome fills in the cache result of an answer that a validation or a
// failure gave: revalidated, or stale.
func (e *Engine) landOutcome(s *Session, o *outcome, now int64) {
	c := &s.Cache
	c.Reason = o.why
	if o.stale {
		c.Status = CacheStale
	}
	c.Age = seconds(o.variant.Life.Age(now))
	c.TTL = remaining(&o.variant.Life, now)
}

// remaining is what is left of a life's freshness in whole seconds, below zero
// when it is over.
func remaining(l *policy.Life, now int64) int64 { return seconds(l.Fresh - l.Age(now)) }

// stream sends head and body as they arrive.
func (e *Engine) stream(s *Session, v *cachestore.Variant, length int64, r *cachestore.Reader) {
	e.shape(s, v.Head, &v.Validators, length)
	view := &s.state.view
	if st := &s.state; st.parts != nil {
		if st.parts.rising() {
			e.sendFrom(s, v.Head, &fillSpans{s: s, r: r})
			return
		}
		st.parts, view.Status, view.From, view.To, view.Length = nil, v.Head.Status, 0, length, length // the whole: there is no way back
	}
	if !e.sendHead(s, v.Head) {
		return
	}
	if view.NoBody {
		s.end(nil)
		return
	}
	e.pump(s, r, view)
}

// sendHead begins an answer that shape has prepared and whose body follows. False:
// the answer is over, a filter's or broken.
func (e *Engine) sendHead(s *Session, h *cachestore.Head) (goesOn bool) {
	view := &s.state.view
	if s.state.own != nil {
		h = s.state.own
	}
	head := e.filterDelivery(s, s.outerHead(h), view)
	if s.ended {
		return false
	}
	e.writeTail(s, view)
	s.Status = view.Status
	if err := s.lane.SendHead(head, view); err != nil {
		s.fail(clientGone(err))
		return false
	}
	return true
}

// sendFrom sends the head that shape has prepared, and what is wanted behind it.
func (e *Engine) sendFrom(s *Session, h *cachestore.Head, from spanSource) {
	if !e.sendHead(s, h) {
		return
	}
	if err := s.sendWanted(from); err != nil {
		s.lost(err)
		s.fail(err)
		return
	}
	s.end(nil)
}

// pump copies the wanted bytes of the fill to the client.
func (e *Engine) pump(s *Session, r *cachestore.Reader, view *View) {
	r.Skip(view.From)
	left := view.To - view.From
	if view.Length < 0 {
		left = -1
	}
	for left != 0 {
		if !r.Ready() {
			if err := s.lane.Flush(); err != nil {
				s.fail(clientGone(err))
				return
			}
		}
		p, err := r.Next(s.Ctx)
		if err == io.EOF {
			break
		}
		if err != nil {
			s.lost(err)
			s.fail(err)
			return
		}
		if left >= 0 && int64(len(p)) > left {
			p = p[:left]
		}
		if err := s.send(p); err != nil {
			s.fail(clientGone(err))
			return
		}
		if left > 0 {
			left -= int64(len(p))
		}
	}
	if left > 0 {
		s.fail(io.ErrUnexpectedEOF)
		return
	}
	s.end(r.Trailer())
}

// lost notes that the fetch broke off, unless it was this reader that did.
func (s *Session) lost(err error) {
	if errors.Is(err, cachestore.ErrSlow) || errors.Is(err, cachestore.ErrChunkGone) || errors.Is(err, ErrClientGone) {
		return
	}
	s.Cache.Stored = false
	if s.Cache.Unstored == policy.None {
		s.Cache.Unstored = policy.Aborted
	}
}

// clientGone marks an error of the client's side.
func clientGone(err error) error { return errors.Join(ErrClientGone, err) }
