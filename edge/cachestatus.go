package edge

import (
	"net/http"
	"strconv"

	"edgecache/policy"
)

// appendCacheStatus formats our member of Cache-Status (RFC 9211). It stands in
// a line of its own behind those of the origin's side.
func (e *Engine) appendCacheStatus(b []byte, s *Session) []byte {
	b = append(b, e.statusID...)
	c := &s.Cache
	switch {
	case s.forwarded():
		b = appendForward(b, s)
	case c.Status == CacheHit || c.Status == CacheStale:
		b = append(b, "; hit"...)
		b = appendTTL(b, c.TTL)
	}
	if e.tells(s) {
		b = appendDetail(b, s)
	}
	return b
}

// tells says whether this client may read what is behind an answer: the
// configuration tells everybody, or the request carries the admin token.
func (e *Engine) tells(s *Session) bool { return e.cfg.CacheStatusDetail || s.state.authed }

// forwarded says whether the answer is one that the origin was asked for, by this
// request or by one that it waited for.
func (s *Session) forwarded() bool {
	c := &s.Cache
	return s.asked() || s.state.followed ||
		c.Status == CacheMiss && (c.Reason == policy.Partial || c.Reason == policy.Collapsed)
}

func appendTTL(b []byte, ttl int64) []byte {
	b = append(b, "; ttl="...)
	return strconv.AppendInt(b, ttl, 10)
}

// appendForward formats why the request went on to the origin (RFC 9211, 2.2), and
// what came of it. A stale answer that stands in for the origin's failure was
// asked for, too.
func appendForward(b []byte, s *Session) []byte {
	c, st := &s.Cache, &s.state
	b = append(b, "; fwd="...)
	b = append(b, forwardReason(s)...)
	status := st.followStatus
	if s.Response != nil {
		status = s.Response.StatusCode
	}
	if status != 0 {
		b = append(b, "; fwd-status="...)
		b = strconv.AppendInt(b, int64(status), 10)
	}
	if c.Stored || c.Status == CacheStale || c.Reason == policy.Revalidated || st.followed && c.TTL != 0 {
		b = appendTTL(b, c.TTL)
	}
	if c.Stored {
		b = append(b, "; stored"...)
	}
	if st.followed || c.Reason == policy.Collapsed {
		b = append(b, "; collapsed"...)
	}
	return b
}

// forwardReason is the fwd parameter's token.
func forwardReason(s *Session) string {
	switch c := &s.Cache; {
	case c.Status == CacheStale:
		return "stale"
	case c.Status == CacheMiss && s.state.forward != "":
		return s.state.forward
	case c.Status == CacheMiss:
		return s.lookupMissed()
	case c.Status == CacheBypass && c.Reason == policy.ClientNoStore:
		return "request"
	case s.Request.Method != http.MethodGet && s.Request.Method != http.MethodHead:
		return "method"
	}
	return "bypass"
}

// lookupMissed is the token for what the lookup has found.
func (s *Session) lookupMissed() string {
	st := &s.state
	switch s.Cache.Reason {
	case policy.VaryMiss:
		return "vary-miss"
	case policy.Purged:
		if st.base == nil {
			return "uri-miss" // a hard purge leaves nothing
		}
		return "stale"
	case policy.ClientNoCache, policy.ClientMaxAge, policy.ClientMinFresh:
		if st.life.At(s.Timing.RequestStart) == policy.StateFresh {
			return "request"
		}
		return "stale"
	case policy.Expired, policy.NoCache, policy.Revalidated, policy.SoftPurged, policy.StaleIfError, policy.StaleIfDead:
		return "stale"
	case policy.Partial:
		return "partial"
	case policy.HitForMiss, policy.Authorization, policy.EvictedChunk:
		return "miss" // something may be there under the url, and not for this request
	}
	return "uri-miss"
}

// appendDetail formats what only those read who run the cache: the key's url,
// which is the client's own, and our reason.
func appendDetail(b []byte, s *Session) []byte {
	if len(s.Cache.Key.Full) > 0 {
		u := s.URL()
		b = append(b, `; key="`...)
		b = appendQuoted(b, u.Scheme)
		b = append(b, "://"...)
		b = appendQuoted(b, u.Host)
		b = appendQuoted(b, u.Path)
		if u.HasQuery {
			b = append(b, '?')
			b = appendQuoted(b, u.Query)
		}
		b = append(b, '"')
	}
	if s.Cache.Reason != policy.None {
		b = append(b, "; detail="...)
		b = append(b, s.Cache.Reason.String()...)
	}
	return b
}

// appendQuoted appends what stands within the quotation marks of a structured
// field's string (RFC 9651, 3.3.3). A byte that none can have is percent-encoded.
func appendQuoted[T string | []byte](b []byte, text T) []byte {
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ' || c > '~':
			b = append(b, '%', "0123456789ABCDEF"[c>>4], "0123456789ABCDEF"[c&15])
		default:
			b = append(b, c)
		}
	}
	return b
}

// statusToken is the id as a structured field's item: a token, or a string.
func statusToken(id string) string {
	if id == "" {
		return "edge"
	}
	for i, c := range []byte(id) {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (i == 0 || c != '-' && c != '.' && c != '_' && (c < '0' || c > '9')) {
			return string(append(appendQuoted([]byte{'"'}, id), '"'))
		}
	}
	return id
}
