package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"edgecache/bench/child"
)

// course is one run: the giant, then the object that fits.
type course struct {
	o      options
	source *source
	config child.Config
	report *report
	edge   *child.Edge
}

// partMost is how many bytes more than were asked for an origin may have sent
// before a request was given up: what was in buffers on the way.
const partMost = 16 << 20

func (c *course) run(ctx context.Context) (err error) {
	if c.edge, err = child.Start(ctx, c.config); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.edge.Stop()) }()
	if err = c.giant(ctx); err != nil {
		return err
	}
	return c.fits(ctx)
}

func (c *course) fetch(path string) *fetch {
	return &fetch{url: c.edge.Target + path, size: c.source.sizes[path]}
}

// watched runs do while edge's memory is looked at.
func (c *course) watched(ctx context.Context, what string, done *atomic.Int64, do func() error) error {
	looking, stop := context.WithCancel(ctx)
	seen := make(chan resident, 1)
	go func() { seen <- watch(looking, c.edge.PID(), done, c.report.say) }()
	err := do()
	stop()
	most := <-seen
	c.report.say("  at most: %s", most)
	c.report.fault(most.anon > c.o.most, "%s: %d MiB of anonymous memory, at most %d are right", what, most.anon, c.o.most)
	return err
}

// giant reads the object that is not stored, and parts of it before, meanwhile
// and afterwards.
func (c *course) giant(ctx context.Context) error {
	c.report.say("an object of %d MiB, which is not stored", c.o.giant)
	if err := c.parts(ctx, "before", "/giant"); err != nil {
		return err
	}
	var done atomic.Int64
	err := c.watched(ctx, "the giant", &done, func() error {
		whole := make(chan error, 1)
		var g got
		go func() {
			f := c.fetch("/giant")
			f.progress = &done
			var err error
			g, err = f.do(ctx)
			whole <- err
		}()
		if err := reach(ctx, &done, c.o.giant*mib/8, whole); err != nil {
			return err
		}
		if err := c.parts(ctx, "meanwhile", "/giant"); err != nil {
			return err
		}
		c.report.say("  meanwhile ended at %d MiB of the whole", done.Load()>>20)
		if err := <-whole; err != nil {
			return err
		}
		c.report.say("  whole: %d bytes, each looked at, %.0f MiB/s", g.bytes, g.rate())
		return nil
	})
	if err != nil {
		return err
	}
	return c.parts(ctx, "afterwards", "/giant")
}

// reach waits until so many bytes came, or the fetch ended before.
func reach(ctx context.Context, done *atomic.Int64, bytes int64, ended chan error) error {
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for done.Load() < bytes {
		select {
		case <-look.C:
		case err := <-ended:
			ended <- err
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// parts asks for parts, one after another, and says what the origin sent for
// each. What goes on beside is not counted.
func (c *course) parts(ctx context.Context, when, path string) error {
	size := c.source.sizes[path]
	for _, ranges := range []string{
		"bytes=0-99", fmt.Sprintf("bytes=%d-%d", size/2, size/2+999_999),
		fmt.Sprintf("bytes=%d-", size-100), "bytes=-500",
	} {
		f := c.fetch(path)
		f.ranges = ranges
		before := c.source.count()
		g, err := f.do(ctx)
		if err != nil {
			return err
		}
		var asked []string
		sent := int64(0)
		for _, a := range c.source.since(before) {
			settled(ctx, a)
			asked = append(asked, a.String())
			sent += a.sent.Load()
		}
		c.report.say("  %s %s: %d bytes in %.1f ms; origin: %s", when, ranges, g.bytes, g.took.Seconds()*1e3, strings.Join(asked, "; "))
		c.report.fault(sent > g.bytes+partMost, "%s: %d bytes were sent for %s", when, sent, ranges)
	}
	return nil
}

// settled waits for the end of what the origin sends, so that all of it counts.
func settled(ctx context.Context, a *asked) {
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for range 2000 {
		if a.over.Load() {
			return
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return
		}
	}
}

// fits reads the object that is stored: by a fast and a slow client at once, from
// disk, and after a restart.
func (c *course) fits(ctx context.Context) error {
	c.report.say("an object of %d MiB, which is stored while it comes", c.o.fits)
	asked := c.source.count()
	if err := c.both(ctx, "the fill"); err != nil {
		return err
	}
	c.report.fault(c.source.count() != asked+1, "the origin was asked %d times for what two clients want at once", c.source.count()-asked)
	if err := c.both(ctx, "hits from disk"); err != nil {
		return err
	}
	if err := c.parts(ctx, "stored", "/fits"); err != nil {
		return err
	}
	if err := c.edge.Stop(); err != nil {
		return err
	}
	var err error
	if c.edge, err = child.Start(ctx, c.config); err != nil {
		return err
	}
	if err := c.edge.Loaded(ctx); err != nil {
		return err
	}
	if err := c.both(ctx, "after a restart"); err != nil {
		return err
	}
	c.report.fault(c.source.count() != asked+1, "the origin was asked for what is stored: %v", c.source.since(asked+1))
	return nil
}

// both lets a slow and a fast client read the object at once.
func (c *course) both(ctx context.Context, what string) error {
	c.report.say("  %s", what)
	var done atomic.Int64
	return c.watched(ctx, what, &done, func() error {
		slow := make(chan error, 1)
		go func() {
			f := c.fetch("/fits")
			f.slow, f.progress = c.o.slow, &done
			g, err := f.do(ctx)
			c.say(&g, "slow", err)
			slow <- err
		}()
		f := c.fetch("/fits")
		f.progress = &done
		g, err := f.do(ctx)
		c.say(&g, "fast", err)
		return errors.Join(err, <-slow)
	})
}

func (c *course) say(g *got, who string, err error) {
	if err == nil {
		c.report.say("  %s client: %d bytes, %.0f MiB/s, hit: %v", who, g.bytes, g.rate(), g.hit)
	}
}
