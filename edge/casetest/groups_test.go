package casetest

import (
	"fmt"
	"strings"
	"testing"

	"edgecache/edge"
	"edgecache/edge/edgetest"
	"edgecache/policy"
	"edgecache/purge"
)

// grouped starts a site whose pages /1 … of two hosts are of the groups "a" and
// "b", and whose /edit answers as said.
func grouped(t *testing.T, edit edgetest.Answer) *site {
	t.Helper()
	s := open(t, edgetest.Config{Rules: policy.Rules{TagHeaders: []string{"Cache-Groups"}}})
	s.origin.OnFunc("*", func(r edgetest.Seen) edgetest.Answer {
		switch {
		case r.Target == "/edit":
			return edit
		case r.Header.Get("If-None-Match") != "":
			return edgetest.Answer{Status: 304, Header: edgetest.Header(fresh, tagged)}
		}
		return edgetest.Text(200, "page", fresh, tagged, fmt.Sprintf(`Cache-Groups: "%s"`, r.Target[1:2]))
	})
	for _, host := range []string{"one.test", "two.test"} {
		s.miss("page", "/a", "Host: "+host)
		s.miss("page", "/b", "Host: "+host)
	}
	return s
}

// TestCacheGroupInvalidation: RFC 9875, 3. What is named must be validated before
// it is used, at the origin that named it and nowhere else.
func TestCacheGroupInvalidation(t *testing.T) {
	many := `Cache-Group-Invalidation: "z0"`
	for i := range policy.MaxInvalidatedGroups {
		many += fmt.Sprintf(`, "z%d"`, i+1)
	}
	for name, c := range map[string]struct {
		method string
		answer edgetest.Answer
		stale  string // the pages of one.test that are invalid
	}{
		"one group":           {"POST", edgetest.Text(200, "", `Cache-Group-Invalidation: "a"`), "a"},
		"two in two lines":    {"PUT", edgetest.Text(303, "", `Cache-Group-Invalidation: "a"`, `Cache-Group-Invalidation: "b";x`), "ab"},
		"an unknown one":      {"DELETE", edgetest.Text(204, "", `Cache-Group-Invalidation: "c"`), ""},
		"malformed":           {"POST", edgetest.Text(200, "", `Cache-Group-Invalidation: "a", "`), ""},
		"no string":           {"POST", edgetest.Text(200, "", `Cache-Group-Invalidation: a`), ""},
		"an error":            {"POST", edgetest.Text(500, "", `Cache-Group-Invalidation: "a"`), ""},
		"a refusal":           {"POST", edgetest.Text(403, "", `Cache-Group-Invalidation: "a"`), ""},
		"a safe method":       {"GET", edgetest.Text(200, "", `Cache-Group-Invalidation: "a"`), ""},
		"another safe method": {"OPTIONS", edgetest.Text(200, "", `Cache-Group-Invalidation: "a"`), ""},
		"too many to name":    {"POST", edgetest.Text(200, "", many), "ab"},
	} {
		t.Run(name, func(t *testing.T) {
			s := grouped(t, c.answer)
			r := s.Do(c.method, "/edit", "", "Host: one.test")
			if got, want := r.Header.Values("Cache-Group-Invalidation"), c.answer.Header.Values("Cache-Group-Invalidation"); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("passed on as %q, want %q", got, want)
			}
			for _, page := range []string{"a", "b"} {
				s.hit("page", "/"+page, "Host: two.test")
				r := s.want("page", "/"+page, "Host: one.test")
				if rec := s.Record(r.ID()); (rec.Reason == policy.Revalidated) != strings.Contains(c.stale, page) || isHit(r) == strings.Contains(c.stale, page) {
					t.Errorf("%s: %v, %s; want it invalid: %q", page, rec.Reason, show(r), c.stale)
				}
			}
		})
	}
}

// TestGroupInvalidationIsCounted with the purges, and is no page's own loss: a
// POST whose answer is of the group that it invalidates is stored all the same.
func TestGroupInvalidationIsCounted(t *testing.T) {
	s := grouped(t, edgetest.Text(200, "new", fresh, "Content-Location: /edit", `Cache-Groups: "a"`, `Cache-Group-Invalidation: "a"`))
	if r, rec := s.post("/edit", "a form", "Host: one.test"); r.Status != 200 || rec.Cache != edge.CacheBypass {
		t.Fatalf("POST: %s", show(r))
	}
	if got := s.Purges.Stats().Applied[purge.ScopeGroup][purge.Revalidate]; got != 1 {
		t.Errorf("%d groups counted, want 1", got)
	}
	s.hit("new", "/edit", "Host: one.test")
	s.miss("page", "/a", "Host: one.test")
}

// TestGroupsOfTheNormalisedHost: however the host is spelt.
func TestGroupsOfTheNormalisedHost(t *testing.T) {
	s := grouped(t, edgetest.Text(200, "", `Cache-Group-Invalidation: "a"`))
	s.Do("POST", "/edit", "", "Host: ONE.test.:80")
	if r := s.want("page", "/a", "Host: one.test"); isHit(r) {
		t.Errorf("%s, want it validated", show(r))
	}
	s.hit("page", "/b", "Host: one.test")
	s.hit("page", "/a", "Host: two.test")
}
