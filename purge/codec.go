package purge

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// The bytes of purge.db, format 1. All numbers are big-endian; every value
// ends in a CRC-32C of its key and the bytes before it, for bbolt checks no
// page but its two first.
//
//	entries: key    log id 8
//	         value  number 8 | at 8 | scope 1 | strength 1 | volatile 1 |
//	                len(host) 2 | host | value | crc 4
//	state:   key    "head"
//	         value  format 1 | epoch 16 | ceiling 8 | unsure 8 | lossy 8 | crc 4
//	history: key    log id of the call's last entry 8
//	         value  JSON of a Record | crc 4
const formatVersion = 1

const (
	entryHeadBytes = 8 + 8 + 1 + 1 + 1 + 2
	crcBytes       = 4
	headBytes      = 1 + len(Epoch{}) + 3*8 + crcBytes
)

// errCorrupt says that bytes of the log are not what was written.
var errCorrupt = errors.New("corrupt purge log")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seal appends the checksum.
func seal(key, value []byte) []byte {
	return binary.BigEndian.AppendUint32(value, checksum(key, value))
}

// unseal checks and takes off the checksum.
func unseal(key, value []byte) ([]byte, error) {
	n := len(value) - crcBytes
	if n < 0 || binary.BigEndian.Uint32(value[n:]) != checksum(key, value[:n]) {
		return nil, errCorrupt
	}
	return value[:n], nil
}

func checksum(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value)
}

// A stored is an entry as the log keeps it.
type stored struct {
	Entry
	id       uint64 // log id: the order of writing
	volatile bool   // an invalidation, applied before it was written
}

// idKey is a log id as a key.
func idKey(id uint64) []byte { return binary.BigEndian.AppendUint64(nil, id) }

// encode is the value of s under its id.
func (s *stored) encode() []byte {
	b := make([]byte, 0, entryHeadBytes+len(s.Host)+len(s.Value)+crcBytes)
	b = binary.BigEndian.AppendUint64(b, s.Seq)
	b = binary.BigEndian.AppendUint64(b, uint64(s.At))
	var volatile byte
	if s.volatile {
		volatile = 1
	}
	b = append(b, byte(s.Scope), byte(s.Strength), volatile)
	b = binary.BigEndian.AppendUint16(b, uint16(len(s.Host)))
	b = append(b, s.Host...)
	b = append(b, s.Value...)
	return seal(idKey(s.id), b)
}

// decodeStored reads an entry back. The result holds no view of value.
func decodeStored(key, value []byte) (s stored, err error) {
	if len(key) != 8 {
		return s, errCorrupt
	}
	b, err := unseal(key, value)
	if err != nil {
		return s, err
	}
	if len(b) < entryHeadBytes {
		return s, errCorrupt
	}
	s.id = binary.BigEndian.Uint64(key)
	s.Seq = binary.BigEndian.Uint64(b)
	s.At = int64(binary.BigEndian.Uint64(b[8:]))
	s.Scope, s.Strength, s.volatile = Scope(b[16]), Strength(b[17]), b[18] == 1
	host := int(binary.BigEndian.Uint16(b[19:]))
	b = b[entryHeadBytes:]
	if host > len(b) || s.Scope >= scopes || s.Strength == None || s.Strength >= strengths {
		return s, errCorrupt
	}
	s.Host, s.Value = string(b[:host]), string(b[host:])
	if s.Scope == ScopePrefix {
		if _, err := prefixDepth(s.Value); err != nil {
			return s, errCorrupt
		}
	}
	return s, nil
}

// Epoch is the random name of one life of a log. A disk shard keeps it: under
// another epoch its numbers mean nothing and all it holds is to be revalidated.
type Epoch [16]byte

// A head is what the log knows beside its entries.
type head struct {
	epoch   Epoch
	ceiling uint64 // every number that was ever given out is below it
	unsure  uint64 // from this log id on, entries may have got later numbers than they say
	lossy   uint64 // invalidations up to this number were not written; 0 is none
}

var headKey = []byte("head")

func (h *head) encode() []byte {
	b := make([]byte, 0, headBytes)
	b = append(b, formatVersion)
	b = append(b, h.epoch[:]...)
	b = binary.BigEndian.AppendUint64(b, h.ceiling)
	b = binary.BigEndian.AppendUint64(b, h.unsure)
	b = binary.BigEndian.AppendUint64(b, h.lossy)
	return seal(headKey, b)
}

func decodeHead(value []byte) (h head, err error) {
	b, err := unseal(headKey, value)
	if err != nil {
		return h, err
	}
	if len(b) != headBytes-crcBytes || b[0] != formatVersion {
		return h, errCorrupt
	}
	b = b[1+copy(h.epoch[:], b[1:]):]
	h.ceiling = binary.BigEndian.Uint64(b)
	h.unsure = binary.BigEndian.Uint64(b[8:])
	h.lossy = binary.BigEndian.Uint64(b[16:])
	return h, nil
}
