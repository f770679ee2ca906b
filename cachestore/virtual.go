package cachestore

import (
	"encoding/binary"
	"runtime"

	"edgecache/policy"
)

// VirtualConfig says what a Virtual is like. A zero is the default of MemoryConfig
// or DiskConfig.
type VirtualConfig struct {
	Memory int64 // bytes
	Disk   int64 // bytes; 0: there is none
	Shards int   // of the disk; as ShardsFor says

	Objective   Objective
	Admission   Admission
	NoReturners bool // what its like did does not count for what is taken

	// Overhead counts what an object takes beside its body, as the tiers do. When
	// it is false bytes are bodies' bytes.
	Overhead bool
}

// Virtual is a store whose bodies are lengths: the table, the window, Ristretto
// and the disk's choice as they serve, without anything to serve. It says what
// they would keep. Whatever they do later is waited for at each request. It is
// for one goroutine.
type Virtual struct {
	mem      *Memory
	disk     *virtualDisk // nil when there is none
	head     *Head
	overhead int64 // bytes that are not to count, an object
}

// Served says where a request was answered from.
type Served uint8

// A request is a miss, or a hit of one of the tiers.
const (
	ServedOrigin Served = iota
	ServedMemory
	ServedDisk
)

// NewVirtual makes an empty store. Close ends it.
func NewVirtual(c VirtualConfig) (*Virtual, error) {
	mem, err := NewMemory(MemoryConfig{Size: c.Memory, virtual: true, bare: !c.Overhead})
	if err != nil {
		return nil, err
	}
	v := &Virtual{mem: mem, head: &Head{Status: 200}}
	if !c.Overhead {
		v.overhead = NewResource(virtualKey(0), v.variant(0)).Size()
	}
	if c.Disk > 0 {
		if c.Shards == 0 {
			c.Shards = ShardsFor(c.Disk)
		}
		v.disk = newVirtualDisk(v, &c)
		mem.below = v.disk
	}
	return v, nil
}

// Written is how many bytes the disk was given.
func (v *Virtual) Written() int64 {
	if v.disk == nil {
		return 0
	}
	return v.disk.written
}

// Close ends the store.
func (v *Virtual) Close() error { return v.mem.Close() }

// Request asks for an object of so many bytes, which is stored after a miss if
// the tiers take it.
func (v *Virtual) Request(id uint64, size int64) Served {
	k := virtualKey(id)
	if r, where := v.mem.Peek(k); where == InMemory {
		v.mem.Hit(r, r.Variants[0])
		runtime.Gosched() // Ristretto takes in what it was told
		return ServedMemory
	}
	if v.disk != nil {
		s := v.disk.shard(k.Hash)
		if r := s.find(k); r != 0 {
			s.index.uses(r).Add(1)
			v.promote(s, k, r)
			return ServedDisk
		}
	}
	switch {
	case size <= v.mem.config.MaxObject:
		v.mem.put(k, v.variant(size), 0)
		v.settle()
	case v.disk != nil: // it spills
		v.disk.store(v.disk.shard(k.Hash), k, &Body{Size: size})
	}
	return ServedOrigin
}

// promote copies what the disk has up to memory, if memory takes it.
func (v *Virtual) promote(s *virtualShard, k policy.Key, r ref) {
	in, _ := s.index.get(r)
	if in.Body > min(raiseMost, v.mem.config.MaxObject) {
		return
	}
	up := v.variant(in.Body)
	up.Body.ID, up.Body.used = BodyID(diskBodyBit|uint64(r)), s.index.uses(r)
	if v.mem.swap(k, nil, &Resource{Key: k, Variants: []*Variant{up}}, swapping{quiet: true}) {
		v.settle()
	}
}

// settle carries out at once what the tiers would do by and by.
func (v *Virtual) settle() {
	v.mem.settle()
	v.mem.makeRoom(v.mem.config.Size)
}

func (v *Virtual) variant(size int64) *Variant {
	return &Variant{Head: v.head, Body: &Body{Size: size, held: size - v.overhead, length: true}}
}

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
