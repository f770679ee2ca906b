package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"edgecache/bench/child"
	"edgecache/cachestore"
)

// At full rate the disk's queue is full at times, and what it drops hides what a
// kill would lose. So every other round is written gently, by few connections
// that pause, and with the memory for a queue that is as large as it gets.
const (
	gentle       = 4
	gentlePause  = 15 * time.Millisecond
	gentleMemory = "512MiB"
)

// killer runs the rounds. A directory serves for some of them, so that a file is
// killed that has a past; every other directory is written without sync.
type killer struct {
	options
	binary   string
	r        *rand.Rand
	progress io.Writer
	report   report
}

// run does all rounds.
func (k *killer) run(ctx context.Context, base string) error {
	for n := 0; k.report.rounds < k.rounds; n++ {
		dir := filepath.Join(base, fmt.Sprint(n))
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
		if err := k.directory(ctx, dir, min(k.lives, k.rounds-k.report.rounds), n%2 == 0); err != nil {
			return err
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return nil
}

// directory kills edge so many times over one directory, and ends with a start
// and a stop.
func (k *killer) directory(ctx context.Context, dir string, rounds int, synced bool) error {
	w := newWorld()
	o, err := startOrigin(w)
	if err != nil {
		return err
	}
	defer o.Close()
	config := filepath.Join(dir, "edge.yaml")
	text := fmt.Sprintf("disk: {size: %s, sync: %v, admission: always}\n", k.disk, synced)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	c := child.Config{Binary: k.binary, Dir: dir, Origin: o.URL, Memory: k.memory, File: config}
	var last *killed
	for life := 1; life <= rounds; life++ {
		if last, err = k.life(ctx, c, w, life, last); err != nil {
			return err
		}
		k.report.rounds++
	}
	return k.last(ctx, c, w, rounds+1, last)
}

// killed is what is known of the life before.
type killed struct {
	before time.Time // answers that were complete by then count as kept
	gone   sample
	from   uint32 // the first object of that life
	gently bool
	span   time.Duration
	work   int64
}

// life starts edge, looks at what it brought back, writes to it and kills it.
func (k *killer) life(ctx context.Context, c child.Config, w *world, life int, last *killed) (*killed, error) {
	spell := &writing{r: k.r, limit: k.bytes}
	connections, gently := k.connections, k.report.rounds%2 == 1
	if gently {
		connections, spell.pause, c.Memory = gentle, gentlePause, gentleMemory
	}
	e, err := child.Start(ctx, c)
	if err != nil {
		return nil, err
	}
	spell.c = newClient(w, e, life, k.connections)
	defer spell.c.http.CloseIdleConnections()
	k.verify(ctx, spell.c, last)
	from := w.known.Load()
	span := k.shortest + time.Duration(k.r.Int64N(int64(k.longest-k.shortest)))
	at, err := spell.run(ctx, connections, span)
	if err = errors.Join(err, ctx.Err()); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, e.Said())
	}
	before := at.Add(-settle)
	k.report.wrote(spell)
	k.report.said(spell.faults, e)
	return &killed{before: before, gone: spell.gone(before), from: from, gently: gently, span: span, work: spell.fetched.Load() + spell.purges.Load()}, nil
}

// last starts edge once more, has the disk checked, and stops it as one should.
func (k *killer) last(ctx context.Context, c child.Config, w *world, life int, last *killed) error {
	e, err := child.Start(ctx, c)
	if err != nil {
		return err
	}
	cl := newClient(w, e, life, k.connections)
	defer cl.http.CloseIdleConnections()
	k.verify(ctx, cl, last)
	var r cachestore.CheckReport
	err = cl.admin(ctx, http.MethodPost, "/v1/disk/check", nil, &r)
	k.report.checked(r)
	if err = errors.Join(err, e.Stop(), ctx.Err()); err != nil {
		return fmt.Errorf("%w\n%s", err, e.Said())
	}
	return nil
}

// verify looks at what a start brought back, if there was a life before.
func (k *killer) verify(ctx context.Context, c *client, last *killed) {
	if last == nil {
		return
	}
	v := &verifying{c: c, r: k.r, before: last.before}
	v.run(ctx, last.from, k.connections)
	line := k.report.found(v, last)
	k.report.said(v.faults, c.edge)
	fmt.Fprintf(k.progress, "round %d, %d purges and answers, killed after %.1f s: %s\n", k.report.rounds, last.work, last.span.Seconds(), line)
}
