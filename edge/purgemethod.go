package edge

import (
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"strconv"

	"edgecache/policy"
	"edgecache/purge"
)

// purge answers PURGE on the data port: the url is gone from the cache when
// the answer comes. It never goes to an origin.
func (e *Engine) purge(s *Session) {
	s.Cache.Status, s.Cache.Reason = CacheBypass, policy.PurgeRequest
	if !s.state.authed && !network(e.cfg.PurgeAllow).has(s.Request.Remote.Addr()) {
		e.refuse(s, http.StatusMethodNotAllowed, policy.MethodNotAllowed)
		return
	}
	strength, mode := purge.Hard, "hard"
	if v, ok := s.Request.Fields.Get("Soft-Purge"); ok && string(v) == "1" {
		strength, mode = purge.Soft, "soft"
	}
	result, err := e.cfg.Purges.Purge(s.Ctx, e.urlEntries(s.URL(), strength))
	if err != nil {
		s.Err = err
		status, retryAfter := purge.StatusOf(err)
		h := http.Header{"Cache-Control": {"no-store"}}
		if retryAfter > 0 {
			h.Set("Retry-After", strconv.Itoa(retryAfter))
		}
		e.answer(s, status, h, errorText(status))
		return
	}
	body, err := json.Marshal(map[string]any{"id": result.ID, "seq": result.Seq, "applied": true, "mode": mode})
	if err != nil {
		e.fails(s, err)
		return
	}
	e.answer(s, http.StatusOK, http.Header{"Content-Type": {"application/json"}, "Cache-Control": {"no-store"}}, append(body, '\n'))
}

// authorized says whether the request carries the admin token. The comparison
// takes the same time wherever they differ.
func (e *Engine) authorized(f policy.Fields) bool {
	v, ok := f.Get("Authorization")
	if !ok || e.token == "" || len(v) < 7 || !policy.EqualFold(v[:7], "bearer ") {
		return false
	}
	return subtle.ConstantTimeCompare(v[7:], []byte(e.token)) == 1
}
