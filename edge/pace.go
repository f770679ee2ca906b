package edge

import "time"

// Pace is the least rate at which a request's body must come: a credit of time that waiting
// uses up and bytes give back. A wire has one a body, and calls Reset before the first.
type Pace struct {
	BytesPerSecond int64
	Grace          time.Duration // the credit at first, and the most of it
	credit         time.Duration
}

// Reset gives the whole credit.
func (p *Pace) Reset() { p.credit = p.Grace }

// Left is how long the body may still be waited for.
func (p *Pace) Left() time.Duration { return p.credit }

// Waited counts a wait that began at start and brought n bytes.
func (p *Pace) Waited(start time.Time, n int) { p.credit -= time.Since(start); p.Got(int64(n)) }

// Got counts bytes.
func (p *Pace) Got(n int64) {
	earned := time.Duration(n) * (time.Second / time.Duration(p.BytesPerSecond))
	p.credit = min(p.Grace, p.credit+earned)
}
