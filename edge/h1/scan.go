package h1

import (
	"bytes"

	"edgecache/edge/syntax"
)

// scanner finds where a head ends while it arrives. It looks at every byte
// once, however the head is split, and refuses as early as it can: nothing is
// gained by waiting for the rest of a head that is already wrong.
type scanner struct {
	at    int // bytes looked at
	line  int // where the line at hand starts
	lines int // complete lines, the request line included
}

// headLimits are the bounds of a head.
type headLimits struct {
	headBytes int // from the request line to the empty line, both included
	lines     int // field lines
	uriBytes  int
}

// restOfLine is what a request line may have beside its target.
const restOfLine = maxMethodBytes + len("  HTTP/1.1\r")

// end looks at the bytes that came since the last call. b starts at the
// head's first byte. It returns the head's length, or 0 when more is needed.
func (s *scanner) end(b []byte, l *headLimits) (int, *fault) {
	if s.at == 0 && len(b) > 0 && syntax.Classes[b[0]]&syntax.InToken == 0 {
		if b[0] == '\r' || b[0] == '\n' {
			return 0, faultEmptyLines
		}
		return 0, faultFirstByte
	}
	for {
		i := bytes.IndexByte(b[s.at:], '\n')
		if i < 0 {
			s.at = len(b)
			return 0, s.over(b, l)
		}
		lf := s.at + i
		if lf == 0 || b[lf-1] != '\r' {
			return 0, faultLineEnd
		}
		empty := lf-1 == s.line
		s.at, s.line = lf+1, lf+1
		if lf+1 > l.headBytes {
			return 0, s.over(b[:lf+1], l)
		}
		if empty {
			return lf + 1, nil
		}
		if s.lines++; s.lines > l.lines+1 {
			return 0, faultLines
		}
	}
}

// over refuses what is already too long.
func (s *scanner) over(b []byte, l *headLimits) *fault {
	if s.lines == 0 && len(b) > l.uriBytes+restOfLine {
		return faultURILong
	}
	if len(b) >= l.headBytes {
		return faultHeadLong
	}
	return nil
}
