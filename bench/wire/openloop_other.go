//go:build !linux

package main

import (
	"context"
	"errors"
	"time"

	"edgecache/bench"
)

// What is measured here is Linux's.
type openLoop struct {
	addr        string
	path        func(int) string
	rate, conns int
	span        time.Duration
	body        int
}

var errLinux = errors.New("wire measures on Linux alone")

func yield()                                                   {}
func (openLoop) total() int                                    { return 0 }
func (openLoop) run(context.Context) (*bench.Histogram, error) { return nil, errLinux }
func files() (int, error)                                      { return 0, errLinux }
