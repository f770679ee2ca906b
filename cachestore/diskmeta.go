package cachestore

import (
	"encoding/binary"
	"errors"
	"maps"
	"math"
	"net/http"
	"slices"
	"time"
)

// errRecord says that an object's head has more than a record of the disk tier
// may have: it is not kept there.
var errRecord = errors.New("cachestore: head of the object is over what the disk tier keeps")

// metaRecord is what the disk keeps of an object beside its body. Of Variant it
// has all but the body and the marks of use.
type metaRecord struct {
	Order    uint64 // of eviction
	PurgeGen uint32 // which numbering of purges Variant.PurgeSeq is of
	Variant  *Variant
	BodySize int64
	Trailer  http.Header // of the body; nil when there is none
	Full     []byte      // full form of the key
}

// metaFront is the part of a record that an index is made of.
type metaFront struct {
	Order    uint64
	PurgeGen uint32
	PurgeSeq uint64
	BodySize int64
	Expires  uint32 // as expiresOf says
	Full     []byte // a view of the record
}

// Limits of a record.
const (
	maxFullBytes      = 1 << 20
	maxBlockBytes     = 1 << 20
	maxSelectorBytes  = 1 << 20
	maxTrailerBytes   = 1 << 20 // with the lengths
	maxValidatorBytes = math.MaxUint16
	maxNameBytes      = math.MaxUint16
	maxVary           = 256
	maxTags           = 4096
)

const (
	metaVersion    = 1
	metaFrontBytes = 1 + 4 + 8 + 4 + 8 + 8 + 4
)

// The flags of a record.
const (
	flagNoCache = 1 << iota
	flagMustRevalidate
	flagSharedMaxAge
	flagExplicit
	flagSoft
	flagSharedAuth
	flagImmutable
	metaFlags = 1<<iota - 1 | flagPart
)

// flagPart says that the times are followed by what part of a representation
// the object is.
const flagPart = 1 << 7

// keepsItsPlace is the expiry of what is never thrown out for its age.
const keepsItsPlace = math.MaxUint32

// expiresOf is the last Unix second in which the variant may be of use without
// asking the origin, keepsItsPlace when it has a validator, because a 304 can
// save its bytes, or when the second is beyond 32 bits.
func expiresOf(v *Variant) uint32 {
	l := &v.Life
	switch {
	case len(v.Validators.ETag) > 0, len(v.Validators.LastModified) > 0:
		return keepsItsPlace
	case l.NoCache:
		return 0
	}
	end := laterBy(laterBy(l.Born, l.Fresh), max(l.SWR, l.SIE, l.Dead, 0)) / int64(time.Second)
	return uint32(min(max(end, 0), keepsItsPlace))
}

// laterBy is at plus a span, as far as int64 reaches.
func laterBy(at int64, span time.Duration) int64 {
	sum := at + int64(span)
	switch {
	case span > 0 && sum < at:
		return math.MaxInt64
	case span < 0 && sum > at:
		return math.MinInt64
	}
	return sum
}

// check says whether a record can be written so that it can be read.
func (m *metaRecord) check() error {
	v := m.Variant
	h := v.Head
	ok := len(m.Full) <= maxFullBytes && m.BodySize >= 0 &&
		h.Status >= 0 && h.Status <= math.MaxUint16 && len(h.block) <= maxBlockBytes &&
		len(v.Selector) <= maxSelectorBytes && len(v.Vary) <= maxVary && len(v.Tags) <= maxTags &&
		len(v.Validators.ETag) <= maxValidatorBytes && len(v.Validators.LastModified) <= maxValidatorBytes
	for _, name := range v.Vary {
		ok = ok && len(name) <= maxNameBytes
	}
	size := 0
	for name, values := range m.Trailer {
		size += 2 + len(name) + 2
		ok = ok && len(name) <= maxNameBytes && len(values) <= math.MaxUint16
		for _, value := range values {
			size += 4 + len(value)
		}
	}
	if !ok || len(m.Trailer) > math.MaxUint16 || size > maxTrailerBytes {
		return errRecord
	}
	return nil
}

// appendMeta appends the record of object id, whose variant has a head. It
// answers errRecord, and dst as it was, for what is over the limits.
func appendMeta(dst []byte, s *seal, id uint64, m *metaRecord) ([]byte, error) {
	if err := m.check(); err != nil {
		return dst, err
	}
	start, v := len(dst), m.Variant
	dst = append(dst, metaVersion)
	dst = binary.BigEndian.AppendUint32(dst, expiresOf(v))
	dst = binary.BigEndian.AppendUint64(dst, m.Order)
	dst = binary.BigEndian.AppendUint32(dst, m.PurgeGen)
	dst = binary.BigEndian.AppendUint64(dst, v.PurgeSeq)
	dst = binary.BigEndian.AppendUint64(dst, uint64(m.BodySize))
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(m.Full)))
	dst = append(dst, m.Full...)
	dst = appendTimes(dst, v)
	dst = appendHead(dst, v)
	dst = appendTrailer(dst, m.Trailer)
	return binary.BigEndian.AppendUint32(dst, s.meta(id, dst[start:])), nil
}

// appendTimes appends the flags, the life and the other times of v.
func appendTimes(dst []byte, v *Variant) []byte {
	l := &v.Life
	var flags byte
	for i, on := range [...]bool{l.NoCache, l.MustRevalidate, l.SharedMaxAge, l.Explicit, l.Soft, v.SharedAuth, l.Immutable} {
		if on {
			flags |= 1 << i
		}
	}
	if v.Part != nil {
		flags |= flagPart
	}
	dst = append(dst, flags)
	for _, n := range [...]int64{
		l.Born, int64(l.Fresh), int64(l.SWR), int64(l.SIE), int64(l.Dead),
		v.StoredAt, v.Validators.Modified, v.Validators.Date,
	} {
		dst = binary.BigEndian.AppendUint64(dst, uint64(n))
	}
	if v.Part == nil {
		return dst
	}
	for _, n := range [...]uint64{uint64(v.Part.From), uint64(v.Part.Total), v.Part.Slices} {
		dst = binary.BigEndian.AppendUint64(dst, n)
	}
	return append(dst, bit(v.Part.ToEnd))
}

func bit(on bool) byte {
	if on {
		return 1
	}
	return 0
}

// appendHead appends status, lengths, and then the bytes that they are of.
func appendHead(dst []byte, v *Variant) []byte {
	h := v.Head
	dst = binary.BigEndian.AppendUint16(dst, uint16(h.Status))
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(h.block)))
	dst = binary.BigEndian.AppendUint32(dst, uint32(h.kept))
	dst = binary.BigEndian.AppendUint32(dst, uint32(h.unhidden))
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(v.Validators.ETag)))
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(v.Validators.LastModified)))
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(v.Selector)))
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(v.Vary)))
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(v.Tags)))
	dst = append(dst, h.block...)
	dst = append(dst, v.Validators.ETag...)
	dst = append(dst, v.Validators.LastModified...)
	dst = append(dst, v.Selector...)
	for _, name := range v.Vary {
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(name)))
		dst = append(dst, name...)
	}
	for _, tag := range v.Tags {
		dst = binary.BigEndian.AppendUint64(dst, tag)
	}
	return dst
}

// appendTrailer appends the trailer's fields by name.
func appendTrailer(dst []byte, h http.Header) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(h)))
	for _, name := range slices.Sorted(maps.Keys(h)) {
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(name)))
		dst = append(dst, name...)
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(h[name])))
		for _, value := range h[name] {
			dst = binary.BigEndian.AppendUint32(dst, uint32(len(value)))
			dst = append(dst, value...)
		}
	}
	return dst
}
