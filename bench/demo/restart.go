package main

import (
	"context"
	"fmt"
	"time"

	"edgecache/bench/child"
)

// lives is an edge that is ended and begun again.
type lives struct {
	config child.Config
	kill   bool // ended by SIGKILL, as a crash would
	now    *child.Edge
}

func begin(ctx context.Context, c child.Config, kill bool) (*lives, error) {
	now, err := child.Start(ctx, c)
	return &lives{c, kill, now}, err
}

// restart ends edge and starts it anew.
func (l *lives) restart(ctx context.Context) error {
	end := l.now.Stop
	if l.kill {
		end = l.now.Kill
	}
	if err := end(); err != nil {
		return err
	}
	next, err := child.Start(ctx, l.config)
	if err != nil {
		return fmt.Errorf("start edge again: %w", err)
	}
	l.now = next
	return nil
}

// restart is what came of the restart in the middle.
type restart struct {
	Done   bool
	Killed bool
	Down   time.Duration // from the signal until edge was ready again
	Err    error

	Before, After, End float64 // hit ratios right before it, right after it, and of the last answers
	Window             int     // answers that each is over

	Ended tiers // what the tiers of the life that was ended had given
	Early tiers // what those of the new one had given after Window answers; nil when that was never seen
}

// restart purges, and ends edge as soon as that was acknowledged; then it starts
// it again and reads what was purged.
func (p *purger) restart(ctx context.Context) {
	r := &p.restarted
	r.Killed = p.again.kill
	victims, selectors := p.choose(byURL)
	for _, o := range victims {
		p.read(ctx, o)
		p.read(ctx, o)
	}
	if r.Ended, r.Err = readTiers(ctx, p.client, p.admin); r.Err != nil {
		return
	}
	acknowledged := p.change(ctx, byURL, victims, selectors)
	p.down.begin()
	p.referee.course.cut()
	if r.Err = p.again.restart(ctx); r.Err != nil {
		return
	}
	p.down.end()
	p.client.CloseIdleConnections()
	r.Done, r.Down = true, p.down.lasted()
	if !acknowledged {
		return
	}
	for _, o := range victims {
		p.readAgain(ctx, o)
	}
}

// look takes down what the tiers gave right after the restart.
func (p *purger) look(ctx context.Context) {
	r := &p.restarted
	if !r.Done || r.Early != nil || p.referee.course.since() < courseWindow {
		return
	}
	r.Early, r.Err = readTiers(ctx, p.client, p.admin)
}
