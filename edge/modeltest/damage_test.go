package modeltest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// metaBytes is where a bbolt file says which of its states counts: two pages.
const metaBytes = 2 * 4096

// imageTries is how often a file is copied that is being written.
const imageTries = 200

// crashImage copies a directory as a kill would leave it. A commit writes pages
// that the last one does not use, and only then one of the two first pages. So
// a copy during which neither of those changed is the last commit, whole, with
// whatever of the next one.
func crashImage(from, to string) error {
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	paths, err := filepath.Glob(filepath.Join(from, "*.db"))
	if err != nil {
		return err
	}
	for _, path := range paths {
		content, err := settledCopy(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it was renamed or removed
		}
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, filepath.Base(path)), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func settledCopy(path string) ([]byte, error) {
	for range imageTries {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		again, err := firstPages(path)
		if err != nil {
			return nil, err
		}
		if bytes.HasPrefix(content, again) {
			return content, nil
		}
	}
	return nil, fmt.Errorf("%s is written all the time", path)
}

// firstPages reads the pages that tell which state counts; of a file that was cut
// as much as there is.
func firstPages(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p := make([]byte, metaBytes)
	n, err := f.ReadAt(p, 0)
	if n > 0 {
		err = nil
	}
	return p[:n], err
}

// harm opens the file of some shard and does something to it, while it is in use.
// A shard whose file is not there is left alone.
func harm(m *model, r *rand.Rand, do func(f *os.File, size int64) error) error {
	m.life.RLock()
	defer m.life.RUnlock()
	m.disk.scarred.Store(true)
	f, err := os.OpenFile(filepath.Join(m.disk.dir, fmt.Sprintf("shard-%d.db", r.IntN(diskShards))), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() < metaBytes {
		return err
	}
	return do(f, info.Size())
}

// flip changes a bit here and there.
func flip(m *model, r *rand.Rand) error {
	return harm(m, r, func(f *os.File, size int64) error {
		for range 1 + r.IntN(40) {
			at, p := r.Int64N(size), make([]byte, 1)
			if _, err := f.ReadAt(p, at); err != nil {
				return nil // it was cut meanwhile
			}
			p[0] ^= 1 << r.IntN(8)
			if _, err := f.WriteAt(p, at); err != nil {
				return err
			}
		}
		return nil
	})
}

func cut(m *model, r *rand.Rand) error {
	return harm(m, r, func(f *os.File, size int64) error { return f.Truncate(r.Int64N(size)) })
}

func remove(m *model, r *rand.Rand) error {
	return harm(m, r, func(f *os.File, _ int64) error {
		if err := os.Remove(f.Name()); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
}
