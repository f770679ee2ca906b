package policy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"

	"github.com/zeebo/xxh3"
)

// Hash is the 128-bit keyed hash of a primary key. Equal hashes are a hint;
// only Key.Equal says that two requests ask for the same resource.
type Hash struct{ Hi, Lo uint64 }

// Seed is the installation's secret that keys all hashes of primary keys.
type Seed uint64

// Key is the primary key of a resource (RFC 9111, 2). Full is a view into the
// buffer that NewKey filled; whoever outlives that buffer clones the key.
type Key struct {
	Hash Hash
	Full []byte

	pathAt, queryAt, extraAt uint32
}

// The full form: one byte of flags, the lengths of host, path and query as
// four bytes each, then host, path, query, and to the end the extra part.
// Lengths come first, so no byte of a request can move a border.
const (
	keyHead     = 1 + 3*4
	keyHTTPS    = 1 << 0
	keyHasQuery = 1 << 1
	keyFlags    = keyHTTPS | keyHasQuery
)

// ErrKey says that bytes are not the full form of a key.
var ErrKey = errors.New("malformed primary key")

// NewKey appends the full form of u and extra to dst and returns the key,
// whose Full is a view into the returned buffer. It allocates only when dst
// lacks room.
func NewKey(dst []byte, seed Seed, u URL, extra []byte) (Key, []byte) {
	start := len(dst)
	var flags byte
	if u.Scheme == "https" {
		flags |= keyHTTPS
	}
	if u.HasQuery {
		flags |= keyHasQuery
	} else {
		u.Query = nil
	}
	dst = append(dst, flags)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(u.Host)))
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(u.Path)))
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(u.Query)))
	dst = append(dst, u.Host...)
	dst = append(dst, u.Path...)
	dst = append(dst, u.Query...)
	dst = append(dst, extra...)
	k := Key{Full: dst[start:len(dst):len(dst)]}
	k.pathAt = uint32(keyHead + len(u.Host))
	k.queryAt = k.pathAt + uint32(len(u.Path))
	k.extraAt = k.queryAt + uint32(len(u.Query))
	k.Hash = hashKey(k.Full, seed)
	return k, dst
}

// ReadKey makes the key whose full form was kept elsewhere, as on disk. Its
// Full is full itself, not a copy.
func ReadKey(seed Seed, full []byte) (Key, error) {
	if len(full) < keyHead || len(full) > math.MaxUint32 || full[0]&^keyFlags != 0 {
		return Key{}, ErrKey
	}
	path := keyHead + uint64(binary.BigEndian.Uint32(full[1:]))
	query := path + uint64(binary.BigEndian.Uint32(full[5:]))
	extra := query + uint64(binary.BigEndian.Uint32(full[9:]))
	if extra > uint64(len(full)) || full[0]&keyHasQuery == 0 && extra != query {
		return Key{}, ErrKey
	}
	return Key{
		Hash:   hashKey(full, seed),
		Full:   full,
		pathAt: uint32(path), queryAt: uint32(query), extraAt: uint32(extra),
	}, nil
}

func hashKey(full []byte, seed Seed) Hash {
	h := xxh3.Hash128Seed(full, uint64(seed))
	return Hash{Hi: h.Hi, Lo: h.Lo}
}

// Under appends to dst the key of something that belongs to the resource of k,
// told apart by tail: it has the same place, so a purge of the one covers the
// other. Its Full is a view into the returned buffer.
func (k Key) Under(dst []byte, seed Seed, tail []byte) (Key, []byte) {
	start := len(dst)
	dst = append(append(dst, k.Full...), tail...)
	k.Full = dst[start:len(dst):len(dst)]
	k.Hash = hashKey(k.Full, seed)
	return k, dst
}

// Clone returns the same key over bytes of its own.
func (k Key) Clone() Key {
	k.Full = bytes.Clone(k.Full)
	return k
}

// Equal compares the full forms, so that a collision of hashes is a miss.
func (k Key) Equal(o Key) bool {
	return k.Hash == o.Hash && bytes.Equal(k.Full, o.Full)
}

// URL is the place that the key was made of, as views into Full.
func (k Key) URL() URL {
	if len(k.Full) < keyHead || k.pathAt == 0 {
		return URL{}
	}
	u := URL{
		Scheme:   "http",
		Host:     k.Full[keyHead:k.pathAt],
		Path:     k.Full[k.pathAt:k.queryAt],
		Query:    k.Full[k.queryAt:k.extraAt],
		HasQuery: k.Full[0]&keyHasQuery != 0,
	}
	if k.Full[0]&keyHTTPS != 0 {
		u.Scheme = "https"
	}
	return u
}

// Seeds that keep tags and groups apart in one space of hashes.
const (
	tagSeed   = 0x7461670000000001
	groupSeed = 0x67726f7570000002
)

// HashTag is how a tag is kept with an object and looked up by a purge. Two
// tags with one hash purge too much, never too little.
func HashTag(tag string) uint64 { return xxh3.HashStringSeed(tag, tagSeed) }

// HashGroup is HashTag for a group of RFC 9875, which belongs to one origin.
func HashGroup(scheme, host, group string) uint64 {
	b := make([]byte, 0, 64)
	for _, s := range [...]string{scheme, host, group} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return xxh3.HashSeed(b, groupSeed)
}
