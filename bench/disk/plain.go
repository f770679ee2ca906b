package main

import (
	"hash/crc32"
	"math/rand/v2"
	"os"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// plain is an ordinary file of bodies in a row: what the machine can do.
type plain struct {
	f    *os.File
	size int
	n    int
}

const plainSync = 4 << 20 // bytes between two calls of fdatasync

// writePlain writes n bodies of a size, syncing as often as the tier may.
func writePlain(path string, s *shelf, n, size int) (*plain, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	p := &plain{f: f, size: size, n: n}
	unsynced := 0
	for i := range n {
		if _, err := f.Write(s.body(i, size)); err != nil {
			return p, err
		}
		if unsynced += size; unsynced >= plainSync {
			unsynced = 0
			if err := syncData(f); err != nil {
				return p, err
			}
		}
	}
	return p, syncData(f)
}

// read reads one body and its checksum, so that neither can be left out.
func (p *plain) read(random *rand.Rand, buf []byte, sum *uint32) error {
	if _, err := p.f.ReadAt(buf[:p.size], int64(random.IntN(p.n))*int64(p.size)); err != nil {
		return err
	}
	*sum ^= crc32.Checksum(buf[:p.size], castagnoli)
	return nil
}

func (p *plain) remove() error {
	_ = p.f.Close()
	return os.Remove(p.f.Name())
}
