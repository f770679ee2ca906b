package policies

// Tiers is a memory tier, and a disk tier below it if Disk is not nil, with
// write-through: what is fetched goes into both; what is found on disk only is
// copied up, and its copy on disk stays. The disk does not hear of hits in
// memory.
type Tiers struct {
	Memory, Disk Policy
	Counts       Counts
}

// Tally counts requests and the bytes of the objects that they ask for.
type Tally struct{ Objects, Bytes int64 }

// Add counts an object of that size.
func (t *Tally) Add(size int64) {
	t.Objects++
	t.Bytes += size
}

// Counts is what came of the requests; each is a hit in memory, one on disk, or
// a miss.
type Counts struct {
	Requests, MemoryHits, DiskHits, Misses Tally
	DiskWritten                            int64 // bytes
}

// Lose counts requests that no policy could have answered.
func (c *Counts) Lose(t Tally) {
	for _, n := range []*Tally{&c.Requests, &c.Misses} {
		n.Objects += t.Objects
		n.Bytes += t.Bytes
	}
}

// Request asks for an object.
func (t *Tiers) Request(id uint32, size int64) {
	c := &t.Counts
	c.Requests.Add(size)
	switch {
	case t.Memory.Has(id):
		c.MemoryHits.Add(size)
		t.Memory.Hit(id)
	case t.Disk != nil && t.Disk.Has(id):
		c.DiskHits.Add(size)
		t.Disk.Hit(id)
		t.Memory.Add(id, size)
	default:
		c.Misses.Add(size)
		t.Memory.Add(id, size)
		if t.Disk != nil && t.Disk.Add(id, size) {
			c.DiskWritten += size
		}
	}
}

// Run asks for all of a trace.
func (t *Tiers) Run(trace Trace) Counts {
	for _, id := range trace.Requests {
		t.Request(id, trace.Sizes[id])
	}
	return t.Counts
}

// ObjectMissRatio is the share of the requests that the origin sees.
func (c Counts) ObjectMissRatio() float64 { return ratio(c.Misses.Objects, c.Requests.Objects) }

// ByteMissRatio is the share of the bytes that the origin sends.
func (c Counts) ByteMissRatio() float64 { return ratio(c.Misses.Bytes, c.Requests.Bytes) }

// MemoryHitRatio is the share of the requests that memory answers.
func (c Counts) MemoryHitRatio() float64 { return ratio(c.MemoryHits.Objects, c.Requests.Objects) }

// WrittenPerRequested is the bytes written to disk for each byte asked for.
func (c Counts) WrittenPerRequested() float64 { return ratio(c.DiskWritten, c.Requests.Bytes) }

func ratio(part, whole int64) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}
