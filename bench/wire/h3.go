package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
)

// h3Load is the program that loads over HTTP/3.
const h3Load = "bench/h3load"

// hits3 measures hits over HTTP/3 of edge: Debian has no rival that speaks it.
func hits3(ctx context.Context, s *stand, t trial, r *result) error {
	if _, err := os.Stat(h3Load); errors.Is(err, os.ErrNotExist) {
		r.of("edge").absent = "not spoken"
		r.note("there is no %s", h3Load)
		return nil
	}
	binary := filepath.Join(s.env.dir, "h3load")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "./"+h3Load).CombinedOutput(); err != nil {
		return errors.Join(err, errors.New(string(out)))
	}
	var all []entrant
	for _, one := range s.servers {
		url := one.url(overTLS, pathTo(t))
		if one.name != "edge" {
			r.of(one.name).absent = "not spoken"
			continue
		}
		if err := one.warm(ctx, url, s.env.origin.body(t.size)); err != nil {
			return err
		}
		all = append(all, entrant{one, load{url: url, h3: binary, span: s.o.span, under: s.env.under(loadCore)}})
	}
	return rounds(s.o, all, r, func(_ int, e entrant) error {
		_, err := e.measure(ctx, r)
		return err
	})
}
