package policy

import (
	"bytes"
	"encoding/binary"
)

// CutSelector divides a selector of these names at the value of one of them. It
// is false where that is not among them or the bytes are no selector of theirs.
func CutSelector(selector []byte, vary []string, name string) (before, value, behind []byte, ok bool) {
	rest := selector
	for _, n := range vary {
		if len(rest) < 4 {
			return nil, nil, nil, false
		}
		size := max(int64(binary.BigEndian.Uint32(rest))-1, 0)
		if int64(len(rest)-4) < size {
			return nil, nil, nil, false
		}
		if n == name {
			at := len(selector) - len(rest)
			return selector[:at], rest[4 : 4+size], rest[4+size:], true
		}
		rest = rest[4+size:]
	}
	return nil, nil, nil, false
}

// TakesChoice says whether an answer with this Content-Encoding, nil for none,
// that the origin chose for a request which took more codings than this one, is
// right for this one, too: the origin would not choose another among fewer, and
// the client takes it. chosenFor and taken are values of CanonicalEncodings. A
// coding that we do not know is no choice of ours.
func (a *Ask) TakesChoice(chosenFor, taken, coding []byte) bool {
	most, mine := codingsIn(chosenFor), codingsIn(taken)
	if most == mine || most&mine != mine {
		return false
	}
	if len(coding) == 0 || EqualFold(coding, "identity") {
		return a.takesIdentity()
	}
	return codingOf(coding)&mine != 0
}

// codingsIn is the set that a value of CanonicalEncodings names.
func codingsIn(list []byte) (set int) {
	for len(list) > 0 {
		var name []byte
		name, list = cutMember(list)
		set |= codingOf(name)
	}
	return set
}

// takesIdentity says whether the client takes an answer without coding: it does
// unless it says identity;q=0, or *;q=0 and nothing of identity (RFC 9110,
// 12.5.3). What is malformed is a refusal.
func (a *Ask) takesIdentity() bool {
	named, others := -1, -1
	f := a.Fields
	for i := f.Next("accept-encoding", 0); i >= 0; i = f.Next("accept-encoding", i+1) {
		for list := f[i].Value; len(list) > 0; {
			var member []byte
			member, list = cutMember(list)
			name, q, ok := cutQuality(member)
			if !ok {
				q = 0
			}
			if bytes.Equal(name, star) {
				others = q
			} else if EqualFold(name, "identity") {
				named = q
			}
		}
	}
	return named > 0 || named < 0 && others != 0
}

var star = []byte{'*'}
