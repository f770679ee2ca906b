package main

import (
	"strconv"
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
	const path = slowPass + "/1024/x"
	loop := openLoop{addr: o.addr(), path: func(int) string { return path }, rate: 40, span: 500 * time.Millisecond, conns: 2, body: 1024}
	h, err := loop.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n := o.askedFor(path).many; n != 20 {
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

// TestOpenLoopPercentiles asks for one slow answer in ten: p50 is of the quick
// ones, p99 of the slow.
func TestOpenLoopPercentiles(t *testing.T) {
	o, err := newOrigin()
	if err != nil {
		t.Fatal(err)
	}
	defer o.close()
	asked := map[string]bool{}
	loop := openLoop{addr: o.addr(), rate: 200, span: time.Second, conns: 30, body: 1024, path: func(i int) string {
		kind := passed
		if i%10 == 0 {
			kind = slowPass
		}
		path := kind + "/1024/" + strconv.Itoa(i)
		asked[path] = true
		return path
	}}
	h, err := loop.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(asked) != 200 {
		t.Errorf("%d paths, want 200", len(asked))
	}
	if h.Quantile(0.5) >= slowTime || h.Quantile(0.99) < slowTime {
		t.Errorf("p50 %v, p99 %v; want %v between them", h.Quantile(0.5), h.Quantile(0.99), slowTime)
	}
}
