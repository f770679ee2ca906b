package edge

import (
	"net/http"
	"strconv"
	"time"

	"edgecache/cachestore"
	"edgecache/policy"
)

// answer sends an answer of our own: an error, a redirect of a hook, a purge's
// result. Nothing may have been sent before.
func (e *Engine) answer(s *Session, status int, h http.Header, body []byte) {
	if h == nil {
		h = http.Header{}
	} else {
		h = h.Clone()
	}
	if h.Get("Date") == "" {
		h.Set("Date", e.now().UTC().Format(http.TimeFormat))
	}
	if len(body) > 0 && h.Get("Content-Type") == "" {
		h.Set("Content-Type", "text/plain; charset=utf-8")
	}
	head := cachestore.NewHead(status, h, nil)
	v := &s.state.view
	*v = View{Status: status, Length: int64(len(body)), NoBody: s.Request.Method == http.MethodHead, Close: v.Close}
	if status == http.StatusNoContent || status == http.StatusNotModified || status < 200 {
		v.Length, v.NoBody = LengthNone, true
	}
	head = e.filterDelivery(s, head, v)
	if s.ended {
		return
	}
	s.Cache.Age, s.Cache.Tier = -1, TierNone
	e.writeTail(s, v)
	s.Status = v.Status
	if err := s.lane.SendHead(head, v); err != nil {
		s.fail(err)
		return
	}
	if !v.NoBody && len(body) > 0 {
		if err := s.send(body); err != nil {
			s.fail(err)
			return
		}
	}
	s.end(nil)
}

// refuse ends the request with an error status. What the client reads never
// carries inner detail.
func (e *Engine) refuse(s *Session, status int, why policy.Reason) {
	switch {
	case s.Cache.Status == CacheNone:
		s.Cache.Status = CacheBypass
	case s.state.forward == "":
		s.state.forward = s.lookupMissed() // as long as the reason says it
	}
	s.Cache.Reason = why
	s.state.fault = proxyError(s.Err, status, why)
	h := http.Header{"Cache-Control": {"no-store"}}
	if theirs := proxyStatusOf(s); len(theirs) > 0 {
		h["Proxy-Status"] = theirs
	}
	if status == http.StatusMethodNotAllowed {
		h.Set("Allow", "GET, HEAD, OPTIONS, POST, PUT, PATCH, DELETE")
	}
	e.answer(s, status, h, errorText(status))
}

// errorText is the body of an error of ours: the status and its name.
func errorText(status int) []byte {
	text := http.StatusText(status)
	if text == "" {
		text = "error"
	}
	return []byte(strconv.Itoa(status) + " " + text + "\n")
}

// fails ends the request with an error, before the first byte as a status,
// after it as a visible break.
func (e *Engine) fails(s *Session, err error) {
	f := e.judge(s, err)
	s.Err = err
	if s.lane.Started() || s.ended {
		s.fail(err)
		return
	}
	s.Cache.Reason = f.why
	if f.status == 499 {
		s.Status = 499
		s.fail(err)
		return
	}
	switch f.status {
	case http.StatusBadRequest, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge:
		s.state.view.Close = true
	}
	e.refuse(s, f.status, f.why)
}

// send writes body bytes and counts them.
func (s *Session) send(p []byte) error {
	if err := s.lane.Write(p); err != nil {
		return err
	}
	s.BodyBytes += int64(len(p))
	return nil
}

// end ends the answer cleanly.
func (s *Session) end(trailer http.Header) {
	if err := s.lane.End(trailer); err != nil {
		s.fail(err)
		return
	}
	s.ended = true
}

// fail breaks the answer where it stands.
func (s *Session) fail(err error) {
	if s.Err == nil {
		s.Err = err
	}
	if !s.ended {
		s.lane.Abort(err)
		s.ended = true
	}
}

func (e *Engine) now() time.Time { return e.clock() }

func (e *Engine) nanos() int64 { return e.clock().UnixNano() }
