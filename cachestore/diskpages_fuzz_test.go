package cachestore

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// treeImages are the files of small trees, with their roots.
func treeImages(t testing.TB) (files [][]byte, roots []uint64, size int) {
	t.Helper()
	for _, of := range []int{4, 3, 5} { // by treeCases
		c := treeCases[of]
		c.of /= 10
		db := treeFile(t)
		c.commit(t, db, rand.New(rand.NewPCG(3, uint64(of))))
		size = db.Info().PageSize
		image, err := os.ReadFile(db.Path())
		if err != nil {
			t.Fatal(err)
		}
		err = db.View(func(tx *bolt.Tx) error {
			roots = append(roots, uint64(tx.Bucket(treeBucket).Root()))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, image)
	}
	return files, roots, size
}

// Whatever stands in the file: no panic, no end of time or of memory, and only
// the two errors that the callers know.
func FuzzPages(f *testing.F) {
	files, roots, size := treeImages(f)
	f.Add(byte(0), []byte{0, 0, 0, 0}, []byte("key"))
	f.Add(byte(1), []byte{4, 0, 10, 255, 4, 0, 11, 255}, []byte{1, 2})         // a count
	f.Add(byte(2), []byte{5, 0, 12, 255, 5, 0, 13, 255}, []byte{0})            // an overflow
	f.Add(byte(1), []byte{6, 0, 24, 6, 6, 0, 40, 6}, []byte{0, 0, 0, 0, 0, 1}) // a circle
	f.Fuzz(func(t *testing.T, which byte, edits, key []byte) {
		i := int(which) % len(files)
		image := bytes.Clone(files[i])
		for len(edits) >= 4 {
			page, offset := int(edits[0]), (int(edits[1])<<8|int(edits[2]))%size
			if at := page*size + offset; at < len(image) {
				image[at] = edits[3]
			}
			edits = edits[4:]
		}
		rec := &recordedFile{ReaderAt: bytes.NewReader(image), read: map[int64]bool{}}
		p := pages{rec, size}
		var s pageScratch
		_, _, findErr := p.find(roots[i], key, &s)
		keys, all := 0, 0
		walkErr := p.walk(roots[i], key, func(_, _ []byte) bool { all++; return true })
		keysErr := p.walkKeys(roots[i], key, func([]byte, int) bool { keys++; return true })
		warmErr := p.warm(roots[i], key, append(bytes.Clone(key), 0xff))
		for _, err := range []error{findErr, walkErr, keysErr, warmErr} {
			if err != nil && !errors.Is(err, errBroken) && !errors.Is(err, ErrAbsent) {
				t.Errorf("%v is neither %v nor %v", err, errBroken, ErrAbsent)
			}
		}
		if walkErr == nil && keysErr == nil && keys != all {
			t.Errorf("walk saw %d keys, walkKeys %d", all, keys)
		}
		if limit := 10 * len(image); rec.n > limit {
			t.Errorf("%d reads of a file of %d bytes", rec.n, len(image))
		}
	})
}
