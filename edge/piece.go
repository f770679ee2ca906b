package edge

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"edgecache/cachestore"
	"edgecache/policy"
	"edgecache/purge"
)

// errChanged says that the origin has another representation now than the one
// whose slice was asked for.
var errChanged = errors.New("the object has changed at the origin")

// piece is where in its representation the body of an answer lies: half open.
type piece struct{ from, to int64 }

func (p *piece) has(at int64) bool { return p != nil && p.from <= at && at < p.to }

// receivePart takes in the answer to a request for a part. It gives the answer
// that is to be received as any other: one that is no part, or that has all parts
// (RFC 9111, 3.4). nil: it is all done.
func (e *Engine) receivePart(fl *flight, res *http.Response) *http.Response {
	if fl.wish.of != nil {
		e.receiveSlice(fl, res)
		return nil
	}
	if res.StatusCode != http.StatusPartialContent {
		return res
	}
	cr, ok := policy.ReadContentRange(res.Header["Content-Range"])
	size := cr.To - cr.From
	if !ok || res.ContentLength > size {
		return res // not stored: nobody knows what it is
	}
	plain := *res
	plain.Header = res.Header.Clone()
	plain.Header.Del("Content-Range")
	plain.StatusCode = http.StatusOK
	if res.ContentLength < 0 {
		plain.ContentLength = size // so a cut body is noticed however it is framed
	}
	if plain.ContentLength == size && cr.From == 0 && cr.To == cr.Total {
		return &plain
	}
	e.land(fl, &plain, cr)
	return nil
}

// land takes in a part of an object of which nothing is known: the first of a
// sparse object, if a strong validator ties others to it, or one that stays alone.
func (e *Engine) land(fl *flight, res *http.Response, cr policy.ContentRange) {
	s := fl.fetch
	d := e.decide(s, res.StatusCode, res.Header, false)
	s.Status = http.StatusPartialContent
	v := e.variant(fl, res, &d)
	v.Part = &cachestore.Part{From: cr.From, Total: cr.Total}
	size := cr.To - cr.From
	var w cachestore.Writer
	var also policy.Key
	pattern := v
	switch {
	case !d.Store:
	case res.ContentLength == size && size <= maxPiece && cr.Total > 0 && cr.Total <= e.limits.Object && v.Validators.StrongValidator():
		pattern = e.pattern(v)
		v = e.plant(fl, v)
		also = e.sliceKey(fl.key, v.Part, cr.From/cachestore.SliceSize)
		w = &gather{e: e, ctx: s.Ctx, key: fl.key, part: v.Part, from: cr.From}
	default:
		if res.ContentLength != size {
			// The origin contradicts itself: what it sent begins where it said,
			// and how long the whole is nobody knows.
			v.Part.Total, v.Part.ToEnd = -1, cr.To == cr.Total
			cr.To = cr.From + res.ContentLength
		}
		w = e.store().Begin(fl.key, cachestore.Meta{Length: res.ContentLength})
	}
	if w != nil {
		if err := w.Chunk(nil); err != nil {
			w.Abort()
			d.Store, d.Why, w = false, refusal(err), nil
		}
	}
	e.mark(fl, &d, v)
	e.arrive(fl, res, arrival{show: v, keep: pattern, writer: w, why: d.Why, piece: &piece{cr.From, cr.To}, also: also})
}

// pattern is what each slice of an object says of itself: nothing of its head,
// which is the object's.
func (e *Engine) pattern(v *cachestore.Variant) *cachestore.Variant {
	return v.With(cachestore.Renewal{
		Head: cachestore.NewHead(http.StatusPartialContent, nil, nil), Life: v.Life, Tags: v.Tags,
		PurgeSeq: v.PurgeSeq, SharedAuth: v.SharedAuth, Validators: v.Validators, StoredAt: v.StoredAt,
	})
}

// plant makes the head of a sparse object visible, and returns the one that is
// stored: another, if one with the same strong validator is there, which gets the
// fields and the lifetime of the new answer and keeps its slices and its purge
// number. What cannot be stored is returned as it is.
func (e *Engine) plant(fl *flight, v *cachestore.Variant) *cachestore.Variant {
	part := &cachestore.Part{Total: v.Part.Total, Slices: newNumber()}
	v.Part = part
	for range maxRounds {
		res, err := e.store().Load(e.ctx, fl.key)
		old := sparseLike(res, v)
		if err != nil || old == nil || e.finder.covers(fl.key, old).Strength == purge.Hard {
			break
		}
		n := renewalOf(v)
		n.Head = cachestore.NewHead(v.Head.Status, policy.Merge(old.Head.Header(), v.Head.Header(), &fl.fetch.route.Rules), e.hidden)
		n.Tags = unite(old.Tags, v.Tags)
		if e.finder.covers(fl.key, old).Strength == purge.None {
			n.PurgeSeq = min(old.PurgeSeq, v.PurgeSeq)
		}
		if stored := e.swap(fl.key, old, &n); stored != nil {
			return stored
		}
	}
	v.Body = cachestore.NewBody(nil)
	_ = storeBytes(e.store().Begin(fl.key, cachestore.Meta{}), v, nil) // else only this request has it
	return v
}

// renewalOf is what a validation would change to make an answer like v.
func renewalOf(v *cachestore.Variant) cachestore.Renewal {
	return cachestore.Renewal{
		Head: v.Head, Life: v.Life, Tags: v.Tags, PurgeSeq: v.PurgeSeq,
		SharedAuth: v.SharedAuth, Validators: v.Validators, StoredAt: v.StoredAt,
	}
}

// sparseLike finds the sparse object that v is a part of: of the same length,
// selected by the same values, coded alike, and with the same strong validator.
func sparseLike(res *cachestore.Resource, v *cachestore.Variant) *cachestore.Variant {
	if res == nil {
		return nil
	}
	for _, old := range res.Variants {
		if old.Part != nil && old.Part.Slices != 0 && old.Part.Total == v.Part.Total &&
			old.Validators.SameStrong(&v.Validators) && slices.Equal(old.Vary, v.Vary) &&
			string(old.Selector) == string(v.Selector) &&
			string(old.Head.Get("Content-Encoding")) == string(v.Head.Get("Content-Encoding")) {
			return old
		}
	}
	return nil
}

// receiveSlice takes in what should be a slice of a sparse object. Any other
// answer says that the object is not what it was, or that the origin fails.
func (e *Engine) receiveSlice(fl *flight, res *http.Response) {
	s, m := fl.fetch, fl.wish.of
	s.Status = res.StatusCode
	cr, ok := policy.ReadContentRange(res.Header["Content-Range"])
	val := validators(res.Header)
	size := cr.To - cr.From
	switch {
	case res.StatusCode >= 500:
		e.lose(fl, fmt.Errorf("%w: status %d to a slice", ErrBadUpstream, res.StatusCode))
		return
	case res.StatusCode != http.StatusPartialContent, !ok, cr.Total != m.Part.Total, !val.SameStrong(&m.Validators),
		string(m.Head.Get("Content-Encoding")) != res.Header.Get("Content-Encoding"):
		e.lose(fl, errChanged)
		return
	case res.ContentLength >= 0 && res.ContentLength != size, size > maxPiece, cr.From > fl.wish.from, cr.To <= fl.wish.from:
		e.lose(fl, fmt.Errorf("%w: a slice that is not the one asked for", ErrBadUpstream))
		return
	}
	plain := *res
	plain.Header = policy.Merge(m.Head.Header(), res.Header, &s.route.Rules)
	plain.StatusCode, plain.ContentLength = m.Head.Status, size
	d := e.decide(s, plain.StatusCode, plain.Header, false)
	v := e.variant(fl, &plain, &d)
	v.Part = m.Part
	a := arrival{show: v, why: d.Why, piece: &piece{cr.From, cr.To}}
	if d.Store {
		e.prolong(fl, v)
		a.keep = e.pattern(v)
		a.writer = &gather{e: e, ctx: s.Ctx, key: fl.wish.by, part: m.Part, from: cr.From}
	} else {
		e.swap(fl.wish.by, m, nil)
	}
	e.arrive(fl, &plain, a)
}

// prolong gives a sparse object the lifetime of its latest slice, whose answer
// is as good as a validation, unless that changes little: a large object is not
// written anew for each of its slices. Its purge number stays what it is.
func (e *Engine) prolong(fl *flight, v *cachestore.Variant) {
	m := fl.wish.of
	gain := (v.Life.Born + int64(v.Life.Fresh)) - (m.Life.Born + int64(m.Life.Fresh))
	if v.Life.NoCache == m.Life.NoCache && gain >= 0 && gain < int64(v.Life.Fresh)/8 {
		return
	}
	n := renewalOf(v)
	n.Tags = unite(m.Tags, v.Tags)
	n.PurgeSeq = min(m.PurgeSeq, v.PurgeSeq)
	e.swap(fl.wish.by, m, &n)
}
