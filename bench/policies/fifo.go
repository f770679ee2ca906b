package policies

// FIFO evicts what came in first, however often it was asked for since.
type FIFO struct{ lru LRU }

var _ Policy = (*FIFO)(nil)

// NewFIFO returns an empty FIFO for ids below objects.
func NewFIFO(capacity int64, objects int) *FIFO {
	return &FIFO{*NewLRU(capacity, objects)}
}

// Name is fifo.
func (p *FIFO) Name() string { return "fifo" }

// Has says whether the object is kept.
func (p *FIFO) Has(id uint32) bool { return p.lru.Has(id) }

// Hit changes nothing: that is all the difference to LRU.
func (p *FIFO) Hit(uint32) {}

// Bytes is how much is kept.
func (p *FIFO) Bytes() int64 { return p.lru.Bytes() }

// Add puts the object at the head and evicts from the tail.
func (p *FIFO) Add(id uint32, size int64) bool { return p.lru.Add(id, size) }
