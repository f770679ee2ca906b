package cachestore

import (
	"encoding/binary"
	"hash/crc32"
)

// shardState is the head of a shard: what it is, and from where it goes on.
type shardState struct {
	Epoch         epoch
	Shard, Shards uint16 // which of how many it is, from 0
	SeedMark      uint64 // hash that tells the seeds of installations apart
	// Boot names the boot of the machine during which the shard is written
	// without sync; it is empty when all that is written is durable.
	Boot string

	NextID, NextOrder uint64 // above every one that was ever given out
	PurgeEpoch        epoch  // of the purge log
	PurgeGen          uint32
	PurgeFloor        uint64
	PurgeHigh         uint64
	Swept             uint64
}

const (
	stateVersion = 1
	maxBootBytes = 255
)

var stateKey = []byte("head")

// append appends the record. Its checksum has no epoch, which stands in it.
func (st *shardState) append(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, stateVersion)
	dst = append(dst, st.Epoch[:]...)
	dst = binary.BigEndian.AppendUint16(dst, st.Shard)
	dst = binary.BigEndian.AppendUint16(dst, st.Shards)
	dst = binary.BigEndian.AppendUint64(dst, st.SeedMark)
	dst = binary.BigEndian.AppendUint64(dst, st.NextID)
	dst = binary.BigEndian.AppendUint64(dst, st.NextOrder)
	dst = append(dst, st.PurgeEpoch[:]...)
	dst = binary.BigEndian.AppendUint32(dst, st.PurgeGen)
	dst = binary.BigEndian.AppendUint64(dst, st.PurgeFloor)
	dst = binary.BigEndian.AppendUint64(dst, st.PurgeHigh)
	dst = binary.BigEndian.AppendUint64(dst, st.Swept)
	// One that is too long is cut: no boot has that name, so the shard would be
	// dropped, which is safe.
	boot := st.Boot[:min(len(st.Boot), maxBootBytes)]
	dst = append(dst, byte(len(boot)))
	dst = append(dst, boot...)
	return binary.BigEndian.AppendUint32(dst, stateSum(dst[start:]))
}

func stateSum(p []byte) uint32 {
	return crc32.Update(crc32.Checksum(stateKey, castagnoli), castagnoli, p)
}

// readState reads the record back. It holds no view of p.
func readState(p []byte) (st shardState, err error) {
	n := len(p) - crcBytes
	if n < 1 || binary.BigEndian.Uint32(p[n:]) != stateSum(p[:n]) {
		return st, broken("head of the shard: checksum")
	}
	if p[0] != stateVersion {
		return st, broken("head of the shard: version %d", p[0])
	}
	r := parcel{rest: p[1:n]}
	copy(st.Epoch[:], r.take(len(st.Epoch)))
	st.Shard, st.Shards = r.uint16(), r.uint16()
	st.SeedMark = r.uint64()
	st.NextID, st.NextOrder = r.uint64(), r.uint64()
	copy(st.PurgeEpoch[:], r.take(len(st.PurgeEpoch)))
	st.PurgeGen = r.uint32()
	st.PurgeFloor, st.PurgeHigh, st.Swept = r.uint64(), r.uint64(), r.uint64()
	st.Boot = string(r.take(int(r.uint8())))
	if r.bad || len(r.rest) > 0 || st.Shard >= st.Shards {
		return shardState{}, broken("head of the shard")
	}
	return st, nil
}
