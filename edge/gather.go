package edge

import (
	"context"

	"edgecache/cachestore"
	"edgecache/policy"
	"edgecache/purge"
)

// maxPiece is the largest part of a sparse object that is stored of one answer,
// in bytes: what two slices hold, because a suffix may lie across a border.
const maxPiece = 2 * cachestore.SliceSize

// gather is the Writer of a part of a sparse object while it arrives. At its
// commit the bytes go into the slices where they belong, each united with what is
// there already (RFC 9111, 3.4).
type gather struct {
	e      *Engine
	ctx    context.Context
	key    policy.Key       // of the object
	part   *cachestore.Part // of the object
	from   int64            // where the part begins
	chunks [][]byte
	size   int64
	held   int64 // bytes accounted
	done   bool
}

var _ cachestore.Writer = (*gather)(nil)

// Chunk takes bytes in; see cachestore.Writer.
func (g *gather) Chunk(p []byte) error {
	n := int64(cap(p))
	switch {
	case g.done:
		return cachestore.ErrWriterDone
	case len(p) == 0:
		return nil
	case g.size+int64(len(p)) > maxPiece:
		return cachestore.ErrTooLarge
	case !g.e.store().Account().Reserve(n):
		return cachestore.ErrNoRoom
	}
	g.chunks = append(g.chunks, p)
	g.size += int64(len(p))
	g.held += n
	return nil
}

// Commit stores the bytes, with what v says of them; v itself is a pattern. The
// first fault ends it: what is stored by then is right, only less.
func (g *gather) Commit(v *cachestore.Variant) error {
	defer g.Abort()
	body := cachestore.NewBody(nil)
	if v.Body != nil {
		body = v.Body
	}
	for at, to := g.from, g.from+g.size; at < to; {
		end := min(to, at-at%cachestore.SliceSize+cachestore.SliceSize)
		if err := g.keep(v, body, at, end); err != nil {
			return err
		}
		at = end
	}
	return nil
}

// Abort forgets the bytes.
func (g *gather) Abort() {
	g.done = true
	g.e.store().Account().Release(g.held)
	g.chunks, g.held = nil, 0
}

// keep stores bytes at to end, which lie in one slice.
func (g *gather) keep(v *cachestore.Variant, body *cachestore.Body, at, end int64) error {
	run := make([]byte, 0, end-at)
	for _, p := range body.AppendSpans(nil, at-g.from, end-g.from) {
		run = append(run, p...)
	}
	key := g.e.sliceKey(g.key, g.part, at/cachestore.SliceSize)
	slice := v.With(cachestore.Renewal{
		Head: v.Head, Life: v.Life, Tags: v.Tags, PurgeSeq: v.PurgeSeq, SharedAuth: v.SharedAuth,
		Validators: v.Validators, StoredAt: v.StoredAt,
	})
	from, run := g.unite(key, slice, at, run)
	slice.Part = &cachestore.Part{From: from, Total: g.part.Total, Slices: g.part.Slices}
	slice.Body = nil
	return storeBytes(g.e.store().Begin(key, cachestore.Meta{Length: int64(len(run))}), slice, run)
}

// storeBytes gives a Writer a body that is there as a whole, and has it store v.
func storeBytes(w cachestore.Writer, v *cachestore.Variant, body []byte) (err error) {
	defer func() {
		if err != nil {
			w.Abort()
		}
		if s, ok := w.(cachestore.Spiller); ok {
			s.Release()
		}
	}()
	for len(body) > 0 {
		n := min(len(body), cachestore.ChunkSize)
		if err := w.Chunk(body[:n:n]); err != nil {
			return err
		}
		body = body[n:]
	}
	return w.Commit(v)
}

// unite joins a run of bytes with what its slice has, if the two touch: what
// came last holds where they overlap, and the purge number is the least of both.
func (g *gather) unite(key policy.Key, slice *cachestore.Variant, at int64, run []byte) (int64, []byte) {
	old, bytes := g.e.readSlice(g.ctx, key)
	if old == nil {
		return at, run
	}
	from, to, end := old.Part.From, old.Part.From+int64(len(bytes)), at+int64(len(run))
	if from >= at && to <= end || to < at || from > end {
		return at, run // it has nothing to add
	}
	all := make([]byte, 0, max(to, end)-min(from, at))
	if from < at {
		all = append(all, bytes[:at-from]...)
	}
	all = append(all, run...)
	if to > end {
		all = append(all, bytes[end-from:]...)
	}
	slice.PurgeSeq = min(slice.PurgeSeq, old.PurgeSeq)
	slice.Tags = unite(slice.Tags, old.Tags)
	return min(from, at), all
}

// readSlice reads a stored slice that no purge has taken away; nil when there is
// none, or it cannot be read.
func (e *Engine) readSlice(ctx context.Context, key policy.Key) (*cachestore.Variant, []byte) {
	res, v := e.findSlice(ctx, key)
	if v == nil {
		return nil, nil
	}
	l := e.store().Open(res, v)
	defer l.Close()
	bytes := make([]byte, 0, v.Body.Size)
	for i := range v.Body.Chunks() {
		p, err := l.Chunk(ctx, i)
		if err != nil {
			return nil, nil
		}
		bytes = append(bytes, p...)
	}
	return v, bytes
}

// findSlice finds a stored slice that no purge has taken away; nil when there is
// none. Whether its object may be used is the object's matter: a purge that only
// demands a validation is obeyed when the object, with the same strong validator,
// has been validated.
func (e *Engine) findSlice(ctx context.Context, key policy.Key) (*cachestore.Resource, *cachestore.Variant) {
	res, err := e.store().Load(ctx, key)
	if err != nil || len(res.Variants) == 0 {
		return nil, nil
	}
	v := res.Variants[0]
	if v.Part == nil || e.finder.covers(key, v).Strength == purge.Hard {
		return nil, nil
	}
	return res, v
}
