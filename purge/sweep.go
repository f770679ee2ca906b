package purge

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"edgecache/cachestore"
	"edgecache/policy"
)

// A SweepConfig bounds a Sweeper. The zero value of each field is its default.
type SweepConfig struct {
	// SoftWindow is how long a softly purged answer may be served while it is
	// refreshed: purge.soft_window. 0 is 30 s, below 0 is none.
	SoftWindow time.Duration
	// Every is the pause between two sweeps, if anything was purged; when the
	// log is half full the next one comes at once. 0 is 30 s.
	Every time.Duration
	// PerSecond is how many resources a sweep looks at in a second, at most.
	// 0 is 500,000: a million of them take two seconds.
	PerSecond int
}

func (c SweepConfig) withDefaults() SweepConfig {
	if c.SoftWindow == 0 {
		c.SoftWindow = 30 * time.Second
	}
	if c.Every <= 0 {
		c.Every = 30 * time.Second
	}
	if c.PerSecond <= 0 {
		c.PerSecond = 500_000
	}
	return c
}

// A Sweeper gives space back behind purges: it takes what is gone out of the
// store, writes into what is soft or to be revalidated that it is, notes on
// the rest that it is still valid, and then has the log drop the purges that
// nothing older can match any more. Validity never waits for it.
type Sweeper struct {
	log   *Log
	store cachestore.Store
	conf  SweepConfig

	one     sync.Mutex // one sweep at a time
	swept   uint64     // the number after the last sweep, guarded by one
	removed atomic.Uint64
	lowered atomic.Uint64
	sweeps  atomic.Uint64

	stop context.CancelFunc
	done chan struct{}
}

// StartSweeper sweeps store behind l in the background until Close.
func StartSweeper(l *Log, store cachestore.Store, c SweepConfig) *Sweeper {
	ctx, stop := context.WithCancel(context.Background())
	s := &Sweeper{log: l, store: store, conf: c.withDefaults(), stop: stop, done: make(chan struct{})}
	go s.run(ctx)
	return s
}

// Close ends the sweeper and waits for it.
func (s *Sweeper) Close() error {
	s.stop()
	<-s.done
	return nil
}

// SweepStats count what the sweeps did.
type SweepStats struct {
	Sweeps  uint64 // that went through
	Removed uint64 // answers taken out
	Lowered uint64 // answers that are expired or to be revalidated from now on
}

// Stats is a copy of the counters now.
func (s *Sweeper) Stats() SweepStats {
	return SweepStats{Sweeps: s.sweeps.Load(), Removed: s.removed.Load(), Lowered: s.lowered.Load()}
}

// atLeastEvery is the pause after a sweep, however full the log is: a running
// fetch may hold on to what fills it.
const atLeastEvery = time.Second

// run sweeps when it is time, or when the log asks.
func (s *Sweeper) run(ctx context.Context) {
	defer close(s.done)
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.log.halfFull:
		case <-time.After(s.conf.Every):
		}
		_ = s.Sweep(ctx) // ends early only because of Close
		select {
		case <-ctx.Done():
		case <-time.After(atLeastEvery):
		}
	}
}

// Sweep looks at everything that is stored, once, unless nothing was purged
// since the last time.
func (s *Sweeper) Sweep(ctx context.Context) error {
	s.one.Lock()
	defer s.one.Unlock()
	if s.swept == s.log.index.Now() {
		return ctx.Err()
	}
	// Whatever is stored from here on was fetched under this number or a
	// later one; what is stored already is looked at below.
	bound, at := s.log.index.active.oldest(&s.log.index)
	w := walk{sweeper: s, ctx: ctx, bound: bound, started: time.Now()}
	s.store.Each(w.visit)
	if w.err != nil {
		return w.err
	}
	if deep, ok := s.store.(cachestore.Deep); ok {
		if err := deep.Sweep(ctx, w.bound, w.below); err != nil {
			return err
		}
	}
	if w.bound < bound {
		at = 0 // when the purges between the two were applied is not known
	}
	s.log.forgetTo(w.bound, at)
	s.swept = w.bound
	s.sweeps.Add(1)
	return ctx.Err()
}

// A walk is one sweep on its way through the store.
type walk struct {
	sweeper *Sweeper
	ctx     context.Context
	bound   uint64 // purges up to here have been dealt with
	seen    int
	started time.Time
	err     error
}

// A walk looks at its pace, and whether it is to end, every so many resources;
// and it gives up on a resource that changes under it so often.
const (
	paceEvery  = 512
	visitTries = 16
)

// visit deals with one resource, for Store.Each.
func (w *walk) visit(r *cachestore.Resource) (more bool) {
	if w.seen++; w.seen%paceEvery == 0 {
		if w.err = w.pace(); w.err != nil {
			return false
		}
	}
	for range visitTries {
		now := w.sweeper.log.index.Now()
		next := w.sweeper.judge(r, now)
		if next == r {
			return true
		}
		if w.sweeper.store.Replace(r.Key, r, next) {
			return true
		}
		// It was swapped meanwhile, perhaps for one that shares variants.
		if r, _ = w.sweeper.store.Peek(r.Key); r == nil {
			return true
		}
	}
	for _, v := range r.Variants {
		w.bound = min(w.bound, v.Checked()) // its purges stay until the next sweep
	}
	return true
}

// below is judge for what lies below memory.
func (w *walk) below(r *cachestore.Resource) *cachestore.Resource {
	if w.seen++; w.seen%paceEvery == 0 {
		_ = w.pace() // the store asks ctx itself
	}
	return w.sweeper.judge(r, w.sweeper.log.index.Now())
}

// pace waits while the walk is ahead of its speed.
func (w *walk) pace() error {
	due := time.Duration(w.seen) * time.Second / time.Duration(w.sweeper.conf.PerSecond)
	ahead := time.NewTimer(due - time.Since(w.started))
	defer ahead.Stop()
	select {
	case <-w.ctx.Done():
		return w.ctx.Err()
	case <-ahead.C:
		return w.ctx.Err()
	}
}

// judge is r as the purges up to now leave it: r itself when they do not touch
// it. Its survivors are noted to be valid up to now.
func (s *Sweeper) judge(r *cachestore.Resource, now uint64) *cachestore.Resource {
	left := make([]*cachestore.Variant, 0, len(r.Variants))
	touched := false
	for _, v := range r.Variants {
		c := s.log.index.Covers(r.Key, v.Tags, v.Checked())
		switch c.Strength {
		case None:
			v.SetChecked(now)
			left = append(left, v)
			continue
		case Hard:
			s.removed.Add(1)
		default:
			s.lowered.Add(1)
			left = append(left, lower(v, c, now, s.conf.SoftWindow))
		}
		touched = true
	}
	if !touched {
		return r
	}
	return &cachestore.Resource{Key: r.Key, Variants: left}
}

// lower is v with its cover written into it, so that the purge behind it can
// be dropped.
func lower(v *cachestore.Variant, c Cover, now uint64, window time.Duration) *cachestore.Variant {
	life := Weaken(v.Life, c, window)
	return v.With(cachestore.Renewal{
		Head: v.Head, Life: life, Tags: v.Tags, PurgeSeq: now,
		SharedAuth: v.SharedAuth, Validators: v.Validators, StoredAt: v.StoredAt,
	})
}

// Weaken is the life that a cover leaves: for Soft expired when it was applied,
// with the window to be served in while it is refreshed; for Revalidate, and
// for Hard if a caller has no better use for it, never to be served unvalidated.
func Weaken(l policy.Life, c Cover, window time.Duration) policy.Life {
	switch c.Strength {
	case None:
		return l
	case Soft:
		return l.Soften(c.SoftAt, max(window, 0))
	}
	return l.Distrusted()
}
