package cachestore

import (
	"errors"
	"hash/crc32"
	"math/rand/v2"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// BenchmarkDiskRead reads random chunks of a file that is in the page cache:
// with bbolt, with find, with find and its branches kept, and the bare bytes.
func BenchmarkDiskRead(b *testing.B) {
	const chunks = 4000 // 250 MiB
	db := treeFile(b)
	filled := newSeal(epoch{1})
	for id := uint64(0); id < chunks; id += 64 {
		err := db.Update(func(tx *bolt.Tx) error {
			bucket, err := tx.CreateBucketIfNotExists(treeBucket)
			for n := id; n < min(id+64, chunks); n++ {
				payload := make([]byte, ChunkSize) // bbolt keeps it until the commit
				payload[0] = byte(n)
				err = errors.Join(err, bucket.Put(chunkKey(nil, n, 0, filled.chunk(n, 0, payload)), payload))
			}
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	p := treeReader(b, db)
	check := func(id uint64, key, value []byte) {
		if _, _, crc, err := readChunkKey(key); err != nil || crc != filled.chunk(id, 0, value) {
			b.Fatalf("chunk %d under %x: %v", id, key, err)
		}
	}
	run := func(name string, f func(id uint64)) {
		b.Run(name, func(b *testing.B) {
			r := rand.New(rand.NewPCG(1, 1))
			b.SetBytes(ChunkSize)
			b.ReportAllocs()
			for b.Loop() {
				f(r.Uint64N(chunks))
			}
		})
	}
	buf := make([]byte, ChunkSize)
	run("bbolt", func(id uint64) {
		_ = db.View(func(tx *bolt.Tx) error {
			k, v := tx.Bucket(treeBucket).Cursor().Seek(chunkPrefix(nil, id, 0))
			check(id, k, buf[:copy(buf, v)])
			return nil
		})
	})
	var s pageScratch
	var prefix [chunkPrefixBytes]byte
	find := func(p pages) func(uint64) {
		return func(id uint64) {
			_ = db.View(func(tx *bolt.Tx) error {
				root := uint64(tx.Bucket(treeBucket).Root())
				k, v, err := p.find(root, chunkPrefix(prefix[:0], id, 0), &s)
				if err != nil {
					b.Fatal(err)
				}
				check(id, k, v)
				return nil
			})
		}
	}
	run("find", find(p))
	run("branches", find(pages{file: &branches{file: p.file, size: p.size}, size: p.size}))
	run("pread", func(id uint64) {
		if err := p.read(buf, int64(id)*ChunkSize); err != nil {
			b.Fatal(err)
		}
		_ = crc32.Checksum(buf, castagnoli)
	})
}
