package policy

// Span is a part of a body, half open: From is in it, To is not.
type Span struct{ From, To int64 }

// RangeResult says what a Range field asks for.
type RangeResult uint8

// The results.
const (
	RangeNone          RangeResult = iota // ignore the field, serve the whole
	RangeOne                              // one part
	RangeMany                             // several parts
	RangeUnsatisfiable                    // 416
)

// maxRanges is the most ranges that are ever looked at, whatever is configured.
const maxRanges = 64

// ParseRange reads a Range field (RFC 9110, 14.2) for a body of size bytes. A
// field that is malformed, in another unit, with more than most ranges or with
// parts that overlap is ignored (14.2 and 17.15 allow it). first is the first
// part that the body has, n how many there are.
func ParseRange(value []byte, size int64, most int) (first Span, n int, res RangeResult) {
	var room [maxRanges]Span
	spans, res := readRanges(room[:0], value, size, min(most, maxRanges))
	if len(spans) == 0 {
		return Span{}, 0, res
	}
	return spans[0], len(spans), res
}

// AppendRanges appends all parts that ParseRange counts, in the order asked.
func AppendRanges(dst []Span, value []byte, size int64, most int) ([]Span, RangeResult) {
	var room [maxRanges]Span
	spans, res := readRanges(room[:0], value, size, min(most, maxRanges))
	return append(dst, spans...), res
}

func readRanges(spans []Span, value []byte, size int64, most int) ([]Span, RangeResult) {
	const unit = "bytes="
	value = trim(value)
	if len(value) < len(unit) || !EqualFold(value[:len(unit)], unit) {
		return nil, RangeNone
	}
	asked := 0
	for list := value[len(unit):]; len(list) > 0; {
		var one []byte
		if one, list = cutMember(list); len(one) == 0 {
			continue
		}
		if asked++; asked > most {
			return nil, RangeNone
		}
		s, state := readRange(one, size)
		switch {
		case state == RangeNone:
			return nil, RangeNone
		case state == RangeUnsatisfiable:
			continue
		case overlaps(spans, s):
			return nil, RangeNone
		}
		spans = append(spans, s)
	}
	switch {
	case asked == 0:
		return nil, RangeNone
	case len(spans) == 0:
		return nil, RangeUnsatisfiable
	case len(spans) == 1:
		return spans, RangeOne
	}
	return spans, RangeMany
}

// readRange reads one of "0-99", "100-", "-5" (RFC 9110, 14.1.2).
func readRange(s []byte, size int64) (Span, RangeResult) {
	from, s, hasFrom := readOffset(s)
	if len(s) == 0 || s[0] != '-' {
		return Span{}, RangeNone
	}
	last, s, hasLast := readOffset(s[1:])
	switch {
	case len(s) > 0, !hasFrom && !hasLast, hasFrom && hasLast && last < from:
		return Span{}, RangeNone
	case !hasFrom && last == 0, hasFrom && from >= size:
		return Span{}, RangeUnsatisfiable
	case !hasFrom && size == 0:
		return Span{}, RangeNone // the last bytes of nothing: the whole, which is empty
	case !hasFrom:
		return Span{max(size-last, 0), size}, RangeOne
	case !hasLast || last >= size:
		return Span{from, size}, RangeOne
	}
	return Span{from, last + 1}, RangeOne
}

// maxOffset is what larger numbers count as: beyond every body, and safe to
// add to.
const maxOffset = 1 << 62

func readOffset(s []byte) (n int64, rest []byte, ok bool) {
	for len(s) > 0 && isDigit(s[0]) {
		n = min(n*10+int64(s[0]-'0'), maxOffset/10-1)
		s, ok = s[1:], true
	}
	return n, s, ok
}

func overlaps(spans []Span, s Span) bool {
	for _, o := range spans {
		if s.From < o.To && o.From < s.To {
			return true
		}
	}
	return false
}
