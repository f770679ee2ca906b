package cachestore

import "sync"

// window is where every new object enters: first in, first out. At its end one
// that was used since it last came by goes round again, any other is offered to
// Ristretto, so that a burst is served from memory without a history.
type window struct {
	mu sync.Mutex
	ring
}

// push adds an entry that is new; one that is already gone is left out.
func (w *window) push(e *entry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e.move(placeNew, placeWindow) {
		w.ring.push(e)
	}
}

// remove takes out an entry that was moved away from placeWindow.
func (w *window) remove(e *entry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ring.remove(e)
}

// shrink takes entries from the front until at most limit bytes are left, and
// appends those that were not used to out, now in placeMain.
func (w *window) shrink(limit int64, out []*entry) []*entry {
	w.mu.Lock()
	defer w.mu.Unlock()
	var second int64 // bytes that went round; once all have, use counts no more
	for w.bytes > limit && w.front != nil {
		e := w.front
		w.ring.remove(e)
		if hits := e.hits.Load(); hits != e.seen && second <= limit {
			e.seen = hits
			second += e.size
			w.ring.push(e)
			continue
		}
		if e.move(placeWindow, placeMain) {
			out = append(out, e)
		}
	}
	return out
}

// size is how many bytes are in the window.
func (w *window) size() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.bytes
}

// length is how many entries are in the window.
func (w *window) length() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.count
}

// oldest is the entry in front, which goes to the back; nil when there is none.
func (w *window) oldest() *entry {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := w.front
	if e != nil {
		w.ring.remove(e)
		w.ring.push(e)
	}
	return e
}
