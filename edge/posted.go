package edge

import (
	"io"
	"net/http"
	"slices"
	"strings"

	"edgecache/cachestore"
	"edgecache/policy"
	"edgecache/purge"
)

// posted is a POST's answer on its way to the client, of which a copy goes into
// the store, for a later GET (RFC 9110, 9.3.3). The client never notices: what
// the store will not take, and what breaks off, is only not kept.
type posted struct {
	e       *Engine
	s       *Session
	head    *http.Response // for the trailer
	body    io.Reader
	fl      flight // no fetch of its own: the key, the number and the fill of one
	variant *cachestore.Variant
	length  int64 // announced; -1 unknown
	got     int64
	open    bool // it is being kept
}

// mayKeep says whether the answer to this request may be stored although the
// store was not asked, and makes the key. Response filters know nothing of an
// answer that is kept and was not looked for, so with them none is; nor where an
// answer itself says what its key is.
func (e *Engine) mayKeep(s *Session) bool {
	if s.Request.Method != http.MethodPost || s.Cache.Status != CacheBypass || s.Cache.Reason != policy.BypassRequest ||
		s.Request.Upgrade != "" || s.route == nil || s.state.ask.Control.NoStore || len(e.hooks.response) > 0 || s.route.Rules.Key.NoVarySearch {
		return false
	}
	return e.makeKey(s)
}

// keep decides whether the answer is kept, applies what it invalidates, and
// begins to keep it.
func (a *aftermath) keep(res *http.Response, entries []purge.Entry) {
	e, s := a.e, a.s
	s.CacheEnabled = true // for the hooks: a method is no ban
	d := e.decide(s, res.StatusCode, res.Header, closeDelimited(http.MethodPost, res))
	s.CacheEnabled = false
	own, valid := e.overtake(s.Cache.Key, d.Tags, a.seq, entries)
	if d.Why != policy.Method { // which it is for nearly all
		s.Cache.Unstored = d.Why
	}
	switch {
	case !d.Store:
	case !valid:
		s.Cache.Unstored = policy.Purged
	case !usualCoding(res.Header, s.Request.Fields):
		s.Cache.Unstored = policy.Method
	case !e.takeOff():
		s.Cache.Unstored = policy.TierRefused
	default:
		a.post = &posted{e: e, s: s, head: res, length: max(res.ContentLength, -1), open: true}
		a.post.begin(&d, own)
	}
}

// overtake applies what an answer makes invalid, and gives the number of that: the
// answer is as new as its own invalidation. It is not valid when any other purge
// covers it that came since seq, while the request was on its way; nor when one
// came between that look and our own number, for it might.
func (e *Engine) overtake(k policy.Key, tags []uint64, seq uint64, entries []purge.Entry) (own uint64, valid bool) {
	before := e.index.Now()
	valid = e.index.Covers(k, tags, seq).Strength == purge.None
	own = e.cfg.Purges.Invalidate(entries)
	return own, valid && own == before+uint64(len(entries))
}

// begin opens the store. The client's head keeps what must not be stored.
func (p *posted) begin(d *policy.Decision, own uint64) {
	e, s := p.e, p.s
	p.fl = flight{key: s.Cache.Key.Clone(), seq: own, fetch: s, fill: cachestore.NewFill(cachestore.FillConfig{
		Limit: e.limits.Object, Account: e.store().Account(),
	})}
	plain := *p.head
	plain.Header = p.head.Header.Clone()
	p.variant = e.variant(&p.fl, &plain, d)
	w := e.store().Begin(p.fl.key, cachestore.Meta{Length: p.length})
	if err := w.Chunk(nil); err != nil {
		w.Abort()
		p.drop(refusal(err))
		return
	}
	s.trace.mark(PhaseCacheStore)
	p.fl.fill.Keep(w)
	p.fl.fill.Expect(p.length)
	s.Cache.Stored, s.Cache.Unstored = true, policy.None
	s.Cache.TTL = remaining(&p.variant.Life, e.nanos())
}

// tee gives the body that is to be sent to the client.
func (a *aftermath) tee(body io.ReadCloser) io.ReadCloser {
	if a.post == nil || !a.post.open {
		return body
	}
	a.post.body = body
	return struct {
		io.Reader
		io.Closer
	}{a.post, body}
}

// Read reads for the client. With the last bytes of a body whose length was
// announced it looks for the end, too, so that who has seen the whole answer
// finds it stored.
func (p *posted) Read(b []byte) (int, error) {
	n, err := p.body.Read(b)
	p.take(b[:n])
	if err == nil && p.open && p.got == p.length {
		var probe [1]byte
		if m, end := p.body.Read(probe[:]); m == 0 {
			err = end
		}
	}
	switch {
	case err == io.EOF:
		p.commit()
	case err != nil:
		p.drop(policy.Aborted)
	}
	return n, err
}

// take copies bytes into the fill.
func (p *posted) take(b []byte) {
	if !p.open || len(b) == 0 {
		return
	}
	p.got += int64(len(b))
	if err := p.fl.fill.Write(p.s.Ctx, b); err != nil {
		_, why := p.fl.fill.Kept()
		p.drop(refusal(why))
	}
}

// commit stores the whole answer.
func (p *posted) commit() {
	if !p.open {
		return
	}
	if _, err := p.fl.fill.Finish(p.e.trailer(p.s, p.head.Trailer)); err != nil {
		p.drop(policy.Aborted)
		return
	}
	p.open, p.s.Cache.Stored = false, false
	p.e.commit(&p.fl, p.variant)
	p.e.landed()
	if p.s.Cache.Stored {
		p.e.finder.markers.Remove(p.fl.key)
	}
}

// drop gives up what is not stored yet.
func (p *posted) drop(why policy.Reason) {
	if !p.open {
		return
	}
	p.open = false
	p.fl.fill.Abort(ErrLost)
	p.e.landed()
	p.s.Cache.Stored, p.s.Cache.TTL, p.s.Cache.Unstored = false, 0, why
}

// usualCoding says whether the body's coding is one that a GET might have asked
// for: a POST goes up with its own Accept-Encoding, and those of GETs are reduced.
func usualCoding(h http.Header, f policy.Fields) bool {
	known := strings.Split(string(policy.CanonicalEncodings(nil, f)), ", ")
	for _, line := range h["Content-Encoding"] {
		for coding := range strings.SplitSeq(line, ",") {
			coding = strings.ToLower(strings.Trim(coding, " \t"))
			if coding != "" && coding != "identity" && !slices.Contains(known, coding) {
				return false
			}
		}
	}
	return true
}
