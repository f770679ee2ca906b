package purge

import "sync"

// fetches are the numbers of the fetches under way.
type fetches struct {
	mu      sync.Mutex
	running map[uint64]int   // how many began under a number
	at      map[uint64]int64 // and when that number was applied
}

// begin reads the number and registers it in one step, so that a sweep either
// sees the fetch or reads a number that is not later than the fetch's.
func (f *fetches) begin(x *Index) (seq uint64, end Ending) {
	f.mu.Lock()
	defer f.mu.Unlock()
	// The time is read first: whatever is applied after seq is not earlier.
	at := x.at.Load()
	seq = x.number.Load()
	if f.running == nil {
		f.running, f.at = make(map[uint64]int), make(map[uint64]int64)
	}
	if f.running[seq]++; f.running[seq] == 1 {
		f.at[seq] = at
	}
	return seq, Ending{f, seq}
}

// Ending is the end of one fetch under way, which belongs to one goroutine. The zero
// value ends nothing.
type Ending struct {
	of  *fetches
	seq uint64
}

// End says that nothing of the fetch will be stored any more. It may be called twice.
func (e *Ending) End() {
	if e.of != nil {
		e.of.end(e.seq)
		e.of = nil
	}
}

// end takes a fetch out.
func (f *fetches) end(seq uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.running[seq]--; f.running[seq] == 0 {
		delete(f.running, seq)
		delete(f.at, seq)
	}
}

// oldest is the number that every later object is at least as new as, now: the
// oldest running fetch's, or the current one; and a time that no later purge
// was applied before.
func (f *fetches) oldest(x *Index) (seq uint64, at int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at = x.at.Load()
	seq = x.number.Load()
	for n := range f.running {
		if n < seq {
			seq, at = n, f.at[n]
		}
	}
	return seq, at
}
