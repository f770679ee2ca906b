package origin

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"
)

// TestLeash: a leash ends with Cut, with all others, or untied, and takes the
// connection along that is held by it then, and no other.
func TestLeash(t *testing.T) {
	for _, c := range []struct {
		name  string
		act   func(*Leashes, *Leash)
		ended bool // before it is untied
		cut   bool // the connection
	}{
		{"nothing happens", func(*Leashes, *Leash) {}, false, false},
		{"cut", func(_ *Leashes, l *Leash) { l.Cut() }, true, true},
		{"all are cut", func(a *Leashes, _ *Leash) { a.Cut() }, true, true},
		{"cut after its connection was let go", func(_ *Leashes, l *Leash) { l.release(); l.Cut() }, true, false},
		{"cut twice", func(a *Leashes, l *Leash) { l.Cut(); a.Cut() }, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var all Leashes
			others := make([]Leash, 40)
			for i := range others {
				all.Tie(&others[i])
			}
			var l Leash
			all.Tie(&l)
			ours, theirs := net.Pipe()
			defer theirs.Close()
			conn := &checkedConn{Conn: ours}
			l.hold(conn)
			child, cancel := context.WithCancel(&l)
			defer cancel()
			c.act(&all, &l)
			if ended := l.Err() != nil; ended != c.ended {
				t.Errorf("ended %v, want %v", ended, c.ended)
			}
			if c.ended {
				<-child.Done()
				if err := context.Cause(child); !errors.Is(err, context.Canceled) {
					t.Errorf("cause %v", err)
				}
			}
			if mine := l.release(); mine == c.ended {
				t.Errorf("let go %v after an end %v", mine, c.ended)
			}
			_ = theirs.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
			_, err := theirs.Read(make([]byte, 1))
			if cut := !isTimeout(err); cut != c.cut {
				t.Errorf("connection cut %v, want %v: %v", cut, c.cut, err)
			}
			_ = ours.Close()
			for i := range others {
				others[i].Untie()
			}
			l.Untie()
			l.Untie()
			<-l.Done()
			for i := range all.shards {
				if all.shards[i].first != nil {
					t.Errorf("shard %d still has one", i)
				}
			}
		})
	}
}

// TestLeashAfterAllWereCut: who comes too late has ended, and so has its connection.
func TestLeashAfterAllWereCut(t *testing.T) {
	var all Leashes
	all.Cut()
	var l Leash
	all.Tie(&l)
	defer l.Untie()
	<-l.Done()
	ours, theirs := net.Pipe()
	l.hold(&checkedConn{Conn: ours})
	if _, err := theirs.Read(make([]byte, 1)); err == nil || l.release() {
		t.Error("the connection lives")
	}
}

// TestLeashesInACrowd: many tie and untie while all are cut; each has ended in the end.
func TestLeashesInACrowd(t *testing.T) {
	var all Leashes
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				var l Leash
				all.Tie(&l)
				ended := l.Err() != nil
				l.Untie()
				if ended {
					return
				}
			}
		})
	}
	all.Cut()
	wg.Wait()
}
