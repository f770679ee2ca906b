package cachestore

import (
	"fmt"
	"runtime/debug"
)

// Guard runs f over a mapped file, and turns a panic into an error: of a library
// that met bytes that it cannot read, or a fault in a mapping whose file was
// cut. After that the library's locks may be held for ever: what f used must be
// abandoned, and never closed. The error is a *Fault.
func Guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = &Fault{p}
		}
	}()
	return f()
}

// Fault is what Guard caught.
type Fault struct{ Value any }

// Error says what it was.
func (f *Fault) Error() string { return fmt.Sprintf("fault in a mapped file: %v", f.Value) }
