package cachestore

import (
	"encoding/binary"
	"runtime"
	"time"

	"edgecache/policy"
)

// VirtualConfig says what a Virtual is like.
type VirtualConfig struct {
	Memory int64 // bytes
	Disk   int64 // bytes; 0: there is none
	Shards int   // of the disk; 0: as ShardsFor says

	Objective   Objective
	Admission   Admission
	NoReturners bool // what its like did does not count for what is taken

	// Overhead counts what an object takes beside its body, as the tiers do. When
	// it is false bytes are bodies' bytes.
	Overhead bool

	apart bool // who asks counts what the disk needs of memory
}

// Virtual is a store whose bodies are lengths: the table, the window, Ristretto
// and the disk's choice as they serve, without anything to serve. It says what
// they would keep. Whatever they do later is waited for at each request. It is
// for one goroutine.
type Virtual struct {
	mem      *Memory
	disk     *virtualDisk // nil when there is none
	head     *Head
	overhead int64 // bytes of memory that an object takes beside its body
	bare     bool  // they do not count
	burdens  bool  // what the disk needs of memory does
}

// VirtualRequest asks for an object.
type VirtualRequest struct {
	ID   uint64
	Size int64 // bytes of its body
	// Now is in Unix nanoseconds; it does not go back.
	Now int64
	// Fresh is how long what the origin sends now may be used; 0 is for ever.
	Fresh time.Duration
}

// Served says where a request was answered from.
type Served uint8

// A request is a miss, or a hit of one of the tiers.
const (
	ServedOrigin Served = iota
	ServedMemory
	ServedDisk
)

// virtualHead is the bytes of a usual head.
const virtualHead = 512

// NewVirtual makes an empty store. Close ends it.
func NewVirtual(c VirtualConfig) (*Virtual, error) {
	mem, err := NewMemory(MemoryConfig{Size: c.Memory, virtual: true, bare: !c.Overhead})
	if err != nil {
		return nil, err
	}
	v := &Virtual{mem: mem, head: &Head{Status: 200, block: make([]byte, 0, virtualHead)}}
	v.overhead = NewResource(virtualKey(0), v.variant(&VirtualRequest{})).Size()
	v.bare = !c.Overhead
	if c.Disk > 0 {
		if c.Shards == 0 {
			c.Shards = ShardsFor(c.Disk)
		}
		v.disk = newVirtualDisk(&c)
		mem.below = v.disk
		mem.all = newDuel(c.Disk, c.Objective == ObjectiveBytes)
		v.disk.all = mem.all
		if v.burdens = c.Overhead && !c.apart; v.burdens {
			mem.burden(min(defaultQueue, c.Memory/8)) // what waits for the disk
		}
	}
	return v, nil
}

// Overhead is how many bytes an object takes in memory, and on disk, beside its
// body, when its head is a usual one.
func (v *Virtual) Overhead() (memory, disk int64) {
	return v.overhead, diskBytes(1, virtualMeta) - 1
}

// Written is how many bytes of bodies the disk was given.
func (v *Virtual) Written() int64 {
	if v.disk == nil {
		return 0
	}
	return v.disk.written
}

// Close ends the store.
func (v *Virtual) Close() error { return v.mem.Close() }

// Request asks for an object, which is stored after a miss if the tiers take it.
func (v *Virtual) Request(q VirtualRequest) Served {
	k := virtualKey(q.ID)
	r, _ := v.mem.Peek(k)
	if r != nil && usable(r.Variants[0], q.Now) {
		v.mem.Hit(r, r.Variants[0])
		runtime.Gosched() // Ristretto takes in what it was told
		return ServedMemory
	}
	if v.disk != nil {
		v.disk.now = seconds32(q.Now)
	}
	if r == nil && v.raise(k, q.Now) {
		return ServedDisk
	}
	switch {
	case q.Size <= v.mem.config.MaxObject:
		v.mem.put(k, v.variant(&q), 0)
		v.settle()
	case v.disk != nil: // it spills
		v.mem.noted(k.Hash, q.Size, ServedOrigin)
		v.disk.follow(k, r, &Resource{Key: k, Variants: []*Variant{v.variant(&q)}})
	}
	return ServedOrigin
}

// usable says whether a stored answer may be served without asking the origin.
func usable(v *Variant, now int64) bool {
	return v.Life.Fresh == 0 || v.Life.At(now) == policy.StateFresh
}

// raise looks for an object on disk, and copies it up to memory if memory takes it.
func (v *Virtual) raise(k policy.Key, now int64) (found bool) {
	if v.disk == nil {
		return false
	}
	s := v.disk.shard(k.Hash)
	r := s.find(k)
	if in, ok := s.index.get(r); !ok || in.Expires <= seconds32(now) {
		return false
	}
	s.index.uses(r).Add(1)
	in, _ := s.index.get(r)
	v.mem.noted(k.Hash, in.Body, ServedDisk)
	if in.Body > min(raiseMost, v.mem.config.MaxObject) {
		return true
	}
	up := v.variant(&VirtualRequest{Size: in.Body})
	if in.Expires != never {
		up = v.variant(&VirtualRequest{Size: in.Body, Now: now, Fresh: time.Duration(int64(in.Expires)*1e9 - now)})
	}
	up.Body.ID, up.Body.used = s.name(r), s.index.uses(r)
	if v.mem.swap(k, nil, &Resource{Key: k, Variants: []*Variant{up}}, swapping{quiet: true}) {
		v.settle()
	}
	return true
}

// settle carries out at once what the tiers would do by and by.
func (v *Virtual) settle() {
	if v.burdens {
		v.mem.burden(v.disk.grown())
	}
	v.mem.settle()
	v.mem.makeRoom(v.mem.config.Size)
}

// Recent says whether memory, and both tiers together, go by recency now, and how
// often either has changed its mind.
func (v *Virtual) Recent() (memory, all bool, changes uint64) {
	changes = v.mem.own.verdicts
	if v.mem.all != nil {
		all, changes = v.mem.all.recent.Load(), changes+v.mem.all.verdicts
	}
	return v.mem.own.recent.Load(), all, changes
}

// variant is what the origin sends for a request.
func (v *Virtual) variant(q *VirtualRequest) *Variant {
	body := &Body{Size: q.Size, held: rounded(q.Size), length: true}
	if v.bare {
		body.held = q.Size - v.overhead
	}
	n := &Variant{Head: v.head, Body: body}
	if q.Fresh > 0 {
		n.Life = policy.Life{Born: q.Now, Fresh: q.Fresh}
	} else {
		n.Validators.ETag = virtualTag
	}
	return n
}

// virtualTag keeps what never expires from being taken for something that has.
var virtualTag = []byte("v")[:1:1]

// virtualKey is the key of an object that has only a number. Its hash is the
// number, mixed: what is next to each other must not meet in one part of a table.
func virtualKey(id uint64) policy.Key {
	full := binary.BigEndian.AppendUint64(nil, id)
	return policy.Key{Full: full, Hash: policy.Hash{Hi: mix(id + 1), Lo: mix(^id)}}
}

// mix is the finalizer of SplitMix64 (Steele, Lea, Flood 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
