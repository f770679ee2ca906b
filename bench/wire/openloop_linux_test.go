package main

import (
	"testing"
	"time"
)

// TestOpenLoopCountsFromWhenDue asks an origin that takes 200 ms over two
// connections, more often than they can answer: whoever waits for a connection waits
// longer than the answer takes.
func TestOpenLoopCountsFromWhenDue(t *testing.T) {
	o, err := newOrigin()
	if err != nil {
		t.Fatal(err)
	}
	defer o.close()
	loop := openLoop{addr: o.addr(), path: slowPass + "/1024/x", rate: 40, span: 500 * time.Millisecond, conns: 2, body: 1024}
	h, err := loop.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n := o.askedFor(loop.path); n != 20 {
		t.Errorf("%d requests, want 20", n)
	}
	// Ten turns of 200 ms for what was due within 500: the last has waited 1.5 s.
	if h.Min() < slowTime || h.Max() < 6*slowTime {
		t.Errorf("from %v to %v: a wait for a connection is not counted", h.Min(), h.Max())
	}
	loop.body = 1000
	if _, err := loop.run(t.Context()); err == nil {
		t.Error("answers of another length are taken")
	}
}

// TestAnswerInPieces gives the open loop its answer a byte at a time.
func TestAnswerInPieces(t *testing.T) {
	answer := "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc"
	c := &openConn{left: -1}
	for range 2 {
		for i := range len(answer) {
			whole, err := c.take([]byte(answer[i:i+1]), 3)
			if err != nil || whole != (i == len(answer)-1) {
				t.Fatalf("byte %d: whole %v, %v", i, whole, err)
			}
		}
	}
	if _, err := c.take([]byte(answer+"d"), 3); err == nil {
		t.Error("a byte behind the answer is taken")
	}
	if _, err := (&openConn{left: -1}).take([]byte("HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nabc"), 3); err == nil {
		t.Error("a 404 is taken")
	}
}
