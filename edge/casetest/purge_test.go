package casetest

import (
	"net/http"

	"edgecache/edge"
	"edgecache/edge/edgetest"
	"edgecache/purge"
)

// purge purges urls hard and waits for it.
func (s *site) purge(urls ...string) {
	s.t.Helper()
	s.purgeAs(purge.ScopeURL, purge.Hard, urls...)
}

func (s *site) purgeAs(scope purge.Scope, strength purge.Strength, selectors ...string) {
	s.t.Helper()
	var entries []purge.Entry
	for _, selector := range selectors {
		e, err := purge.ParseEntry(scope, selector, "", strength)
		if err != nil {
			s.t.Fatal(err)
		}
		entries = append(entries, e)
	}
	result, err := s.Purges.Purge(s.t.Context(), entries)
	if err != nil || !result.Applied {
		s.t.Fatalf("purge %v: %+v %v", selectors, result, err)
	}
}

// start gets a path on another goroutine; the returned function waits for the
// answer.
func (s *site) start(path string, lines ...string) (wait func() edgetest.Reply) {
	return s.startAs(http.MethodGet, path, lines...)
}

func (s *site) startAs(method, path string, lines ...string) (wait func() edgetest.Reply) {
	s.t.Helper()
	done := make(chan edgetest.Reply, 1)
	go func() { done <- s.Do(method, path, "", lines...) }()
	return func() edgetest.Reply {
		s.t.Helper()
		return edgetest.Receive(s.t, method+" "+path, done)
	}
}

// refreshed waits until n background refreshes are over, and returns their
// records.
func (s *site) refreshed(n int) (refreshes []edge.Record) {
	s.t.Helper()
	s.Records.Wait(s.t, "refreshes", func(all []edge.Record) bool {
		refreshes = refreshes[:0]
		for _, r := range all {
			if r.Kind == edge.KindRefresh {
				refreshes = append(refreshes, r)
			}
		}
		return len(refreshes) >= n
	})
	return refreshes
}
