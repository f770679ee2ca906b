// Package policies has the known ways to choose what a cache keeps, as rivals
// for edge's own: one tier each over a byte capacity, two of them over one
// another, and the offline optimum, which knows the future.
//
// Objects are dense ids from 0, so all state lies in slices. Nothing here is
// safe for two goroutines at once.
package policies

import (
	"fmt"
	"slices"
)

// Policy is one tier of a cache that keeps objects by one rule. An object has
// the same size for as long as it is kept.
type Policy interface {
	// Name is how the rule is called.
	Name() string
	// Has says whether the object is kept; asking changes nothing.
	Has(id uint32) bool
	// Hit notes a request for an object that is kept.
	Hit(id uint32)
	// Add notes a request for an object that is not kept, and takes it in,
	// evicting others for its room. It says whether the object got a place,
	// however short its stay; one larger than the capacity never does.
	Add(id uint32, size int64) (stored bool)
	// Bytes is how much is kept, never more than the capacity.
	Bytes() int64
}

// makers makes each policy for a capacity and a number of objects.
var makers = map[string]func(capacity int64, objects int) Policy{
	"fifo":         func(c int64, n int) Policy { return NewFIFO(c, n) },
	"gdsf":         func(c int64, n int) Policy { return NewGDSF(c, n) },
	"lru":          func(c int64, n int) Policy { return NewLRU(c, n) },
	"s3-fifo":      func(c int64, n int) Policy { return NewS3FIFO(c, n) },
	"sieve":        func(c int64, n int) Policy { return NewSIEVE(c, n) },
	"w-tinylfu":    func(c int64, n int) Policy { return NewWTinyLFU(c, n) },
	"w-tinylfu-av": func(c int64, n int) Policy { return NewWTinyLFUAV(c, n) },
}

// New returns the policy of that name for ids below objects.
func New(name string, capacity int64, objects int) (Policy, error) {
	make, ok := makers[name]
	if !ok {
		return nil, fmt.Errorf("no policy %q; there are %q", name, Names())
	}
	return make(capacity, objects), nil
}

// Names returns the names that New knows, in order.
func Names() []string {
	var names []string
	for name := range makers {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
