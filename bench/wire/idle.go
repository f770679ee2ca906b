package main

import (
	"context"
	"fmt"
	"net"
	"time"
)

const (
	idleSeconds = 3
	idleShare   = 100 // one in so many asks each second
	spareFiles  = 500 // descriptors that are not for idle connections
)

// idle holds many connections open that have asked once and now seldom do, and
// looks at the memory that they take. The servers are new in each round: memory
// that was once taken is not given back at once.
func idle(ctx context.Context, s *stand, t trial, r *result) error {
	many := min(s.o.idle, s.env.files-spareFiles)
	if many < s.o.idle {
		r.note("%d connections: RLIMIT_NOFILE is %d", many, s.env.files)
	}
	for _, one := range s.servers {
		if err := idleOn(ctx, s, t, r, one, many); err != nil {
			return fmt.Errorf("%s: %w", one.name, err)
		}
	}
	return nil
}

func idleOn(ctx context.Context, s *stand, t trial, r *result, one *server, many int) error {
	want := s.env.origin.body(t.size)
	if err := one.warm(ctx, one.url(overPlain, pathTo(t)), want); err != nil {
		return err
	}
	before, stacksBefore, err := one.memory(ctx)
	if err != nil {
		return err
	}
	conns := make([]net.Conn, many)
	for i := range conns {
		if conns[i], err = (&net.Dialer{}).DialContext(ctx, "tcp", one.plain); err != nil {
			return fmt.Errorf("connection %d: %w", i, err)
		}
		defer conns[i].Close()
		if err := one.exchange(conns[i], pathTo(t), want); err != nil {
			return fmt.Errorf("connection %d: %w", i, err)
		}
	}
	each := max(many/idleShare, 1)
	for second := range idleSeconds {
		for i := range each {
			if err := one.exchange(conns[(second*each+i)%many], pathTo(t), want); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
	after, stacks, err := one.memory(ctx)
	if err != nil {
		return err
	}
	for i, c := range conns { // who has closed some has less to hold
		if err := one.exchange(c, pathTo(t), want); err != nil {
			return fmt.Errorf("connection %d was not kept: %w", i, err)
		}
	}
	all := float64(after-before) / float64(many)
	r.add(one.name, "memory", "bytes each", all)
	if one.metrics != "" {
		own := (stacks - stacksBefore) / float64(many)
		r.add(one.name, "stack", "bytes each", own)
		r.add(one.name, "without", "bytes each", all-own)
	}
	r.add(one.name, "in all", "MiB", float64(after)/(1<<20))
	return nil
}

// memory is what is resident, and what of it is goroutines' stacks; 0 of who has
// none.
func (s *server) memory(ctx context.Context) (resident int64, stacks float64, err error) {
	if resident, err = s.resident(); err == nil && s.metrics != "" {
		stacks, err = s.metric(ctx, "go_memstats_stack_inuse_bytes")
	}
	return resident, stacks, err
}

func (s *server) exchange(c net.Conn, path string, want []byte) error {
	_ = c.SetDeadline(time.Now().Add(coldTime))
	s.sent++
	return exchange(c, s.plain, path, want)
}
