package h1

// class is a set of the roles that a byte may have.
type class uint8

const (
	inToken  class = 1 << iota // RFC 9110, 5.6.2
	inTarget                   // visible ASCII but '#': RFC 3986 without fragments, and what browsers leave unescaped
	inValue                    // RFC 9110, 5.5: field-vchar, SP, HTAB, obs-text
	inHost                     // reg-name without what no host name has
	isDigit
	isHex
)

// classes tells each byte's roles.
var classes = func() (t [256]class) {
	for i := range t {
		c := byte(i)
		digit := c >= '0' && c <= '9'
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if digit {
			t[i] |= isDigit
		}
		if digit || letter && c|0x20 <= 'f' {
			t[i] |= isHex
		}
		if digit || letter {
			t[i] |= inToken | inHost
		}
		if c > ' ' && c < 0x7f && c != '#' {
			t[i] |= inTarget
		}
		if c >= ' ' && c != 0x7f || c == '\t' {
			t[i] |= inValue
		}
	}
	for _, c := range []byte("!#$%&'*+-.^_`|~") {
		t[c] |= inToken
	}
	for _, c := range []byte("-._~") {
		t[c] |= inHost
	}
	return t
}()

// all says whether every byte of b has the role.
func all(b []byte, role class) bool {
	for _, c := range b {
		if classes[c]&role == 0 {
			return false
		}
	}
	return true
}

// trim takes optional whitespace off both ends (RFC 9110, 5.6.3).
func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}
