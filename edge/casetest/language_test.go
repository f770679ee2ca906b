package casetest

import (
	"testing"

	"edgecache/edge"
	"edgecache/edge/edgetest"
	"edgecache/policy"
)

// TestLanguages: order counts, or does not, as the route says; and what was
// stored under the one rule is not served under the other, not even after a
// restart with a disk.
func TestLanguages(t *testing.T) {
	routes := []edge.Route{{Upstream: "main"}}
	s := open(t, edgetest.Config{Disk: t.TempDir(), Edge: edge.Config{Routes: routes}})
	s.origin.OnFunc("/x", func(r edgetest.Seen) edgetest.Answer {
		return edgetest.Text(200, r.Header.Get("Accept-Language"), fresh, "Vary: Accept-Language")
	})
	ask := func(list string) string { return "Accept-Language: " + list }
	s.miss("en, de", "/x", ask("en, de"))
	s.hit("en, de", "/x", ask("EN ,De;q=1.0"))
	s.miss("de, en", "/x", ask("de, en"))
	s.miss("en, de;q=0.5", "/x", ask("en, de;q=0.5"))

	weighed := func() { routes[0].Rules.Languages = policy.LanguagesByWeight }
	s.reshelve(weighed)
	s.miss("de, en", "/x", ask("de, en"))
	s.hit("de, en", "/x", ask("en,de"))
	s.hit("de, en", "/x", ask("de;q=1, en"))
	s.miss("en, de;q=0.5", "/x", ask("en, de;q=0.5"))
	s.hit("en, de;q=0.5", "/x", ask("de;q=0.5,en"))

	sent := func() { routes[0].Rules.Languages = policy.LanguagesSent }
	s.reshelve(sent)
	s.hit("en, de", "/x", ask("en, de")) // of the first time
	s.miss("fr, en", "/x", ask("fr, en"))
	s.miss("en, fr", "/x", ask("en, fr"))
}
