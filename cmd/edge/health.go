package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// healthVerb is edge health, fit for a container's health check.
type healthVerb struct {
	adminFlags
}

// Run asks /readyz.
func (v *healthVerb) Run(ctx context.Context, t terminal) error {
	c, _, err := v.anonymous()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	res, err := c.do(ctx, http.MethodGet, "/readyz", nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 4<<10))
	if err != nil {
		return fmt.Errorf("read the answer of edge at %s: %w", c.base, err)
	}
	_, err = t.stdout.Write(text)
	return err
}
