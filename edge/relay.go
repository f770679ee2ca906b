package edge

import (
	"io"
	"net/http"

	"github.com/valyala/bytebufferpool"

	"edgecache/cachestore"
	"edgecache/edge/origin"
	"edgecache/policy"
)

// relayBytes is how much of a body is held between two writes.
const relayBytes = 32 << 10

// relayPool has buffers of that size alone: the common pool forgets what is larger than most.
var relayPool bytebufferpool.Pool

// relay passes a request on and its answer back on the client's goroutine.
// Nothing is stored, but for an aftermath. The request's body is streamed.
func (e *Engine) relay(s *Session) {
	leash := new(origin.Leash)
	e.leashes.Tie(leash)
	defer leash.Untie()
	s.Ctx = leash
	if s.watch == nil {
		s.watch = new(watch)
	}
	s.watch.begin(s.lane, leash, s.Request.Body != nil)
	defer s.watch.stop()
	q := &question{interim: s}
	if s.Request.Body != nil {
		q.body = &requestBody{r: s.Request.Body}
		defer q.body.cut()
	}
	after := e.await(s)
	defer after.over()
	res, err := e.ask(s, q)
	if err != nil {
		if leash.Err() != nil && e.ctx.Err() == nil && q.body.fault() == nil {
			err = clientGone(err)
		}
		s.watch.stop()
		e.failFetch(s, err)
		return
	}
	defer res.Body.Close()
	e.unmark(s, res)
	if s.Cache.Unstored == policy.None {
		s.Cache.Unstored = s.Cache.Reason
	}
	after.land(res)
	s.relayAge(e, res)
	head := cachestore.NewHead(res.StatusCode, res.Header, e.hidden)
	v := &s.state.view
	*v = View{Status: res.StatusCode, Length: res.ContentLength, Close: v.Close}
	v.NoBody = !bodyAllowed(s.Request.Method, res.StatusCode)
	if v.NoBody && s.Request.Method != http.MethodHead {
		v.Length = LengthNone
	}
	if s.Request.Method == http.MethodHead && res.Header.Get("Content-Length") == "" {
		v.Length = LengthNone
	}
	head = e.filterDelivery(s, head, v)
	if s.ended {
		return
	}
	e.writeTail(s, v)
	s.Status = v.Status
	if res.StatusCode == http.StatusSwitchingProtocols {
		e.tunnel(s, head, res)
		return
	}
	if err := s.lane.SendHead(head, v); err != nil {
		s.fail(clientGone(err))
		return
	}
	if v.NoBody {
		s.Timing.UpstreamResponseEnd = e.nanos()
		s.end(nil)
		return
	}
	res.Body = after.tee(res.Body)
	e.copyBody(s, res, q)
}

// hearInterim passes a 1xx answer on; a client that cannot be told is found out at the head.
func (s *Session) hearInterim(status int, h http.Header) { _ = s.lane.Interim(status, h) }

// unmark looks at an answer that was passed on because of a hit-for-miss marker: one that
// could be stored takes the marker away, so that the next request's will be.
func (e *Engine) unmark(s *Session, res *http.Response) {
	if !s.state.marked || s.route == nil {
		return
	}
	times := policy.Times{RequestAt: s.Timing.UpstreamRequestSent, ResponseAt: s.Timing.UpstreamResponseStart}
	rep := policy.Response{Status: res.StatusCode, Header: res.Header, CloseDelimited: closeDelimited(s.Request.Method, res)}
	d := policy.Judge(&s.state.ask, &s.route.Rules, &rep, s.URL(), times)
	if d.Store && s.CacheEnabled {
		e.finder.markers.Remove(s.Cache.Key)
		return
	}
	s.Cache.Unstored = d.Why
}

// relayAge gives the answer the origin's Age, plus our delay.
func (s *Session) relayAge(e *Engine, res *http.Response) {
	s.Cache.Age = -1
	if len(res.Header["Age"]) == 0 {
		return
	}
	times := policy.Times{RequestAt: s.Timing.UpstreamRequestSent, ResponseAt: s.Timing.UpstreamResponseStart}
	rules := &policy.Rules{}
	if s.route != nil {
		rules = &s.route.Rules
	}
	d := policy.Judge(&s.state.ask, rules, &policy.Response{Status: res.StatusCode, Header: res.Header}, s.URL(), times)
	s.Cache.Age = seconds(d.Life.Age(e.nanos()))
}

// copyBody streams the origin's body to the client, a buffer at a time.
func (e *Engine) copyBody(s *Session, res *http.Response, q *question) {
	b := relayPool.Get()
	if cap(b.B) < relayBytes {
		b.B = make([]byte, relayBytes)
	}
	b.B = b.B[:relayBytes] // its length is what the pool goes by
	defer relayPool.Put(b)
	p := b.B
	if r, ok := res.Body.(interface{ Ready() bool }); !ok || !r.Ready() {
		if err := s.lane.Flush(); err != nil { // the head: the body may be slow
			s.fail(clientGone(err))
			return
		}
	}
	for {
		n, err := res.Body.Read(p)
		if n > 0 {
			if werr := s.send(p[:n]); werr != nil {
				s.fail(clientGone(werr))
				return
			}
		}
		if err == io.EOF {
			break
		}
		if err == nil {
			err = s.lane.Flush()
		}
		if err != nil {
			if fault := q.body.fault(); fault != nil {
				err = fault
			}
			s.fail(err)
			return
		}
	}
	s.Timing.UpstreamResponseEnd = e.nanos()
	s.end(e.trailer(s, res.Trailer))
}

// tunnel joins client and origin after a 101.
func (e *Engine) tunnel(s *Session, head *cachestore.Head, res *http.Response) {
	up, ok := res.Body.(io.ReadWriteCloser)
	if !ok {
		e.fails(s, ErrBadUpstream)
		return
	}
	v := &s.state.view
	v.Status, v.Length, v.NoBody, v.Close = http.StatusSwitchingProtocols, LengthNone, true, true
	s.Status = v.Status
	v.Tail = append(v.Tail, policy.Field{Name: []byte("Upgrade"), Value: []byte(s.Request.Upgrade)})
	s.ended = true
	if err := s.lane.Tunnel(head, v, up); err != nil {
		s.Err = err
	}
	s.Timing.UpstreamResponseEnd = e.nanos()
}
