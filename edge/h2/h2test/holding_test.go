package h2test

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"edgecache/edge/edgetest"
	"edgecache/policy"
)

// What a client holds by doing next to nothing.

// TestDrippedBody: a body that comes byte by byte, each in time, is too slow all the same.
func TestDrippedBody(t *testing.T) {
	r := open(t, edgetest.Config{}, wireOptions{grace: 300 * time.Millisecond, rate: 1000}, true)
	c := r.dial()
	s := c.open(false, head("POST", "/up")...)
	stop, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		for tick := time.NewTicker(20 * time.Millisecond); ; {
			select {
			case <-stop:
				tick.Stop()
				return
			case <-tick.C:
				_ = c.send(func(f *http2.Framer) error { return f.WriteData(s.id, false, []byte("x")) })
			}
		}
	}()
	a := c.answered(s)
	close(stop)
	<-over
	if a.status != http.StatusRequestTimeout {
		t.Errorf("%s, want 408", a)
	}
	r.answers()
}

// TestSlowLine: a body's bytes count when they come, not when their frame is whole. One that
// takes half as long again as the grace, in one frame, is taken at ten times the least rate;
// at a fiftieth it is not.
func TestSlowLine(t *testing.T) {
	const size, step = 3000, 20
	o := wireOptions{grace: time.Second, rate: 200}
	for _, q := range []struct {
		name   string
		status int
		every  time.Duration
		bytes  int
	}{
		{"fast enough", 200, 10 * time.Millisecond, step},
		{"too slow", http.StatusRequestTimeout, 250 * time.Millisecond, 1},
	} {
		t.Run(q.name, func(t *testing.T) {
			r := open(t, edgetest.Config{}, o, true)
			r.origin.On("/up", edgetest.Text(200, "thanks"))
			c := r.dial()
			c.pings() // all that the client answers by itself is out of the way
			s := c.open(false, head("POST", "/up", "content-length: "+strconv.Itoa(size))...)
			frame := append([]byte{0, size >> 8, size & 0xff, 0, 1, 0, 0, 0, byte(s.id)}, make([]byte, size)...)
			answered := func() bool {
				c.mu.Lock()
				defer c.mu.Unlock()
				return s.status != 0 || s.reset || c.ended != nil
			}
			for tick := time.NewTicker(q.every); len(frame) > 0 && !answered(); <-tick.C {
				n := min(q.bytes, len(frame))
				if _, err := c.conn.Write(frame[:n]); err != nil {
					t.Fatal(err)
				}
				frame = frame[n:]
			}
			c.until("an answer", func() bool { return s.status != 0 })
			c.mu.Lock()
			defer c.mu.Unlock()
			if s.status != q.status {
				t.Errorf("%d, %d bytes unsent; want %d", s.status, len(frame), q.status)
			}
		})
	}
}

// TestRefusedStreams: a client that opens more streams than there may be gets them refused
// (RFC 9113, 5.1.2), so that it may ask again. It may do so more often than limits.h2_resets, for it
// costs nothing, but not without an end.
func TestRefusedStreams(t *testing.T) {
	const streams, honest = 10, 2 * resets
	r := open(t, edgetest.Config{}, wireOptions{streams: streams}, true)
	gate := make(chan struct{})
	r.origin.OnFunc("*", func(s edgetest.Seen) edgetest.Answer {
		return edgetest.Script(edgetest.Gate(gate), edgetest.Whole(edgetest.Text(200, s.Target)))
	})
	c := r.dial()
	var all []*stream
	for i := range streams + honest {
		all = append(all, c.open(true, get("/"+strconv.Itoa(i))...))
	}
	for i, s := range all[streams:] {
		if a := c.answered(s); !a.reset || a.code != http2.ErrCodeRefusedStream {
			t.Fatalf("stream %d over the limit: %v, want REFUSED_STREAM", i, a)
		}
	}
	if n := len(r.origin.Seen()); n > streams {
		t.Errorf("the origin was asked %d times, want %d at most", n, streams)
	}
	close(gate)
	for i, s := range all[:streams] {
		if a := c.answered(s); a.status != 200 || string(a.body) != "/"+strconv.Itoa(i) {
			t.Errorf("a stream within the limit: %v", a)
		}
	}
	c.want("/again", "/again")

	r.slow()
	for i := range streams {
		c.open(true, get("/slow/"+strconv.Itoa(i))...)
	}
	times := c.repeat(func(int) error {
		_, err := c.try(true, get("/slow/more"))
		return err
	})
	t.Logf("%d streams until the end", times)
	c.endsWith(http2.ErrCodeEnhanceYourCalm)
	r.answers()
}

// TestDrippedHead: a frame with a head whose bytes come one by one has the time of a head,
// on an idle connection and on one that is being served.
func TestDrippedHead(t *testing.T) {
	for name, busy := range map[string]bool{"idle": false, "busy": true} {
		t.Run(name, func(t *testing.T) {
			r := open(t, edgetest.Config{}, wireOptions{header: 300 * time.Millisecond}, true)
			r.slow()
			r.origin.On("/first", edgetest.Text(200, "first"))
			c := r.dial()
			c.want("first", "/first")
			c.pings() // all that the client answers by itself is out of the way
			if busy {
				c.open(true, get("/slow/x")...)
			}
			until := time.Now().Add(patience)
			for i := 0; !c.isOver(); i++ {
				if time.Now().After(until) {
					t.Fatal("a head may come byte by byte for as long as it likes")
				}
				b := byte(0) // of a block
				if frame := []byte{0, 16, 0, 1, 5, 0, 0, 0, 3}; i < len(frame) {
					b = frame[i]
				}
				_, _ = c.conn.Write([]byte{b})
				<-time.After(20 * time.Millisecond)
			}
			c.endsWith(http2.ErrCodeEnhanceYourCalm)
			r.answers()
		})
	}
}

// TestUntakenAnswer: an answer of ours that a closed window keeps back holds its stream for
// the write stall, and the connection for the idle time behind it.
func TestUntakenAnswer(t *testing.T) {
	o := wireOptions{stall: 200 * time.Millisecond, idle: 300 * time.Millisecond, header: 5 * time.Second}
	for name, resets := range map[string]bool{"waited out": false, "reset by the client": true} {
		t.Run(name, func(t *testing.T) {
			r := open(t, edgetest.Config{Rules: policy.Rules{HonorClient: true}}, o, true)
			c := r.dial(window(0))
			for range 3 {
				s := c.open(true, get("/nowhere", "cache-control: only-if-cached")...)
				if err := c.wait(func() bool { return s.status == http.StatusGatewayTimeout }); err != nil {
					t.Fatalf("%s: %v", s, err)
				}
				if resets {
					_ = c.send(func(f *http2.Framer) error { return f.WriteRSTStream(s.id, http2.ErrCodeCancel) })
					continue
				}
				if a := c.answered(s); !a.reset || a.code != http2.ErrCodeCancel {
					t.Errorf("%s, want CANCEL", a)
				}
			}
			c.until("the end of an idle connection", func() bool { return c.goaway != nil })
		})
	}
}

// TestFaultyBodiesGiveTheirWindowBack: what a stream brings that is reset for it counts
// against the connection's window no longer.
func TestFaultyBodiesGiveTheirWindowBack(t *testing.T) {
	r := inClear(t)
	c := r.dial()
	for range 3 << 20 / 16384 {
		s := c.open(false, head("POST", "/up", "content-length: 1")...)
		c.data(s, false, make([]byte, 16384))
		if a := c.answered(s); !a.reset || a.code != http2.ErrCodeProtocol {
			t.Fatalf("%s, want PROTOCOL_ERROR", a)
		}
	}
	r.origin.On("/up", edgetest.Text(200, "thanks"))
	s := c.open(false, head("POST", "/up")...)
	c.data(s, true, []byte(strings.Repeat("x", 16384)))
	if a := c.answered(s); a.status != 200 {
		t.Errorf("%s, want 200", a)
	}
}

// TestSelfDependentHeadInParts: it is reset once its block is whole, and not served.
func TestSelfDependentHeadInParts(t *testing.T) {
	r := inClear(t)
	c := r.dial()
	c.writing.Lock()
	block := c.encodeLocked(get("/self"))
	c.mu.Lock()
	s := c.streamLocked(1)
	c.next = 3
	c.mu.Unlock()
	err := errors.Join(
		c.out.WriteHeaders(http2.HeadersFrameParam{
			StreamID: 1, BlockFragment: block[:3], EndStream: true, Priority: http2.PriorityParam{StreamDep: 1, Weight: 5},
		}),
		c.out.WriteContinuation(1, true, block[3:]))
	c.writing.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	r.origin.On("/next", edgetest.Text(200, "next", fresh))
	c.want("next", "/next")
	if a := c.answered(s); !a.reset || a.code != http2.ErrCodeProtocol || a.status != 0 || r.origin.Asked("/self") != 0 {
		t.Errorf("%s, asked %d times; want PROTOCOL_ERROR and no answer", a, r.origin.Asked("/self"))
	}
}
