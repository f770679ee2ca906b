package casetest

import (
	"strings"
	"testing"

	"edgecache/edge/edgetest"
)

// TestCodingsThatTheOriginDistinguishes: an origin that knows gzip alone has one
// variant for all who take it, one that codes nothing has one for everybody,
// when the first to come takes most; and none gets what it refused.
func TestCodingsThatTheOriginDistinguishes(t *testing.T) {
	s := open(t, edgetest.Config{Disk: t.TempDir()})
	origin := func(path string, knows ...string) {
		s.origin.OnFunc(path, func(r edgetest.Seen) edgetest.Answer {
			for _, coding := range knows {
				if strings.Contains(r.Header.Get("Accept-Encoding"), coding) {
					return edgetest.Text(200, coding, fresh, tagged, "Vary: Accept-Encoding", "Content-Encoding: "+coding)
				}
			}
			return edgetest.Text(200, "plain", fresh, tagged, "Vary: Accept-Encoding")
		})
	}
	origin("/page", "gzip")
	origin("/image")
	origin("/both", "br", "gzip")
	origin("/later", "gzip")
	const all, two, one, none = "Accept-Encoding: zstd, br, gzip", "Accept-Encoding: br, gzip", "Accept-Encoding: gzip", "Accept-Encoding: identity"
	variants := func() int64 { return s.Store.Stats().Variants }

	s.miss("gzip", "/page", all)
	s.hit("gzip", "/page", two)
	s.hit("gzip", "/page", one)
	s.hit("gzip", "/page", "Accept-Encoding: gzip, identity;q=0")
	s.asked(1, "/page")
	if n := variants(); n != 1 {
		t.Errorf("%d variants of a page in gzip, want 1", n)
	}
	s.miss("plain", "/page", none)
	s.hit("plain", "/page")
	s.hit("gzip", "/page", two) // the newest is the plain one, which it was not chosen for
	s.asked(2, "/page")

	s.miss("plain", "/image", all)
	for _, line := range []string{two, one, none, "Accept-Encoding: br", "X: no list"} {
		s.hit("plain", "/image", line)
	}
	s.asked(1, "/image")
	s.miss("plain", "/image", "Accept-Encoding: gzip, identity;q=0") // the origin's to say
	s.asked(2, "/image")

	s.miss("br", "/both", two)
	s.miss("gzip", "/both", one)
	s.miss("plain", "/both", none)
	s.hit("br", "/both", two)
	s.hit("gzip", "/both", one)

	s.miss("gzip", "/later", one) // the poorer first says nothing of the richer
	s.miss("gzip", "/later", all)

	s.reshelve() // what a disk has kept is selected in the same way
	s.hit("gzip", "/page", one)
	s.purge("http://disk.test/image")
	s.miss("plain", "/image", none)
}

// TestChoiceIsValidated: a stale answer that was chosen for others is a base
// for this request's validation like any other.
func TestChoiceIsValidated(t *testing.T) {
	s := open(t, edgetest.Config{})
	s.origin.OnFunc("/x", func(r edgetest.Seen) edgetest.Answer {
		if r.Header.Get("If-None-Match") != "" {
			return edgetest.Text(304, "", fresh, tagged, "Vary: Accept-Encoding")
		}
		return edgetest.Text(200, "gzip", fresh, tagged, "Vary: Accept-Encoding", "Content-Encoding: gzip")
	})
	s.miss("gzip", "/x", "Accept-Encoding: br, gzip")
	s.advance(700)
	s.want("gzip", "/x", "Accept-Encoding: gzip")
	if got := s.last().Header.Get("If-None-Match"); got != `"v1"` {
		t.Errorf("asked with If-None-Match %q", got)
	}
	s.hit("gzip", "/x", "Accept-Encoding: br, gzip")
	s.hit("gzip", "/x", "Accept-Encoding: gzip")
	s.asked(2, "/x")
}
