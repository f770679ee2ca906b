package policy

import "bytes"

// Validators are what a stored answer is compared by (RFC 9110, 8.8). The
// slices are as the origin sent them; times are Unix seconds, 0 for none.
type Validators struct {
	ETag, LastModified []byte
	Modified           int64 // LastModified as a time
	Date               int64 // the answer's Date, or the time of receipt
}

// Outcome is what a request's preconditions make of a stored answer.
type Outcome uint8

// The outcomes.
const (
	Full               Outcome = iota // answer in full, or with a range
	NotModified                       // 304
	PreconditionFailed                // 412
)

// Conditional evaluates the preconditions of a request against a stored answer
// in the order of RFC 9110, 13.2.2. Only successful answers have any (13.2.1).
func Conditional(a *Ask, v *Validators, status int) Outcome {
	if a.Has&HasConditional == 0 || status < 200 || status > 299 {
		return Full
	}
	switch {
	case a.Has&HasIfMatch != 0:
		if !matchTags(a.Fields, "if-match", v.ETag, strongEqual) {
			return PreconditionFailed
		}
	case a.Has&HasIfUnmodifiedSince != 0:
		at, ok := dateField(a.Fields, "if-unmodified-since")
		if ok && v.Modified != 0 && v.Modified > at {
			return PreconditionFailed
		}
	}
	switch {
	case a.Has&HasIfNoneMatch != 0:
		if matchTags(a.Fields, "if-none-match", v.ETag, weakEqual) {
			return NotModified
		}
	case a.Has&HasIfModifiedSince != 0:
		if at, ok := dateField(a.Fields, "if-modified-since"); ok && v.unmodifiedSince(at) {
			return NotModified
		}
	}
	return Full
}

// unmodifiedSince compares Last-Modified, without one Date (RFC 9111, 4.3.2).
func (v *Validators) unmodifiedSince(at int64) bool {
	switch {
	case v.Modified != 0:
		return v.Modified <= at
	case len(v.LastModified) == 0 && v.Date != 0:
		return v.Date <= at
	}
	return false
}

// IfRange says whether the request's Range may be answered from what is stored
// (RFC 9110, 13.1.5): there is no If-Range, or it names the stored answer by a
// strong validator.
func IfRange(a *Ask, v *Validators) bool {
	if a.Has&HasIfRange == 0 {
		return true
	}
	i := a.Fields.Next("if-range", 0)
	if i < 0 || a.Fields.Next("if-range", i+1) >= 0 {
		return i < 0
	}
	value := trim(a.Fields[i].Value)
	if len(value) == 0 {
		return false
	}
	if value[0] == '"' || bytes.HasPrefix(value, weakMark) {
		return strongEqual(value, v.ETag)
	}
	// 8.8.2.2: a date is strong when the answer was made at least a second later.
	return v.Modified != 0 && v.Date > v.Modified && bytes.Equal(value, v.LastModified)
}

var weakMark = []byte("W/")

// strongEqual and weakEqual compare entity tags (RFC 9110, 8.8.3.2).
func strongEqual(a, b []byte) bool {
	return len(a) > 0 && bytes.Equal(a, b) && !bytes.HasPrefix(a, weakMark)
}

func weakEqual(a, b []byte) bool {
	a, b = bytes.TrimPrefix(a, weakMark), bytes.TrimPrefix(b, weakMark)
	return len(a) > 0 && bytes.Equal(a, b)
}

// matchTags says whether any tag of all lines called name is etag, or one is
// "*", which every stored answer matches.
func matchTags(f Fields, name string, etag []byte, equal func(a, b []byte) bool) bool {
	for i := f.Next(name, 0); i >= 0; i = f.Next(name, i+1) {
		if string(trim(f[i].Value)) == "*" {
			return true
		}
		for list := f[i].Value; len(list) > 0; {
			var tag []byte
			if tag, list = cutTag(list); len(etag) > 0 && equal(tag, etag) {
				return true
			}
		}
	}
	return false
}

// cutTag takes the first entity tag off a list. A comma within quotation marks
// belongs to the tag; a tag without them ends at a comma or a blank.
func cutTag(list []byte) (tag, rest []byte) {
	for len(list) > 0 && (list[0] == ',' || isBlank(list[0])) {
		list = list[1:]
	}
	open := 0
	if bytes.HasPrefix(list, weakMark) {
		open = len(weakMark)
	}
	if open < len(list) && list[open] == '"' {
		if n := bytes.IndexByte(list[open+1:], '"'); n >= 0 {
			end := open + 1 + n + 1
			return list[:end], list[end:]
		}
		return nil, nil
	}
	for end, c := range list {
		if c == ',' || isBlank(c) {
			return list[:end], list[end:]
		}
	}
	return list, nil
}

// dateField reads the date in the only line called name as Unix seconds.
func dateField(f Fields, name string) (at int64, ok bool) {
	i := f.Next(name, 0)
	if i < 0 || f.Next(name, i+1) >= 0 {
		return 0, false
	}
	t, ok := parseDate(trim(f[i].Value))
	return t.Unix(), ok
}
