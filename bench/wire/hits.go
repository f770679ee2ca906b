package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// passURLs is over how many urls the requests go that must not be stored.
const passURLs = 1000

// entrant is a server with what it is to be asked.
type entrant struct {
	*server
	load load
}

// pathTo is the one path of a trial of hits.
func pathTo(t trial) string { return fmt.Sprintf("%s/%d/%s", t.kind, t.size, t.name) }

// entrants are the servers that have the trial's wire, with what it asks for stored.
func entrants(ctx context.Context, s *stand, t trial, r *result) (all []entrant, err error) {
	for _, one := range s.servers {
		url := one.url(t.wire, pathTo(t))
		if url == "" {
			r.of(one.name).absent = "not spoken"
			continue
		}
		if err := one.warm(ctx, url, s.env.origin.body(t.size)); err != nil {
			return nil, fmt.Errorf("%s: %w", one.name, err)
		}
		all = append(all, entrant{one, load{url: url, h2: t.wire == overH2, span: s.o.span, under: s.env.under(loadCore)}})
	}
	return all, nil
}

// turn is the order of a round: each is first in turn.
func turn[T any](all []T, round int) (order []T) {
	for i := range all {
		order = append(order, all[(i+round)%len(all)])
	}
	return order
}

// rounds has a part done to each server in each round. A rival that fails is left
// out from then on, and that is said; edge's failure ends the trial.
func rounds[T interface{ called() string }](o options, all []T, r *result, part func(round int, one T) error) error {
	out := map[string]bool{}
	for round := range o.rounds {
		for _, one := range turn(all, round) {
			if out[one.called()] {
				continue
			}
			err := part(round, one)
			if err == nil {
				continue
			}
			if one.called() == "edge" || errors.Is(err, context.Canceled) {
				return fmt.Errorf("%s: %w", one.called(), err)
			}
			out[one.called()] = true
			r.note("%s: left out from round %d on: %v", one.called(), round+1, err)
		}
	}
	return nil
}

// hits measures hits of one url in closed loops, of which the origin must not
// hear, and then latencies.
func hits(ctx context.Context, s *stand, t trial, r *result) error {
	all, err := entrants(ctx, s, t, r)
	if err != nil {
		return err
	}
	err = rounds(s.o, all, r, func(_ int, e entrant) error {
		before := s.env.origin.asked.Load()
		if _, err := e.measure(ctx, r); err != nil {
			return err
		}
		if n := s.env.origin.asked.Load() - before; n > 0 {
			return fmt.Errorf("%d of the hits were not", n)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return latencies(ctx, s, t, r, func(*server, int, int) string { return pathTo(t) })
}

// measure runs the load once and notes what it cost.
func (e entrant) measure(ctx context.Context, r *result) (loaded, error) {
	l, own, logger, err := e.cost(ctx)
	if err != nil {
		return l, err
	}
	r.add(e.name, cpuName, "µs a request", own)
	if e.logger != 0 {
		r.add(e.name, "log cpu", "µs a request", logger)
	}
	r.add(e.name, "throughput", "requests a second", l.rate)
	return l, nil
}

// cost runs the load and gives the CPU of a request, in microseconds.
func (e entrant) cost(ctx context.Context) (l loaded, own, logger float64, err error) {
	before, loggerBefore, err := e.cpu()
	if err != nil {
		return l, 0, 0, err
	}
	if l, err = e.load.run(ctx); err != nil {
		return l, 0, 0, err
	}
	after, loggerAfter, err := e.cpu()
	if err != nil {
		return l, 0, 0, err
	}
	e.sent += l.requests
	each := moment * float64(l.requests)
	return l, (after - before).Seconds() / each, (loggerAfter - loggerBefore).Seconds() / each, nil
}

// misses measures urls that are not stored: new ones, or such as must not be.
func misses(ctx context.Context, s *stand, t trial, r *result) error {
	prefix := func(one *server, round int, of string) string {
		return fmt.Sprintf("%s/%d/%s-%s-%d-%s-", t.kind, t.size, t.name, one.name, round, of)
	}
	err := rounds(s.o, s.servers, r, func(round int, one *server) error {
		p := paths{prefix: prefix(one, round, "closed")}
		if t.kind == passed {
			p.many = passURLs
		}
		script, err := p.write(s.env.dir)
		if err != nil {
			return err
		}
		e := entrant{one, load{url: one.url(overPlain, "/"), span: s.o.span, script: script, under: s.env.under(loadCore)}}
		if _, err := one.ask(ctx, one.url(overPlain, p.prefix+"first"), s.env.origin.body(t.size)); err != nil {
			return err
		}
		before := s.env.origin.asked.Load()
		l, err := e.measure(ctx, r)
		if err != nil {
			return err
		}
		if asked := s.env.origin.asked.Load() - before; asked < l.requests {
			return fmt.Errorf("%d of %d misses were not", l.requests-asked, l.requests)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return latencies(ctx, s, t, r, func(one *server, round, i int) string {
		if t.kind == passed {
			i %= passURLs
		}
		return prefix(one, round, "open") + strconv.Itoa(i)
	})
}

// diskObjects is how many bodies of 32 KiB lie on disk: 128 MiB, of which edge's
// memory holds an eighth.
const diskObjects = 4096

// diskHits measures random hits out of more than memory holds.
func diskHits(ctx context.Context, s *stand, t trial, r *result) error {
	p := paths{prefix: pathTo(t) + "-", many: diskObjects, random: true}
	script, err := p.write(s.env.dir)
	if err != nil {
		return err
	}
	var all []entrant
	for _, one := range s.servers {
		if err := s.fill(ctx, one, p.prefix, t.size); err != nil {
			return fmt.Errorf("%s: %w", one.name, err)
		}
		all = append(all, entrant{one, load{url: one.url(overPlain, "/"), span: s.o.span, script: script, under: s.env.under(loadCore)}})
	}
	err = rounds(s.o, all, r, func(_ int, e entrant) error { return e.fromDisk(ctx, s, r) })
	if err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(1, 2))
	return latencies(ctx, s, t, r, func(*server, int, int) string { return p.prefix + strconv.Itoa(random.IntN(diskObjects)) })
}

// fromDisk is one round of it.
func (e entrant) fromDisk(ctx context.Context, s *stand, r *result) error {
	asked := s.env.origin.asked.Load()
	before, err := e.diskHits(ctx)
	if err != nil {
		return err
	}
	l, err := e.measure(ctx, r)
	if err != nil {
		return err
	}
	if n := s.env.origin.asked.Load() - asked; n > l.requests/100 {
		return fmt.Errorf("%d of %d hits were not", n, l.requests)
	}
	if e.metrics == "" {
		return nil
	}
	now, err := e.diskHits(ctx)
	r.add(e.name, "of disk", "% of the hits", 100*(now-before)/float64(l.requests))
	return err
}

// fill asks for all objects until all are stored.
func (s *stand) fill(ctx context.Context, one *server, prefix string, size int) error {
	for range 5 {
		before := s.env.origin.asked.Load()
		for i := range diskObjects {
			if _, err := one.ask(ctx, one.url(overPlain, prefix+strconv.Itoa(i)), s.env.origin.body(size)); err != nil {
				return err
			}
		}
		if s.env.origin.asked.Load() == before {
			return nil
		}
		select { // a disk is written behind the answers
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
	return errors.New("it does not keep all objects")
}

// diskHits is edge's own count of hits of its disk.
func (s *server) diskHits(ctx context.Context) (float64, error) {
	if s.metrics == "" {
		return 0, nil
	}
	return s.metric(ctx, `edge_cache_hits_total{tier="disk"}`)
}

// metric reads one number of a server that has metrics.
func (s *server) metric(ctx context.Context, name string) (float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.metrics, nil)
	if err != nil {
		return 0, err
	}
	res, err := checker.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err
	}
	return parseMetric(string(text), name)
}

func parseMetric(text, name string) (float64, error) {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	return 0, fmt.Errorf("there is no metric %s", name)
}
