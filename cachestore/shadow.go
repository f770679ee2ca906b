package cachestore

// ShadowConfig says what a Shadow is a shadow of.
type ShadowConfig struct {
	VirtualConfig         // the store as it would be, in full; Overhead always counts
	Queue         int64   // bytes of memory that may wait to be written to its disk
	Share         float64 // of all objects are in the sample: above 0, at most 1
}

// Shadow says what a store would keep, from what is asked of a sample of the objects: a
// Virtual whose bytes are smaller by the sample's share (Waldspurger et al., SHARDS,
// FAST '15). What an empty store takes, and its disk's index and queue, are as small a
// part of it as of the whole. It is for one goroutine.
type Shadow struct {
	v        *Virtual
	requests uint32
}

const (
	burdenStride = 256 // requests between two looks at the index
	objectSlot   = 88  // bytes that the index of a disk has for an object
	largestPart  = 2   // of its memory, a shadow takes no larger object than half
)

// NewShadow makes an empty shadow. Close ends it.
func NewShadow(c ShadowConfig) (*Shadow, error) {
	small := c.VirtualConfig
	small.Overhead, small.apart, small.Shards = true, true, 1 // many shards of a small disk would have no room for what is large
	small.Memory = max(c.part(c.Memory), 1)
	small.Disk = c.part(c.Disk)
	v, err := NewVirtual(small)
	if err != nil {
		return nil, err
	}
	v.mem.config.MaxObject = min(c.Memory/8, small.Memory/largestPart)
	v.mem.bytes.init(small.Memory, c.part(emptyBytes(c.Memory)))
	v.mem.rebalance(true)
	if d := v.disk; d != nil {
		d.shards[0].choice.ghosts.limit = max(int(c.part(int64(ghostLimit(c.Memory, 1)))), 1)
		v.mem.burden(c.part(c.Queue))
	}
	return &Shadow{v: v}, nil
}

func (c *ShadowConfig) part(n int64) int64 { return int64(c.Share * float64(n)) }

// Bytes is about how many bytes of the process's memory a full shadow will take, when
// objects have a usual size.
func (c *ShadowConfig) Bytes() int64 {
	n := emptyBytes(c.part(c.Memory)) + c.part(c.Memory)/usualObject*shadowObject
	if c.Disk > 0 {
		ghosts := min(c.part(int64(ghostLimit(c.Memory, 1))), c.part(c.Memory+c.Disk)/usualObject)
		n += c.part(c.Disk)/usualObject*objectSlot + ghosts*ghostBytes
	}
	return n
}

const (
	usualObject  = 16 << 10
	shadowObject = 1 << 10 // bytes of what a shadow has in memory for an object
)

// emptyBytes is what a memory tier of a size takes when it is empty.
func emptyBytes(size int64) int64 {
	n := int64(leavingQueue*pointerBytes + tableBytes + duelBytes)
	for i := range classes {
		n += ristrettoBytes(countersOf(i, size))
	}
	return n
}

// Request asks for an object of the sample.
func (s *Shadow) Request(q VirtualRequest) Served {
	s.requests++
	if s.v.disk != nil && s.requests%burdenStride == 0 {
		s.v.mem.burden(s.v.disk.grown())
	}
	return s.v.Request(q)
}

// Forget takes out an object that a purge has made invalid.
func (s *Shadow) Forget(id uint64) { s.v.mem.Delete(virtualKey(id)) }

// Objects is how many it holds.
func (s *Shadow) Objects() (memory, disk int) {
	if s.v.disk != nil {
		disk = s.v.disk.shards[0].index.visible
	}
	return int(s.v.mem.variants.Load()), disk
}

// Bytes is about how many bytes of the process's memory it takes itself.
func (s *Shadow) Bytes() int64 {
	memory, _ := s.Objects()
	n := emptyBytes(s.v.mem.config.Size) + int64(memory)*(s.v.overhead-virtualHead)
	if s.v.disk != nil {
		d := &s.v.disk.shards[0]
		n += d.index.memory() + d.choice.ghosts.memory()
	}
	return n
}

// Close ends it.
func (s *Shadow) Close() error { return s.v.Close() }
