package edge

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// maxStripes bounds how often a striped value exists.
const maxStripes = 16

// striped is a value that exists several times over, so that processors which
// change it at once seldom meet. A goroutine borrows the one that was last used
// on its processor; two may borrow the same, so what is in it is atomic or
// locked. Taking one allocates nothing.
type striped[T any] struct {
	all  []*T
	next atomic.Uint32
	near sync.Pool
}

func newStriped[T any]() *striped[T] {
	s := &striped[T]{all: make([]*T, min(runtime.GOMAXPROCS(0), maxStripes))}
	for i := range s.all {
		s.all[i] = new(T)
	}
	s.near.New = func() any { return s.all[int(s.next.Add(1))%len(s.all)] }
	return s
}

// borrow gives a stripe; giveBack must follow on the same goroutine.
func (s *striped[T]) borrow() *T { return s.near.Get().(*T) }

func (s *striped[T]) giveBack(t *T) { s.near.Put(t) }
