package edge

import (
	"encoding/binary"
	"net/http"
	"strconv"

	"edgecache/cachestore"
	"edgecache/policy"
)

// wish is the part of a representation that a fetch asks for: bytes from (in) to
// to (out), or the last bytes. It is immutable.
type wish struct {
	from, to int64
	suffix   int64 // not 0: that many last bytes, and from and to say nothing
	// of is the sparse object whose slice this is, and under which key it is
	// stored; nil: nothing is known of the object.
	of *cachestore.Variant
	by policy.Key
}

// ask puts the wish into a request. A slice of a known object must be of that
// object and no other: an origin that knows If-Match answers 412 else, and of
// all others the answer's validator tells.
func (w *wish) ask(u *upward) {
	u.add("Range", w.text(nil))
	if w.of == nil {
		return
	}
	if v := &w.of.Validators; len(v.ETag) > 0 {
		u.add("If-Match", v.ETag)
	} else {
		u.add("If-Unmodified-Since", v.LastModified)
	}
}

// text appends the value of Range.
func (w *wish) text(b []byte) []byte {
	if w.suffix != 0 {
		return strconv.AppendInt(append(b, "bytes=-"...), w.suffix, 10)
	}
	b = strconv.AppendInt(append(b, "bytes="...), w.from, 10)
	return strconv.AppendInt(append(b, '-'), w.to-1, 10)
}

// is says whether the wish is just what the client has asked for.
func (w *wish) is(s *Session) bool {
	value, ok := s.Request.Fields.Get("Range")
	return ok && string(value) == string(w.text(nil)) && s.state.ask.Has&policy.HasIfRange == 0
}

// has says whether the byte at a place is wished for.
func (w *wish) has(at int64) bool { return w.suffix == 0 && w.from <= at && at < w.to }

// wish is what a fetch of an object asks for that the session causes: the slice
// in which the client's first range begins, or its last bytes, if they are few;
// so a range of a large object costs the origin a slice, and of a small one
// brings all of it. nil: the whole. Response filters may change a body, of which
// parts would then say nothing; an object that is stored whole is validated as a
// whole; and where No-Vary-Search is obeyed nobody knows yet where a part belongs.
func (e *Engine) wish(s *Session) *wish {
	st := &s.state
	sparse := st.base != nil && st.base.Part != nil && st.base.Part.Slices != 0
	if len(e.hooks.response) > 0 || s.route.Rules.Key.NoVarySearch || st.whole || s.Request.Method != http.MethodGet || st.base != nil && !sparse {
		return nil
	}
	from, suffix, ok := int64(0), int64(0), sparse
	if st.ask.Has&policy.HasRange != 0 {
		value, _ := s.Request.Fields.Get("Range")
		first, last, asked := policy.FirstRange(value)
		if asked {
			from, suffix, ok = first, last, true
		}
	}
	switch {
	case !ok || from > maxOffset:
		return nil
	case suffix > cachestore.SliceSize:
		suffix = 0 // too many to ask for at once: the head and the length are in the first slice
	}
	from -= from % cachestore.SliceSize
	return &wish{from: from, to: from + cachestore.SliceSize, suffix: suffix}
}

// maxOffset is behind every body that there is; a range from there on is left
// to the origin to refuse.
const maxOffset = 1 << 50

// sliceTail is what the key of a slice has behind that of its object: a NUL, the
// word, the number that the object's slices share, the slice's own.
func sliceTail(slices uint64, i int64) []byte {
	b := append(make([]byte, 0, 24), "\x00slice"...)
	b = binary.BigEndian.AppendUint64(b, slices)
	return binary.BigEndian.AppendUint64(b, uint64(i))
}

// sliceKey is the key of slice i of a sparse object that is stored under k.
func (e *Engine) sliceKey(k policy.Key, p *cachestore.Part, i int64) policy.Key {
	of, _ := k.Under(nil, e.cfg.Seed, sliceTail(p.Slices, i))
	return of
}
