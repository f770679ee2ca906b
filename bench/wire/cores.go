package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// twoToOne compares servers that have both cores with such as have one. The load
// shares the cores in both: beside a server on one core there is one thread of
// the tool on that same core, beside one on two cores two threads on both, each
// with as many connections. So a core has the same to do, and what a request
// costs more is what the cores cost each other. "apart" is one core and the load
// on the other, as in all other cases.
func twoToOne(ctx context.Context, s *stand, t trial, r *result) (err error) {
	o := s.o
	o.servers = slices.DeleteFunc(slices.Clone(o.servers), func(n string) bool { return n == "varnish" }) // its threads are not ours to count
	both, err := open(ctx, o, s.env, twoCores)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, both.close()) }()
	apart, err := entrants(ctx, s, t, r)
	if err != nil {
		return err
	}
	two, err := entrants(ctx, both, t, r)
	if err != nil {
		return err
	}
	err = rounds(s.o, apart, r, func(round int, e entrant) error {
		at := slices.IndexFunc(two, func(other entrant) bool { return other.name == e.name })
		if at < 0 {
			return nil
		}
		return e.beside(ctx, s.env, two[at], round, r)
	})
	for _, one := range both.servers {
		failed := one.countAgainst(ctx, r)
		err = errors.Join(err, failed)
	}
	return err
}

// beside measures a server on one core and its like on two, in another order
// each round.
func (e entrant) beside(ctx context.Context, env *environment, two entrant, round int, r *result) error {
	one := e
	one.load.under = env.under(serverCore)
	two.load.under, two.load.cores = env.under(bothCores), 2
	cpu, name := [3]float64{}, [3]string{"apart", "one core", "two cores"}
	for _, i := range turn([]int{0, 1, 2}, round) {
		entrant := [3]entrant{e, one, two}[i]
		_, own, _, err := entrant.cost(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", name[i], err)
		}
		cpu[i] = own
	}
	for i := range cpu {
		r.add(e.name, name[i], "µs a request", cpu[i])
	}
	if cpu[1] > 0 {
		r.add(e.name, "two÷one", "", cpu[2]/cpu[1])
	}
	return nil
}
