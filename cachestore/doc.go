// Package cachestore keeps what policy allows to be kept: answers under their
// keys, in memory, within a stated number of bytes.
//
// A reader needs six names. A Resource is all that is stored under one key, an
// immutable value that is only ever swapped as a whole. A Variant is one answer
// of it: a Head built once, and a Body cut into chunks. A Store keeps resources
// and decides who stays; Memory is the tier that holds them in memory. A Fill
// is a body while it arrives from the origin, and every client that waits for
// it follows it through a Reader.
package cachestore
