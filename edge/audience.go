package edge

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
)

// maxFollowers bounds who may listen at once: each costs every request a line.
const maxFollowers = 16

// ErrFollowers says that as many listen as may.
var ErrFollowers = errors.New("too many follow the log already")

// audience tells followers of each request. While nobody listens a request
// pays one atomic load.
type audience struct {
	listening atomic.Int32
	unheard   atomic.Uint64 // lines that a follower was too slow for
	mu        sync.RWMutex
	followers []*Follower
}

// Follower hears of requests from now on, until it is closed.
type Follower struct {
	// C gives the lines, JSON without line end. They must not be changed.
	C      <-chan []byte
	lines  chan []byte
	want   Want
	of     *audience
	missed atomic.Uint64
}

// Want says which requests a follower hears of; "" is every one.
type Want struct{ Reason, Cache string }

func (w Want) suits(r *Record) bool {
	return (w.Reason == "" || w.Reason == r.Reason.String() || w.Reason == r.Unstored.String()) &&
		(w.Cache == "" || w.Cache == r.Cache.String())
}

// Follow starts a follower that may be so many lines behind; what comes beyond
// is dropped and counted.
func (a *audience) Follow(w Want, behind int) (*Follower, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.followers) >= maxFollowers {
		return nil, ErrFollowers
	}
	lines := make(chan []byte, max(behind, 1))
	f := &Follower{C: lines, lines: lines, want: w, of: a}
	a.followers = append(a.followers, f)
	a.listening.Store(int32(len(a.followers)))
	return f, nil
}

// Missed is how many lines were dropped for this follower.
func (f *Follower) Missed() uint64 { return f.missed.Load() }

// Close ends the follower. Lines that wait in C can still be read.
func (f *Follower) Close() {
	a := f.of
	a.mu.Lock()
	defer a.mu.Unlock()
	a.followers = slices.DeleteFunc(a.followers, func(g *Follower) bool { return g == f })
	a.listening.Store(int32(len(a.followers)))
}

// tell writes the line once, if anybody wants it, and waits for nobody.
func (a *audience) tell(r *Record) {
	if a.listening.Load() == 0 {
		return
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	var line []byte
	for _, f := range a.followers {
		if !f.want.suits(r) {
			continue
		}
		if line == nil {
			line = r.AppendJSON(make([]byte, 0, 512))
		}
		select {
		case f.lines <- line:
		default:
			f.missed.Add(1)
			a.unheard.Add(1)
		}
	}
}
