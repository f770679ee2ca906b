package origin

import (
	"context"
	"sync"
)

// slots bounds the requests on one peer: max run, queue more wait in the order
// they came, the rest is refused. max 0 is no bound.
type slots struct {
	max   int
	queue int

	mu     sync.Mutex
	taken  int
	queued []chan struct{} // closed when its owner has a slot
}

// take returns when the caller has a slot, with ErrQueueFull at once, or with
// the context's cause.
func (s *slots) take(ctx context.Context) error {
	turn, err := s.enter()
	if err != nil || turn == nil {
		return err
	}
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		s.leave(turn)
		return context.Cause(ctx)
	}
}

// enter takes a free slot, or a place in the queue.
func (s *slots) enter() (turn chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.max <= 0:
		return nil, nil
	case s.taken < s.max:
		s.taken++
		return nil, nil
	case len(s.queued) >= s.queue:
		return nil, ErrQueueFull
	}
	turn = make(chan struct{})
	s.queued = append(s.queued, turn)
	return turn, nil
}

// leave gives up a place in the queue, or the slot that came meanwhile.
func (s *slots) leave(turn chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, q := range s.queued {
		if q == turn {
			s.queued = append(s.queued[:i], s.queued[i+1:]...)
			return
		}
	}
	s.giveLocked()
}

// give returns a slot; the first in the queue gets it.
func (s *slots) give() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.giveLocked()
}

func (s *slots) giveLocked() {
	switch {
	case s.max <= 0:
	case len(s.queued) > 0:
		close(s.queued[0])
		s.queued = s.queued[1:]
	default:
		s.taken--
	}
}

func (s *slots) waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queued)
}
