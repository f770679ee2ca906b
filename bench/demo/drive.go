package main

import (
	"context"
	"io"
	"sync"
	"time"

	"edgecache/bench"
)

// hostName is the site that the demo plays: requests bear it and purges name it.
const hostName = "www.demo.test"

// plan is what a run of the demo does to whom.
type plan struct {
	world       *world
	target      string  // URL of the cache
	admin       string  // URL of its admin API
	token       string  // that the admin API wants
	rate        float64 // requests a second; 0: as fast as they are answered
	connections int
	purgeRate   float64 // purges a second
	maxTime     time.Duration
	maxBytes    int64 // bodies, all in all; a twentieth of it is the purger's
	progress    io.Writer
	again       *lives // edge, to be restarted in the middle; nil is not
}

func (p *plan) purgerBytes() int64 { return p.maxBytes / 20 }

// planned is how many requests of the workload the bounds let through.
func (p *plan) planned() uint64 {
	n, bytes := 0, int64(0)
	for _, o := range p.world.Requests {
		if bytes += p.world.Sizes[o]; bytes > p.maxBytes-p.purgerBytes() {
			break
		}
		n++
	}
	if most := p.rate * p.maxTime.Seconds(); most > 0 {
		n = min(n, int(most))
	}
	return uint64(n)
}

// drive replays the workload while the purger works, and returns what both saw.
func drive(ctx context.Context, p plan) (*report, error) {
	judge := &referee{world: p.world, course: course{restart: -1}}
	purges := newPurger(&p, judge)
	defer purges.client.CloseIdleConnections()
	if p.again != nil {
		purges.turn = max(p.planned()/2, 1)
	}
	replayed := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() { purges.run(ctx, replayed) })
	result, err := bench.Replay(ctx, bench.ReplayConfig{
		Workload:    p.world.Workload,
		Target:      p.target,
		Host:        hostName,
		Rate:        p.rate,
		Connections: p.connections,
		MaxBytes:    p.maxBytes - p.purgerBytes(),
		MaxTime:     p.maxTime,
		Progress:    p.progress,
		Path:        p.world.path,
		Referee:     replayReferee{judge},
		Away:        purges.down.covers,
	})
	close(replayed)
	all.Wait()
	if err != nil {
		return nil, err
	}
	r := &report{Replay: result, Purges: purges.tally, Objects: len(p.world.objects), Restart: purges.restarted, Wanted: p.again != nil}
	r.Restart.Before, r.Restart.After, r.Restart.End, r.Restart.Window = judge.course.ratios()
	if r.Tiers, err = readTiers(ctx, purges.client, p.admin); err != nil {
		return nil, err
	}
	for o := range p.world.objects {
		r.Fetched += int(p.world.objects[o].fetched.Load())
		r.Confirmed += int(p.world.objects[o].confirmed.Load())
	}
	return r, nil
}
