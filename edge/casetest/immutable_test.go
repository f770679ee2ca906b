package casetest

import (
	"testing"

	"edgecache/edge/edgetest"
	"edgecache/policy"
)

// TestImmutable: while it is fresh a reload is a hit, no-cache still asks the
// origin, and both hold for what comes back from disk (RFC 8246, 2.1).
func TestImmutable(t *testing.T) {
	s := open(t, edgetest.Config{Disk: t.TempDir(), Rules: policy.Rules{HonorClient: true}})
	s.origin.On("/x", edgetest.Text(200, "page", "Cache-Control: max-age=600, immutable", tagged))
	s.origin.On("/y", edgetest.Text(200, "page", fresh, tagged))
	reload := "Cache-Control: max-age=0"
	s.miss("page", "/x")
	s.miss("page", "/y")
	s.advance(100)
	s.hit("page", "/x", reload)
	s.hit("page", "/x", "Cache-Control: max-age=50")
	s.want("page", "/y", reload)
	s.asked(1, "/x")
	s.asked(2, "/y")
	s.want("page", "/x", "Cache-Control: no-cache")
	s.asked(2, "/x")
	s.reshelve()
	s.hit("page", "/x", reload)
	s.asked(2, "/x")
	s.advance(700)
	s.want("page", "/x", reload)
	s.asked(3, "/x")
}
