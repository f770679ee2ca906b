package cachestore

import (
	"slices"
	"sync"

	"edgecache/policy"
)

// changeKind says what a change does to a shard's file.
type changeKind uint8

const (
	changePut     changeKind = iota // a variant and its body, or of a spilled body the meta record alone
	changeRevise                    // a meta record anew
	changeChunk                     // one chunk of a body that is not committed yet
	changeUnlist                    // a record, of a body that is still read
	changeDrop                      // a record and all chunks of its id
	changeCompact                   // the whole file into a new one
	changeFit                       // the same, once what is stored is within the quota
	changeMark                      // nothing by itself: whoever waits learns that all before it is durable
)

// change is one thing that waits for a shard's writer. Changes of one shard are
// carried out in the order in which they were queued.
type change struct {
	kind  changeKind
	ref   ref    // put, revise; of a drop the slot to free, if any
	id    uint64 // the object's key on disk
	v     *Variant
	body  *Body      // what is read from memory until it is on disk
	key   policy.Key // of v
	order uint64     // rank among the variants of a resource: the newest has the highest
	n     uint32     // of a chunk
	p     []byte
	bytes int64       // that it counts in the queue
	spill *spilling   // of a chunk, and of the deletion of chunks without a record
	swept uint64      // mark: note that purges up to here were dealt with; 0 is nothing to note
	done  func(error) // nil when nobody waits; must not block

	left bool // a drop found more chunks than one transaction takes; the writer's

	// Guarded by the shard's mutex.
	taken bool // the writer is at it
}

// queue is what waits for one writer. A change that has bytes waits only where
// there is room; the others are small and never refused: what must go, goes.
type queue struct {
	limit int64

	mu      sync.Mutex
	waiting []*change
	bytes   int64         // of those that wait and of the batch that is being written
	room    chan struct{} // closed when bytes shrank, then replaced
	wake    chan struct{} // one token: there is something
	closed  bool
}

func newQueue(limit int64) *queue {
	return &queue{limit: limit, room: make(chan struct{}), wake: make(chan struct{}, 1)}
}

// offer queues c if there is room for its bytes.
func (q *queue) offer(c *change) (taken bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || c.bytes > 0 && q.bytes+c.bytes > q.limit {
		return false
	}
	q.addLocked(c)
	return true
}

// full is offer that says when to try again; nil when it was taken.
func (q *queue) full(c *change) (again <-chan struct{}, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, ErrClosed
	}
	if c.bytes > 0 && q.bytes > 0 && q.bytes+c.bytes > q.limit {
		return q.room, nil
	}
	q.addLocked(c)
	return nil, nil
}

func (q *queue) addLocked(c *change) {
	q.waiting = append(q.waiting, c)
	q.bytes += c.bytes
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// back puts changes in front again: they were taken and could not be done.
func (q *queue) back(list []*change) {
	if len(list) == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(append(make([]*change, 0, len(list)+len(q.waiting)), list...), q.waiting...)
}

// take hands out the changes in front, as many as have limit bytes together and
// at most most of them. Their bytes count until freed.
func (q *queue) take(limit int64, most int) []*change {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, bytes := 0, int64(0)
	for n < len(q.waiting) && n < most && (n == 0 || bytes+q.waiting[n].bytes <= limit) {
		bytes += q.waiting[n].bytes
		n++
	}
	batch := make([]*change, n)
	copy(batch, q.waiting)
	clear(q.waiting[:n])
	q.waiting = q.waiting[n:]
	if len(q.waiting) == 0 {
		q.waiting = nil
	}
	return batch
}

// marks takes out the marks that wait: what they wait for has failed.
func (q *queue) marks() (list []*change) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = slices.DeleteFunc(q.waiting, func(c *change) bool {
		if c.kind == changeMark {
			list = append(list, c)
		}
		return c.kind == changeMark
	})
	return list
}

// free gives bytes back, and lets those look again who wait for room.
func (q *queue) free(bytes int64) {
	if bytes == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.bytes -= bytes
	close(q.room)
	q.room = make(chan struct{})
}

// state is how many changes wait, how many bytes are counted, and whether the
// queue is closed.
func (q *queue) state() (changes int, bytes int64, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting), q.bytes, q.closed
}

// close lets nothing in any more. What waits is still written.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	close(q.room)
	q.room = make(chan struct{})
	select {
	case q.wake <- struct{}{}:
	default:
	}
}
