package edge

import (
	"net/http"
	"strconv"
	"time"

	"edgecache/cachestore"
	"edgecache/policy"
)

// shape decides how a stored or arriving object answers this request: whole,
// as a range, as 304 or 412, with or without a body. size is the body's length
// in bytes, -1 while it is unknown (then there are no ranges).
func (e *Engine) shape(s *Session, h *cachestore.Head, val *policy.Validators, size int64) {
	st, v := &s.state, &s.state.view
	st.size, st.shaped = size, true
	*v = View{Status: h.Status, Length: size, To: size, Close: v.Close}
	v.NoBody, st.parts = s.Request.Method == http.MethodHead, nil
	if h.Status == http.StatusNoContent {
		v.Length, v.NoBody = LengthNone, true
	}
	if st.ask.Has&conditional == 0 {
		return
	}
	switch policy.Conditional(&st.ask, val, h.Status) {
	case policy.NotModified:
		*v = View{Status: http.StatusNotModified, KeptOnly: true, Length: LengthNone, NoBody: true, Close: v.Close}
		return
	case policy.PreconditionFailed:
		*v = View{Status: http.StatusPreconditionFailed, KeptOnly: true, Length: 0, NoBody: true, Close: v.Close}
		return
	}
	if st.ask.Has&policy.HasRange != 0 && size >= 0 && h.Status == http.StatusOK && s.Request.Method == http.MethodGet {
		e.shapeRange(s, h, val, size)
	}
}

// conditional are the fields that make an answer differ from the whole object.
const conditional = policy.HasRange | policy.HasIfNoneMatch | policy.HasIfModifiedSince | policy.HasIfMatch | policy.HasIfUnmodifiedSince

// shapeRange answers a range, or several (RFC 9110, 14).
func (e *Engine) shapeRange(s *Session, h *cachestore.Head, val *policy.Validators, size int64) {
	st, v := &s.state, &s.state.view
	if !policy.IfRange(&st.ask, val) || h.Get("Content-Range") != nil {
		return // with a Content-Range of its own nobody knows what it is a part of
	}
	value, _ := s.Request.Fields.Get("Range")
	span, n, result := policy.ParseRange(value, size, e.limits.Ranges)
	switch result {
	case policy.RangeMany:
		spans, _ := policy.AppendRanges(make([]policy.Span, 0, n), value, size, e.limits.Ranges)
		if st.parts = newParts(spans, h, size); st.parts != nil {
			v.Status, v.From, v.To, v.Length = http.StatusPartialContent, span.From, span.To, st.parts.length()
		}
	case policy.RangeOne:
		v.Status, v.From, v.To, v.Length = http.StatusPartialContent, span.From, span.To, span.To-span.From
		st.value(nameContentRange, func(b []byte) []byte {
			return appendContentRange(b, span, size)
		})
	case policy.RangeUnsatisfiable:
		*v = View{Status: http.StatusRequestedRangeNotSatisfiable, KeptOnly: true, NoBody: true, Close: v.Close}
		st.value(nameContentRange, func(b []byte) []byte {
			return strconv.AppendInt(append(b, "bytes */"...), size, 10)
		})
	}
}

// deliver sends a stored object, all of which is in memory.
func (e *Engine) deliver(s *Session) {
	v := s.Cache.Variant
	e.shape(s, v.Head, &v.Validators, v.Body.Size)
	e.sendObject(s, v)
}

// sendObject sends what shape has prepared of an object in memory.
func (e *Engine) sendObject(s *Session, v *cachestore.Variant) {
	if s.state.parts != nil {
		e.sendFrom(s, v.Head, bodySpans{s, v.Body})
		return
	}
	if trailer := trailing(s, v.Body); trailer != nil {
		e.sendTrailed(s, v, trailer)
		return
	}
	head := e.filterDelivery(s, v.Head, &s.state.view)
	if s.ended {
		return
	}
	view := &s.state.view
	e.writeTail(s, view)
	s.Status = view.Status
	if !view.NoBody {
		s.BodyBytes = view.To - view.From
	}
	if err := s.lane.SendObject(head, v.Body, view); err != nil {
		s.BodyBytes = 0 // how much went out is the lane's secret
		s.fail(err)
		return
	}
	s.ended = true
}

// filterDelivery runs the delivery filters over a copy of the head, when there
// are any; a hook never touches what is stored. s.ended says that a filter
// answered in the object's place.
func (e *Engine) filterDelivery(s *Session, h *cachestore.Head, v *View) *cachestore.Head {
	s.trace.mark(PhaseDelivery)
	if len(e.hooks.delivery) == 0 || s.state.delivered {
		return h
	}
	s.state.delivered = true
	edit := &Head{Status: v.Status, Header: deliveredHeader(h)}
	for _, f := range e.hooks.delivery {
		r, err := f.DeliveryFilter(s, edit)
		if err != nil {
			s.state.tail = s.state.tail[:0]
			e.fails(s, &hookError{PhaseDelivery, err})
			return h
		}
		if r.kind == resultSkip {
			break
		}
		if r.kind != resultContinue {
			s.state.tail = s.state.tail[:0]
			s.trace.n--
			e.apply(s, PhaseDelivery, r)
			return h
		}
	}
	if edit.Status >= 200 && edit.Status <= 999 {
		v.Status = edit.Status
	}
	return cachestore.NewHead(v.Status, edit.Header, nil)
}

// Head is the head of one client's answer, a delivery filter's to change.
type Head struct {
	Status int
	Header http.Header
}

func deliveredHeader(h *cachestore.Head) http.Header {
	out := http.Header{}
	for name, value := range h.Fields() {
		out.Add(string(name), string(value))
	}
	return out
}

// seconds rounds a span down.
func seconds(d time.Duration) int64 { return int64(d / time.Second) }
