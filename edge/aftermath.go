package edge

import (
	"net/http"

	"edgecache/policy"
	"edgecache/purge"
)

// aftermath is what the answer to a relayed request does to the store: it makes
// stored answers invalid, it is stored for a later GET, or it says of a stored
// answer whether it is still the origin's. It belongs to the session's goroutine.
type aftermath struct {
	e   *Engine
	s   *Session
	seq uint64 // purge number, read before the request went up
	end purge.Ending
	// may says that a POST's answer may be kept; the key is there then.
	may  bool
	head bool    // a HEAD's answer may tell about the base
	post *posted // that is being kept
}

// await reads the purge number, where what comes back may change what is
// stored, before the request goes up.
func (e *Engine) await(s *Session) *aftermath {
	a := &aftermath{e: e, s: s}
	if a.may, a.head = e.mayKeep(s), learns(s); a.may || a.head {
		a.seq, a.end = e.index.Begin()
	}
	return a
}

// land does what the head of the answer asks for, before a byte of it goes out.
func (a *aftermath) land(res *http.Response) {
	if a.head {
		a.learn(res)
		return
	}
	entries := a.e.invalidated(a.s, res)
	if !a.may || res.StatusCode != http.StatusOK {
		a.e.cfg.Purges.Invalidate(entries)
		return
	}
	a.keep(res, entries)
}

// over gives up what was not stored.
func (a *aftermath) over() {
	if a.post != nil {
		a.post.drop(policy.Aborted)
	}
	a.end.End()
}

// invalidated are the entries of what an answer to an unsafe request makes
// invalid: places (RFC 9111, 4.4), and groups of its origin (RFC 9875, 3). More
// groups than are read by name stand for all of the host.
func (e *Engine) invalidated(s *Session, res *http.Response) []purge.Entry {
	if !policy.Invalidates(s.Request.Method, res.StatusCode) {
		return nil
	}
	urls := policy.InvalidatedURLs(s.URL(), res.Header)
	entries := make([]purge.Entry, 0, len(urls))
	for _, u := range urls {
		entries = append(entries, e.urlEntries(u, purge.Revalidate)...)
	}
	groups, over := policy.InvalidatedGroups(res.Header)
	host := string(s.Request.Host)
	for _, g := range groups {
		entries = append(entries, purge.Entry{Scope: purge.ScopeGroup, Value: g, Host: s.Scheme + "://" + host, Strength: purge.Revalidate})
	}
	if over {
		entries = append(entries, purge.Entry{Scope: purge.ScopeHost, Value: host, Strength: purge.Revalidate})
	}
	return entries
}
