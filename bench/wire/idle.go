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
// looks at the memory that they take.
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
	path := fmt.Sprintf("%s/%d/%s", t.kind, t.size, t.name)
	want := s.env.origin.body(t.size)
	if err := one.warm(ctx, one.url(overPlain, path), want); err != nil {
		return err
	}
	before, err := one.resident()
	if err != nil {
		return err
	}
	stacksBefore, err := one.stacks(ctx)
	if err != nil {
		return err
	}
	conns := make([]net.Conn, many)
	for i := range conns {
		if conns[i], err = (&net.Dialer{}).DialContext(ctx, "tcp", one.plain); err != nil {
			return fmt.Errorf("connection %d: %w", i, err)
		}
		defer conns[i].Close()
		if err := one.exchange(conns[i], path, want); err != nil {
			return fmt.Errorf("connection %d: %w", i, err)
		}
	}
	each := max(many/idleShare, 1)
	for second := range idleSeconds {
		for i := range each {
			if err := one.exchange(conns[(second*each+i)%many], path, want); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
	after, err := one.resident()
	if err != nil {
		return err
	}
	stacks, err := one.stacks(ctx)
	if err != nil {
		return err
	}
	r.add(one.name, "connections", "", float64(many))
	r.add(one.name, "memory each", "bytes", float64(after-before)/float64(many))
	if one.metrics != "" {
		own := (stacks - stacksBefore) / float64(many)
		r.add(one.name, "stack each", "bytes of it", own)
		r.add(one.name, "without", "bytes", float64(after-before)/float64(many)-own)
	}
	r.add(one.name, "in all", "MiB", float64(after)/(1<<20))
	return nil
}

func (s *server) exchange(c net.Conn, path string, want []byte) error {
	_ = c.SetDeadline(time.Now().Add(coldTime))
	s.sent++
	return exchange(c, s.plain, path, want)
}

// stacks is what goroutines have for their stacks, in bytes; 0 of who has none.
func (s *server) stacks(ctx context.Context) (float64, error) {
	if s.metrics == "" {
		return 0, nil
	}
	return s.metric(ctx, "go_memstats_stack_inuse_bytes")
}
