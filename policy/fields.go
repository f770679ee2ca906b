package policy

// Get returns the value of the first line called name, whatever its case.
func (f Fields) Get(name string) (value []byte, ok bool) {
	i := f.Next(name, 0)
	if i < 0 {
		return nil, false
	}
	return f[i].Value, true
}

// Has says whether there is a line called name.
func (f Fields) Has(name string) bool { return f.Next(name, 0) >= 0 }

// Next returns the index of the next line called name at or after from, or -1.
//
//	for i := f.Next("vary", 0); i >= 0; i = f.Next("vary", i+1) { … }
func (f Fields) Next(name string, from int) int {
	for i := max(from, 0); i < len(f); i++ {
		if EqualFold(f[i].Name, name) {
			return i
		}
	}
	return -1
}

// EqualFold compares ASCII without regard to case, as field names, hosts and
// directives are compared; other bytes must be equal.
func EqualFold(name []byte, s string) bool {
	if len(name) != len(s) {
		return false
	}
	for i := range name {
		if name[i] != s[i] && lower(name[i]) != lower(s[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c | 0x20
	}
	return c
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isAlpha(c byte) bool { c |= 0x20; return 'a' <= c && c <= 'z' }

// isToken says whether s is a token of RFC 9110, 5.6.2.
func isToken(s string) bool {
	for i := 0; i < len(s); i++ {
		if !isTokenByte(s[i]) {
			return false
		}
	}
	return s != ""
}

func isTokenByte(c byte) bool {
	if isAlpha(c) || isDigit(c) {
		return true
	}
	switch c {
	case '!', '#', '$', '%', '&', '\'', '*', '+', '-', '.', '^', '_', '`', '|', '~':
		return true
	}
	return false
}

// trim cuts optional white space (RFC 9110, 5.6.3) off both ends.
func trim(b []byte) []byte {
	for len(b) > 0 && isBlank(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isBlank(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }
