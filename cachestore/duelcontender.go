package cachestore

import "edgecache/policy"

// contender is a cache of lengths: a heap of objects by what they are worth.
type contender struct {
	frequency bool // GreedyDual-Size-Frequency; else the last time of use counts alone
	clock     float64
	bytes     int64
	slots     []contenderSlot // a heap: the least worth on top
	at        map[uint64]int32
}

type contenderSlot struct {
	hash  uint64
	size  int64
	worth float64
	uses  uint32
}

// request asks for an object, which is taken in when it is not there.
func (c *contender) request(h policy.Hash, size, room int64) (hit bool) {
	if i, ok := c.at[h.Hi]; ok {
		slot := &c.slots[i]
		slot.uses++
		c.value(slot)
		c.settle(int(i))
		return true
	}
	if size > room {
		return false
	}
	for c.bytes+size > room {
		if c.frequency {
			c.clock = c.slots[0].worth
		}
		c.drop(0)
	}
	if c.at == nil {
		c.at = make(map[uint64]int32)
	}
	slot := contenderSlot{hash: h.Hi, size: size, uses: 1}
	c.value(&slot)
	c.take(slot)
	return false
}

func (c *contender) value(slot *contenderSlot) {
	if c.frequency {
		slot.worth = c.clock + float64(slot.uses)/float64(max(slot.size, 1))
		return
	}
	c.clock++
	slot.worth = c.clock
}

// drop takes the object at a place out.
func (c *contender) drop(i int) {
	last := len(c.slots) - 1
	delete(c.at, c.slots[i].hash)
	c.bytes -= c.slots[i].size
	if i != last {
		c.slots[i] = c.slots[last]
		c.at[c.slots[i].hash] = int32(i)
	}
	c.slots = c.slots[:last]
	if i < last {
		c.settle(i)
	}
}

// forget drops what does not belong to the sample any more.
func (c *contender) forget(below uint64) {
	all := c.slots
	c.slots, c.bytes = nil, 0
	clear(c.at)
	for _, slot := range all {
		if slot.hash < below {
			c.take(slot)
		}
	}
}

// take puts an object into the heap.
func (c *contender) take(slot contenderSlot) {
	c.slots = append(c.slots, slot)
	c.bytes += slot.size
	c.at[slot.hash] = int32(len(c.slots) - 1)
	c.settle(len(c.slots) - 1)
}

// settle brings the object at a place up or down to where it belongs.
func (c *contender) settle(i int) {
	for i > 0 && c.slots[i].worth < c.slots[(i-1)/2].worth {
		c.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
	for {
		least := i
		for _, child := range [2]int{2*i + 1, 2*i + 2} {
			if child < len(c.slots) && c.slots[child].worth < c.slots[least].worth {
				least = child
			}
		}
		if least == i {
			return
		}
		c.swap(i, least)
		i = least
	}
}

func (c *contender) swap(i, j int) {
	c.slots[i], c.slots[j] = c.slots[j], c.slots[i]
	c.at[c.slots[i].hash], c.at[c.slots[j].hash] = int32(i), int32(j)
}
