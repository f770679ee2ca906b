package edge

import (
	"net/http"
	"sync"
	"sync/atomic"

	"edgecache/policy"
)

// maxSearches is how many paths may have a rule about their queries, unless
// limits.search_rules says otherwise; over it one is forgotten for each that is new.
const maxSearches = 64 << 10

// searches remembers, by scheme, host and path, what the latest answer said about
// its query (No-Vary-Search), so that the next request is looked up by what counts.
// What it forgets costs a miss, never a wrong answer and never a purge: a purge of a
// url covers all queries of its path (Engine.Keyed).
type searches struct {
	limit   int
	shards  [64]searchShard
	dropped atomic.Uint64
}

type searchShard struct {
	mu sync.RWMutex
	by map[policy.Hash]*policy.SearchRule
	_  [32]byte // shards do not share a cache line
}

// placeOf is the key of a path, whatever its query.
func (f *finder) placeOf(buf []byte, u policy.URL) (policy.Key, []byte) {
	u.Query, u.HasQuery = nil, false
	return policy.NewKey(buf, f.seed, u, nil)
}

// rule is what is known of a place; nil is the default.
func (t *searches) rule(place policy.Hash) *policy.SearchRule {
	sh := &t.shards[place.Hi%uint64(len(t.shards))]
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return sh.by[place]
}

// learn remembers a rule; nil forgets the place.
func (t *searches) learn(place policy.Hash, r *policy.SearchRule) {
	sh := &t.shards[place.Hi%uint64(len(t.shards))]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if r == nil {
		delete(sh.by, place)
		return
	}
	most := max(or(t.limit, maxSearches)/len(t.shards), 1)
	if _, there := sh.by[place]; !there && len(sh.by) >= most {
		for other := range sh.by {
			delete(sh.by, other)
			t.dropped.Add(1)
			break
		}
	}
	if sh.by == nil {
		sh.by = map[policy.Hash]*policy.SearchRule{}
	}
	sh.by[place] = r
}

// size is how many places have a rule.
func (t *searches) size() (n int) {
	for i := range t.shards {
		sh := &t.shards[i]
		sh.mu.RLock()
		n += len(sh.by)
		sh.mu.RUnlock()
	}
	return n
}

// searchedKey is the key of what a rule says of a query: the path alone, and
// behind the route's own parts the rule and what counts of the query. So a purge of
// the path covers all of its queries. Without a rule it is the plain key.
func (f *finder) searchedKey(s *Session, buf []byte, r *policy.SearchRule) (policy.Key, []byte) {
	st := &s.state
	u := s.URL()
	if r == nil {
		return policy.NewKey(buf, f.seed, u, st.extra)
	}
	own := len(st.extra)
	extra := append(st.extra, "\x00search"...)
	if u.HasQuery {
		extra = r.AppendKey(extra, u.Query)
	} else {
		extra = r.AppendKey(extra, nil)
	}
	st.extra = extra[:own]
	u.Query, u.HasQuery = nil, false
	return policy.NewKey(buf, f.seed, u, extra)
}

// searchRule is the rule that a request is looked up by.
func (f *finder) searchRule(s *Session) *policy.SearchRule {
	if !s.route.Rules.Key.NoVarySearch {
		return nil
	}
	place, buf := f.placeOf(s.state.key[:0], s.URL())
	s.state.key = buf
	return f.searches.rule(place.Hash)
}

// settleKey says under which key an answer to a fetch is stored: that of its own
// rule, which the next requests for its path are looked up by.
func (e *Engine) settleKey(fl *flight, header http.Header, stored bool) {
	s := fl.fetch
	fl.keep = fl.key
	if !s.route.Rules.Key.NoVarySearch || !stored {
		return
	}
	rule := policy.ReadSearchRule(header["No-Vary-Search"])
	fl.keep, _ = e.finder.searchedKey(s, nil, rule)
	fl.rule = rule
	place, _ := e.finder.placeOf(nil, s.URL())
	if !e.finder.searches.rule(place.Hash).Equal(rule) {
		e.finder.searches.learn(place.Hash, rule)
	}
}

// storedUnder is where the answer is stored, or would be.
func (fl *flight) storedUnder() policy.Key {
	if len(fl.keep.Full) == 0 {
		return fl.key
	}
	return fl.keep
}

// sameSearch says whether a follower's query is the one that an answer is for, by
// the answer's own rule.
func (fl *flight) sameSearch(e *Engine, s *Session) bool {
	if fl.keep.Equal(fl.key) || len(fl.keep.Full) == 0 {
		return true
	}
	own, _ := e.finder.searchedKey(s, nil, fl.rule)
	return own.Equal(fl.keep)
}
