package cachestore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"
)

var treeBucket = []byte("b")

// treeFile opens a new bbolt file that the test closes.
func treeFile(t testing.TB) *bolt.DB {
	t.Helper()
	db, err := bolt.Open(filepath.Join(t.TempDir(), "tree.db"), 0o600, &bolt.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// treeReader opens the file of db once more, for reading by system calls.
func treeReader(t testing.TB, db *bolt.DB) pages {
	t.Helper()
	f, err := os.Open(db.Path())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return pages{file: f, size: db.Info().PageSize}
}

// treeCase is a way to fill a tree.
type treeCase struct {
	name        string
	commits, of int
	key         func(r *rand.Rand) []byte
	value       func(r *rand.Rand) int // length
}

func rowKey(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

var treeCases = []treeCase{
	{"empty", 1, 0, nil, nil},
	{"one large value", 1, 1,
		func(*rand.Rand) []byte { return []byte("key") }, func(*rand.Rand) int { return 99_999 }},
	{"chunks of bodies", 12, 25,
		func(r *rand.Rand) []byte { return chunkKey(nil, r.Uint64N(9), r.Uint32N(40), r.Uint32()) },
		func(r *rand.Rand) int { return r.IntN(100 << 10) }},
	{"thousands of small values", 10, 3000,
		func(r *rand.Rand) []byte { return rowKey(r.Uint64N(20_000)) }, func(r *rand.Rand) int { return r.IntN(300) }},
	{"no values", 6, 4000,
		func(r *rand.Rand) []byte { return rowKey(r.Uint64()) }, func(*rand.Rand) int { return 0 }},
	{"mixed sizes", 12, 150,
		func(r *rand.Rand) []byte { return rowKey(r.Uint64N(2000)) },
		func(r *rand.Rand) int { return []int{0, 10, 1000, 5000, 70_000}[r.IntN(5)] }},
	{"keys of any length", 8, 100,
		func(r *rand.Rand) []byte {
			return bytes.Repeat([]byte{byte(r.IntN(3))}, 1+r.IntN(3000))
		},
		func(r *rand.Rand) int { return r.IntN(50) }},
}

// commit makes one transaction of puts and deletes.
func (c *treeCase) commit(t testing.TB, db *bolt.DB, r *rand.Rand) {
	t.Helper()
	err := db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists(treeBucket)
		if err != nil {
			return err
		}
		b.FillPercent = []float64{0.5, 0.9, 1}[r.IntN(3)]
		for range c.of {
			key := c.key(r)
			if r.IntN(3) > 0 {
				value := make([]byte, c.value(r))
				for i := range value {
					value[i] = byte(r.Uint32())
				}
				err = errors.Join(err, b.Put(key, value))
				continue
			}
			cur := b.Cursor()
			for k, _ := cur.Seek(key); k != nil && r.IntN(4) > 0; k, _ = cur.Next() {
				err = errors.Join(err, cur.Delete())
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// viewTree calls f with the bucket when it has a page of its own.
func viewTree(t testing.TB, db *bolt.DB, f func(b *bolt.Bucket, root uint64)) {
	t.Helper()
	err := db.View(func(tx *bolt.Tx) error {
		if b := tx.Bucket(treeBucket); b.Root() != 0 {
			f(b, uint64(b.Root()))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestPagesReadWhatBboltReads(t *testing.T) {
	for _, c := range treeCases {
		t.Run(c.name, func(t *testing.T) {
			db := treeFile(t)
			p := treeReader(t, db)
			var s pageScratch
			for n := range c.commits {
				r := rand.New(rand.NewPCG(uint64(n), 1))
				c.commit(t, db, r)
				viewTree(t, db, func(b *bolt.Bucket, root uint64) {
					compareWalks(t, p, b, root, nil)
					for range min(c.of, 40) {
						key := c.key(r)
						compareWalks(t, p, b, root, key)
						compareFind(t, p, b, root, &s, key[:1+r.IntN(len(key))])
						compareWarm(t, p, b, root, key, c.key(r))
					}
				})
			}
		})
	}
}

// compareFind holds find against a cursor.
func compareFind(t *testing.T, p pages, b *bolt.Bucket, root uint64, s *pageScratch, prefix []byte) {
	t.Helper()
	first, _ := b.Cursor().Seek(prefix)
	key, value, err := p.find(root, prefix, s)
	if first == nil || !bytes.HasPrefix(first, prefix) {
		if !errors.Is(err, ErrAbsent) {
			t.Fatalf("find %x: %x, %v, want %v", prefix, key, err, ErrAbsent)
		}
		return
	}
	if err != nil || !bytes.HasPrefix(key, prefix) || !bytes.Equal(value, b.Get(key)) {
		t.Fatalf("find %x: %x, %d bytes, %v, one is %x", prefix, key, len(value), err, first)
	}
	if next, _ := b.Cursor().Seek(append(bytes.Clone(first), 0)); !bytes.HasPrefix(next, prefix) && !bytes.Equal(key, first) {
		t.Fatalf("find %x: %x, want %x", prefix, key, first)
	}
}

// compareWalks holds walk and walkKeys against a cursor.
func compareWalks(t *testing.T, p pages, b *bolt.Bucket, root uint64, from []byte) {
	t.Helper()
	cur := b.Cursor()
	k, v := cur.Seek(from)
	err := p.walk(root, from, func(key, value []byte) bool {
		if !bytes.Equal(key, k) || !bytes.Equal(value, v) {
			t.Fatalf("walk from %x: %x, %d bytes, want %x, %d bytes", from, key, len(value), k, len(v))
		}
		k, v = cur.Next()
		return true
	})
	if err != nil || k != nil {
		t.Fatalf("walk from %x: %v, next would be %x", from, err, k)
	}
	k, v = cur.Seek(from)
	err = p.walkKeys(root, from, func(key []byte, size int) bool {
		if !bytes.Equal(key, k) || size != len(v) {
			t.Fatalf("walkKeys from %x: %x, %d, want %x, %d", from, key, size, k, len(v))
		}
		k, v = cur.Next()
		return true
	})
	if err != nil || k != nil {
		t.Fatalf("walkKeys from %x: %v, next would be %x", from, err, k)
	}
}

// recordedFile remembers which bytes of a file were read.
type recordedFile struct {
	io.ReaderAt
	read map[int64]bool // by blocks of 4096
	n    int
}

func (r *recordedFile) ReadAt(b []byte, at int64) (int, error) {
	r.n++
	for block := at / 4096; block <= (at+int64(len(b))-1)/4096; block++ {
		r.read[block] = true
	}
	return r.ReaderAt.ReadAt(b, at)
}

// compareWarm asks that warm reads the page of every key that will be deleted.
func compareWarm(t *testing.T, p pages, b *bolt.Bucket, root uint64, from, to []byte) {
	t.Helper()
	if bytes.Compare(from, to) > 0 {
		from, to = to, from
	}
	rec := &recordedFile{ReaderAt: p.file, read: map[int64]bool{}}
	if err := (pages{rec, p.size}).warm(root, from, to); err != nil {
		t.Fatalf("warm %x to %x: %v", from, to, err)
	}
	var s pageScratch
	err := p.eachLeaf(root, from, &s, func(n *node, i int) (bool, error) {
		for ; i < n.count; i++ {
			key, err := p.key(n, i, &s)
			if err != nil || bytes.Compare(key, to) >= 0 {
				return false, err
			}
			e, err := n.extent(i)
			if err != nil || !rec.read[(n.at+int64(e.at))/4096] {
				return false, fmt.Errorf("key %x was not read, %w", key, err)
			}
		}
		return true, nil
	})
	if err != nil {
		t.Fatalf("warm %x to %x: %v", from, to, err)
	}
}

// A leaf that is left with one key is merged into the one before it, or behind
// it, which may hang on another branch: all of them are written anew.
func TestWarmReadsTheWholeOfLeavesThatAreWrittenAnew(t *testing.T) {
	const chunks = 800
	db := treeFile(t)
	err := db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucket(treeBucket)
		for n := range uint32(chunks) {
			err = errors.Join(err, b.Put(chunkKey(nil, 1, n, 0), make([]byte, 9000)))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	p := treeReader(t, db)
	viewTree(t, db, func(_ *bolt.Bucket, root uint64) {
		leaves, holds := leavesOf(t, p, root, chunks)
		r := rand.New(rand.NewPCG(5, 5))
		for range 500 {
			from := r.IntN(chunks - 8)
			to := from + 1 + r.IntN(chunks-8-from) // chunks [from,to) go; the last leaf has more than two
			rec := &recordedFile{ReaderAt: p.file, read: map[int64]bool{}}
			err := (pages{rec, p.size}).warm(root, chunkPrefix(nil, 1, uint32(from)), chunkPrefix(nil, 1, uint32(to)))
			if err != nil {
				t.Fatal(err)
			}
			first, last := holds[from], holds[to-1]
			firstCut := from > 0 && holds[from-1] == first
			lastCut := holds[to] == last
			want := map[int]bool{first: firstCut, last: lastCut}
			if firstCut || lastCut {
				want[first-1], want[last+1] = first > 0, last+1 < len(leaves)
			}
			for i, whole := range want {
				if !whole {
					continue
				}
				for block := range leaves[i] {
					if !rec.read[block] {
						t.Fatalf("[%d,%d): block %d of leaf %d was not read", from, to, block, i)
					}
				}
			}
		}
	})
}

// leavesOf lists the blocks of each leaf, and the leaf that holds each key.
func leavesOf(t *testing.T, p pages, root uint64, keys int) (leaves []map[int64]bool, holds []int) {
	t.Helper()
	var s pageScratch
	err := p.eachLeaf(root, nil, &s, func(n *node, _ int) (bool, error) {
		end, err := n.end()
		blocks := map[int64]bool{}
		for at := n.at; at < n.at+int64(end); at += 4096 {
			blocks[at/4096] = true
		}
		for range n.count {
			holds = append(holds, len(leaves))
		}
		leaves = append(leaves, blocks)
		return true, err
	})
	if err != nil || len(holds) != keys {
		t.Fatalf("%d keys, %v, want %d", len(holds), err, keys)
	}
	return leaves, holds
}

func TestFindTakesOneReadAPageAndOneForTheValue(t *testing.T) {
	db := treeFile(t)
	err := db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucket(treeBucket)
		b.FillPercent = 1
		for n := range uint32(400) {
			err = errors.Join(err, b.Put(chunkKey(nil, 1, n, 7), make([]byte, ChunkSize)))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	p := treeReader(t, db)
	var s pageScratch
	viewTree(t, db, func(_ *bolt.Bucket, root uint64) {
		for n := range uint32(400) {
			rec := &recordedFile{ReaderAt: p.file, read: map[int64]bool{}}
			key, value, err := (pages{rec, p.size}).find(root, chunkPrefix(nil, 1, n), &s)
			if err != nil || len(value) != ChunkSize || &key[0] != &s.entry[0] {
				t.Fatalf("chunk %d: %x, %d bytes, %v", n, key, len(value), err)
			}
			want := len(s.path) + 1 + max(s.leaf().count-2, 0)
			if rec.n > want {
				t.Errorf("chunk %d: %d reads, want %d", n, rec.n, want)
			}
		}
		var key [chunkPrefixBytes]byte
		allocs := testing.AllocsPerRun(100, func() {
			if _, _, err := p.find(root, chunkPrefix(key[:0], 1, 77), &s); err != nil {
				t.Fatal(err)
			}
		})
		if allocs != 0 {
			t.Errorf("%v allocations a find, want none", allocs)
		}
	})
}

func TestAFileThatWasCutIsBroken(t *testing.T) {
	db := treeFile(t)
	treeCases[3].commit(t, db, rand.New(rand.NewPCG(1, 2)))
	image, err := os.ReadFile(db.Path())
	if err != nil {
		t.Fatal(err)
	}
	size := db.Info().PageSize
	viewTree(t, db, func(_ *bolt.Bucket, root uint64) {
		for pageCount := range int(root) + 1 {
			p := pages{bytes.NewReader(image[:pageCount*size+100]), size}
			if err := p.walk(root, nil, func(_, _ []byte) bool { return true }); !errors.Is(err, errBroken) {
				t.Fatalf("%d pages: %v", pageCount, err)
			}
		}
	})
}
