package edge

import (
	"sync/atomic"
	"time"

	"edgecache/cachestore"
	"edgecache/policy"
	"edgecache/purge"
)

// finder is cache_lookup: it finds what is stored under a request's key and
// says whether it may be used. It has no origin and never blocks.
type finder struct {
	store    cachestore.Store
	index    *purge.Index
	markers  *cachestore.Markers
	seed     policy.Seed
	window   time.Duration // of a soft purge
	searches *searches
	spared   atomic.Int64 // questions to an origin that had failed just before
}

// key builds the request's primary key in the session's buffers.
func (f *finder) key(s *Session) {
	st := &s.state
	st.extra = s.route.Rules.Key.Extra(st.extra, s.Request.Fields)
	s.Cache.Key, st.key = f.searchedKey(s, st.key[:0], f.searchRule(s))
}

// find looks the key up and decides: served, served stale, or asked for. It
// sets the session's cache result.
func (f *finder) find(s *Session, now int64) policy.Use {
	st := &s.state
	c := &s.Cache
	c.Status, c.Reason, c.Age, c.Variant = CacheMiss, policy.URIMiss, -1, nil
	st.base, st.found, st.soft, st.marked = nil, nil, false, false
	res, presence := f.store.Peek(c.Key)
	st.onDisk, st.hollow = presence == cachestore.OnDisk, false
	switch presence {
	case cachestore.Absent:
		st.marked = f.marked(s, now)
		return policy.UseNot
	case cachestore.OnDisk:
		return policy.UseNot // until it is loaded
	}
	v, selector := res.Select(&st.ask, st.selector[:0])
	st.selector, st.found = selector, res
	if v == nil {
		c.Reason = policy.VaryMiss
		st.marked = f.marked(s, now)
		return policy.UseNot
	}
	if st.ask.Has&policy.HasAuthorization != 0 && !v.SharedAuth {
		c.Reason = policy.Authorization
		return policy.UseNot
	}
	return f.judge(s, v, now)
}

// judge says whether a matching variant may be used now: purges first, then
// freshness and what the client asks (RFC 9111, 4).
func (f *finder) judge(s *Session, v *cachestore.Variant, now int64) policy.Use {
	st, c := &s.state, &s.Cache
	st.life = v.Life
	cover := f.covers(c.Key, v)
	switch cover.Strength {
	case purge.Hard:
		c.Reason, st.purged = policy.Purged, true
		st.marked = f.marked(s, now) // nothing is stored any more that it could hide
		return policy.UseNot
	case purge.Revalidate:
		c.Reason, st.base, c.Variant, st.purged = policy.Purged, v, v, true
		return policy.UseValidate
	case purge.Soft:
		st.life, st.soft = v.Life.Soften(min(cover.SoftAt, now), f.window), true
	}
	use, why := policy.Reuse(&st.ask, &s.route.Rules, &st.life, now)
	c.Variant, c.Reason = v, why
	switch use {
	case policy.UseServe:
		c.Status = CacheHit
		if st.life.At(now) != policy.StateFresh {
			c.Status = CacheStale
		}
	case policy.UseRefresh:
		c.Status, st.base = CacheStale, v
		if st.soft {
			c.Reason = policy.SoftPurged
		}
	default:
		st.base = v
		if st.soft && use == policy.UseValidate {
			c.Reason, st.purged = policy.Purged, true
		}
		if !f.standsIn(s, v, why, now) {
			return policy.UseValidate
		}
		use = policy.UseServe
	}
	c.Age, c.TTL = seconds(st.life.Age(now)), remaining(&st.life, now)
	return use
}

// standsIn says whether a stale answer is served at once because the origin has
// failed to renew it just before, and may not be asked again so soon. The client
// must not have demanded the origin's word.
func (f *finder) standsIn(s *Session, v *cachestore.Variant, why policy.Reason, now int64) bool {
	rests, dead := v.Rests(now)
	st, c := &s.state, &s.Cache
	asked := &st.ask.Control
	if !rests || why != policy.Expired || asked.NoCache || asked.HasMaxAge || asked.HasMinFresh {
		return false
	}
	reason, ok := policy.StandIn(&st.ask, &st.life, now, dead)
	if ok {
		c.Status, c.Reason, st.base = CacheStale, reason, nil
		f.spared.Add(1)
	}
	return ok
}

// covers says which purge covers a variant. A hit pays one compare while
// nothing was purged: the number is loaded first, and what was found uncovered
// up to it is remembered on the variant.
func (f *finder) covers(k policy.Key, v *cachestore.Variant) purge.Cover {
	now, checked := f.index.Now(), v.Checked()
	if now <= checked {
		return purge.Cover{}
	}
	cover := f.index.Covers(k, v.Tags, checked)
	if cover.Strength == purge.None {
		v.SetChecked(now)
	}
	return cover
}

// marked says whether a hit-for-miss marker stands for this request.
func (f *finder) marked(s *Session, now int64) bool {
	st := &s.state
	var m cachestore.Marker
	var ok bool
	m, ok, st.selector = f.markers.Has(s.Cache.Key, &st.ask, now, st.selector)
	if !ok || f.index.CoversKnown(s.Cache.Key, m.PurgeSeq).Strength != purge.None {
		return false
	}
	s.Cache.Reason = policy.HitForMiss
	return true
}
