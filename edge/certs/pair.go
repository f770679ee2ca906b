package certs

import (
	"crypto/tls"
	"fmt"
	"os"
)

// Files names a certificate chain and its key, both PEM.
type Files struct{ Cert, Key string }

// pair is one pair and what its files looked like when they were read.
type pair struct {
	files   Files
	stamp   stamp
	loaded  *tls.Certificate
	trouble error // of the last try
}

// reload reads the pair if its files have changed. A pair of which only one
// file is new yet does not fit together, and is tried again at the next poll.
func (p *pair) reload() (changed bool, err error) {
	seen, err := stampOf(p.files)
	if err != nil || p.loaded != nil && seen.same(p.stamp) {
		return false, err
	}
	cert, err := tls.LoadX509KeyPair(p.files.Cert, p.files.Key)
	if err != nil {
		return false, fmt.Errorf("read certificate %s and key %s: %w", p.files.Cert, p.files.Key, err)
	}
	p.loaded, p.stamp = &cert, seen
	return true, nil
}

// stamp is what two files look like. It is taken before they are read: what
// changes in between is seen at the next poll.
type stamp struct{ cert, key os.FileInfo }

func stampOf(f Files) (s stamp, err error) {
	if s.cert, err = os.Stat(f.Cert); err != nil {
		return s, err
	}
	s.key, err = os.Stat(f.Key)
	return s, err
}

func (s stamp) same(o stamp) bool { return sameFile(s.cert, o.cert) && sameFile(s.key, o.key) }

// sameFile sees a file that was renamed into place, too, whatever its time.
func sameFile(a, b os.FileInfo) bool {
	return a != nil && b != nil && os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}
