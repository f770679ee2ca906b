package edge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"edgecache/cachestore"
	"edgecache/edge/origin"
	"edgecache/policy"
)

// New makes an engine from c. The store, the purge log and the pools stay the
// caller's to close, after the engine.
func New(c Config) (*Engine, error) {
	if c.Store == nil || c.Purges == nil {
		return nil, errors.New("new engine: a store and a purge log are needed")
	}
	r, err := newRouter(&c)
	if err != nil {
		return nil, fmt.Errorf("new engine: %w", err)
	}
	e := &Engine{
		cfg: c, limits: c.Limits.withDefaults(), router: r, index: c.Purges.Index(),
		trusted: c.Trusted, log: c.Log, clock: c.Now, token: c.Token,
		id:    fmt.Sprintf("edge-%08x", uint32(c.Seed)),
		plain: origin.NewClient(origin.Config{}),
	}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	if e.clock == nil {
		e.clock = time.Now
	}
	e.ctx, e.stop = context.WithCancel(context.Background())
	e.statusID = []byte(statusToken(c.CacheStatusID))
	for p := range e.viaDown {
		e.viaDown[p] = []byte("1.1 " + e.id) // the origin's side is HTTP/1.1
		e.viaUp[p] = Proto(p).via() + " " + e.id
	}
	e.hidden = hiddenFields(&c)
	e.altSvc = []byte(c.AltSvc)
	e.cfg.Hosts = lowerAll(c.Hosts)
	e.finder = finder{store: c.Store, index: e.index, markers: &cachestore.Markers{}, searches: &searches{limit: c.Limits.SearchRules}, seed: c.Seed, window: or(c.PurgeSoftWindow, 30*time.Second)}
	e.cfg.HitForMiss = or(c.HitForMiss, 10*time.Second)
	e.flights = newFlights()
	e.metrics = newMetrics(e)
	e.explain = newExplain(e.limits.Explain)
	e.resolveHooks()
	if e.ghosts, err = newGhosts(c.Ghosts, e.clock, e.log); err != nil {
		e.stop()
		return nil, fmt.Errorf("new engine: %w", err)
	}
	if e.ghosts != nil {
		e.tasks.Go(func() { e.ghosts.run(e.ctx) })
	}
	return e, nil
}

// resolveHooks looks once which phases the parts fill, and logs it: a hook
// with a misspelt name shows here, by not being listed.
func (e *Engine) resolveHooks() {
	proxy := e.cfg.Proxy
	parts := e.cfg.Parts
	if proxy == nil {
		proxy = e
	} else {
		parts = append([]any{proxy}, parts...)
	}
	e.hooks = resolve(proxy, parts)
	for _, p := range parts {
		e.log.Info("part", "type", fmt.Sprintf("%T", p), "phases", Phases(p))
	}
}

func (l Limits) withDefaults() Limits {
	l.BodyBuffer = or(l.BodyBuffer, 1<<20)
	l.Object = or(l.Object, 20<<30)
	l.Ahead = or(l.Ahead, 8<<20)
	l.Refreshes = or(l.Refreshes, 64)
	l.Ranges = or(l.Ranges, 16)
	l.Fetches = or(l.Fetches, 10_000)
	l.Explain = or(l.Explain, 256)
	l.Followers = or(l.Followers, 10_000)
	return l
}

func or[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}

// hiddenFields are taken out of every answer on delivery and kept with the
// stored object, for its tags and for 304s. An origin's Alt-Svc is one of them:
// it names other ways to the origin, which lead past this cache (RFC 7838, 2).
func hiddenFields(c *Config) []string {
	hidden := append((&policy.Rules{}).Hidden(), nameAltSvc)
	for i := range c.Routes {
		for _, name := range c.Routes[i].Rules.Hidden() {
			if !slices.Contains(hidden, name) {
				hidden = append(hidden, name)
			}
		}
	}
	return hidden
}
