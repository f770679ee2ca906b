package h2test

import (
	"time"

	"edgecache/edge"
	"edgecache/edge/edgetest"
	"edgecache/edge/h1"
	"edgecache/edge/h2"
)

// wireOptions are what a test may change.
type wireOptions struct {
	header, idle, stall, drain time.Duration
	grace                      time.Duration // of a body
	rate                       int64         // of a body, in bytes a second
	streams                    int           // at once on a connection
}

// newWire puts both wires before an engine, as cmd/edge does.
func newWire(e *edge.Engine, o wireOptions) edgetest.Wire {
	second := h2.New(e, h2.Config{HeaderTimeout: o.header, Idle: o.idle, WriteStall: o.stall, BodyGrace: o.grace, BodyMinRate: o.rate, Streams: o.streams})
	return h1.New(e, h1.Config{HTTP2: second, HeaderTimeout: o.header, Idle: o.idle, WriteStall: o.stall, Drain: o.drain})
}
