package cachestore

import "edgecache/policy"

// virtualDisk is the disk's choice without a disk: shards of index, order and
// admission as they serve, whose writer only counts.
type virtualDisk struct {
	shards   []virtualShard
	overhead bool
	written  int64  // bytes
	now      uint32 // Unix seconds
	ids      uint64
	all      *duel
	held     int64 // bytes of memory that index and ghosts take
	sample   bool  // of a Shadow: an index counts by its objects, for its blocks stand for fewer
}

// virtualShard is one of them.
type virtualShard struct {
	number uint64
	index  index
	choice choice
	quota  int64
	used   int64
}

// virtualShardShift leaves room for a ref below the number of its shard.
const virtualShardShift = 56

func newVirtualDisk(c *VirtualConfig) *virtualDisk {
	d := &virtualDisk{shards: make([]virtualShard, c.Shards), overhead: c.Overhead, sample: c.apart}
	for i := range d.shards {
		s := &d.shards[i]
		s.number, s.quota = uint64(i), c.Disk/int64(c.Shards)
		s.index.order.power = c.Objective.power()
		s.choice = chooser(c.Admission, c.NoReturners)
		s.choice.size(c.Memory, c.Disk, c.Shards)
	}
	return d
}

func (d *virtualDisk) shard(h policy.Hash) *virtualShard {
	return &d.shards[h.Lo>>40%uint64(len(d.shards))]
}

// takes is what an object takes of the quota.
func (d *virtualDisk) takes(size int64) int64 {
	if d.overhead {
		return diskBytes(size, virtualMeta)
	}
	return size
}

// grown is by how many bytes of memory index and ghosts have grown since it was asked last.
func (d *virtualDisk) grown() int64 {
	held := int64(0)
	for i := range d.shards {
		s := &d.shards[i]
		if d.sample {
			held += int64(s.index.visible) * objectSlot
		} else {
			held += s.index.memory()
		}
		held += s.choice.ghosts.memory()
	}
	by := held - d.held
	d.held = held
	return by
}

// virtualMeta is what a record has, as records usually do, in bytes.
const virtualMeta = 400

// find is what is stored under a key; 0 is nothing.
func (s *virtualShard) find(k policy.Key) ref {
	if list := s.index.of(k.Hash, nil); len(list) > 0 {
		return list[0]
	}
	return 0
}

// name is the ID of a body that the shard has.
func (s *virtualShard) name(r ref) BodyID {
	return BodyID(diskBodyBit | s.number<<virtualShardShift | uint64(r))
}

// evict takes out an object and remembers it.
func (d *virtualDisk) evict(s *virtualShard, r ref) {
	in, _ := s.index.get(r)
	s.used -= d.takes(in.Body)
	s.index.remove(r)
	s.choice.evicted(in.Hash, in.Body, in.Uses)
}

// follow has the disk store what is new and forget what is gone.
func (d *virtualDisk) follow(k policy.Key, _, new *Resource) {
	s := d.shard(k.Hash)
	if new != nil && new.Variants[0].Body.ID != 0 {
		return
	}
	if r := s.find(k); r != 0 {
		d.evict(s, r) // what takes its place is no stranger
	}
	if new != nil {
		d.store(s, k, new.Variants[0])
	}
}

// store takes a variant that comes from the origin, if it is chosen.
func (d *virtualDisk) store(s *virtualShard, k policy.Key, v *Variant) {
	d.all.steer(&s.choice, &s.index)
	if uses, taken := s.choice.fill(k.Hash, v.Body.Size, s.quota, s.used); taken {
		d.place(s, k, v, uses)
	}
}

func (d *virtualDisk) place(s *virtualShard, k policy.Key, v *Variant, uses uint32) (placed bool) {
	b := v.Body
	if b.Size > largestIn(s.quota) {
		return false
	}
	for s.used+d.takes(b.Size) > s.quota {
		if r, ok := s.index.expired(d.now); ok {
			d.evict(s, r)
			continue
		}
		r, again := s.index.least(lockSlice)
		if again {
			continue
		}
		if r == 0 {
			return false
		}
		s.index.sink(r)
		d.evict(s, r)
	}
	d.ids++
	r := s.index.add(indexed{Hash: k.Hash, ID: d.ids, Body: b.Size, Expires: expiresOf(v), Uses: uses})
	s.index.rank(r)
	b.ID, b.used = s.name(r), s.index.uses(r)
	s.used += d.takes(b.Size)
	d.written += b.Size
	return true
}

// holds says whether a body can be had from the disk.
func (d *virtualDisk) holds(b *Body) bool {
	if b.ID&diskBodyBit == 0 {
		return false
	}
	id := uint64(b.ID &^ diskBodyBit)
	return d.shards[id>>virtualShardShift].index.shows(ref(id & refMask))
}

// raise is never needed: a Virtual asks the disk itself.
func (d *virtualDisk) raise(policy.Key) *Resource { return nil }

// keep takes what leaves memory, if it is chosen.
func (d *virtualDisk) keep(k policy.Key, r *Resource, i int, hits uint32) *Variant {
	s, v := d.shard(k.Hash), r.Variants[i]
	uses, taken := s.choice.leaves(k.Hash, v.Body.Size, hits)
	low := &Variant{Life: v.Life, Validators: v.Validators, Body: &Body{Size: v.Body.Size}}
	if !taken || !d.place(s, k, low, uses) {
		return nil
	}
	return low
}
