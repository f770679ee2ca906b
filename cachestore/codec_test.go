package cachestore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"testing"

	"pgregory.net/rapid"
)

func TestSealIsTheChecksumOfEpochPlaceAndBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := epoch(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "epoch"))
		id, n := rapid.Uint64().Draw(t, "id"), rapid.Uint32().Draw(t, "n")
		p := drawBytes(t, 200, "payload")
		s := newSeal(e)

		place := binary.BigEndian.AppendUint64(e[:], id)
		meta := append(binary.BigEndian.AppendUint32(bytes.Clone(place), uint32(len(p))), p...)
		if got, want := s.meta(id, p), crc32.Checksum(meta, castagnoli); got != want {
			t.Errorf("meta: %08x, want %08x", got, want)
		}
		chunk := binary.BigEndian.AppendUint32(place, n)
		chunk = append(binary.BigEndian.AppendUint32(chunk, uint32(len(p))), p...)
		crc := s.chunk(id, n, p)
		if want := crc32.Checksum(chunk, castagnoli); crc != want {
			t.Errorf("chunk: %08x, want %08x", crc, want)
		}

		key := chunkKey(nil, id, n, crc)
		id2, n2, crc2, err := readChunkKey(key)
		if err != nil || id2 != id || n2 != n || crc2 != crc || !bytes.HasPrefix(key, chunkPrefix(nil, id, n)) {
			t.Errorf("key %x: %d, %d, %08x, %v", key, id2, n2, crc2, err)
		}
		if back, err := readIDKey(idKey(nil, id)); err != nil || back != id {
			t.Errorf("id %d, %v, want %d", back, err, id)
		}
	})
}

func TestKeysOfAnotherLengthAreBroken(t *testing.T) {
	key := chunkKey(nil, 1, 2, 3)
	for i := range key {
		if _, _, _, err := readChunkKey(key[:i]); !errors.Is(err, errBroken) {
			t.Errorf("%d bytes: %v", i, err)
		}
	}
	if _, err := readIDKey(key); !errors.Is(err, errBroken) {
		t.Errorf("id of 16 bytes: %v", err)
	}
}

func TestSealAllocatesNothing(t *testing.T) {
	s := newSeal(goldenEpoch)
	p := make([]byte, 100)
	if n := testing.AllocsPerRun(100, func() { s.chunk(1, 2, p); s.meta(1, p) }); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
	b, _ := appendMeta(nil, &s, 7, goldenMeta())
	if n := testing.AllocsPerRun(100, func() { _, _ = readMetaFront(&s, 7, b) }); n != 0 {
		t.Errorf("%v allocations a front, want none", n)
	}
}

func BenchmarkSeal(b *testing.B) {
	s := newSeal(goldenEpoch)
	p := make([]byte, ChunkSize)
	b.SetBytes(ChunkSize)
	b.ReportAllocs()
	for n := uint32(0); b.Loop(); n++ {
		s.chunk(1, n, p)
	}
}

// BenchmarkReadMeta reads records of a usual size.
func BenchmarkReadMeta(b *testing.B) {
	s := newSeal(goldenEpoch)
	m := usualMeta()
	var records [64][]byte
	for i := range records {
		m.Order = uint64(i)
		records[i], _ = appendMeta(nil, &s, uint64(i), m)
	}
	b.Run("whole", func(b *testing.B) {
		b.ReportAllocs()
		for i := uint64(0); b.Loop(); i++ {
			if _, err := readMeta(&s, i%64, records[i%64]); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(records[0])), "B/record")
	})
	b.Run("front", func(b *testing.B) {
		b.ReportAllocs()
		for i := uint64(0); b.Loop(); i++ {
			if _, err := readMetaFront(&s, i%64, records[i%64]); err != nil {
				b.Fatal(err)
			}
		}
	})
}
