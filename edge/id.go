package edge

import "math/rand/v2"

const hexDigits = "0123456789abcdef"

// newID writes 128 random bits as hex into buf: unique, not secret.
func newID(buf *[32]byte) []byte {
	a, b := rand.Uint64(), rand.Uint64()
	for i := range 16 {
		buf[i] = hexDigits[a>>(60-4*i)&15]
		buf[16+i] = hexDigits[b>>(60-4*i)&15]
	}
	return buf[:]
}

// newNumber is a random number other than 0.
func newNumber() uint64 { return rand.Uint64() | 1 }
