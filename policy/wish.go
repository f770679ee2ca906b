package policy

// FirstRange is the first part that a Range field asks for, while nobody knows
// how long the body is: from an offset on, or, when suffix is not 0, that many
// last bytes. It is false where the field would be ignored or no body could have
// the part (RFC 9110, 14.1.2).
func FirstRange(value []byte) (from, suffix int64, ok bool) {
	const unit = "bytes="
	value = trim(value)
	if len(value) < len(unit) || !EqualFold(value[:len(unit)], unit) {
		return 0, 0, false
	}
	for list := value[len(unit):]; len(list) > 0; {
		var one []byte
		if one, list = cutMember(list); len(one) == 0 {
			continue
		}
		from, rest, hasFrom := readOffset(one)
		if len(rest) == 0 || rest[0] != '-' {
			return 0, 0, false
		}
		last, rest, hasLast := readOffset(rest[1:])
		switch {
		case len(rest) > 0, hasFrom && hasLast && last < from, !hasFrom && last == 0:
			return 0, 0, false
		case !hasFrom:
			return 0, last, true
		}
		return from, 0, true
	}
	return 0, 0, false
}

// ContentRange is what part of a representation an answer has: a half-open span
// of a length that is -1 when the origin does not say it (RFC 9110, 14.4).
type ContentRange struct {
	Span
	Total int64
}

// ReadContentRange reads the Content-Range of a 206. One that is malformed, or
// that contradicts itself, is none.
func ReadContentRange(lines []string) (c ContentRange, ok bool) {
	const unit = "bytes "
	if len(lines) != 1 {
		return c, false
	}
	value := trim([]byte(lines[0]))
	if len(value) < len(unit) || !EqualFold(value[:len(unit)], unit) {
		return c, false
	}
	var hasFrom, hasLast, hasTotal bool
	var last int64
	c.From, value, hasFrom = readOffset(value[len(unit):])
	if len(value) == 0 || value[0] != '-' {
		return c, false
	}
	last, value, hasLast = readOffset(value[1:])
	if len(value) == 0 || value[0] != '/' {
		return c, false
	}
	c.To = last + 1
	if value = value[1:]; string(value) == "*" {
		c.Total = -1
		return c, hasFrom && hasLast && c.From < c.To
	}
	c.Total, value, hasTotal = readOffset(value)
	return c, hasFrom && hasLast && hasTotal && len(value) == 0 && c.From < c.To && c.To <= c.Total
}

// StrongValidator says whether the answer names its content by something that
// no other content of this place shares: a strong ETag, or a Last-Modified that is
// at least a second older than its Date (RFC 9110, 8.8.1 and 8.8.2.2). Parts with
// one and the same may be combined (RFC 9111, 3.4).
func (v *Validators) StrongValidator() bool {
	if len(v.ETag) > 0 {
		return v.ETag[0] == '"'
	}
	return v.Modified != 0 && v.Date > v.Modified
}

// SameStrong says whether two answers share a strong validator.
func (v *Validators) SameStrong(o *Validators) bool {
	if !v.StrongValidator() || !o.StrongValidator() {
		return false
	}
	if len(v.ETag) > 0 || len(o.ETag) > 0 {
		return strongEqual(v.ETag, o.ETag)
	}
	return v.Modified == o.Modified
}
