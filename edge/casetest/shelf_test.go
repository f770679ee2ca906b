package casetest

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"edgecache/cachestore"
	"edgecache/edge"
	"edgecache/edge/edgetest"
)

// Sizes of bodies on disk: one that is read whole before its head goes out, and
// one that is sent chunk by chunk and never was in memory as a whole.
const (
	smallBody = 200_000
	largeBody = 3 << 20
	diskGrid  = cachestore.ChunkSize
	broken    = cachestore.DiskEvictedBroken
	tooLarge  = cachestore.DiskDropTooLarge
	queueFull = cachestore.DiskDropQueue
)

// shelve starts a site with a disk tier.
func shelve(t *testing.T, c edgetest.Config) *site {
	t.Helper()
	c.Disk = t.TempDir()
	return open(t, c)
}

// dir is where the disk tier lies.
func (s *site) dir() string { return s.Store.Stats().Disk.Dir }

// reshelve restarts the site, so that all that is stored is on disk alone.
func (s *site) reshelve(changes ...func()) {
	s.t.Helper()
	s.Settle()
	s.Restart(changes...)
	s.Settle()
}

// fromDisk is hit that demands the disk's answer.
func (s *site) fromDisk(body, path string, lines ...string) edgetest.Reply {
	s.t.Helper()
	r := s.hit(body, path, lines...)
	s.tier(edge.TierDisk, r)
	return r
}

// tier demands that an answer came from a tier.
func (s *site) tier(want edge.Tier, r edgetest.Reply) {
	s.t.Helper()
	if got := s.Record(r.ID()).Tier; got != want {
		s.t.Errorf("the answer came from %q, want %q: %s", got, want, show(r))
	}
}

// checkDisk demands that the disk holds n whole objects, and nothing else.
func (s *site) checkDisk(n int64) {
	s.t.Helper()
	report, err := s.Disk.Check(s.t.Context())
	if err != nil || report.Objects != n || report.Broken != 0 || report.Orphans != 0 {
		s.t.Errorf("the disk's check says %+v, error %v; want %d objects and nothing broken", report, err, n)
	}
	if st := s.Store.Stats().Disk; st.Live > st.Limit || st.File > st.Most {
		s.t.Errorf("over a limit of the disk: %+v", st)
	}
}

// noise is a body that differs from any other, in each of its pieces.
func noise(seed, size int) string {
	var b strings.Builder
	b.Grow(size + 8)
	random := rand.New(rand.NewPCG(uint64(seed), 5))
	for b.Len() < size {
		word := random.Uint64()
		for range 8 {
			b.WriteByte(byte(word))
			word >>= 8
		}
	}
	return b.String()[:size]
}

// damage changes a byte of a piece of a body where it lies on disk, while no
// edge runs.
func damage(t *testing.T, dir, piece string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "shard-*.db"))
	if err != nil || len(files) == 0 {
		t.Fatalf("shards in %s: %v, %v", dir, files, err)
	}
	for _, name := range files {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		at := bytes.Index(content, []byte(piece))
		if at < 0 {
			continue
		}
		for ; at >= 0; at = bytes.Index(content, []byte(piece)) {
			content[at+len(piece)/2] ^= 1
		}
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatal("the piece is in no shard")
}
