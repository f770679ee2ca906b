package edge

import (
	"context"

	"edgecache/cachestore"
	"edgecache/policy"
)

// wholeBytes is the largest body that is read from disk as a whole before its
// head goes out, so that both leave in one write. Of a larger one the first
// chunk is read before, the others while it is sent.
const wholeBytes = 1 << 20

// storedLooks bounds how often one request finds that what is stored cannot be
// read.
const storedLooks = 3

// serveStored looks the key up once more and answers with what the store has,
// from whatever tier; it may wait for the disk. Whatever cannot be read is
// forgotten, and the request is a miss.
func (e *Engine) serveStored(s *Session) (done bool) {
	st := &s.state
	for range storedLooks {
		gone := false
		if st.onDisk { // as an earlier look has found
			_, err := e.store().Load(s.Ctx, s.Cache.Key)
			gone = err != nil
		}
		use := e.finder.find(s, e.nanos())
		st.onDisk = st.onDisk && !gone
		switch {
		case st.onDisk:
			continue // it must be loaded, or came and went
		case use != policy.UseServe && use != policy.UseRefresh:
			if st.ask.Control.OnlyIfCached {
				e.fails(s, ErrUnsatisfied)
			}
			return s.ended
		case s.Cache.Variant.Part != nil:
			return e.serveParts(s, use)
		case s.Cache.Variant.Body.InMemory():
			e.serveFound(s, use)
			return true
		case e.serveBelow(s, use):
			return true
		}
	}
	s.Cache.Status, s.Cache.Reason, st.base = CacheMiss, policy.EvictedChunk, nil
	return false
}

// serveBelow answers with a variant whose body must be read from disk. False:
// it cannot be read, nothing went out, and it is forgotten.
func (e *Engine) serveBelow(s *Session, use policy.Use) (done bool) {
	l := e.store().Open(s.state.found, s.Cache.Variant)
	defer l.Close()
	first, ok := e.readAhead(s, l)
	if !ok {
		return false
	}
	if use == policy.UseRefresh {
		e.refresh(s)
	}
	s.CacheEnabled = s.Cache.Status == CacheStale
	e.store().Hit(s.state.found, s.Cache.Variant)
	e.sendBelow(s, l, first)
	return true
}

// readAhead reads what must be known to be good before the head goes out: a
// small body, of a larger one the first chunk that is wanted. It leaves the view
// of the answer in the session.
func (e *Engine) readAhead(s *Session, l *cachestore.Loan) (first []byte, ok bool) {
	v := s.Cache.Variant
	e.shape(s, v.Head, &v.Validators, v.Body.Size)
	view := &s.state.view
	var err error
	switch {
	case view.NoBody || view.From >= view.To:
	case v.Body.Size <= wholeBytes:
		if v, err = l.Whole(s.Ctx); err == nil {
			s.Cache.Variant = v
		}
	default:
		first, err = l.Chunk(s.Ctx, int(view.From/cachestore.ChunkSize))
	}
	s.Cache.Tier = TierDisk
	if err != nil {
		s.Cache.Tier = TierNone
		s.state.tail = s.state.tail[:0]
		e.forget(s.Ctx, s.Cache.Key, s.Cache.Variant)
		return nil, false
	}
	return first, true
}

// sendBelow sends what readAhead has prepared, the rest of the body chunk by
// chunk. A chunk that cannot be read breaks the answer visibly.
func (e *Engine) sendBelow(s *Session, l *cachestore.Loan, first []byte) {
	v, view := s.Cache.Variant, &s.state.view
	if first == nil {
		e.sendObject(s, v)
		return
	}
	if s.state.parts != nil {
		e.sendFrom(s, v.Head, loanSpans{s, l, 0})
		return
	}
	trailer := trailing(s, v.Body)
	if !e.sendHead(s, v.Head) {
		return
	}
	for at := view.From; at < view.To; {
		i := int(at / cachestore.ChunkSize)
		chunk := first
		if chunk == nil {
			var err error
			if chunk, err = l.Chunk(s.Ctx, i); err != nil {
				e.forget(s.Ctx, s.Cache.Key, v)
				s.fail(err)
				return
			}
		}
		first = nil
		p := chunk[at-int64(i)*cachestore.ChunkSize:]
		p = p[:min(int64(len(p)), view.To-at)]
		if err := s.send(p); err != nil {
			s.fail(clientGone(err))
			return
		}
		at += int64(len(p))
	}
	s.end(trailer)
}

// forget takes a variant out of the store whose body cannot be read. One that
// has come up to memory meanwhile stays.
func (e *Engine) forget(ctx context.Context, k policy.Key, v *cachestore.Variant) {
	for {
		res, err := e.store().Load(ctx, k)
		if err != nil {
			return
		}
		i := res.IndexOf(v.Body)
		if i < 0 || res.Variants[i].Body.InMemory() || e.store().Replace(k, res, res.Without(res.Variants[i])) {
			return
		}
	}
}
