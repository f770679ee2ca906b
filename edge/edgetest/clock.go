package edgetest

import (
	"sync/atomic"
	"time"
)

// Clock is a clock that a test can put forward. Its zero value is the
// machine's.
type Clock struct{ ahead atomic.Int64 }

// Now is for edge.Config.Now.
func (c *Clock) Now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

// Advance puts the clock forward.
func (c *Clock) Advance(d time.Duration) { c.ahead.Add(int64(d)) }

// Ahead tells how far it was put forward.
func (c *Clock) Ahead() time.Duration { return time.Duration(c.ahead.Load()) }
