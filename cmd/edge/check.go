package main

import (
	"errors"
	"fmt"
)

// checkVerb is edge check.
type checkVerb struct {
	Config string `required:"" placeholder:"FILE" help:"Configuration file to prove."`
}

// Run reads the file as serve would, opens what it names, and listens nowhere.
func (v *checkVerb) Run(t terminal) error {
	s, err := readConfig(v.Config)
	if err != nil {
		return err
	}
	if len(s.upstreams) == 0 {
		return fmt.Errorf("%s: upstreams: none; give at least one (--origin of edge serve would be one)", v.Config)
	}
	if err := errors.Join(s.check(), s.prove()); err != nil {
		return fmt.Errorf("%s: %w", v.Config, err)
	}
	_, err = fmt.Fprintf(t.stdout, "%s: ok (upstreams: %d, routes: %d)\n", v.Config, len(s.upstreams), len(s.routes))
	return err
}
