package h2

import (
	"io"
	"time"

	"edgecache/edge"
)

// body is a request's body: what came and was not read yet. conn.mu guards it; one
// goroutine reads.
type body struct {
	st       *stream
	data     []byte // data[r:] waits
	r        int
	got      int64 // that came in all, without padding
	window   int64 // what the client may still send
	returned int64 // read, and not yet given back to the client
	whole    bool
	stopped  bool
	asked    bool // the 100 went out
	patient  bool // a tunnel's: it has a limit of its own
	counted  bool // the stream no longer counts as active
	pace     edge.Pace
	part     int64 // of a DATA frame that is not whole, as far as it came
	credited int64 // bytes that pace has counted
	wake     chan struct{}
}

var (
	bodyCut  = &edge.BodyError{Status: 400, Detail: "stream was reset"}
	bodySlow = &edge.BodyError{Status: 408, Detail: "slower than limits.body_min_rate"}
)

// reset makes it the body of the next request.
func (b *body) reset(st *stream) {
	conf := &st.c.server.config
	*b = body{st: st, data: b.data[:0], wake: b.wake, window: int64(conf.StreamWindow),
		pace: edge.Pace{BytesPerSecond: conf.BodyMinRate, Grace: conf.BodyGrace}}
	b.pace.Reset()
	if b.wake == nil {
		b.wake = make(chan struct{}, 1)
	}
}

// Read gives body bytes; it waits for them as long as the credit lasts.
func (b *body) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	c := b.st.c
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		if n := copy(p, b.data[b.r:]); n > 0 {
			b.took(n)
			return n, nil
		}
		switch {
		case b.whole:
			return 0, io.EOF
		case b.stopped:
			return 0, bodyCut
		}
		if b.st.expects && !b.asked {
			b.asked = true
			from := len(c.out)
			c.out = closeBlock(appendStatus(openBlock(c.out), 100), from, b.st.id, false)
			c.flush()
		}
		c.mu.Unlock()
		late := b.wait()
		c.mu.Lock()
		if b.credit(b.got+b.part) && late {
			continue
		}
		if late && !b.patient && b.r == len(b.data) && !b.whole && !b.stopped {
			c.server.counts.slowBodies.Add(1)
			b.stopped = true
			return 0, bodySlow
		}
	}
}

// wait waits for bytes, or for the end of the credit. A tunnel has none to lose.
func (b *body) wait() (late bool) {
	start := time.Now()
	timer := time.NewTimer(max(b.pace.Left(), 0))
	defer timer.Stop()
	if b.patient {
		timer.Stop()
	} else {
		defer b.pace.Waited(start, 0)
	}
	select {
	case <-b.wake:
		return false
	case <-timer.C:
		return true
	}
}

// took counts bytes that were read, and gives them back to the client's windows.
func (b *body) took(n int) {
	c := b.st.c
	b.r += n
	if b.r == len(b.data) {
		b.data, b.r = b.data[:0], 0
	}
	c.unread -= int64(n)
	b.returned += int64(n)
	conf := &c.server.config
	b.credit(b.got - int64(len(b.data)-b.r))
	if !b.whole && b.returned >= int64(conf.StreamWindow)/2 {
		c.out = appendWindow(c.out, b.st.id, uint32(b.returned))
		b.window += b.returned
		b.returned = 0
	}
	c.giveBack(int64(n))
	c.flush()
}

// credit has pace count what came so far, once, and says whether there was something new. A
// byte counts when it has come, though its frame is not whole: a client that sends
// 16 KiB a frame, each over a slow line, is as fast as its line.
func (b *body) credit(came int64) bool {
	more := came - b.credited
	if more <= 0 {
		return false
	}
	b.pace.Got(more)
	b.credited = came
	return true
}

// put takes what came. The window has been checked.
func (b *body) put(p []byte) {
	if b.r > 0 && len(b.data)+len(p) > cap(b.data) {
		b.data = b.data[:copy(b.data, b.data[b.r:])]
		b.r = 0
	}
	b.data = append(b.data, p...)
	signal(b.wake)
}

// end notes that it came as a whole.
func (b *body) end() {
	b.whole = true
	signal(b.wake)
}

// stop ends it early.
func (b *body) stop() {
	b.stopped = true
	if b.wake != nil {
		signal(b.wake)
	}
}

// drop throws away what nobody has read and says how much that was.
func (b *body) drop() int64 {
	n := int64(len(b.data) - b.r)
	b.data, b.r = nil, 0
	if n > 0 {
		b.st.c.returned += n
	}
	return n
}
