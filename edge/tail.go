package edge

import (
	"strconv"

	"edgecache/policy"
)

var (
	nameAge          = []byte("Age")
	nameCacheStatus  = []byte("Cache-Status")
	nameProxyStatus  = []byte("Proxy-Status")
	nameVia          = []byte("Via")
	nameRequestID    = []byte("X-Request-Id")
	nameContentRange = []byte("Content-Range")
	nameServerTiming = []byte("Server-Timing")
	fieldAltSvc      = []byte(nameAltSvc)
)

const nameAltSvc = "Alt-Svc"

// writeTail formats what differs from answer to answer behind the head: Age,
// Cache-Status, Proxy-Status of an error of ours, Via, X-Request-Id and the route's own fields. Whatever is in
// the tail already (Content-Range) stays in front.
func (e *Engine) writeTail(s *Session, v *View) {
	st := &s.state
	if s.Cache.Age >= 0 {
		st.value(nameAge, func(b []byte) []byte { return strconv.AppendInt(b, s.Cache.Age, 10) })
	}
	st.value(nameCacheStatus, func(b []byte) []byte { return e.appendCacheStatus(b, s) })
	if st.fault != "" {
		st.value(nameProxyStatus, func(b []byte) []byte { return e.appendProxyStatus(b, s) })
	}
	st.tail = append(st.tail, policy.Field{Name: nameVia, Value: e.viaDown[s.Request.Proto]},
		policy.Field{Name: nameRequestID, Value: s.ID})
	if s.route != nil {
		st.tail = append(st.tail, s.route.tail...)
	}
	if len(e.altSvc) > 0 && s.Request.TLS && s.Request.Proto != HTTP3 && (s.route == nil || !s.route.ownAltSvc) {
		st.tail = append(st.tail, policy.Field{Name: fieldAltSvc, Value: e.altSvc})
	}
	if st.authed {
		st.value(nameServerTiming, func(b []byte) []byte { return s.Timing.appendServerTiming(b, e.nanos()) })
	}
	v.Tail = st.tail
	v.Close = v.Close || e.draining.Load()
}

// value formats one field's value into the session's buffer.
func (st *scratch) value(name []byte, format func([]byte) []byte) {
	from := len(st.buf)
	st.buf = format(st.buf)
	st.tail = append(st.tail, policy.Field{Name: name, Value: st.buf[from:len(st.buf):len(st.buf)]})
}

// appendServerTiming formats the spans of a request in milliseconds.
func (t *Timing) appendServerTiming(b []byte, now int64) []byte {
	span := func(b []byte, name string, from, to int64) []byte {
		if from == 0 || to < from {
			return b
		}
		b = append(b, name...)
		b = append(b, ";dur="...)
		b = strconv.AppendFloat(b, float64(to-from)/1e6, 'f', 3, 64)
		return append(b, ", "...)
	}
	b = span(b, "connect", t.RequestStart, t.UpstreamConnect)
	b = span(b, "send", t.UpstreamConnect, t.UpstreamRequestSent)
	b = span(b, "wait", t.UpstreamRequestSent, t.UpstreamResponseStart)
	b = append(b, "total;dur="...)
	return strconv.AppendFloat(b, float64(now-t.RequestStart)/1e6, 'f', 3, 64)
}
