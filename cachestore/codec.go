package cachestore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// The bytes of a shard are drawn in docs/format.md. All numbers of ours are
// big-endian.

// errBroken says that bytes of the disk tier are not what was written.
var errBroken = errors.New("cachestore: disk shard is broken")

func broken(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errBroken, fmt.Sprintf(format, args...))
}

// epoch is the random name of one life of a shard. What was written under
// another one is refused by its checksum.
type epoch [16]byte

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seal makes the checksums of an epoch: CRC-32C of the epoch, of the place where
// the bytes belong, and of the bytes.
type seal struct{ state uint32 }

func newSeal(e epoch) seal { return seal{crc32.Checksum(e[:], castagnoli)} }

// chunk is the checksum of chunk n of the body id.
func (s *seal) chunk(id uint64, n uint32, p []byte) uint32 {
	c := addUint64(s.state, id)
	c = addUint32(c, n)
	c = addUint32(c, uint32(len(p)))
	return crc32.Update(c, castagnoli, p)
}

// meta is the checksum of the record of object id.
func (s *seal) meta(id uint64, p []byte) uint32 {
	c := addUint64(s.state, id)
	c = addUint32(c, uint32(len(p)))
	return crc32.Update(c, castagnoli, p)
}

// addUint64 and addUint32 take big-endian numbers into a checksum.
// crc32.Update would have their bytes allocated.
func addUint64(crc uint32, n uint64) uint32 {
	return addUint32(addUint32(crc, uint32(n>>32)), uint32(n))
}

func addUint32(crc, n uint32) uint32 {
	crc = ^crc
	for shift := 24; shift >= 0; shift -= 8 {
		crc = castagnoli[byte(crc)^byte(n>>shift)] ^ crc>>8
	}
	return ^crc
}

const (
	idBytes          = 8
	chunkPrefixBytes = idBytes + 4
	chunkKeyBytes    = chunkPrefixBytes + crcBytes
	crcBytes         = 4
)

// idKey appends the key under which a record, or a body that was begun, lies.
func idKey(dst []byte, id uint64) []byte { return binary.BigEndian.AppendUint64(dst, id) }

// readIDKey reads it back.
func readIDKey(key []byte) (id uint64, err error) {
	if len(key) != idBytes {
		return 0, broken("id of %d bytes", len(key))
	}
	return binary.BigEndian.Uint64(key), nil
}

// chunkKey appends the key of chunk n of body id, in which the chunk's checksum
// stands: so the value is the payload as it lies in memory.
func chunkKey(dst []byte, id uint64, n, crc uint32) []byte {
	return binary.BigEndian.AppendUint32(chunkPrefix(dst, id, n), crc)
}

// chunkPrefix appends what is known of a chunk's key before it is read.
func chunkPrefix(dst []byte, id uint64, n uint32) []byte {
	return binary.BigEndian.AppendUint32(idKey(dst, id), n)
}

// readChunkKey reads the key of a chunk.
func readChunkKey(key []byte) (id uint64, n, crc uint32, err error) {
	if len(key) != chunkKeyBytes {
		return 0, 0, 0, broken("key of a chunk has %d bytes", len(key))
	}
	return binary.BigEndian.Uint64(key), binary.BigEndian.Uint32(key[8:]), binary.BigEndian.Uint32(key[12:]), nil
}

// parcel is a record while it is read: what is left of it. When it is too short
// it is bad, and all that is read from then on is zero.
type parcel struct {
	rest []byte
	bad  bool
}

func (p *parcel) fail() { p.bad, p.rest = true, nil }

// take takes n bytes off: a view, nil when there are fewer.
func (p *parcel) take(n int) []byte {
	if n < 0 || n > len(p.rest) {
		p.fail()
		return nil
	}
	b := p.rest[:n:n]
	p.rest = p.rest[n:]
	return b
}

// length reads a length of four bytes, which must be at most limit.
func (p *parcel) length(limit int) int { return p.within(uint64(p.uint32()), limit) }

// short reads a length of two bytes, which must be at most limit.
func (p *parcel) short(limit int) int { return p.within(uint64(p.uint16()), limit) }

func (p *parcel) within(n uint64, limit int) int {
	if n > uint64(limit) {
		p.fail()
		return 0
	}
	return int(n)
}

func (p *parcel) uint8() byte {
	if b := p.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (p *parcel) uint16() uint16 {
	if b := p.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (p *parcel) uint32() uint32 {
	if b := p.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (p *parcel) uint64() uint64 {
	if b := p.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (p *parcel) int64() int64 { return int64(p.uint64()) }
