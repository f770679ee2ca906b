package main

// cache is what is measured.
type cache interface {
	// worker is the way to it for one goroutine.
	worker() worker
	// objects is how many are in memory and how many on disk, after what is to be
	// done for that in the background.
	objects() (memory, disk int)
	close() error
}

// worker asks and stores. It belongs to one goroutine.
type worker interface {
	// get returns a body, a view that nobody may change, and where it was; nil
	// and nowhere when it is not there.
	get(url string) (body []byte, from place)
	// put stores a body, which is shared and never changed. False: it was refused.
	put(url string, body []byte) (taken bool)
}

// place is where a body was found.
type place uint8

const (
	nowhere place = iota
	inMemory
	onDisk
)

// kind is a cache that can be opened.
type kind struct {
	name string
	// open makes an empty one for so many objects of bodyBytes. dir is an empty
	// directory of its own.
	open func(objects int, dir string) (cache, error)
}

// kinds are the caches, in the order in which each round measures them.
var kinds = []kind{
	{"memory", openMemory},
	{"tiers", openTiers},
	{"otter", openOtter},
	{"sieve", openSieve},
}
