package edge

import (
	"testing"
	"time"

	"edgecache/cachestore"
)

// TestOrphanCrawls: a fetch that nobody reads may go on while it brings
// something; one that trickles has a minute.
func TestOrphanCrawls(t *testing.T) {
	for _, c := range []struct {
		name   string
		reader bool
		bytes  int // a second
		want   bool
	}{
		{"a reader waits, however slow", true, 0, false},
		{"nothing comes", false, 0, true},
		{"just too little", false, orphanRate - 1, true},
		{"just enough", false, orphanRate, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := cachestore.NewFill(cachestore.FillConfig{Length: -1})
			r, err := f.Join()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			var o orphan
			crawls, piece := false, make([]byte, c.bytes)
			for second := range int64(100) {
				if err := f.Write(t.Context(), piece); err != nil {
					t.Fatal(err)
				}
				watched := f
				if !c.reader { // a fill of the same length without readers
					watched = unread(t, int(second+1)*c.bytes)
				}
				crawls = crawls || o.crawls(watched, 1+second*int64(time.Second))
			}
			if crawls != c.want {
				t.Errorf("given up %v, want %v", crawls, c.want)
			}
		})
	}
}

// unread is a fill of n bytes that its only reader has left.
func unread(t *testing.T, n int) *cachestore.Fill {
	f := cachestore.NewFill(cachestore.FillConfig{Length: -1})
	r, err := f.Join()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Write(t.Context(), make([]byte, n)); err != nil {
		t.Fatal(err)
	}
	r.Close()
	return f
}
