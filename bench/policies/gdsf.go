package policies

// GDSF is Cherkasova's "Greedy-Dual-Size-Frequency caching policy", HP Labs
// 1998: it evicts the object of the least priority L + f ÷ size, where f counts
// the requests since the object came in and L is the priority of what was
// evicted last, so that what is no longer asked for falls behind. The cost of a
// miss is taken as 1: "to maximize hit" ratio of objects.
type GDSF struct {
	capacity, bytes int64
	sizes           []int64
	freq            []uint32
	order           heap
	inflation       float64 // the paper's L
}

var _ Policy = (*GDSF)(nil)

// NewGDSF returns an empty GDSF for ids below objects.
func NewGDSF(capacity int64, objects int) *GDSF {
	return &GDSF{
		capacity: capacity, sizes: make([]int64, objects), freq: make([]uint32, objects), order: newHeap(objects),
	}
}

// Name is gdsf.
func (p *GDSF) Name() string { return "gdsf" }

// Has says whether the object is kept.
func (p *GDSF) Has(id uint32) bool { return p.order.has(id) }

// Bytes is how much is kept.
func (p *GDSF) Bytes() int64 { return p.bytes }

// Hit counts, and places the object anew.
func (p *GDSF) Hit(id uint32) {
	p.freq[id]++
	p.place(id)
}

// Add makes room by the least priorities, then places the object.
func (p *GDSF) Add(id uint32, size int64) bool {
	if size > p.capacity {
		return false
	}
	for p.bytes+size > p.capacity {
		victim := p.order.ids[0]
		p.inflation = p.order.keys[victim]
		p.order.remove(victim)
		p.bytes -= p.sizes[victim]
	}
	p.sizes[id], p.freq[id] = size, 1
	p.bytes += size
	p.place(id)
	return true
}

func (p *GDSF) place(id uint32) {
	p.order.set(id, p.inflation+float64(p.freq[id])/float64(max(p.sizes[id], 1)))
}
