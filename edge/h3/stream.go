package h3

import (
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"edgecache/edge"
)

// stream is one request on its way: all that it needs, used again for the next.
type stream struct {
	server  *Server
	session *edge.Session
	parser  parser
	body    body
	lane    lane
}

func newStream(s *Server) *stream {
	st := &stream{server: s}
	st.parser.limits = &s.config
	st.body.lane = &st.lane
	st.lane.counts, st.lane.body, st.lane.stall = &s.counts, &st.body, s.config.WriteStall
	st.session = s.engine.NewSession(&st.lane)
	st.lane.session = st.session
	return st
}

// serve answers one request, and says whether the answer is whole. A panic
// below the engine's own guard costs this stream and nothing else.
func (st *stream) serve(c *conn, w http.ResponseWriter, q *http.Request) (whole bool) {
	defer func() {
		if r := recover(); r != nil {
			st.server.counts.panics.Add(1)
			st.server.config.Log.Error("panic on a stream", "panic", r, "stack", string(debug.Stack()))
			panic(http.ErrAbortHandler)
		}
	}()
	st.lane.next(w.(responder), q.Context().Done())
	r := &st.session.Request
	r.Remote = c.remote()
	if f := st.parser.parse(q, r); f != nil {
		st.refuse(f, q)
		return true
	}
	st.body.reset(q.Body, &st.parser)
	if f := st.prepare(); f != nil {
		st.refuse(f, q)
		return true
	}
	st.server.counts.requests.Add(1)
	if !st.server.engine.Begin(st.session) {
		st.server.engine.Finish(st.session)
	}
	st.server.engine.Release(st.session)
	st.lane.w, st.body.src = nil, nil
	return st.lane.state == answerEnded
}

// prepare finds out whether there is a body. A Content-Length says so; without
// one only the stream's end does, and it is on its way with the head of every
// request that has none. A body that came with a GET is read ahead, up to the
// limit: such a request may be answered from memory, and a fault in its body
// would be found too late.
func (st *stream) prepare() *fault {
	r, b := &st.session.Request, &st.body
	r.Body, r.Length = nil, 0
	ahead := int64(1)
	switch {
	case st.parser.expect:
		ahead = 0
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		ahead = st.server.config.UnreadBytes
	case st.parser.length > 0:
		ahead = 0
	}
	has := true
	if ahead > 0 {
		var err error
		if has, err = b.readAhead(ahead); err != nil {
			bad := err.(*edge.BodyError) // Read gives nothing else
			return &fault{bad.Status, FaultBody, bad.Error()}
		}
	}
	if has {
		r.Body, r.Length = b, st.parser.length
	}
	return nil
}

// refuse answers a request that never becomes a session.
func (st *stream) refuse(f *fault, q *http.Request) {
	st.server.counts.faults[f.kind].Add(1)
	text := strconv.Itoa(f.status) + " " + http.StatusText(f.status) + "\n"
	w := st.lane.w
	h := w.Header()
	h["Date"] = []string{time.Now().UTC().Format(http.TimeFormat)}
	h["Content-Type"] = []string{"text/plain; charset=utf-8"}
	h["Cache-Control"] = []string{"no-store"}
	h["Content-Length"] = []string{strconv.Itoa(len(text))}
	if f.status == http.StatusMethodNotAllowed {
		h["Allow"] = []string{"GET, HEAD, OPTIONS, POST, PUT, PATCH, DELETE"}
	}
	_ = w.SetWriteDeadline(time.Now().Add(st.server.config.WriteStall))
	w.WriteHeader(f.status)
	sent := int64(0)
	if n, err := w.Write([]byte(text)); err == nil && w.FlushError() == nil && q.Method != http.MethodHead {
		sent = int64(n)
	}
	st.server.engine.Refuse(edge.Refusal{
		At: time.Now().UnixNano(), Remote: st.session.Request.Remote, TLS: true,
		Status: f.status, Proto: edge.HTTP3, Detail: f.detail, Bytes: sent,
	})
	st.server.engine.Release(st.session)
}
