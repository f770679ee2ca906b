package edge

import (
	"slices"

	"edgecache/policy"
	"edgecache/purge"
)

// Keyed gives the urls under which the rules of its route may keep a url, by the
// same steps as settle, so that a purge of it covers what a request for it would
// find. Where answers say themselves which of a query counts, that is all of its
// path. A url without a host stands for all hosts; the first route that its path
// matches decides, and whether any route obeys No-Vary-Search.
func (e *Engine) Keyed(u policy.URL) []policy.URL {
	r := e.router.match(u.Host, u.Path)
	if r != nil {
		u, _ = r.Rules.Key.Reduce(nil, u)
	}
	all := []policy.URL{u}
	if u.HasQuery && (r != nil && r.Rules.Key.NoVarySearch || len(u.Host) == 0 && e.router.searched()) {
		u.Query, u.HasQuery = nil, false
		all = append(all, u)
	}
	return all
}

// searched says whether any route obeys No-Vary-Search.
func (r *router) searched() bool {
	return slices.ContainsFunc(r.routes, func(t *route) bool { return t.Rules.Key.NoVarySearch })
}

// urlEntries are the purges of one url.
func (e *Engine) urlEntries(u policy.URL, s purge.Strength) (entries []purge.Entry) {
	for _, one := range e.Keyed(u) {
		entries = append(entries, purge.URLEntry(one, s))
	}
	return entries
}
