package bench

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// ETag names object and version; the referee believes it only together with
// the body.
func ETag(o uint32, version uint64) string { return fmt.Sprintf(`"%d-%d"`, o, version) }

// VersionOf reads an ETag of that form.
func VersionOf(tag string) (o uint32, version uint64, ok bool) {
	first, second, ok := strings.Cut(strings.Trim(tag, `"`), "-")
	object, err := strconv.ParseUint(first, 10, 32)
	version, err2 := strconv.ParseUint(second, 10, 64)
	if !ok || err != nil || err2 != nil || ETag(uint32(object), version) != tag {
		return 0, 0, false
	}
	return uint32(object), version, true
}

// FillBody writes the bytes of an object's version from offset, a multiple of
// 8, on. The body is a row of words that count through a mixing function, so
// any two bodies differ from their first byte on and any piece can be made alone.
func FillBody(p []byte, o uint32, version uint64, offset int64) {
	seed := Mix(Mix(uint64(o)+1) + version)
	word := uint64(offset) / 8
	for len(p) >= 8 {
		binary.LittleEndian.PutUint64(p, Mix(seed+word))
		word++
		p = p[8:]
	}
	var last [8]byte
	binary.LittleEndian.PutUint64(last[:], Mix(seed+word))
	copy(p, last[:])
}

// Mix is the finisher of splitmix64 (Steele, Lea and Flood, 2014).
func Mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// BodyCheck compares a body with what it must be while it arrives in pieces.
type BodyCheck struct {
	Object  uint32
	Version uint64
	Offset  int64 // of the next piece
}

// Matches takes the next piece; want is room as long as the piece and a word.
func (c *BodyCheck) Matches(piece, want []byte) bool {
	into := int(c.Offset % 8)
	want = want[:into+len(piece)]
	FillBody(want, c.Object, c.Version, c.Offset-int64(into))
	c.Offset += int64(len(piece))
	return bytes.Equal(piece, want[into:])
}
