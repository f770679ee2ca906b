package edge

import (
	"sync/atomic"

	"edgecache/policy"
	"edgecache/purge"
)

// refresh brings a stale object up to date in the background, while this
// client is served what is there. One refresh a key at a time, and a bounded
// number of them: over it the object stays stale a little longer.
func (e *Engine) refresh(s *Session) {
	if rests, _ := s.Cache.Variant.Rests(e.nanos()); rests {
		e.finder.spared.Add(1)
		return // it has failed just before
	}
	s.fork()
	sh := e.flights.shard(s.Cache.Key.Hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for _, fl := range sh.by[s.Cache.Key.Hash] {
		if fl.key.Equal(s.Cache.Key) && (!fl.known() || fl.suits(s)) && fl.seq >= s.Cache.Variant.PurgeSeq &&
			e.index.CoversKnown(fl.key, fl.seq).Strength == purge.None {
			return // somebody is at it
		}
	}
	fl := e.newFlight(s, KindRefresh)
	if fl == nil {
		return
	}
	if !e.refreshes.take(int64(e.limits.Refreshes)) {
		e.ground(fl)
		return
	}
	fl.fetch.ID = newID(&fl.fetch.state.id) // a request of ours, with a log line of its own
	fl.fetch.Cache.Reason = policy.StaleWhileRevalidate
	started := e.background(func() {
		defer e.refreshes.give()
		e.fly(fl)
		e.conclude(fl.fetch)
	})
	if !started {
		e.refreshes.give()
		e.ground(fl)
		return
	}
	sh.add(fl)
}

// slots bounds how many of something run at once.
type slots struct{ used, refused atomic.Int64 }

func (c *slots) take(limit int64) bool {
	if c.used.Add(1) > limit {
		c.used.Add(-1)
		c.refused.Add(1)
		return false
	}
	return true
}

func (c *slots) give() { c.used.Add(-1) }
