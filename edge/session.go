package edge

import (
	"context"
	"net/http"

	"github.com/valyala/bytebufferpool"

	"edgecache/cachestore"
	"edgecache/edge/origin"
	"edgecache/policy"
)

// CacheStatus is what the cache made of a request.
type CacheStatus uint8

// The seed's four; none is before cache_lookup.
const (
	CacheNone CacheStatus = iota
	CacheHit
	CacheMiss
	CacheStale
	CacheBypass
)

// String gives the value as log, metrics and explain print it.
func (c CacheStatus) String() string {
	return [...]string{"", "hit", "miss", "stale", "bypass"}[c]
}

// CacheResult is what cache_lookup found.
type CacheResult struct {
	Key      policy.Key // views into the session
	Status   CacheStatus
	Reason   policy.Reason // why it is that
	Unstored policy.Reason // why the answer was not stored; None when it was, or was never judged
	Stored   bool
	Tier     Tier                // that gave the answer; TierNone when no tier did
	Age      int64               // of what was served, whole seconds; -1 when nothing stored was served
	TTL      int64               // what is left of its freshness, whole seconds, may be negative
	Variant  *cachestore.Variant // what is served, or the base of a validation; read only
}

// Timing holds Unix nanoseconds; 0 is "did not happen".
type Timing struct {
	RequestStart          int64
	UpstreamConnect       int64
	UpstreamRequestSent   int64
	UpstreamResponseStart int64
	UpstreamResponseEnd   int64
	ResponseSent          int64
}

// Session is one request on its way. It belongs to the goroutine that runs its
// phases; a hook must not keep it. A lane makes one a connection or stream
// with Engine.NewSession and uses it again for the next request.
type Session struct {
	Ctx                           context.Context
	Request                       Request
	Cache                         CacheResult
	CacheEnabled                  bool
	Peer                          *origin.Peer               // nil until upstream_peer
	Upstream                      *http.Request              // what the origin is asked, where there is a hook to look at it; nil on a hit
	Response                      *http.Response             // the origin's answer; nil on a hit. Its Body is the engine's
	RequestBody                   *bytebufferpool.ByteBuffer // only after BufferRequestBody
	ResponseBody                  *bytebufferpool.ByteBuffer // only after BufferResponseBody
	Timing                        Timing
	RetryCount                    int
	RequestSent, ResponseReceived bool
	UserCtx                       any
	Kind                          Kind

	// What the client got, for logging.
	Status    int
	HeadBytes int64  // bytes of the head that was sent, as the lane counts them
	BodyBytes int64  // bytes of the body that was sent
	ID        []byte // X-Request-Id
	Client    []byte // the client's address, from trusted networks' X-Forwarded-For
	Scheme    string // of key and origin request
	Err       error

	engine  *Engine
	lane    Lane
	inliner Inliner // lane, where it is one
	watch   *watch  // of the client, while it is relayed; nil until the first time
	route   *route
	trace   trace
	logged  bool
	ended   bool
	tried   []*origin.Peer
	witness witness      // of the latest attempt
	plain   origin.Plain // what the origin is asked, where Upstream is nil
	state   scratch
}

// scratch is what a session keeps from one request to the next: buffers that
// the views of its fields point into.
type scratch struct {
	ask          policy.Ask
	life         policy.Life // of Cache.Variant as this request sees it: after a soft purge
	soft         bool
	base         *cachestore.Variant // what a fetch may validate
	found        *cachestore.Resource
	onDisk       bool             // the store has something under the key that is not in memory
	hollow       bool             // what was found has its body on disk
	long         bool             // what was found is too long for Begin to send
	marked       bool             // a hit-for-miss marker stands
	authed       bool             // the request carries the admin token
	rounds       int              // flights that this request has left again
	avoid        bool             // it goes alone from now on
	own          *cachestore.Head // of the answer that this request caused; nil: everybody's
	parts        *parts           // several ranges are wanted; nil: a span
	whole        bool             // what it fetches is the whole, whatever part is wanted
	looks        int              // lookups after the first
	forward      string           // why the lookup led to the origin: a token of RFC 9211, 2.2
	followed     bool             // the answer is one that another request asked for
	followStatus int              // and the origin's status; 0: none came
	fault        string           // why the answer is ours: an error type of RFC 9209; "" for none
	forked       any              // the user context of a fetch that this request leads
	delivered    bool             // the delivery filters ran
	view         View
	tail         []policy.Field
	buf          []byte // values of the tail
	host         []byte
	path         []byte
	query        []byte
	key          []byte
	extra        []byte
	selector     []byte
	id           [32]byte
	client       [48]byte
	record       *Record // nil before the first
	size         int64   // of the body that shape was told of: -1 unknown
	shaped       bool    // an object, stored or arriving, answers
	purged       bool    // what was stored was found to be invalid
}

// reset makes the session ready for another request: every field is zero
// again, only empty buffers stay.
func (s *Session) reset() {
	s.releaseBuffers()
	st := &s.state
	keep := scratch{
		tail: clearFields(st.tail), buf: st.buf[:0], host: st.host[:0], path: st.path[:0],
		query: st.query[:0], key: st.key[:0], extra: st.extra[:0], selector: st.selector[:0],
		record: st.record,
	}
	fields := clearFields(s.Request.Fields)
	clear(s.tried)
	*s = Session{engine: s.engine, lane: s.lane, inliner: s.inliner, watch: s.watch, tried: s.tried[:0], state: keep}
	s.Request.Fields = fields
}

func clearFields(f policy.Fields) policy.Fields {
	clear(f)
	return f[:0]
}

// releaseBuffers gives pooled buffers back; nobody may hold their bytes now.
func (s *Session) releaseBuffers() {
	for _, b := range []**bytebufferpool.ByteBuffer{&s.RequestBody, &s.ResponseBody} {
		if *b != nil {
			releaseBuffer(*b)
			*b = nil
		}
	}
}

// Trace lists the phases so far; a view, valid during the call of a hook.
func (s *Session) Trace() []Phase { return s.trace.list() }

// URL is the request's place as it is keyed and forwarded. Its slices are
// views into the session.
func (s *Session) URL() policy.URL {
	return policy.URL{Scheme: s.Scheme, Host: s.Request.Host, Path: s.Request.Path, Query: s.Request.Query, HasQuery: s.Request.HasQuery}
}

// Route gives the upstream's name of the route that matched; "" before that.
func (s *Session) Route() string {
	if s.route == nil {
		return ""
	}
	return s.route.Upstream
}
