package cachestore

import (
	"errors"
	"io/fs"
	"os"
	"testing"

	"go.etcd.io/bbolt"

	"edgecache/policy"
)

// bootKey is what the tests store under.
func bootKey() policy.Key {
	k, _ := policy.NewKey(nil, 1, policy.URL{Scheme: "http", Host: []byte("h"), Path: []byte("/")}, nil)
	return k
}

// TestBootID: what was written without sync counts only while the machine has
// run on, or when the disk was closed.
func TestBootID(t *testing.T) {
	mine := bootID()
	if mine == "" {
		t.Skip("the system does not tell which run it is")
	}
	for _, c := range []struct {
		name  string
		boot  string // that the shard bears when it is opened
		there bool
	}{
		{"it was closed", "", true},
		{"edge was killed, the machine runs on", mine, true},
		{"the machine went down", "another run of it", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			storeOne(t, dir)
			setBoot(t, dir, c.boot)
			d := openBareDisk(t, dir, true)
			defer d.Close()
			if err := d.Loaded(t.Context()); err != nil {
				t.Fatal(err)
			}
			s := d.shard(bootKey().Hash)
			if there := s != nil && s.has(bootKey().Hash); there != c.there {
				t.Errorf("there: %v, want %v", there, c.there)
			}
			if got := d.Stats().Quarantined > 0; got == c.there {
				t.Errorf("set aside: %v, want %v", got, !c.there)
			}
			if _, err := os.Stat(shardPath(dir, 0) + badSuffix); errors.Is(err, fs.ErrNotExist) != c.there {
				t.Errorf("the old file: %v", err)
			}
			if boot := bootOf(t, d); boot != mine {
				t.Errorf("it bears %q while it is in use, want %q", boot, mine)
			}
		})
	}
}

// storeOne stores an object and closes the disk.
func storeOne(t *testing.T, dir string) {
	t.Helper()
	mem, err := NewMemory(MemoryConfig{Size: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	d := openBareDisk(t, dir, true)
	s, err := NewTiers(mem, d)
	if err != nil {
		t.Fatal(err)
	}
	w := s.Begin(bootKey(), Meta{Length: 5})
	if err := errors.Join(w.Chunk([]byte("hello")), w.Commit(&Variant{Head: NewHead(200, nil, nil)}), s.Close()); err != nil {
		t.Fatal(err)
	}
}

// bootOf is the run that a shard in use bears on disk.
func bootOf(t *testing.T, d *Disk) (boot string) {
	t.Helper()
	err := d.shards[0].Load().file.view(func(tx *bbolt.Tx) error {
		state, err := readState(tx.Bucket(bucketState).Get(stateKey))
		boot = state.Boot
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return boot
}

// setBoot writes another run into the head of a shard that is closed. A closed
// one must bear none.
func setBoot(t *testing.T, dir, boot string) {
	t.Helper()
	f, err := openFile(shardPath(dir, 0), fileOptions{most: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	err = f.update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketState)
		state, err := readState(b.Get(stateKey))
		if err != nil {
			return err
		}
		if state.Boot != "" {
			t.Errorf("it bears %q although it was closed", state.Boot)
		}
		state.Boot = boot
		return b.Put(stateKey, state.append(nil))
	})
	if err := errors.Join(err, f.close()); err != nil {
		t.Fatal(err)
	}
}
