package edge

import "edgecache/policy"

// Keyed gives the url that the rules of its route make the key of, by the same
// steps as settle, so that a purge of a url means what a request for it would
// find. A url without a host stands for all hosts; the first route that its
// path matches decides.
func (e *Engine) Keyed(u policy.URL) policy.URL {
	if r := e.router.match(u.Host, u.Path); r != nil {
		u, _ = r.Rules.Key.Reduce(nil, u)
	}
	return u
}
