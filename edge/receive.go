package edge

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"time"

	"edgecache/cachestore"
	"edgecache/policy"
	"edgecache/purge"
)

// receive takes an answer in: it is judged, its head is published, its body
// runs through the fill, and in the end it is stored, if it may be.
func (e *Engine) receive(fl *flight, res *http.Response) {
	s := fl.fetch
	d := e.decide(s, res.StatusCode, res.Header, closeDelimited(s.Request.Method, res))
	length := res.ContentLength
	if !bodyAllowed(s.Request.Method, res.StatusCode) {
		length = 0
	}
	s.Status = res.StatusCode
	e.settleKey(fl, res.Header, d.Store)
	var w cachestore.Writer
	if d.Store {
		w = e.store().Begin(fl.keep, cachestore.Meta{Length: length})
		if err := w.Chunk(nil); err != nil {
			w.Abort()
			d.Store, d.Why, w = false, refusal(err), nil
		}
	}
	own := e.ownHead(s, res, &d)
	v := e.variant(fl, res, &d)
	e.mark(fl, &d, v)
	e.arrive(fl, res, arrival{show: v, keep: v, writer: w, why: d.Why, own: own})
}

// ownHead is the head for the client that caused the fetch, where it is not
// everybody's: what private="…" and no-cache="…" list is for that client, and not
// stored (RFC 9111, 5.2.2.4 and 5.2.2.7). nil: there is no such field.
func (e *Engine) ownHead(s *Session, res *http.Response, d *policy.Decision) *cachestore.Head {
	var taken []string // by the route
	if s.route.Rules.SetCookie == policy.SetCookieStrip {
		taken = []string{"Set-Cookie", "Set-Cookie2"}
	}
	listed := slices.ContainsFunc(d.Strip, func(name string) bool {
		return len(res.Header[name]) > 0 && !slices.Contains(taken, name)
	})
	if !listed {
		return nil
	}
	own := res.Header.Clone()
	for _, name := range taken {
		own.Del(name)
	}
	return cachestore.NewHead(res.StatusCode, own, e.hidden)
}

// arrival is an answer whose head is judged.
type arrival struct {
	show   *cachestore.Variant // what those who wait are told
	keep   *cachestore.Variant // what is stored when the body is whole
	writer cachestore.Writer   // that stores it; nil: it is not stored
	why    policy.Reason       // why not
	piece  *piece              // where in the representation the body lies; nil: it is all of it
	own    *cachestore.Head    // for the client that caused it; nil: show's
	also   policy.Key          // of the slice that it brings, when it was not asked for as that
}

// arrive publishes the head, and takes the body in.
func (e *Engine) arrive(fl *flight, res *http.Response, a arrival) {
	s, length := fl.fetch, res.ContentLength
	if !bodyAllowed(s.Request.Method, res.StatusCode) {
		length = 0
	}
	if a.writer != nil {
		s.trace.mark(PhaseCacheStore)
		fl.fill.Keep(a.writer)
	} else {
		s.Cache.Unstored = a.why
		e.dropBase(fl, res.StatusCode, a.why)
		e.flights.remove(fl)
	}
	fl.fill.Expect(length)
	fl.publish(outcome{
		variant: a.show, shared: a.writer != nil, why: a.why, length: length, piece: a.piece,
		private: e.authorizedFetch(s), own: a.own,
	})
	if len(a.also.Full) > 0 && a.writer != nil {
		e.flights.addAlso(fl, a.also)
	}
	e.takeIn(fl, res, a.keep, a.writer != nil)
}

func refusal(err error) policy.Reason {
	if errors.Is(err, cachestore.ErrTooLarge) {
		return policy.TooLarge
	}
	return policy.TierRefused
}

// decide judges an answer and lets the hooks shorten or forbid.
func (e *Engine) decide(s *Session, status int, h http.Header, cut bool) policy.Decision {
	times := policy.Times{RequestAt: s.Timing.UpstreamRequestSent, ResponseAt: s.Timing.UpstreamResponseStart}
	d := policy.Judge(&s.state.ask, &s.route.Rules, &policy.Response{Status: status, Header: h, CloseDelimited: cut}, s.URL(), times)
	if d.Store && !s.CacheEnabled {
		d.Store, d.Why = false, policy.Hook
	}
	if !d.Store {
		return d
	}
	for _, hook := range e.hooks.store {
		mine := d
		err := hook.CacheStore(s, &mine)
		if err != nil || !mine.Store {
			d.Store, d.Why = false, policy.Hook
			return d
		}
		d.Life = shorter(d.Life, mine.Life)
	}
	return d
}

// shorter is a life that a hook may have cut, and never made longer.
func shorter(l, mine policy.Life) policy.Life {
	l.Fresh, l.SWR = min(l.Fresh, mine.Fresh), min(l.SWR, mine.SWR)
	l.SIE, l.Dead = min(l.SIE, mine.SIE), min(l.Dead, mine.Dead)
	l.NoCache, l.MustRevalidate = l.NoCache || mine.NoCache, l.MustRevalidate || mine.MustRevalidate
	l.Immutable = l.Immutable && mine.Immutable
	return l
}

// variant is the answer as it would be stored, without its body.
func (e *Engine) variant(fl *flight, res *http.Response, d *policy.Decision) *cachestore.Variant {
	for _, name := range d.Strip {
		res.Header.Del(name)
	}
	return &cachestore.Variant{
		Head: cachestore.NewHead(res.StatusCode, res.Header, e.hidden),
		Life: d.Life, Vary: d.Vary, Tags: d.Tags, PurgeSeq: fl.seq, SharedAuth: d.SharedAuth,
		Selector:   policy.AppendSelector(nil, d.Vary, &fl.fetch.state.ask),
		Validators: validators(res.Header), StoredAt: e.nanos(),
	}
}

// mark leaves a hit-for-miss marker for an answer that may not be stored, so
// that the next requests do not wait for each other; one that may be removes it.
func (e *Engine) mark(fl *flight, d *policy.Decision, v *cachestore.Variant) {
	if e.cfg.HitForMiss < 0 || aboutOne(d.Why) {
		return
	}
	if d.Store {
		e.finder.markers.Remove(fl.key)
		return
	}
	e.finder.markers.Put(fl.key, cachestore.Marker{
		Vary: v.Vary, Selector: v.Selector, PurgeSeq: fl.seq,
		Until: e.nanos() + int64(e.cfg.HitForMiss),
	})
}

// aboutOne says whether an answer is not stored because of the one request that
// it was for: that tells nothing about the next one.
func aboutOne(why policy.Reason) bool {
	switch why {
	case policy.ErrorToRange, policy.ErrorToLongHead, policy.Authorization, policy.CookieRequest, policy.ClientNoStore:
		return true
	}
	return false
}

// dropBase takes the stored answer out when the origin has replaced it by one
// that may not be stored, or says that there is none. Any other error leaves
// it, and an answer that was meant for one client.
func (e *Engine) dropBase(fl *flight, status int, why policy.Reason) {
	gone := status < 400 || status == http.StatusNotFound || status == http.StatusGone
	if fl.base != nil && gone && !aboutOne(why) {
		e.swap(fl.key, fl.base, nil)
	}
}

// takeIn reads the body into the fill and stores it when it is whole.
func (e *Engine) takeIn(fl *flight, res *http.Response, v *cachestore.Variant, keep bool) {
	s := fl.fetch
	var alone orphan
	for {
		if alone.crawls(fl.fill, e.nanos()) {
			e.lose(fl, errCrawls)
			return
		}
		space, err := fl.fill.Space(s.Ctx)
		if err != nil {
			e.lose(fl, err)
			return
		}
		n, err := res.Body.Read(space)
		if n > 0 {
			fl.fill.Advance(n)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			if fl.base != nil && s.Ctx.Err() == nil {
				fl.base.SetBack(e.nanos(), true)
			}
			e.lose(fl, err)
			return
		}
	}
	s.Timing.UpstreamResponseEnd = e.nanos()
	if _, err := fl.fill.Finish(e.trailer(s, res.Trailer)); err != nil {
		e.lose(fl, err)
		return
	}
	if keep {
		e.commit(fl, v)
	}
}

// commit stores a whole answer, unless a purge came while it was on its way.
func (e *Engine) commit(fl *flight, v *cachestore.Variant) {
	s := fl.fetch
	kept, why := fl.fill.Kept()
	switch {
	case !kept:
		s.Cache.Unstored = refusal(why)
	case e.index.Covers(fl.storedUnder(), v.Tags, fl.seq).Strength != purge.None:
		fl.fill.Discard()
		s.Cache.Unstored = policy.Purged
	default:
		if err := fl.fill.Commit(v); err != nil {
			s.Cache.Unstored = refusal(err)
			return
		}
		s.Cache.Stored = true
	}
}

// What a fetch must bring that nobody reads any more: bytes a second, after a
// while. It holds a place among the fetches and keeps purges from being swept.
const (
	orphanRate  = 1 << 10
	orphanGrace = int64(time.Minute)
)

var errCrawls = errors.New("nobody reads the fetch and the origin hardly sends")

// orphan watches a fetch for the time in which it has no reader.
type orphan struct{ since, written int64 }

// crawls says whether the fetch has been too slow for too long.
func (o *orphan) crawls(f *cachestore.Fill, now int64) bool {
	if f.Readers() > 0 {
		o.since = 0
		return false
	}
	if o.since == 0 {
		o.since, o.written = now, f.Written()
		return false
	}
	span := now - o.since
	return span > orphanGrace && (f.Written()-o.written) < orphanRate*(span/int64(time.Second))
}
