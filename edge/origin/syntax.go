package origin

import (
	"math"
	"strings"
)

// parseDigits reads 1*DIGIT that fits in an int64 (RFC 9110, 8.6).
func parseDigits[T string | []byte](b T) (n int64, ok bool) {
	for i := range len(b) {
		c := b[i]
		if c < '0' || c > '9' || n > (math.MaxInt64-int64(c-'0'))/10 {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, len(b) > 0
}

// parseHex reads 1*HEXDIG that fits in an int64, of 16 digits at most.
func parseHex(b []byte) (n int64, ok bool) {
	if len(b) == 0 || len(b) > 16 {
		return 0, false
	}
	for _, c := range b {
		d := strings.IndexByte("0123456789abcdef", lower(c))
		if d < 0 || n > math.MaxInt64>>4 {
			return 0, false
		}
		n = n<<4 | int64(d)
	}
	return n, true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'F' {
		return c + 'a' - 'A'
	}
	return c
}

// validName reports whether b is a token (RFC 9110, 5.6.2).
func validName[T string | []byte](b T) bool {
	for i := range len(b) {
		if !isToken[b[i]] {
			return false
		}
	}
	return len(b) > 0
}

// validValue reports whether b has no control character but HTAB (RFC 9110,
// 5.5).
func validValue[T string | []byte](b T) bool {
	i := 0
	for ; i+8 <= len(b); i += 8 {
		if controls(word(b, i)) && !validBytes(b, i, i+8) {
			return false
		}
	}
	return validBytes(b, i, len(b))
}

func validBytes[T string | []byte](b T, from, to int) bool {
	for i := from; i < to; i++ {
		if c := b[i]; (c < ' ' && c != '\t') || c == 0x7f {
			return false
		}
	}
	return true
}

// word is eight bytes from i on, in one load.
func word[T string | []byte](b T, i int) uint64 {
	_ = b[i+7]
	return uint64(b[i]) | uint64(b[i+1])<<8 | uint64(b[i+2])<<16 | uint64(b[i+3])<<24 |
		uint64(b[i+4])<<32 | uint64(b[i+5])<<40 | uint64(b[i+6])<<48 | uint64(b[i+7])<<56
}

// controls says whether one of eight bytes is below a blank, or DEL. Each byte's
// highest bit tells of it, or of a byte below it: a yes may be wrong, a no never is.
func controls(w uint64) bool {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	del := w ^ 0x7f*ones
	return ((w-' '*ones)&^w|(del-ones)&^del)&tops != 0
}

var isToken = func() (t [256]bool) {
	for c := '0'; c <= '9'; c++ {
		t[c] = true
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = true, true
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		t[c] = true
	}
	return t
}()
