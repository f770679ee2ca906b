package cachestore

import "fmt"

func (d *Disk) Debug() string {
	s := d.shards[0].Load()
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprintf("len %d heap %d hidden %d pending %d unsaved %d waiting %d loose %d held %d leases %d floor %g top %g unit %g recent %v body %d trouble %v", s.index.len(), s.index.order.heap.heap.len, s.index.hidden(), len(s.pending), len(s.unsaved), s.waiting, s.loose, s.held, len(s.leases), s.index.order.floor, s.index.order.top, s.index.order.unit, s.index.order.recent, s.index.bodyBytes(), s.trouble)
}
