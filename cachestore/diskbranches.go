package cachestore

import (
	"bytes"
	"encoding/binary"
	"io"
	"sync/atomic"
)

// Bounds of the pages that a snapshot keeps.
const (
	keptBranches = 64 // pages, of 4 KiB
	keptAfter    = 4  // readings: a snapshot that is soon replaced keeps none
)

// branches are pages of one snapshot that lead to others and that its readers have read
// again and again: four of the seven reads of a small body are of such. Nobody writes to a
// page of a snapshot, so what was read once holds as long as the snapshot. Leaves, and
// with them all that is stored, are read anew each time.
type branches struct {
	file  io.ReaderAt
	size  int // bytes of a page
	slots [keptBranches]branchSlot
}

// branchSlot has room for one page, the first that was read often enough.
type branchSlot struct {
	kept atomic.Pointer[branchPage] // immutable
	read atomic.Uint32              // how often one of its pages was read before that
}

type branchPage struct {
	at    int64 // in the file
	bytes []byte
}

var _ io.ReaderAt = (*branches)(nil)

// ReadAt reads from the file what is not kept.
func (b *branches) ReadAt(p []byte, at int64) (n int, err error) {
	if len(p) != b.size || at < 0 || at%int64(b.size) != 0 {
		return b.file.ReadAt(p, at)
	}
	slot := &b.slots[uint64(at/int64(b.size))%keptBranches]
	kept := slot.kept.Load()
	if kept != nil && kept.at == at {
		return copy(p, kept.bytes), nil
	}
	n, err = b.file.ReadAt(p, at)
	if kept == nil && err == nil && binary.NativeEndian.Uint16(p[8:]) == flagBranch && slot.read.Add(1) == keptAfter {
		slot.kept.Store(&branchPage{at, bytes.Clone(p)})
	}
	return n, err
}
