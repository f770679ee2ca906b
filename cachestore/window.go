package cachestore

import "sync"

// window is where every new object enters: first in, first out. At its end one
// that was used since it last came by goes round again, any other is offered to
// Ristretto, so that a burst is served from memory without a history.
type window struct {
	mu    sync.Mutex
	front *entry // the oldest
	back  *entry
	bytes int64
}

// push adds an entry that is new; one that is already gone is left out.
func (w *window) push(e *entry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e.move(placeNew, placeWindow) {
		w.linkLocked(e)
	}
}

// remove takes out an entry that was moved away from placeWindow.
func (w *window) remove(e *entry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e.prev != nil || e.next != nil || w.front == e {
		w.unlinkLocked(e)
	}
}

// shrink takes entries from the front until at most limit bytes are left, and
// appends those that were not used to out, now in placeMain.
func (w *window) shrink(limit int64, out []*entry) []*entry {
	w.mu.Lock()
	defer w.mu.Unlock()
	var second int64 // bytes that went round; once all have, use counts no more
	for w.bytes > limit && w.front != nil {
		e := w.front
		w.unlinkLocked(e)
		if hits := e.hits.Load(); hits != e.seen && second <= limit {
			e.seen = hits
			second += e.size
			w.linkLocked(e)
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

func (w *window) linkLocked(e *entry) {
	e.prev = w.back
	if w.back != nil {
		w.back.next = e
	} else {
		w.front = e
	}
	w.back = e
	w.bytes += e.size
}

func (w *window) unlinkLocked(e *entry) {
	if e.prev != nil {
		e.prev.next = e.next
	} else {
		w.front = e.next
	}
	if e.next != nil {
		e.next.prev = e.prev
	} else {
		w.back = e.prev
	}
	e.prev, e.next = nil, nil
	w.bytes -= e.size
}
