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
}

func (p *plan) purgerBytes() int64 { return p.maxBytes / 20 }

// drive replays the workload while the purger works, and returns what both saw.
func drive(ctx context.Context, p plan) (*report, error) {
	judge := &referee{world: p.world}
	purges := newPurger(&p, judge)
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
		Referee:     judge,
	})
	close(replayed)
	all.Wait()
	if err != nil {
		return nil, err
	}
	r := &report{Replay: result, Purges: purges.tally, Objects: len(p.world.objects)}
	for o := range p.world.objects {
		r.Fetched += int(p.world.objects[o].fetched.Load())
		r.Confirmed += int(p.world.objects[o].confirmed.Load())
	}
	return r, nil
}
