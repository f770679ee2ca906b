package origin

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"
)

// TestQueue: max_conns run, queue wait in order, one more is refused at once.
func TestQueue(t *testing.T) {
	goOn := make(chan struct{})
	var mu sync.Mutex
	var order []string
	conns := map[int]bool{}
	s := newScript(t, func(c *conversation) {
		for {
			r, _, ok := c.request()
			if !ok {
				return
			}
			mu.Lock()
			order = append(order, r.URL.Path)
			conns[c.n] = true
			mu.Unlock()
			<-goOn
			c.say(hello)
		}
	})
	p := newTestPool(t, Config{Peers: []string{s.url()}, MaxConns: 1, Queue: 2})
	peer := p.Peers()[0]
	var running sync.WaitGroup
	start := func(path string) {
		running.Go(func() {
			if _, body, err := fetch(t, p, get(path), nil); body != "hello" || err != nil {
				t.Errorf("%s: %q %v", path, body, err)
			}
		})
	}
	start("/1")
	until(t, "the first is there", func() bool { mu.Lock(); defer mu.Unlock(); return len(order) == 1 })
	start("/2")
	until(t, "the second waits", func() bool { return peer.Stats().Waiting == 1 })
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("gone")
	left := make(chan error)
	go func() {
		_, err := p.Client().Do(ctx, peer, get("/gone"), nil)
		left <- err
	}()
	until(t, "the queue is full", func() bool { return peer.Stats().Waiting == 2 })
	if _, _, err := fetch(t, p, get("/refused"), nil); !errors.Is(err, ErrQueueFull) || Sent(err) {
		t.Errorf("over the queue: %v", err)
	}
	cancel(gone)
	if err := <-left; !errors.Is(err, gone) || Sent(err) {
		t.Errorf("whose client left: %v", err)
	}
	start("/3")
	until(t, "the third waits", func() bool { return peer.Stats().Waiting == 2 })
	close(goOn)
	running.Wait()
	if want := []string{"/1", "/2", "/3"}; !slices.Equal(order, want) {
		t.Errorf("order %v, want %v", order, want)
	}
	st := peer.Stats()
	if st.QueueFull != 1 || st.Waiting != 0 || peer.InFlight() != 0 || len(conns) != 1 {
		t.Errorf("stats %+v, in flight %d, connections %d", st, peer.InFlight(), len(conns))
	}
}

// TestSlotIsHeldUntilTheBodyEnds: the head alone does not free it.
func TestSlotIsHeldUntilTheBodyEnds(t *testing.T) {
	s := newScript(t, answers(hello))
	p := newTestPool(t, Config{Peers: []string{s.url()}, MaxConns: 1, Queue: -1})
	res, err := do(t, p, get("/"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := fetch(t, p, get("/"), nil); !errors.Is(err, ErrQueueFull) {
		t.Errorf("while a body is open: %v", err)
	}
	res.Body.Close()
	if _, _, err := fetch(t, p, get("/"), nil); err != nil {
		t.Errorf("after it was closed: %v", err)
	}
}

// TestSlotThatComesWhileLeaving goes to the next in the queue.
func TestSlotThatComesWhileLeaving(t *testing.T) {
	s := slots{max: 1, queue: 2}
	s.enter()
	turn, _ := s.enter()
	next, _ := s.enter()
	s.give() // turn has it now, and its owner does not know yet
	s.leave(turn)
	select {
	case <-next:
	default:
		t.Error("the slot was lost")
	}
	s.give()
	if s.taken != 0 || s.waiting() != 0 {
		t.Errorf("taken %d, waiting %d", s.taken, s.waiting())
	}
}

func TestClosedPool(t *testing.T) {
	s := newScript(t, answers(hello))
	p := poolFor(t, s)
	res, err := do(t, p, get("/"), nil)
	if err != nil {
		t.Fatal(err)
	}
	p.Close()
	fetchRest(t, res.Body)
	if st := p.Peers()[0].Stats(); st.Idle != 0 {
		t.Errorf("a connection came back into a closed pool: %+v", st)
	}
	if _, _, err := fetch(t, p, get("/"), nil); !errors.Is(err, ErrClosed) || Sent(err) {
		t.Errorf("got %v", err)
	}
}

func TestIdleLimits(t *testing.T) {
	s := newScript(t, answers(hello))
	p := newTestPool(t, Config{Peers: []string{s.url()}, Timeouts: Timeouts{Idle: 20 * time.Millisecond}})
	peer := p.Peers()[0]
	peer.idle.max = 2
	var bodies []func()
	for range 3 {
		res, err := do(t, p, get("/"), nil)
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, func() { fetchRest(t, res.Body) })
	}
	full := 0
	for _, end := range bodies {
		end()
		full = max(full, peer.Stats().Idle)
	}
	if full > 2 {
		t.Errorf("%d idle, the limit is 2", full)
	}
	until(t, "idle connections are closed", func() bool { return peer.Stats().Idle == 0 })
}
