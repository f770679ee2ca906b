package edge

import (
	"errors"

	"edgecache/cachestore"
	"edgecache/policy"
	"edgecache/purge"
)

// sliceAhead is how many slices are fetched before the client wants them.
const sliceAhead = 2

// sliceLooks bounds how often one slice is looked for: it may come and go.
const sliceLooks = 4

// sparse reads a sparse object for one request: what is stored from the store,
// what is not from the origin, slice by slice. It belongs to the session's
// goroutine.
type sparse struct {
	e     *Engine
	s     *Session
	of    *cachestore.Variant
	by    policy.Key // under which of is stored
	first run        // already open; nil reader and loan: none
	ahead int64      // slices before this one are fetched, or were found stored
	asked bool       // a fetch was led: its peer and times are the session's
}

// run is some bytes of a representation, open to be read from one end to the
// other: of an answer that arrives, or of a stored body.
type run struct {
	piece
	flight *flight
	reader *cachestore.Reader
	loan   *cachestore.Loan
	key    policy.Key          // of the stored slice
	of     *cachestore.Variant // the stored slice
}

func (r *run) open() bool { return r.reader != nil || r.loan != nil }

func (r *run) close() {
	if r.loan != nil {
		r.loan.Close()
	}
	if r.flight != nil && r.reader != nil {
		r.flight.leave(r.reader)
	}
	*r = run{}
}

// absent counts the slices of a span of which nothing is stored, up to one.
func (p *sparse) absent(from, to int64) bool {
	for i := from / cachestore.SliceSize; i*cachestore.SliceSize < to; i++ {
		if _, presence := p.e.store().Peek(p.e.sliceKey(p.by, p.of.Part, i)); presence == cachestore.Absent {
			return true
		}
	}
	return false
}

// seek opens the bytes from at on, of which to is the end of what is wanted, and
// has the next slices fetched.
func (p *sparse) seek(at, to int64) (run, error) {
	if p.first.open() && p.first.has(at) {
		r := p.first
		p.first = run{}
		p.readAhead(at, r.to, to)
		return r, nil
	}
	p.first.close()
	i := at / cachestore.SliceSize
	key := p.e.sliceKey(p.by, p.of.Part, i)
	for range sliceLooks {
		res, v := p.e.findSlice(p.s.Ctx, key)
		if v != nil && v.Part.Has(at, v.Body.Size) {
			r := run{piece: piece{v.Part.From, v.Part.From + v.Body.Size}, loan: p.e.store().Open(res, v), key: key, of: v}
			if _, err := r.loan.Chunk(p.s.Ctx, int((at-r.from)/cachestore.ChunkSize)); err == nil {
				p.e.store().Hit(res, v)
				p.readAhead(at, r.to, to)
				return r, nil
			}
			r.close()
			p.e.forget(p.s.Ctx, key, v)
			v = nil
		}
		r, found, err := p.board(key, p.need(v, at), at, v)
		if err != nil || found {
			if err == nil {
				p.readAhead(at, r.to, to)
			}
			return r, err
		}
	}
	return run{}, errUnsteady
}

// need is what to ask the origin for so that the byte at a place is there: the
// slice, less what is stored of it on the other side.
func (p *sparse) need(v *cachestore.Variant, at int64) wish {
	from := at - at%cachestore.SliceSize
	w := wish{from: from, to: min(from+cachestore.SliceSize, p.of.Part.Total), of: p.of, by: p.by}
	if v == nil {
		return w
	}
	if end := v.Part.From + v.Body.Size; end <= at {
		w.from = end
	} else {
		w.to = v.Part.From
	}
	return w
}

// board joins the fetch of a slice, or leads one, and waits for its head. Not
// found: the store has changed, or that fetch brings something else.
func (p *sparse) board(key policy.Key, w wish, at int64, seen *cachestore.Variant) (_ run, found bool, _ error) {
	if p.s.state.ask.Control.OnlyIfCached {
		return run{}, false, ErrUnsatisfied
	}
	fl, r, leads, err := p.e.joinSlice(p.s, key, &w, at, seen)
	if err != nil || fl == nil {
		return run{}, false, err
	}
	got := run{flight: fl, reader: r}
	if !p.e.waitHead(p.s, fl, leads) {
		got.close()
		return run{}, false, ErrClientGone
	}
	if leads && !p.asked {
		p.asked = true
		fl.out.brief(p.s)
	}
	switch o := &fl.out; {
	case o.err != nil:
		got.close()
		return run{}, false, o.err
	case !o.piece.has(at), !leads && !o.shared:
		got.close()
		return run{}, false, nil
	default:
		got.piece = *o.piece
	}
	return got, true, nil
}

// joinSlice joins a flight that brings the byte at a place of the slice under
// key, or starts one. No flight and no error: what is stored is not what was seen.
func (e *Engine) joinSlice(s *Session, key policy.Key, w *wish, at int64, seen *cachestore.Variant) (fl *flight, r *cachestore.Reader, leads bool, err error) {
	sh := e.flights.shard(key.Hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for _, fl := range sh.by[key.Hash] {
		if !fl.bringsLocked(key, at) || fl.followers >= e.limits.Followers ||
			e.index.CoversKnown(key, fl.seq).Strength != purge.None {
			continue
		}
		if fl.known() && (!fl.out.shared || !fl.out.piece.has(at) || e.outdated(fl)) {
			continue
		}
		if r, err := fl.fill.Join(); err == nil {
			fl.followers++
			return fl, r, false, nil
		}
	}
	if e.cameMeanwhile(key, at, seen) {
		return nil, nil, false, nil
	}
	if fl = e.sliceFlight(s, key, w); fl == nil {
		return nil, nil, false, ErrBusy
	}
	if r, err = fl.fill.Join(); err == nil && e.background(func() { e.fly(fl) }) {
		sh.add(fl)
		return fl, r, true, nil
	}
	e.ground(fl)
	return nil, nil, false, ErrLost
}

// cameMeanwhile says whether the byte at a place is stored by now, in another
// slice than the one that was seen.
func (e *Engine) cameMeanwhile(key policy.Key, at int64, seen *cachestore.Variant) bool {
	res, presence := e.store().Peek(key)
	if presence != cachestore.InMemory {
		return false
	}
	v := res.Variants[0]
	return (seen == nil || !v.Body.Same(seen.Body)) && v.Part != nil && v.Part.Has(at, v.Body.Size) &&
		e.finder.covers(key, v).Strength != purge.Hard
}

// bringsLocked says whether a flight is to bring the byte at a place of the slice
// under key.
func (fl *flight) bringsLocked(key policy.Key, at int64) bool {
	if fl.also.Equal(key) {
		return fl.out.piece.has(at)
	}
	return fl.key.Equal(key) && fl.wish != nil && fl.wish.has(at)
}

// sliceFlight makes the fetch of a slice for a session's request.
func (e *Engine) sliceFlight(s *Session, key policy.Key, w *wish) *flight {
	fl := e.flightOf(s, key.Clone(), KindClient)
	if fl == nil {
		return nil
	}
	own := *w
	own.by = w.by.Clone()
	fl.wish, fl.base = &own, nil
	fl.fetch.state.ask.Has |= policy.HasRange
	return fl
}

// readAhead has the slices behind the one of a place fetched, as far as they are
// wanted: so many that the next is there when this one has been sent. The run that
// is open may reach over the slice's end, to there.
func (p *sparse) readAhead(at, there, to int64) {
	i := at / cachestore.SliceSize
	p.ahead = max(p.ahead, i+1, (there+cachestore.SliceSize-1)/cachestore.SliceSize)
	for ; p.ahead <= i+sliceAhead && p.ahead*cachestore.SliceSize < to; p.ahead++ {
		key := p.e.sliceKey(p.by, p.of.Part, p.ahead)
		if _, presence := p.e.store().Peek(key); presence != cachestore.Absent || p.s.state.ask.Control.OnlyIfCached {
			continue
		}
		begin := p.ahead * cachestore.SliceSize
		w := p.need(nil, begin)
		fl, r, _, err := p.e.joinSlice(p.s, key, &w, begin, nil)
		if err == nil && fl != nil {
			fl.leave(r)
		}
	}
}

// sendSpan sends the bytes from (in) to to (out) of the representation. A slice
// that cannot be read any more is fetched again.
func (p *sparse) sendSpan(from, to int64) error {
	for looks := 0; from < to; {
		r, err := p.seek(from, to)
		if err != nil {
			return err
		}
		n, err := r.send(p.s, from, min(to, r.to))
		from += n
		if err != nil && r.loan != nil && !errors.Is(err, ErrClientGone) && looks < sliceLooks {
			p.e.forget(p.s.Ctx, r.key, r.of)
			looks, err = looks+1, nil
		}
		r.close()
		if err != nil {
			return err
		}
	}
	return nil
}

// send sends bytes of the run, by their place in the representation. Of a stored
// one it says how many went out before a fault.
func (r *run) send(s *Session, at, to int64) (n int64, err error) {
	if r.loan != nil {
		return sendLoan(s, r.loan, at-r.from, to-r.from)
	}
	f := fillSpans{s: s, r: r.reader, begin: r.from}
	if err := f.sendSpan(at, to); err != nil {
		return 0, err
	}
	return to - at, nil
}

// sendLoan sends bytes of a stored body, chunk by chunk, and says how many went
// out.
func sendLoan(s *Session, l *cachestore.Loan, at, to int64) (n int64, err error) {
	for n < to-at {
		i := (at + n) / cachestore.ChunkSize
		chunk, err := l.Chunk(s.Ctx, int(i))
		if err != nil {
			return n, err
		}
		p := chunk[at+n-i*cachestore.ChunkSize:]
		p = p[:min(int64(len(p)), to-at-n)]
		if err := s.send(p); err != nil {
			return n, clientGone(err)
		}
		n += int64(len(p))
	}
	return n, nil
}

// errUnsteady says that a slice came and went while it was looked for.
var errUnsteady = errors.New("a slice that does not stay")

// ErrBusy says that as many fetches run as may; 503.
var ErrBusy = errors.New("too many fetches at once")

// shed takes the slices of an object out of the store that is not there any more.
func (e *Engine) shed(k policy.Key, p *cachestore.Part) {
	if p == nil || p.Slices == 0 {
		return
	}
	k = k.Clone()
	e.background(func() {
		for i := int64(0); i*cachestore.SliceSize < p.Total && e.ctx.Err() == nil; i++ {
			e.store().Delete(e.sliceKey(k, p, i))
		}
	})
}
