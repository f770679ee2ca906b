package origin

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Leash is the context of one request, which ends with Cut, by whomever, or with all
// of its Leashes. Its owner unties it in the end. It is what context.WithCancel and
// context.AfterFunc are together, for less: there is a channel only for who asks for
// one, and Do cuts its connection without another object. It is not used again.
type Leash struct {
	mu   sync.Mutex
	err  error         // not nil: it has ended
	done chan struct{} // nil until asked for
	held *checkedConn  // what is cut with it

	shard      *leashShard
	prev, next *Leash // guarded by the shard, like tied
	tied       bool
}

var _ context.Context = (*Leash)(nil)

// Leashes are those of one owner that have not been untied. The zero value is ready.
type Leashes struct {
	turn   atomic.Uint32
	shards [16]leashShard
}

type leashShard struct {
	mu    sync.Mutex
	first *Leash
	cut   bool
	_     [40]byte // shards do not share a cache line
}

// Tie begins a new leash. Where all have been cut it has ended already.
func (a *Leashes) Tie(l *Leash) {
	s := &a.shards[a.turn.Add(1)%uint32(len(a.shards))]
	l.shard = s
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cut {
		l.err = context.Canceled
		return
	}
	if l.tied, l.next = true, s.first; l.next != nil {
		l.next.prev = l
	}
	s.first = l
}

// Cut ends all leashes, those that are yet to come, too.
func (a *Leashes) Cut() {
	for i := range a.shards {
		for _, l := range a.shards[i].close() {
			l.Cut()
		}
	}
}

func (s *leashShard) close() (all []*Leash) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut = true
	for l := s.first; l != nil; l = l.next {
		all = append(all, l)
	}
	return all
}

// Untie ends the leash for good; its owner calls it, once or more.
func (l *Leash) Untie() {
	l.Cut()
	s := l.shard
	s.mu.Lock()
	defer s.mu.Unlock()
	if !l.tied {
		return
	}
	if l.tied = false; l.next != nil {
		l.next.prev = l.prev
	}
	if l.prev != nil {
		l.prev.next = l.next
	} else {
		s.first = l.next
	}
	l.prev, l.next = nil, nil
}

// Cut ends what is done under the leash.
func (l *Leash) Cut() {
	l.mu.Lock()
	held := l.held
	if l.err == nil {
		l.err = context.Canceled
		if l.done != nil {
			close(l.done)
		}
	}
	l.held = nil
	l.mu.Unlock()
	if held != nil {
		_ = held.Close()
	}
}

// hold has the connection closed with the leash, at once where that has ended.
func (l *Leash) hold(c *checkedConn) {
	l.mu.Lock()
	ended := l.err != nil
	if !ended {
		l.held = c
	}
	l.mu.Unlock()
	if ended {
		_ = c.Close()
	}
}

// release lets the connection go. False: it was cut.
func (l *Leash) release() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = nil
	return l.err == nil
}

// Done is closed when the leash has ended.
func (l *Leash) Done() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.done == nil {
		l.done = make(chan struct{})
		if l.err != nil {
			close(l.done)
		}
	}
	return l.done
}

// Err is context.Canceled once the leash has ended.
func (l *Leash) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Deadline is none.
func (l *Leash) Deadline() (time.Time, bool) { return time.Time{}, false }

// Value is none, so that context.Cause is Err.
func (l *Leash) Value(any) any { return nil }
