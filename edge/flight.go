package edge

import (
	"net/http"
	"sync"

	"edgecache/cachestore"
	"edgecache/edge/origin"
	"edgecache/policy"
	"edgecache/purge"
)

// flight is one fetch that may be stored, and those who wait for it. The fetch
// runs on a goroutine of its own with a session of its own; the client that
// caused it is merely its first reader.
type flight struct {
	key     policy.Key
	seq     uint64 // purge number read before the request went up; renew changes it, under the shard's lock
	end     purge.Ending
	fetch   *Session
	leash   origin.Leash // of the fetch
	base    *cachestore.Variant
	keep    policy.Key         // where the answer is stored; there once the head is judged
	rule    *policy.SearchRule // by which keep was made
	wish    *wish              // what part is asked for; nil: the whole
	also    policy.Key         // of the slice that it turned out to bring, too; set once, under the shard's lock
	fill    *cachestore.Fill
	interim chan interim // for the leader; nil for a refresh

	headed chan struct{}  // closed when outcome is there
	over   sync.WaitGroup // until the fetch's session will not change any more
	out    outcome        // immutable once headed is closed

	alone     [1]*flight // the shard's list, while there is no other of its key
	followers int        // guarded by the flights' shard
	gone      bool       // no longer in the table; guarded by the shard
}

// interim is a 1xx answer on its way to the leader's client.
type interim struct {
	status int
	header http.Header
}

// outcome is what the head of an answer, or its failure, means for everybody
// who waits.
type outcome struct {
	err     error
	variant *cachestore.Variant // head, validators, life, tags; its body may still be on its way
	whole   bool                // the variant's body is complete: nothing to read from the fill
	shared  bool                // may be stored, so it may be shared
	why     policy.Reason       // why not, or why a stored answer is used instead
	stale   bool                // the variant is served stale in place of a failure
	life    policy.Life         // of the variant, when it is stale: after a soft purge
	length  int64               // of the body in bytes, -1 unknown
	piece   *piece              // where in the representation the body lies, where that is not all of it
	own     *cachestore.Head    // for the leader; nil: the variant's
	private bool                // for requests without Authorization only when the leader had none

	// What the fetch's session knew at the head, for the leader's.
	peer     *origin.Peer
	upstream *http.Request
	plain    origin.Plain
	response *http.Response // its head; the body is the fetch's
	timing   Timing
	retries  int
	trace    trace
}

// status is the origin's, 0 when none came.
func (o *outcome) status() int {
	if o.response == nil {
		return 0
	}
	return o.response.StatusCode
}

// flights are all fetches that can be joined, by key.
type flights struct{ shards [64]flightShard }

type flightShard struct {
	mu   sync.Mutex
	by   map[policy.Hash][]*flight
	_pad [40]byte // shards do not share a cache line
}

func newFlights() *flights {
	f := &flights{}
	for i := range f.shards {
		f.shards[i].by = map[policy.Hash][]*flight{}
	}
	return f
}

func (f *flights) shard(h policy.Hash) *flightShard { return &f.shards[h.Hi%uint64(len(f.shards))] }

// join finds a flight that this request may follow: the same key, no purge of
// it since the flight began, its first byte still held. It counts itself in.
func (sh *flightShard) joinLocked(s *Session, e *Engine) (*flight, *cachestore.Reader) {
	st := &s.state
	if st.ask.Control.NoCache || st.avoid || validatesAlways(st.base) {
		return nil, nil // never joins a flight older than itself
	}
	now := e.nanos()
	for _, fl := range sh.by[s.Cache.Key.Hash] {
		if !fl.key.Equal(s.Cache.Key) || fl.followers >= e.limits.Followers {
			continue
		}
		if e.index.CoversKnown(fl.key, fl.seq).Strength != purge.None {
			continue
		}
		if fl.known() && (fl.out.piece != nil || !fl.suits(s) || e.outdated(fl) || !fl.lasts(s, now)) {
			continue
		}
		r, err := fl.fill.Join()
		if err != nil {
			continue
		}
		fl.followers++
		return fl, r
	}
	return nil, nil
}

// outdated says whether a purge covers a flight whose head is known.
func (e *Engine) outdated(fl *flight) bool {
	return e.index.Covers(fl.key, fl.out.variant.Tags, fl.seq).Strength != purge.None
}

// renew gives a flight the purge number of now: it asks again from the start.
func (e *Engine) renew(fl *flight) {
	seq, end := e.index.Begin()
	sh := e.flights.shard(fl.key.Hash)
	sh.mu.Lock()
	fl.seq, end, fl.end = seq, fl.end, end
	sh.mu.Unlock()
	end.End()
}

func (sh *flightShard) add(fl *flight) {
	list := sh.by[fl.key.Hash]
	if list == nil {
		list = fl.alone[:0]
	}
	sh.by[fl.key.Hash] = append(list, fl)
}

// addAlso lets a flight be joined by those who want the slice under key.
func (f *flights) addAlso(fl *flight, key policy.Key) {
	sh := f.shard(key.Hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	fl.also = key
	sh.by[key.Hash] = append(sh.by[key.Hash], fl)
}

// remove takes a flight out of the table; nobody joins it any more.
func (f *flights) remove(fl *flight) {
	if f.shard(fl.key.Hash).remove(fl, fl.key) && len(fl.also.Full) > 0 {
		f.shard(fl.also.Hash).removeAlso(fl)
	}
}

func (sh *flightShard) remove(fl *flight, key policy.Key) (was bool) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if fl.gone {
		return false
	}
	fl.gone = true
	sh.dropLocked(fl, key.Hash)
	return true
}

func (sh *flightShard) removeAlso(fl *flight) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.dropLocked(fl, fl.also.Hash)
}

func (sh *flightShard) dropLocked(fl *flight, h policy.Hash) {
	list := sh.by[h]
	for i, other := range list {
		if other == fl {
			list = append(list[:i:i], list[i+1:]...)
			break
		}
	}
	if len(list) == 0 {
		delete(sh.by, h)
		return
	}
	sh.by[h] = list
}

// known says whether the head is there.
func (fl *flight) known() bool {
	select {
	case <-fl.headed:
		return true
	default:
		return false
	}
}

// suits says whether a follower may have this answer: it may be shared, was
// selected by the same request values, and Authorization is no obstacle on
// either side (RFC 9111, 3.5 and 4.1). The head must be known.
func (fl *flight) suits(s *Session) bool {
	o := &fl.out
	if o.err != nil || !o.shared {
		return false
	}
	v := o.variant
	if !fl.sameSearch(s.engine, s) || (s.state.ask.Has&policy.HasAuthorization != 0 || o.private) && !v.SharedAuth {
		return false
	}
	st := &s.state
	st.selector = policy.AppendSelector(st.selector[:0], v.Vary, &st.ask)
	return string(st.selector) == string(v.Selector)
}

// lasts says whether a follower may use the answer without asking the origin
// itself, as it might if it were stored: it is fresh, and what it is allowed to
// be stale (RFC 9111, 4). An answer that must be validated is the answer to the
// one request that it was made for. The head must be known.
func (fl *flight) lasts(s *Session, now int64) bool {
	if o := &fl.out; o.stale { // in place of a failure, which would be this request's, too
		_, ok := policy.StandIn(&s.state.ask, &o.life, now, o.why == policy.StaleIfDead)
		return ok
	}
	use, _ := policy.Reuse(&s.state.ask, &s.route.Rules, &fl.out.variant.Life, now)
	return use == policy.UseServe || use == policy.UseRefresh
}

// validatesAlways says whether no answer like the stored one is ever shared,
// so that waiting for another's would be in vain.
func validatesAlways(base *cachestore.Variant) bool {
	return base != nil && (base.Life.NoCache || base.Life.Explicit && base.Life.Fresh <= 0 && base.Life.SWR <= 0)
}

// leave ends a reader. A fetch that is not stored, and that nobody can join any
// more, is over with its last one.
func (fl *flight) leave(r *cachestore.Reader) {
	r.Close()
	if fl.known() && !fl.out.shared && fl.fill.Readers() == 0 {
		fl.leash.Cut()
	}
}

// publish sets the outcome and wakes everybody.
func (fl *flight) publish(o outcome) {
	s := fl.fetch
	o.peer, o.upstream, o.plain, o.response, o.timing, o.retries, o.trace = s.Peer, s.Upstream, s.plain, s.Response, s.Timing, s.RetryCount, s.trace
	fl.out = o
	close(fl.headed)
}

// hearInterim hands a 1xx answer to the leader; a full pipe drops it.
func (fl *flight) hearInterim(status int, h http.Header) {
	if fl.interim == nil {
		return
	}
	select {
	case fl.interim <- interim{status, h}:
	default:
	}
}
