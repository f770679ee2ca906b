package edge

import (
	"net/http"
	"slices"

	"edgecache/cachestore"
	"edgecache/policy"
	"edgecache/purge"
)

// learns says whether the answer to this request may tell about a stored one: a
// HEAD for which a stored GET could have been chosen (RFC 9111, 4.3.5). One with
// a Range is about a part.
func learns(s *Session) bool {
	return s.Request.Method == http.MethodHead && s.state.base != nil && s.CacheEnabled &&
		s.state.ask.Has&(policy.HasRange|policy.HasIfRange) == 0
}

// learn takes in what the origin said to a HEAD. A 200 that is about the stored
// answer makes it fresh again, one that is about another makes it stale. A 304
// is the answer to the client's own condition: it counts only where it names the
// stored answer by a strong validator (4.3.4). Any other status says nothing: HEAD
// is safe and invalidates nothing (4.4).
func (a *aftermath) learn(res *http.Response) {
	base := a.s.state.base
	switch res.StatusCode {
	case http.StatusNotModified:
		if val := validators(res.Header); val.SameStrong(&base.Validators) {
			a.freshen(res)
		}
	case http.StatusOK:
		if base.Head.Status != http.StatusOK {
			return
		}
		size := base.Body.Size
		if base.Part != nil {
			size = base.Part.Total
		}
		switch policy.ReadHead(&base.Validators, size, string(base.Head.Get("Content-Encoding")), res.Header) {
		case policy.HeadSame:
			a.freshen(res)
		case policy.HeadOther:
			a.outdate()
		}
	}
}

// freshen brings the stored answer's fields up to date, if no purge has made it
// unusable since.
func (a *aftermath) freshen(res *http.Response) {
	e, s, base := a.e, a.s, a.s.state.base
	cover := e.index.Covers(s.Cache.Key, base.Tags, base.Checked())
	if cover.Strength == purge.Hard || cover.Seq > a.seq {
		return
	}
	merged := policy.Merge(base.Head.Header(), res.Header, &s.route.Rules)
	s.state.ask.Method = http.MethodGet // whose answer it is
	d := e.decide(s, base.Head.Status, merged, false)
	s.state.ask.Method = http.MethodHead
	switch {
	case d.Store && !slices.Equal(d.Vary, base.Vary):
		return // it was not selected by what the origin now varies by
	case !d.Store && aboutOne(d.Why):
		return
	case !d.Store:
		e.swap(s.Cache.Key, base, nil)
		return
	}
	for _, name := range d.Strip {
		merged.Del(name)
	}
	e.swap(s.Cache.Key, base, &cachestore.Renewal{
		Head: cachestore.NewHead(base.Head.Status, merged, e.hidden), Life: d.Life,
		Tags: unite(base.Tags, d.Tags), PurgeSeq: a.seq, SharedAuth: d.SharedAuth,
		Validators: validators(merged), StoredAt: e.nanos(),
	})
}

// outdate ends the lifetime of what is not the origin's any more. It stays, to be
// validated, and for when the origin fails.
func (a *aftermath) outdate() {
	base := a.s.state.base
	n := renewalOf(base)
	n.Life = base.Life.Soften(a.e.nanos(), 0)
	a.e.swap(a.s.Cache.Key, base, &n)
}
