package edge

import (
	"io"
	"net/http"
	"slices"

	"edgecache/cachestore"
	"edgecache/policy"
)

// trailer gives what of an answer's trailer section goes on and is stored: what a
// trailer may be (RFC 9110, 6.5.1) and the head would not hide.
func (e *Engine) trailer(s *Session, h http.Header) http.Header {
	if len(h) == 0 {
		return nil
	}
	return policy.Trailer(h, e.removed(s))
}

// removed are the fields that answers of the session's route never have.
func (e *Engine) removed(s *Session) []string {
	if s.route == nil || len(s.route.without) == 0 {
		return e.hidden
	}
	names := slices.Clone(e.hidden)
	for _, name := range s.route.without {
		names = append(names, http.CanonicalHeaderKey(name))
	}
	return names
}

// early is what is passed on of a 1xx answer: it is filtered as the head of a final answer is
// filtered. The origin is asked by us, so 100 and 101 never come here: edge/origin
// takes them for its own.
func (e *Engine) early(s *Session, h http.Header) http.Header {
	listed, removed := policy.ConnectionNames(h), e.removed(s)
	kept := make(http.Header, len(h))
	for name, values := range h {
		switch {
		case listed[name], policy.IsHopByHop(name), slices.Contains(removed, name),
			name == "Content-Length", name == "X-Request-Id":
		default:
			kept[name] = values
		}
	}
	return kept
}

// trailing is the trailer that goes behind a stored body, and frames the answer so
// that it can: chunks in place of a length. nil: none was stored, a part or no body
// is sent, or the client's protocol has no trailers.
func trailing(s *Session, b *cachestore.Body) http.Header {
	v := &s.state.view
	if b.Trailer == nil || v.NoBody || v.Status == http.StatusPartialContent || v.To-v.From != b.Size || s.Request.Proto == HTTP10 {
		return nil
	}
	v.Length = LengthUnknown
	return b.Trailer
}

// sendTrailed sends a body in memory and the trailer behind it, as a miss does.
func (e *Engine) sendTrailed(s *Session, v *cachestore.Variant, trailer http.Header) {
	if !e.sendHead(s, v.Head) {
		return
	}
	for at := int64(0); at < v.Body.Size; {
		p := v.Body.At(at)
		if len(p) == 0 {
			s.fail(io.ErrUnexpectedEOF)
			return
		}
		if err := s.send(p); err != nil {
			s.fail(clientGone(err))
			return
		}
		at += int64(len(p))
	}
	s.end(trailer)
}
