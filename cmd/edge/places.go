package main

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"edgecache/policy"
)

// stateDir is where edge keeps small things for good: $XDG_STATE_HOME/edge,
// else ~/.local/state/edge, else /var/lib/edge.
func stateDir() string {
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "edge")
	}
	if home := os.Getenv("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".local", "state", "edge")
	}
	return "/var/lib/edge"
}

// defaultDisk is where the disk tier of the edge on a port lies when nobody
// says: $XDG_CACHE_HOME/edge/PORT, else ~/.cache; ok is false without a home.
func defaultDisk(port string) (dir string, ok bool) {
	if cache := os.Getenv("XDG_CACHE_HOME"); filepath.IsAbs(cache) {
		return filepath.Join(cache, "edge", port), true
	}
	if home := os.Getenv("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".cache", "edge", port), true
	}
	return "", false
}

// place is the directory that holds the purge log and the seed. With a disk it
// is the disk's, and locked against a second edge.
type place struct {
	dir  string
	disk bool     // dir is the disk tier's
	why  string   // why there is no disk although one was wanted, for a warning
	lock *os.File // held while edge runs; nil without disk
}

var errHeld = errors.New("another edge holds it")

// findPlace opens the disk directory. If there is none, or it cannot be used,
// the place is STATE/PORT and the reason is told.
func findPlace(d diskSettings, port string) (place, error) {
	dir := d.dir
	if dir == "off" {
		return ownPlace(port, "")
	}
	if dir == "" {
		var ok bool
		if dir, ok = defaultDisk(port); !ok {
			return ownPlace(port, "there is no home directory and no --disk")
		}
	}
	p, err := lockDisk(dir)
	if err != nil {
		return ownPlace(port, err.Error())
	}
	return p, nil
}

// ownDir is STATE/PORT.
func ownDir(port string) string { return filepath.Join(stateDir(), port) }

// ownPlace makes the place without a disk; why says why there is none.
func ownPlace(port, why string) (place, error) {
	p := place{dir: ownDir(port), why: why}
	err := os.MkdirAll(p.dir, 0o700)
	switch {
	case err == nil:
		return p, nil
	case why != "":
		return place{}, fmt.Errorf("make a place for the purge log: %w; and there is no disk: %s", err, why)
	}
	return place{}, fmt.Errorf("make a place for the purge log: %w", err)
}

// lockDisk makes the directory and takes its lock, which ends with the process.
// A directory in which no file can be made is of no use.
func lockDisk(dir string) (place, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return place{}, fmt.Errorf("make disk directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return place{}, fmt.Errorf("lock disk directory: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = errHeld
		}
		return place{}, fmt.Errorf("disk directory %s: %w", dir, err)
	}
	probe, err := os.CreateTemp(dir, "probe.*")
	if err == nil {
		err = errors.Join(probe.Close(), os.Remove(probe.Name()))
	}
	if err != nil {
		f.Close()
		return place{}, fmt.Errorf("write to disk directory: %w", err)
	}
	return place{dir: dir, disk: true, lock: f}, nil
}

// close gives the directory back.
func (p place) close() error {
	if p.lock == nil {
		return nil
	}
	return p.lock.Close()
}

// purgeLog is the path of the purge log.
func (p place) purgeLog() string { return filepath.Join(p.dir, "purge.db") }

// seed gives the installation's random number, which keys the cache's hashes
// and tells this edge from others in Via. The first start makes it.
func (p place) seed() (policy.Seed, error) {
	path := filepath.Join(p.dir, "seed")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		var random [8]byte
		rand.Read(random[:])
		n := binary.LittleEndian.Uint64(random[:])
		return policy.Seed(n), writePrivate(path, fmt.Sprintf("%016x\n", n))
	}
	if err != nil {
		return 0, fmt.Errorf("read seed: %w", err)
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 16, 64)
	if err != nil {
		return 0, fmt.Errorf("%s does not hold 16 hexadecimal digits; remove it to make a new one", path)
	}
	return policy.Seed(n), nil
}
