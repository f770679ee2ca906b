// Package edgetest runs a whole edge in a test: an Origin that answers by
// script and remembers what it was asked, a Harness that puts a real engine
// behind a real wire on loopback, a Recorder that fills every phase, and a
// client that reads answers byte by byte.
//
// A test waits for conditions, never for time: an origin's answer stops at a
// gate until the test opens it, and Harness.Record waits for the request's end.
package edgetest
