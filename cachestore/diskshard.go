package cachestore

import (
	"fmt"
	"sync"
	"sync/atomic"

	"edgecache/policy"
)

// diskShard is one file of the disk tier, from its opening to its end, with the
// index of what is in it and the goroutine that writes it. A shard that met a
// fault is retired and never used again; another takes its place.
//
// The index is the truth: what is in it is stored, if perhaps not on disk yet
// (pending), and what is not in it is not stored, if perhaps still on disk.
type diskShard struct {
	d     *Disk
	n     int    // its place among the shards
	life  uint64 // the number in the BodyIDs of what it holds
	file  *diskFile
	seal  *seal
	quota int64
	most  int64 // the largest body, in bytes
	queue *queue
	reads chan struct{} // a token for each read at once
	gone  chan struct{} // closed when it is retired or closed

	workers sync.WaitGroup
	loaded  chan struct{} // closed when the index is complete, or as complete as it gets

	mu sync.RWMutex

	// The writer's own.
	sinceCompact int64 // bytes written since the last compaction of its own; the quota at first
	compactAt    int64 // Unix nanoseconds before which there is no other

	index    *index
	choice   choice
	state    shardState // as the next commit writes it
	loading  bool
	touched  map[policy.Hash]struct{} // keys that changed while it loads; nil afterwards
	pending  map[ref]*change          // not on disk yet, or on the move: read from memory
	unsaved  map[ref]int64            // what is in the index and not on disk yet, with its bytes
	waiting  int64                    // the sum of unsaved
	leases   map[ref]*lease
	deferred map[ref]deferral
	held     int64       // bytes of deferred
	loose    int64       // bytes of chunks without a record: of bodies that are not committed
	version  [256]uint32 // changes by hash: who read the disk asks whether it still counts
	trouble  error       // why it does not write
	rest     resting     // how long it does not
	fitting  bool        // a changeFit is on its way
	fitAt    int64       // Unix nanoseconds before which there is no other
	refs     []ref       // scratch
	counted  int64       // bytes of memory that the index was last said to take
	retired  atomic.Bool // gone was closed
}

// objectBytes is what an object takes on disk beside body and record, and
// chunkBytes what each chunk does: keys, elements of pages, and their rounding.
const (
	objectBytes = 2 * (8 + 16)
	chunkBytes  = 16 + 16 + 16
)

// diskBytes is what an object takes on disk.
func diskBytes(body int64, meta uint32) int64 {
	chunks := (body + ChunkSize - 1) / ChunkSize
	return body + int64(meta) + objectBytes + chunks*chunkBytes
}

// live is what all that is stored takes on disk, without what waits to be written.
func (s *diskShard) liveLocked() int64 {
	body := s.index.bodyBytes()
	n := int64(s.index.len())
	return body + s.index.metaBytes() + n*objectBytes + (body/ChunkSize+n)*chunkBytes - s.waiting
}

// savedLocked says that an object waits no longer: it is on disk, or will not be.
func (s *diskShard) savedLocked(r ref) {
	s.waiting -= s.unsaved[r]
	delete(s.unsaved, r)
}

// A BodyID of the disk tier has its highest bit set, then the shard's life, then
// the ref.
const (
	diskBodyBit = 1 << 63
	lifeShift   = 56
	refMask     = 1<<lifeShift - 1
)

func (s *diskShard) bodyID(r ref) BodyID { return BodyID(diskBodyBit | s.life<<lifeShift | uint64(r)) }

// refOf is the ref of a body that this shard has given out the ID of.
func (s *diskShard) refOf(id BodyID) (r ref, ours bool) {
	if id&diskBodyBit == 0 || uint64(id)>>lifeShift&0x7f != s.life {
		return 0, false
	}
	return ref(id & refMask), true
}

// slot is the version counter of a hash.
func (s *diskShard) slotLocked(h policy.Hash) *uint32 { return &s.version[h.Lo%uint64(len(s.version))] }

// follow takes over that new is stored under k in the place of old.
func (s *diskShard) follow(k policy.Key, old, new *Resource) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.retired.Load() {
		return
	}
	s.changedLocked(k.Hash)
	s.dropOthersLocked(k.Hash, new)
	if new == nil {
		return
	}
	for i := len(new.Variants) - 1; i >= 0; i-- { // the newest gets the highest rank
		v := new.Variants[i]
		if v.Body == nil {
			continue
		}
		if v.Body.ID == 0 {
			s.putLocked(new.Key, v)
			continue
		}
		if r, ours := s.refOf(v.Body.ID); ours && !old.hasVariant(v) {
			s.reviseLocked(r, new.Key, v)
		}
	}
}

// leastIndex is what an index with one object takes: counted from the start, for the first
// objects of all shards come at about the same time.
var leastIndex = indexBytes + slotBlockBytes + 3*numberBlock*numberBytes + 4*pointerBytes

// countLocked tells how much memory the index takes, when that has changed.
func (s *diskShard) countLocked() {
	account := s.d.account.Load()
	if account == nil || s.retired.Load() {
		return
	}
	if n := max(s.index.memory(), leastIndex) + s.choice.ghosts.memory(); n != s.counted {
		(*account)(n - s.counted)
		s.counted = n
	}
}

// uncount takes back what a shard that is retired had counted.
func (s *diskShard) uncount() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if account := s.d.account.Load(); account != nil {
		(*account)(-s.counted)
		s.counted = 0
	}
}

// touchLocked notes that what a start finds on disk under h is out of date.
func (s *diskShard) touchLocked(h policy.Hash) {
	if s.touched != nil {
		s.touched[h] = struct{}{}
	}
}

// chooseLocked says whether a body that comes from the origin is to be written,
// and how often it was asked for as far as is known.
func (s *diskShard) chooseLocked(h policy.Hash, size int64) (uses uint32, taken bool) {
	if all := s.d.all.Load(); all != nil {
		all.steer(&s.choice, s.index)
	}
	uses, taken = s.choice.fill(h, size, s.quota, s.usedLocked()+s.waiting)
	if !taken {
		s.d.drop(DiskDropChoice)
	}
	return uses, taken
}

// putLocked queues a variant that is new, if it is chosen and there is room. It
// gives its body the ID.
func (s *diskShard) putLocked(k policy.Key, v *Variant) {
	b := v.Body
	if b.passed || b.spilt == nil && !b.InMemory() {
		return
	}
	switch why, refused := s.refusesLocked(b); {
	case refused:
		s.d.drop(why)
	case b.spilt != nil: // it was chosen before it came
		s.queueLocked(k, v, b.spilt.uses, DiskDropQueue)
	default:
		if uses, taken := s.chooseLocked(k.Hash, b.Size); taken {
			s.queueLocked(k, v, uses, DiskDropQueue)
		}
	}
}

// refusesLocked says whether a body cannot be written, whoever would choose it.
func (s *diskShard) refusesLocked(b *Body) (why DiskDrop, refused bool) {
	switch {
	case b.Size > s.most:
		return DiskDropTooLarge, true
	case s.restingLocked():
		return DiskDropResting, true
	}
	return 0, false
}

// queueLocked queues a variant that is chosen, unless there is no room, which is
// counted as otherwise.
func (s *diskShard) queueLocked(k policy.Key, v *Variant, uses uint32, otherwise DiskDrop) (queued bool) {
	b := v.Body
	c := &change{kind: changePut, spill: b.spilt, v: v, body: b, key: k, order: s.nextOrderLocked()}
	if b.spilt != nil {
		c.id = b.spilt.id
	} else {
		c.id, c.bytes = s.nextIDLocked(), b.Size+putBytes
	}
	c.ref = s.index.add(indexed{Hash: k.Hash, ID: c.id, Body: b.Size, Meta: putBytes, Expires: expiresOf(v), Uses: uses})
	if c.ref == 0 {
		s.d.drop(otherwise)
		return false
	}
	s.pending[c.ref] = c
	s.countLocked()
	if !s.queue.offer(c) {
		delete(s.pending, c.ref)
		s.index.remove(c.ref)
		s.choice.evicted(k.Hash, b.Size, uses)
		s.d.drop(otherwise)
		return false
	}
	s.unsaved[c.ref] = diskBytes(b.Size, putBytes)
	s.waiting += s.unsaved[c.ref]
	b.ID, b.used = s.bodyID(c.ref), s.index.uses(c.ref)
	return true
}

// keep is offered variant i of r, which is what is stored under k, as it leaves
// memory after so many hits. It returns the variant as it is on disk from now on,
// nil when it is not.
func (s *diskShard) keep(k policy.Key, r *Resource, i int, hits uint32) *Variant {
	v := r.Variants[i]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.retired.Load() || hits == 0 || !v.Body.InMemory() || expiresOf(v) <= seconds32(s.d.now()) {
		return nil
	}
	if _, refused := s.refusesLocked(v.Body); refused {
		s.d.drop(DiskDropLeaving)
		return nil
	}
	uses, taken := s.choice.leaves(k.Hash, v.Body.Size, hits)
	if !taken {
		return nil // that was counted when it came
	}
	s.changedLocked(k.Hash)
	s.dropOthersLocked(k.Hash, r)
	b := v.Body.with(v.Body.chunks)
	b.ID, b.used, b.spilt = 0, nil, nil
	v = v.over(b)
	if !s.queueLocked(k, v, uses, DiskDropLeaving) {
		return nil
	}
	for j := i - 1; j >= 0; j-- { // the newer ones stay the newer ones
		if ref, ours := s.refOf(r.Variants[j].Body.ID); ours {
			s.reviseLocked(ref, k, r.Variants[j])
		}
	}
	s.d.kept.Add(1)
	return v
}

// changedLocked notes that what is stored under h is changing.
func (s *diskShard) changedLocked(h policy.Hash) {
	*s.slotLocked(h)++
	s.touchLocked(h)
}

// dropOthersLocked takes out what is under h and not a variant of r.
func (s *diskShard) dropOthersLocked(h policy.Hash, r *Resource) {
	s.refs = s.index.of(h, s.refs[:0])
	for _, o := range s.refs {
		if !r.hasBody(s.bodyID(o)) {
			if in, ok := s.index.get(o); ok { // what takes its place is no stranger
				s.choice.evicted(in.Hash, in.Body, in.Uses)
			}
			s.dropLocked(o)
		}
	}
}

// putBytes is what a record is taken to have before it is built.
const putBytes = 1 << 10

// reviseLocked queues a record anew, of a variant whose body stays.
func (s *diskShard) reviseLocked(r ref, k policy.Key, v *Variant) {
	in, ok := s.index.get(r)
	if !ok {
		return // the disk has dropped it
	}
	if c := s.pending[r]; c != nil && !c.taken {
		c.v, c.order = v, s.nextOrderLocked()
		return
	}
	c := &change{kind: changeRevise, ref: r, id: in.ID, v: v, key: k, order: s.nextOrderLocked()}
	if last := s.pending[r]; last != nil {
		c.body = last.body // not on disk for sure: it goes on being read from memory
	}
	s.pending[r] = c
	s.queue.offer(c)
}

// dropLocked takes an object out of the index, and its bytes off the disk as
// soon as nobody reads them.
func (s *diskShard) dropLocked(r ref) {
	in, ok := s.index.get(r)
	if !ok || !s.index.hide(r) {
		return
	}
	*s.slotLocked(in.Hash)++
	s.savedLocked(r)
	c := s.pending[r]
	delete(s.pending, r)
	if c != nil && c.kind == changePut && !c.taken && c.spill == nil && s.leases[r] == nil {
		s.index.free(r) // the writer finds that it is not wanted any more
		return
	}
	if s.leases[r] != nil {
		bytes := diskBytes(in.Body, in.Meta)
		s.deferred[r] = deferral{s.d.now(), bytes}
		s.held += bytes
		s.queue.offer(&change{kind: changeUnlist, id: in.ID})
		if c != nil {
			s.pending[r] = c // its readers still need it
		}
		return
	}
	s.queue.offer(&change{kind: changeDrop, ref: r, id: in.ID})
}

// dropID takes the bytes of an id off the disk that has no place in the index.
func (s *diskShard) dropID(id uint64) { s.queue.offer(&change{kind: changeDrop, id: id}) }

func (s *diskShard) nextIDLocked() uint64 {
	s.state.NextID++
	return s.state.NextID - 1
}

func (s *diskShard) nextOrderLocked() uint64 {
	s.state.NextOrder++
	return s.state.NextOrder - 1
}

// holds says whether a body can be had from here.
func (s *diskShard) holds(id BodyID) bool {
	r, ours := s.refOf(id)
	if !ours {
		return false
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.index.shows(r) && !s.retired.Load()
}

// has says whether anything is stored under the hash.
func (s *diskShard) has(h policy.Hash) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.index.has(h) && !s.retired.Load()
}

// errRetired says that the shard was given up while it was asked.
var errRetired = fmt.Errorf("%w: its disk shard was retired", ErrChunkGone)
