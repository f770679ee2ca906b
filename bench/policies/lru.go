package policies

// kept is the place of all objects in a policy that has one queue.
const kept place = 1

// LRU evicts what was asked for least recently: nginx's and ATS's default.
type LRU struct {
	capacity int64
	entries  []entry
	queue    queue
}

var _ Policy = (*LRU)(nil)

// NewLRU returns an empty LRU for ids below objects.
func NewLRU(capacity int64, objects int) *LRU {
	entries := make([]entry, objects)
	return &LRU{capacity: capacity, entries: entries, queue: newQueue(entries, kept)}
}

// Name is lru.
func (p *LRU) Name() string { return "lru" }

// Has says whether the object is kept.
func (p *LRU) Has(id uint32) bool { return p.entries[id].in != outside }

// Hit makes the object the most recent one.
func (p *LRU) Hit(id uint32) { p.queue.toHead(id) }

// Bytes is how much is kept.
func (p *LRU) Bytes() int64 { return p.queue.bytes }

// Add puts the object at the head and evicts from the tail.
func (p *LRU) Add(id uint32, size int64) bool {
	if size > p.capacity {
		return false
	}
	for p.queue.bytes+size > p.capacity {
		p.queue.remove(p.queue.tail)
	}
	p.entries[id].size = size
	p.queue.push(id)
	return true
}
