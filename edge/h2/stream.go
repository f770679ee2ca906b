package h2

import (
	"errors"
	"time"

	"edgecache/edge"
	"edgecache/policy"
)

// stream is one request and its answer. The reader makes it; from its entry in
// conn.streams on, what mu guards belongs to conn.mu, the rest to the goroutine
// that runs the request.
type stream struct {
	c       *conn
	id      uint32
	session *edge.Session
	head    block
	fields  policy.Fields
	length  int64 // of the body as announced; -1 when it is not
	cookies int
	expects bool // a 100 is wanted before the body

	// The answer, of whoever runs the request.
	inline  bool // on the reader: into conn.batch
	state   answerState
	left    int64 // body bytes that the head has announced; -1 when only the end tells
	started bool
	owed    int64 // of the stream's window, used inline

	// conn.mu guards the rest.
	window   int64  // what the client lets us send
	pending  []byte // waits for its turn
	last     bool   // pending ends the stream
	busy     bool   // pending, or its end, waits
	orphan   bool   // nobody waits for that
	moved    time.Time
	urgency  uint8
	rotates  bool // incremental
	queued   bool
	next     *stream // in its queue
	sentEnd  bool
	gotEnd   bool
	finished bool
	mine     bool // it is we who have reset it
	err      error
	wake     chan struct{} // pending is sent, or err is set
	gone     chan struct{} // nil: nobody asked
	body     body
}

// answerState is how far an answer has come.
type answerState uint8

const (
	answerDue answerState = iota
	answerOpen
	answerEnded
	answerBroken
)

var (
	errReset  = errors.New("client reset the stream")
	errGone   = errors.New("connection is over")
	errWindow = errors.New("client took no byte for limits.write_stall")
)

const defaultUrgency = 3 // RFC 9218, 4.1

// take gives a stream for the next request: one that was used before, or a new one.
func (c *conn) take(id uint32) *stream {
	var st *stream
	if n := len(c.free); n > 0 {
		st = c.free[n-1]
		c.free = c.free[:n-1]
	} else {
		st = &stream{c: c, wake: make(chan struct{}, 1)}
		st.session = c.server.engine.NewSession(st)
	}
	st.id, st.state, st.started, st.inline, st.expects = id, answerDue, false, false, false
	st.head.reset()
	return st
}

// maxFree is how many unused streams a connection keeps.
const maxFree = 8

// give takes a stream back that only the reader has known.
func (c *conn) give(st *stream) {
	if len(c.free) < maxFree && cap(st.head.buf) <= 8<<10 {
		c.free = append(c.free, st)
	}
}

// open enters a stream: from now on others may know it. mu is held.
func (c *conn) open(st *stream, gotEnd bool) {
	st.window, st.gotEnd = c.peerWindow, gotEnd
	st.urgency, st.rotates = defaultUrgency, false
	if value, ok := st.fields.Get("priority"); ok {
		st.urgency, st.rotates = parsePriority(value)
	}
	if p, ok := c.updates[st.id]; ok {
		st.urgency, st.rotates = p.urgency, p.rotates
		delete(c.updates, st.id)
	}
	c.streams[st.id] = st
	c.live.Add(1)
	c.active++
	st.moved = time.Now()
}

// run is a stream's goroutine: all of a request, or what Begin has left of it.
func (st *stream) run(begun bool) {
	c := st.c
	defer c.running.Done()
	defer func() {
		if r := recover(); r != nil {
			c.panicked(r)
			st.state = answerBroken
			c.mu.Lock()
			c.over(st)
			c.mu.Unlock()
		}
	}()
	if begun || !c.server.engine.Begin(st.session) {
		c.server.engine.Finish(st.session)
	}
	c.server.engine.Release(st.session)
	c.mu.Lock()
	c.over(st)
	c.mu.Unlock()
}

// over ends a stream whose request is over. mu is held.
func (c *conn) over(st *stream) {
	st.finished = true
	switch {
	case st.err != nil:
	case !st.sentEnd && !st.busy:
		c.reset(st, codeInternal) // an answer that is not whole
	case st.sentEnd && !st.gotEnd:
		c.unread -= st.body.drop()
		st.body.stop()
		time.AfterFunc(restTime, func() { c.cutRest(st, st.id) })
		c.pump()
		return
	}
	if !st.busy {
		c.forget(st)
	}
	c.pump()
}

// restTime is how long a client may take to end a request that is answered already,
// before its stream is reset. (So much of its body as limits.unread says is taken.)
const restTime = 2 * time.Second

// cutRest resets a stream that is answered: the rest of the body is not wanted (RFC 9113,
// 8.1).
func (c *conn) cutRest(st *stream, id uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.streams[id] == st && st.err == nil && !st.gotEnd {
		c.reset(st, codeNone)
		c.forget(st)
		c.flush()
	}
}

// forget takes a stream out of the connection's table. mu is held.
func (c *conn) forget(st *stream) {
	if c.streams[st.id] != st {
		return
	}
	delete(c.streams, st.id)
	c.live.Add(-1)
	c.inactive(st)
	c.unread -= st.body.drop()
	c.giveBack(0)
	c.recent.add(st.id, st.mine)
	c.idleFrom = time.Now()
	if len(c.streams) == 0 && c.leaving {
		c.wakeReader()
	}
}

// inactive says that a stream counts no more against limits.h2_streams: its client
// has its end. mu is held.
func (c *conn) inactive(st *stream) {
	if !st.body.counted {
		st.body.counted = true
		c.active--
	}
}

// reset ends a stream from our side. mu is held.
func (c *conn) reset(st *stream, k code) {
	if k != codeNone {
		c.server.counts.aborted.Add(1)
	}
	st.mine = true
	c.out = appendReset(c.out, st.id, k)
	c.end(st, edge.ErrEnded)
}

// end makes a stream one that is reset: whoever waits for it gets err. mu is held.
func (c *conn) end(st *stream, err error) {
	if st.err == nil {
		st.err = err
	}
	st.pending, st.busy = nil, false
	c.sched.remove(st)
	c.inactive(st)
	signal(st.wake)
	st.body.stop()
	if st.gone != nil && err != edge.ErrEnded {
		close(st.gone)
		st.gone = nil
	}
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
