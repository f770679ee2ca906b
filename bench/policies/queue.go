package policies

// none stands for no object.
const none = ^uint32(0)

// entry is what a policy holds of one object. An object is in one queue at
// most, so all queues of a policy share one slice of entries, by id.
type entry struct {
	size  int64
	newer uint32 // towards the head
	older uint32 // towards the tail
	in    place
	freq  uint8
}

// place says which queue of its policy an object is in.
type place uint8

// outside is in no queue; what the others mean is the policy's own matter.
const outside place = 0

// queue is a doubly linked list: objects come in at the head.
type queue struct {
	entries    []entry
	name       place
	head, tail uint32
	bytes      int64
	count      int
}

func newQueue(entries []entry, name place) queue {
	return queue{entries: entries, name: name, head: none, tail: none}
}

// push puts an object that is in no queue at the head.
func (q *queue) push(id uint32) {
	e := &q.entries[id]
	e.in, e.newer, e.older = q.name, none, q.head
	if q.head == none {
		q.tail = id
	} else {
		q.entries[q.head].newer = id
	}
	q.head = id
	q.bytes += e.size
	q.count++
}

// remove takes an object of this queue out of it.
func (q *queue) remove(id uint32) {
	e := &q.entries[id]
	if e.newer == none {
		q.head = e.older
	} else {
		q.entries[e.newer].older = e.older
	}
	if e.older == none {
		q.tail = e.newer
	} else {
		q.entries[e.older].newer = e.newer
	}
	e.in = outside
	q.bytes -= e.size
	q.count--
}

// toHead makes an object of this queue its newest.
func (q *queue) toHead(id uint32) {
	if q.head != id {
		q.remove(id)
		q.push(id)
	}
}
