package edge

import (
	"fmt"
	"io"
	"testing"

	"edgecache/cachestore"
	"edgecache/policy"
)

// What breaks one reader tells nothing about the fetch: it may well be stored.
func TestLostTellsReadersFromFetches(t *testing.T) {
	for _, c := range []struct {
		name   string
		err    error
		stored bool
	}{
		{"the reader fell behind", cachestore.ErrSlow, true},
		{"a chunk cannot be read back", fmt.Errorf("read: %w", cachestore.ErrChunkGone), true},
		{"the origin broke off", io.ErrUnexpectedEOF, false},
		{"the length differs", cachestore.ErrLength, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &Session{}
			s.Cache.Stored = true
			s.lost(c.err)
			if aborted := s.Cache.Unstored == policy.Aborted; s.Cache.Stored != c.stored || aborted == c.stored {
				t.Errorf("stored %v, unstored %v", s.Cache.Stored, s.Cache.Unstored)
			}
		})
	}
}
