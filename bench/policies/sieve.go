package policies

// SIEVE is the policy of Zhang and others, "SIEVE is Simpler than LRU", NSDI
// 2024. A hit sets the object's visited bit and moves nothing. "The hand points
// to the next eviction candidate in the cache and moves from the tail to the
// head of the list": it clears the bits that are set, leaving those objects
// where they are, and evicts the first object whose bit is not. Beyond the head
// it begins at the tail again. New objects enter at the head.
type SIEVE struct {
	capacity int64
	entries  []entry // freq 1 means visited
	queue    queue
	hand     uint32
}

var _ Policy = (*SIEVE)(nil)

// NewSIEVE returns an empty SIEVE for ids below objects.
func NewSIEVE(capacity int64, objects int) *SIEVE {
	entries := make([]entry, objects)
	return &SIEVE{capacity: capacity, entries: entries, queue: newQueue(entries, kept), hand: none}
}

// Name is sieve.
func (p *SIEVE) Name() string { return "sieve" }

// Has says whether the object is kept.
func (p *SIEVE) Has(id uint32) bool { return p.entries[id].in != outside }

// Hit marks the object as visited.
func (p *SIEVE) Hit(id uint32) { p.entries[id].freq = 1 }

// Bytes is how much is kept.
func (p *SIEVE) Bytes() int64 { return p.queue.bytes }

// Add puts the object at the head, not visited.
func (p *SIEVE) Add(id uint32, size int64) bool {
	if size > p.capacity {
		return false
	}
	for p.queue.bytes+size > p.capacity {
		p.evict()
	}
	p.entries[id].size = size // what was evicted was not visited
	p.queue.push(id)
	return true
}

func (p *SIEVE) evict() {
	victim := p.hand
	for {
		if victim == none {
			victim = p.queue.tail
		}
		e := &p.entries[victim]
		if e.freq == 0 {
			break
		}
		e.freq = 0
		victim = e.newer
	}
	p.hand = p.entries[victim].newer
	p.queue.remove(victim)
}
