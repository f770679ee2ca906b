package casetest

import (
	"fmt"
	"io"
	"net"
	"testing"

	"edgecache/edge/edgetest"
	"edgecache/purge"
)

// TestPurgesOverARestart: a purge covers what is on disk, made before the
// restart or after it, by url, tag, prefix and host; what it does not name stays.
func TestPurgesOverARestart(t *testing.T) {
	for name, c := range map[string]struct {
		scope    purge.Scope
		selector string
		covers   map[string]bool
	}{
		"url":    {purge.ScopeURL, "http://disk.test/a/1", map[string]bool{"/a/1": true}},
		"tag":    {purge.ScopeTag, "red", map[string]bool{"/a/1": true, "/b/1": true}},
		"prefix": {purge.ScopePrefix, "http://disk.test/a", map[string]bool{"/a/1": true, "/a/2": true}},
		"host":   {purge.ScopeHost, "disk.test", map[string]bool{"/a/1": true, "/a/2": true, "/b/1": true}},
	} {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s after the restart %v", name, after), func(t *testing.T) {
				s := shelve(t, edgetest.Config{Rules: tagsOf})
				tags := map[string]string{"/a/1": "red", "/a/2": "blue", "/b/1": "blue red"}
				for path, tag := range tags {
					s.origin.On(path, edgetest.Text(200, "at "+path, fresh, "Surrogate-Key: "+tag))
					s.miss("at "+path, path)
				}
				if !after {
					s.purgeAs(c.scope, purge.Hard, c.selector)
				}
				s.reshelve()
				if after {
					s.purgeAs(c.scope, purge.Hard, c.selector)
				}
				for path := range tags {
					if c.covers[path] {
						s.miss("at "+path, path)
					} else {
						s.fromDisk("at "+path, path)
					}
				}
				s.reshelve()
				for path := range tags {
					s.fromDisk("at "+path, path)
				}
				s.checkDisk(int64(len(tags)))
			})
		}
	}
}

// TestSweepOfTheDisk: what a purge covers leaves the disk, and only that.
func TestSweepOfTheDisk(t *testing.T) {
	s := shelve(t, edgetest.Config{})
	for _, path := range []string{"/a/1", "/a/2", "/b"} {
		s.origin.On(path, edgetest.Text(200, noise(1, smallBody), fresh))
		s.miss(noise(1, smallBody), path)
	}
	s.reshelve()
	s.purgeAs(purge.ScopePrefix, purge.Hard, "http://disk.test/a")
	sweeper := purge.StartSweeper(s.Purges, s.Store, purge.SweepConfig{Every: 1})
	edgetest.Wait(t, "the sweep", func() bool { return s.Store.Stats().Disk.Objects == 1 })
	if err := sweeper.Close(); err != nil {
		t.Fatal(err)
	}
	s.checkDisk(1)
	s.fromDisk(noise(1, smallBody), "/b")
}

// TestPurgeUnderASlowReader: a transfer from disk that began before a purge comes
// to its end while the disk may keep what is deleted for its readers, and is
// visibly broken over that bound; what is read is never anything else.
func TestPurgeUnderASlowReader(t *testing.T) {
	for name, c := range map[string]struct {
		quota int64 // an eighth of a shard's part of it is the bound
		whole bool
	}{
		"within the bound": {256 << 20, true},
		"over the bound":   {64 << 20, false},
	} {
		t.Run(name, func(t *testing.T) { purgeUnderReader(t, c.quota, c.whole) })
	}
}

func purgeUnderReader(t *testing.T, quota int64, whole bool) {
	const size = 7 << 20
	s := shelve(t, edgetest.Config{MemoryBytes: 16 << 20, DiskBytes: quota})
	old, renewed := noise(1, size), noise(2, size)
	s.origin.On("/x", edgetest.Text(200, old, fresh), edgetest.Text(200, renewed, fresh))
	s.miss(old, "/x")
	s.reshelve()
	c := s.Dial()
	if err := c.(*net.TCPConn).SetReadBuffer(128 << 10); err != nil {
		t.Fatal(err)
	}
	s.Send(c, "GET /x HTTP/1.1\r\nHost: disk.test\r\nConnection: close\r\n\r\n")
	head, err := edgetest.ReadHead(c)
	if err != nil {
		t.Fatal(err)
	}
	if reads := s.Store.Stats().Disk.Reads; reads == 0 {
		t.Fatalf("%d chunks were read; the head is %s", reads, head)
	}
	s.purge("http://disk.test/x")
	sweeper := purge.StartSweeper(s.Purges, s.Store, purge.SweepConfig{Every: 1})
	defer sweeper.Close()
	edgetest.Wait(t, "the sweep", func() bool { return s.Store.Stats().Disk.Objects == 0 })
	s.miss(renewed, "/x")
	got, err := io.ReadAll(c)
	if err != nil || string(got) != old[:min(len(got), size)] || whole && len(got) != size {
		t.Errorf("%d of %d bytes, error %v; the old body's: %v", len(got), size, err, string(got) == old[:min(len(got), size)])
	}
	s.hit(renewed, "/x")
	edgetest.Wait(t, "the deletion", func() bool {
		st := s.Store.Stats().Disk
		return st.Leases == 0 && st.Deferred == 0
	})
	s.checkDisk(1)
}
