package edge

import (
	"strconv"

	"edgecache/policy"
)

var (
	nameAge          = []byte("Age")
	nameCacheStatus  = []byte("Cache-Status")
	nameVia          = []byte("Via")
	nameRequestID    = []byte("X-Request-Id")
	nameContentRange = []byte("Content-Range")
	nameServerTiming = []byte("Server-Timing")
)

// writeTail formats what differs from answer to answer behind the head: Age,
// Cache-Status, Via, X-Request-Id and the route's own fields. Whatever is in
// the tail already (Content-Range) stays in front.
func (e *Engine) writeTail(s *Session, v *View) {
	st := &s.state
	if s.Cache.Age >= 0 {
		st.value(nameAge, func(b []byte) []byte { return strconv.AppendInt(b, s.Cache.Age, 10) })
	}
	st.value(nameCacheStatus, func(b []byte) []byte { return e.appendCacheStatus(b, s) })
	st.tail = append(st.tail, policy.Field{Name: nameVia, Value: e.viaDown[s.Request.Proto]},
		policy.Field{Name: nameRequestID, Value: s.ID})
	if s.route != nil {
		st.tail = append(st.tail, s.route.tail...)
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

// appendCacheStatus formats our member of Cache-Status (RFC 9211).
func (e *Engine) appendCacheStatus(b []byte, s *Session) []byte {
	b = append(b, e.statusID...)
	c := &s.Cache
	switch c.Status {
	case CacheHit:
		b = append(b, "; hit"...)
		b = appendTTL(b, c.TTL)
	case CacheStale:
		b = append(b, "; hit"...)
		b = appendTTL(b, c.TTL)
	default:
		if s.Upstream != nil || c.Reason == policy.Collapsed {
			b = e.appendForward(b, s)
		}
	}
	if e.cfg.CacheStatusDetail && c.Reason != policy.None {
		b = append(b, "; detail="...)
		b = append(b, c.Reason.String()...)
	}
	return b
}

func appendTTL(b []byte, ttl int64) []byte {
	b = append(b, "; ttl="...)
	return strconv.AppendInt(b, ttl, 10)
}

// appendForward formats why the request went on to the origin (RFC 9211, 2.2).
func (e *Engine) appendForward(b []byte, s *Session) []byte {
	c := &s.Cache
	b = append(b, "; fwd="...)
	b = append(b, forwardReason(s)...)
	if s.Response != nil {
		b = append(b, "; fwd-status="...)
		b = strconv.AppendInt(b, int64(s.Response.StatusCode), 10)
	}
	if c.Stored {
		b = append(b, "; stored"...)
	}
	if c.Reason == policy.Collapsed {
		b = append(b, "; collapsed"...)
	}
	return b
}

// forwardReason is the fwd parameter's token.
func forwardReason(s *Session) string {
	c := &s.Cache
	switch {
	case c.Status == CacheBypass && c.Reason == policy.BypassRequest:
		return "method"
	case c.Status == CacheBypass && c.Reason == policy.ClientNoStore:
		return "request"
	case c.Status == CacheBypass || c.Status == CacheNone:
		return "bypass"
	}
	switch c.Reason {
	case policy.VaryMiss:
		return "vary-miss"
	case policy.Purged:
		if s.state.base == nil {
			return "uri-miss" // a hard purge leaves nothing
		}
		return "stale"
	case policy.Expired, policy.NoCache, policy.Revalidated, policy.SoftPurged:
		return "stale"
	case policy.ClientNoCache, policy.ClientMaxAge, policy.ClientMinFresh:
		return "request"
	case policy.Partial:
		return "partial"
	}
	return "uri-miss"
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
