package cachestore

import "edgecache/policy"

// virtualDisk is the disk's choice without a disk: shards of index, order and
// admission as they serve, whose writer only counts.
type virtualDisk struct {
	v       *Virtual
	shards  []virtualShard
	written int64 // bytes
	ids     BodyID
}

// virtualShard is one of them.
type virtualShard struct {
	index  index
	choice choice
	quota  int64
}

func newVirtualDisk(v *Virtual, c *VirtualConfig) *virtualDisk {
	d := &virtualDisk{v: v, shards: make([]virtualShard, c.Shards)}
	for i := range d.shards {
		s := &d.shards[i]
		s.quota = c.Disk / int64(c.Shards)
		s.index.order.power = c.Objective.power()
		s.choice = choice{always: c.Admission == AdmitAlways, returners: !c.NoReturners}
		s.choice.size(c.Memory, c.Disk, c.Shards)
	}
	return d
}

func (d *virtualDisk) shard(h policy.Hash) *virtualShard {
	return &d.shards[h.Lo>>40%uint64(len(d.shards))]
}

// find is what is stored under a key; 0 is nothing.
func (s *virtualShard) find(k policy.Key) ref {
	if list := s.index.of(k.Hash, nil); len(list) > 0 {
		return list[0]
	}
	return 0
}

// follow has the disk store what is new and forget what is gone.
func (d *virtualDisk) follow(k policy.Key, old, new *Resource) {
	s := d.shard(k.Hash)
	if new == nil {
		if r := s.find(k); r != 0 {
			s.index.remove(r)
		}
		return
	}
	v := new.Variants[0]
	if v.Body.ID != 0 {
		return
	}
	if r := s.find(k); r != 0 {
		s.index.remove(r)
	}
	d.store(s, k, v.Body)
}

// store takes a body that comes from the origin, if it is chosen.
func (d *virtualDisk) store(s *virtualShard, k policy.Key, b *Body) (taken bool) {
	uses, taken := s.choice.fill(k.Hash, b.Size, s.quota/roomyShare-s.index.bodyBytes())
	return taken && d.place(s, k, b, uses)
}

func (d *virtualDisk) place(s *virtualShard, k policy.Key, b *Body, uses uint32) (placed bool) {
	if b.Size > largestIn(s.quota) {
		return false
	}
	for s.index.bodyBytes()+b.Size > s.quota {
		r, again := s.index.least(lockSlice)
		if again {
			continue
		}
		if r == 0 {
			return false
		}
		in, _ := s.index.get(r)
		s.index.sink(r)
		s.index.remove(r)
		s.choice.evicted(in.Hash, in.Body, in.Uses)
	}
	d.ids++
	r := s.index.add(indexed{Hash: k.Hash, ID: uint64(d.ids), Body: b.Size, Expires: never, Uses: uses})
	s.index.rank(r)
	b.ID, b.used = BodyID(diskBodyBit|uint64(r)), s.index.uses(r)
	d.written += b.Size
	return true
}

// holds says whether a body can be had from the disk.
func (d *virtualDisk) holds(b *Body) bool {
	if b.ID&diskBodyBit == 0 {
		return false
	}
	for i := range d.shards {
		if s := d.shards[i].index.find(ref(b.ID &^ diskBodyBit)); s != nil && &s.uses == b.used {
			return true
		}
	}
	return false
}

// raise is never needed: a Virtual asks the disk itself.
func (d *virtualDisk) raise(policy.Key) *Resource { return nil }

// keep takes what leaves memory, if it is chosen.
func (d *virtualDisk) keep(k policy.Key, r *Resource, i int, hits uint32) *Variant {
	s, b := d.shard(k.Hash), r.Variants[i].Body
	if uses, taken := s.choice.leaves(k.Hash, b.Size, hits); !taken || !d.place(s, k, &Body{Size: b.Size}, uses) {
		return nil
	}
	return r.Variants[i]
}
