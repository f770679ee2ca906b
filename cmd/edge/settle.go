package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"edgecache/purge"
)

// settle finds the place and opens what lies in it. A disk directory in which
// that fails costs the disk, not the start.
func (in *installation) settle(d diskSettings, port string, log *slog.Logger) error {
	p, err := findPlace(d, port)
	if err != nil {
		return err
	}
	err = in.moveIn(p)
	if !p.disk {
		return err
	}
	if err == nil {
		err = in.catchUp(port, log)
	}
	if err == nil {
		return nil
	}
	why := fmt.Sprintf("disk directory %s: %v", p.dir, errors.Join(err, in.moveOut()))
	if p, err = ownPlace(port, why); err != nil {
		return err
	}
	return in.moveIn(p)
}

// moveIn reads the seed and opens the purge log.
func (in *installation) moveIn(p place) (err error) {
	in.place = p
	if in.seed, err = p.seed(); err != nil {
		return err
	}
	in.purges, err = purge.Open(purge.Config{Path: p.purgeLog()})
	return err
}

// moveOut gives the place back.
func (in *installation) moveOut() error {
	var err error
	if in.purges != nil {
		err = in.purges.Close()
	}
	err = errors.Join(err, in.place.close())
	in.place, in.purges = place{}, nil
	return err
}

// leaveDisk goes on without a disk tier that could not be opened. The purges of
// this run go to a log of their own, so that the next run with the disk learns
// that it missed some.
func (in *installation) leaveDisk(cause error, port string, log *slog.Logger) error {
	why := fmt.Sprintf("disk directory %s: %v", in.place.dir, errors.Join(cause, in.moveOut()))
	p, err := ownPlace(port, why)
	if err != nil {
		return err
	}
	if err := in.moveIn(p); err != nil {
		return err
	}
	log.Warn("no disk: serving from memory alone", "why", in.place.why, "purge_log", in.place.purgeLog())
	return nil
}

// catchUp has everything on the disk revalidated when this edge ran without it
// meanwhile: the purges of that time are not in the disk's log. Their own log
// has done its work then.
func (in *installation) catchUp(port string, log *slog.Logger) error {
	left := place{dir: ownDir(port)}.purgeLog()
	if _, err := os.Stat(left); err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	all := purge.Entry{Scope: purge.ScopeAll, Strength: purge.Revalidate}
	if _, err := in.purges.Purge(ctx, []purge.Entry{all}); err != nil {
		return fmt.Errorf("have everything revalidated, for edge ran without it: %w", err)
	}
	log.Warn("edge ran without its disk: everything stored there is revalidated", "purge_log", left, "removed", os.Remove(left) == nil)
	return nil
}

// troubles are the lines that /readyz tells behind "ready": what is wrong with
// the disk although edge serves.
func (in *installation) troubles() []string {
	if in.place.why != "" {
		return []string{"disk: serving from memory alone: " + in.place.why}
	}
	if in.disk == nil {
		return nil
	}
	var lines []string
	for i, s := range in.disk.Stats().Shards {
		if s.Trouble != "" {
			lines = append(lines, fmt.Sprintf("disk: shard %d: %s", i, s.Trouble))
		}
	}
	return lines
}
