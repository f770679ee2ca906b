package main

import "fmt"

// checkVerb is edge check.
type checkVerb struct {
	Config string `required:"" placeholder:"FILE" help:"Configuration file to prove."`
}

// Run reads the file as serve would, opens what it names, and listens nowhere.
func (v *checkVerb) Run(t terminal) error {
	s, err := (&serveFlags{Config: v.Config}).settings()
	if err != nil {
		return err
	}
	if err := s.prove(); err != nil {
		return fmt.Errorf("%s: %w", v.Config, err)
	}
	_, err = fmt.Fprintf(t.stdout, "%s: ok (upstreams: %d, routes: %d)\n", v.Config, len(s.upstreams), len(s.routes))
	return err
}
