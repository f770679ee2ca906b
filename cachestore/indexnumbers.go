package cachestore

const (
	numberBytes = 4
	numberBlock = 4096 // numbers; 16 KiB
)

// numbers is an array of uint32 that grows and shrinks at its end. It stands in blocks,
// so that nothing is copied when it grows.
type numbers struct {
	blocks []*[numberBlock]uint32
	len    int
}

func (a *numbers) at(i int) *uint32 {
	return &a.blocks[uint(i)/numberBlock][uint(i)%numberBlock]
}

func (a *numbers) push(v uint32) {
	if a.len == len(a.blocks)*numberBlock {
		a.blocks = append(a.blocks, new([numberBlock]uint32))
	}
	a.len++
	*a.at(a.len - 1) = v
}

// pop keeps one empty block, so that a length that goes to and fro over the edge of a
// block does not allocate.
func (a *numbers) pop() uint32 {
	v := *a.at(a.len - 1)
	a.len--
	if last := len(a.blocks) - 1; a.len <= (last-1)*numberBlock {
		a.blocks[last] = nil
		a.blocks = a.blocks[:last]
	}
	return v
}

func (a *numbers) memory() int64 {
	return int64(len(a.blocks))*numberBlock*numberBytes + int64(cap(a.blocks))*pointerBytes
}
